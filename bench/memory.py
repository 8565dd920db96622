"""Memory, as a small host sees it: `python -m bench.memory` writes bench/results/memory.json.

Two parts, each alone with `python -m bench.memory PART`:

services    each service of the real stack with the embedded models, idle and after the sample meeting. Memory is the
            proportional set size (PSS) of all of a service's processes, children included, so that pages shared by
            gunicorn's workers count once; RSS is their plain sum.
small_host  gpt inside a 512 MB control group, as on a small instance: a model of GPT-2's size is fetched from a local
            hub, converted, and serves 8 chats at once; then phi-2 is asked for (its real headers, no weights). Memory
            is what the system cannot take back (anonymous); file pages come and go under any limit.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from bench.peers import CACHE
from bench.serving.cgroup import MemoryGroup, limited
from bench.serving.clients import chat, load
from bench.serving.random_models import gpt2_124m, phi2_headers
from bench.serving.server import Server, frigo
from scripts.environment import ROOT
from tests.e2e.stack import ADMIN_TOKEN, Stack
from tests.hub_server import HubServer

RESULTS = ROOT / "bench" / "results" / "memory.json"
PROCESSES = ("app", "worker", "chat", "gpt", "asr", "diarize")
MEETING_SECONDS = 900
MODEL_SECONDS = 300
SMALL_HOST_MB = 512


def memory(pid: int) -> dict[str, float]:
    """MB of a process and all its descendants."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    full = [process.memory_full_info() for process in family]
    return {
        "processes": len(family),
        "pss_mb": round(sum(one.pss for one in full) / 2**20, 1),
        "rss_mb": round(sum(one.rss for one in full) / 2**20, 1),
    }


def call(url: str, method: str = "GET") -> Any:
    request = urllib.request.Request(url, method=method, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def services() -> dict[str, Any]:
    """Every service, idle and after the sample meeting."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        stack = Stack(Path(folder))
        try:
            stack.start()
            ready = time.monotonic() - started
            idle = {name: memory(stack.pid(name)) for name in PROCESSES}
            meeting = call(f"{stack.app_url}/api/meetings/sample", "POST")["id"]
            deadline = time.monotonic() + MEETING_SECONDS
            while (seen := call(f"{stack.app_url}/api/meetings/{meeting}"))["state"] not in {"done", "failed"}:
                if time.monotonic() > deadline:
                    raise SystemExit("the sample meeting did not end")
                time.sleep(1)
            after = {name: memory(stack.pid(name)) for name in PROCESSES}
        finally:
            stack.close()
    return {
        "ready_seconds": round(ready, 1),
        "meeting": {"state": seen["state"], "steps": {step["name"]: step["seconds"] for step in seen["steps"]}},
        "services": {name: {"idle": idle[name], "after": after[name]} for name in PROCESSES},
        "total_pss_mb": {
            "idle": round(sum(one["pss_mb"] for one in idle.values()), 1),
            "after": round(sum(one["pss_mb"] for one in after.values()), 1),
        },
    }


def small_host() -> dict[str, Any]:
    """A model of GPT-2's size, then one that is too big, in 512 MB."""
    gpt2, phi2 = gpt2_124m(CACHE / "models" / "random-gpt2-124m"), phi2_headers(CACHE / "models" / "phi-2-headers")
    hub = HubServer({"openai-community/gpt2": gpt2, "microsoft/phi-2": phi2}).start()
    seen: dict[str, Any] = {"limit_mb": SMALL_HOST_MB}
    try:
        with tempfile.TemporaryDirectory() as cache, limited(SMALL_HOST_MB) as group:
            variables = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "MODEL_CACHE_DIR": cache}
            with frigo("gpt2", group, **variables) as server:
                seen |= {"answers_after_seconds": server.seconds, "peak_mb_embedded_model": _mb(group.peak)}
                seen |= {"gpt2_ready_after_seconds": round(server.seconds + _wait_ready(server, "gpt2"), 1)}
                seen |= {"peak_mb_download_convert_load": _mb(group.peak)}
                seen |= _serve(server, group)
                print(json.dumps(seen), flush=True)
                seen |= _refuse(server, hub)
            seen |= {"peak_mb": _mb(group.peak), "peak_mb_with_file_pages": _mb(group.touched())}
            seen["kills"] = group.kills()
    finally:
        hub.stop()
    return seen


def _wait_ready(server: Server, key: str) -> float:
    """Seconds until `key` serves."""
    started = time.monotonic()
    while time.monotonic() - started < MODEL_SECONDS:
        found = next(one for one in call(f"{server.url}/api/models")["models"] if one["key"] == key)
        if found["state"] == "ready":
            return time.monotonic() - started
        if found["state"] == "error":
            raise SystemExit(f"{key}: {found['error']}")
        time.sleep(0.2)
    raise SystemExit(f"{key} was not ready after {MODEL_SECONDS} s")


def _serve(server: Server, group: MemoryGroup) -> dict[str, Any]:
    body = {"model": "gpt2", "messages": [{"role": "user", "content": "abc " * 30}], "max_tokens": 64, "temperature": 0}
    first = chat(server.url, body)
    one = _mb(group.peak)
    run = load(server.url, lambda: body, 8, 2)
    failed = [first.error, *run.failed] if first.error else run.failed
    if failed:
        raise SystemExit(f"a chat failed: {failed[0]}")
    engine = next(model["engine"] for model in call(f"{server.url}/api/models")["models"] if model["key"] == "gpt2")
    return {
        "engine": engine,
        "first_token_seconds": round(first.first, 2),
        "peak_mb_after_one_chat": one,
        "peak_mb_after_8_chats": _mb(group.peak),
        "tokens_per_second_at_8": round(run.tokens_per_second, 1),
    }


def _refuse(server: Server, hub: HubServer) -> dict[str, Any]:
    """Ask for phi-2: refused with both numbers, not one byte of weights read, gpt2 still there."""
    before = len(hub.seen)
    try:
        call(f"{server.url}/api/models/phi-2/load", "POST")
        raise SystemExit("phi-2 was not refused")
    except urllib.error.HTTPError as error:
        status, answer = error.code, json.load(error)["error"]
    body = {"model": "gpt2", "messages": [{"role": "user", "content": "abc"}], "max_tokens": 8, "temperature": 0}
    still = chat(server.url, body)
    if still.error:
        raise SystemExit(f"the serving model was disturbed: {still.error}")
    asked = [f"{method} {path} {span}".strip() for method, path, span in hub.seen[before:] if "safetensors" in path]
    return {"phi2": {"status": status, "code": answer["code"], "message": answer["message"], "asked_of_hub": asked}}


def _mb(size: int) -> float:
    return round(size / 2**20, 1)


def main() -> None:
    parts = {"services": services, "small_host": small_host}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=parts)
    chosen = parser.parse_args().part
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    results = {name: results[name] for name in parts if name in results}
    for name, measure in parts.items():
        if chosen in {None, name}:
            results[name] = measure()
            print(json.dumps({name: results[name]}, indent=1, ensure_ascii=False), flush=True)
    results |= {"cpu_count": os.cpu_count(), "load_average": round(os.getloadavg()[0], 1)}
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
