"""Models switched under load: `python -m bench.swap` writes bench/results/swap.json.

8 clients stream one chat after another from gpt while its model is switched 20 times, each time once every client has
been answered again: first with memory for both models (the new one is loaded beside, then the old one unloaded), then
inside a memory limit that holds only one (finish, unload, load). Both have GPT-2's size. Every request must end well;
what is published is how many failed, and the longest that one waited for its first token.
"""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.peers import CACHE
from bench.serving.cgroup import MemoryGroup, limited
from bench.serving.clients import Answer, chat
from bench.serving.random_models import gpt2_124m
from bench.serving.server import Server, frigo
from scripts.environment import ROOT

RESULTS = ROOT / "bench" / "results" / "swap.json"
CLIENTS, SWITCHES = 8, 20
SMALL_LIMIT_MB = 450
WAIT_SECONDS = 120


def ask(server: Server, method: str, path: str) -> Any:
    request = urllib.request.Request(server.url + path, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{method} {path}: {error.code} {error.read(2000).decode()}") from error


def states(server: Server) -> dict[str, str]:
    return {one["key"]: one["state"] for one in ask(server, "GET", "/api/models")["models"]}


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} did not happen in {WAIT_SECONDS} s")
        time.sleep(0.02)


def switch(server: Server, new: str, old: str, *, beside: bool) -> float:
    """Make `new` the model that serves, and `old` leave; seconds until `new` does."""
    started = time.perf_counter()
    ask(server, "POST", f"/api/models/{new}/load")
    until(lambda: states(server)[new] in {"ready", "error"}, f"the load of {new}")
    seconds = time.perf_counter() - started
    if states(server)[new] == "error":
        raise SystemExit(f"{new} could not be loaded")
    if beside:
        ask(server, "POST", f"/api/models/{old}/unload")
    until(lambda: states(server)[old] == "downloaded", f"the end of {old}")
    return seconds


def baked(model: Path, cache: Path) -> str:
    """A model cache where the same files are the hub's gpt2."""
    repo = cache / "models--openai-community--gpt2"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text("0" * 40, encoding="ascii")
    shutil.copytree(model, repo / "snapshots" / ("0" * 40))
    return str(cache)


def run(group: MemoryGroup | None) -> dict[str, Any]:
    """20 switches under 8 clients."""
    model = gpt2_124m(CACHE / "models" / "random-gpt2-124m")
    body = {"messages": [{"role": "user", "content": "Qui es-tu ?"}], "max_tokens": 40, "temperature": 0}
    answers: list[Answer] = []
    over = threading.Event()

    with (
        tempfile.TemporaryDirectory() as cache,
        frigo(model, group, IA_ENGINE="ctranslate2", MODEL_CACHE_DIR=baked(model, Path(cache))) as server,
    ):

        def client() -> None:
            while not over.is_set():
                answers.append(chat(server.url, body))

        clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
        for one in clients:
            one.start()
        seconds, new, old = [], "gpt2", model.name
        for _switch in range(SWITCHES):
            due = len(answers) + CLIENTS
            until(lambda due=due: len(answers) >= due, "an answer to every client")  # type: ignore[misc]
            seconds.append(switch(server, new, old, beside=group is None))
            new, old = old, new
        over.set()
        for one in clients:
            one.join()
    failed = [one.error for one in answers if one.error]
    served = Counter(one.model for one in answers if not one.error)
    return {
        "switches": len(seconds),
        "switch_seconds": {"median": round(statistics.median(seconds), 2), "longest": round(max(seconds), 2)},
        "requests": len(answers),
        "served": dict(served),
        "failed": len(failed),
        "failures": failed[:3],
        "longest_first_token_seconds": round(max(one.first for one in answers if not one.error), 2),
        "longest_gap_seconds": round(max(max(one.gaps[1:], default=0.0) for one in answers if one.gaps), 2),
        **({"kills": group.kills(), "limit_mb": SMALL_LIMIT_MB} if group else {}),
    }


def main() -> None:
    result = {"clients": CLIENTS, "beside": run(None)}
    with limited(SMALL_LIMIT_MB) as group:
        result["one_at_a_time"] = run(group)
    RESULTS.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1, ensure_ascii=False))
    if result["beside"]["failed"] or result["one_at_a_time"]["failed"]:
        raise SystemExit("some requests failed")


if __name__ == "__main__":
    main()
