"""Memory of each service, idle and after the sample meeting: `python -m bench.memory` writes bench/results/memory.json.

The real stack is started on free ports with the embedded models. Memory is the proportional set size (PSS) of all of a
service's processes, children included, so that pages shared by gunicorn's workers count once; RSS is their plain sum.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from scripts.environment import ROOT
from tests.e2e.stack import ADMIN_TOKEN, Stack

RESULTS = ROOT / "bench" / "results" / "memory.json"
PROCESSES = ("app", "worker", "chat", "gpt", "asr", "diarize")
MEETING_SECONDS = 900


def memory(pid: int) -> dict[str, float]:
    """MB of a process and all its descendants."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    full = [process.memory_full_info() for process in family]
    return {
        "processes": len(family),
        "pss_mb": round(sum(one.pss for one in full) / 2**20, 1),
        "rss_mb": round(sum(one.rss for one in full) / 2**20, 1),
    }


def call(stack: Stack, method: str, path: str) -> Any:
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    request = urllib.request.Request(stack.app_url + path, method=method, headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        stack = Stack(Path(folder))
        try:
            stack.start()
            ready = time.monotonic() - started
            idle = {name: memory(stack.pid(name)) for name in PROCESSES}
            meeting = call(stack, "POST", "/api/meetings/sample")["id"]
            deadline = time.monotonic() + MEETING_SECONDS
            while (seen := call(stack, "GET", f"/api/meetings/{meeting}"))["state"] not in {"done", "failed"}:
                if time.monotonic() > deadline:
                    raise SystemExit("the sample meeting did not end")
                time.sleep(1)
            after = {name: memory(stack.pid(name)) for name in PROCESSES}
        finally:
            stack.close()
    result = {
        "ready_seconds": round(ready, 1),
        "meeting": {"state": seen["state"], "steps": {step["name"]: step["seconds"] for step in seen["steps"]}},
        "services": {name: {"idle": idle[name], "after": after[name]} for name in PROCESSES},
        "total_pss_mb": {
            "idle": round(sum(one["pss_mb"] for one in idle.values()), 1),
            "after": round(sum(one["pss_mb"] for one in after.values()), 1),
        },
        "cpu_count": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
