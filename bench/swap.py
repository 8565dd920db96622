"""Models switched under load: `python -m bench.swap` writes bench/results/swap.json.

8 clients stream one chat after another from gpt while its model is switched 20 times, first with memory for both
models (the new one is loaded beside), then inside a memory limit that holds only one (finish, unload, load). Every
request must end well; what is published is how many failed, and the longest that one waited for its first token.
"""

from __future__ import annotations

import itertools
import json
import statistics
import threading
import time
import urllib.request
from typing import Any

from bench.peers import CACHE

from bench.serving.cgroup import MemoryGroup, limited
from bench.serving.clients import Answer, chat
from bench.serving.random_models import gpt2_124m
from bench.serving.server import Server, frigo
from scripts.environment import ROOT

RESULTS = ROOT / "bench" / "results" / "swap.json"
CLIENTS, SWITCHES = 8, 20
SMALL_LIMIT_MB = 420
WAIT_SECONDS = 120


def ask(server: Server, method: str, path: str) -> Any:
    request = urllib.request.Request(server.url + path, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def switch(server: Server, key: str) -> float:
    """Make `key` the model that serves; seconds until it does."""
    started = time.perf_counter()
    ask(server, "POST", f"/api/models/{key}/load")
    while time.perf_counter() - started < WAIT_SECONDS:
        found = next(one for one in ask(server, "GET", "/api/models")["models"] if one["key"] == key)
        if found["state"] == "ready":
            return time.perf_counter() - started
        if found["state"] == "error":
            raise SystemExit(f"{key}: {found['error']}")
        time.sleep(0.05)
    raise SystemExit(f"{key} was not ready after {WAIT_SECONDS} s")


def run(group: MemoryGroup | None) -> dict[str, Any]:
    """20 switches under 8 clients."""
    model = gpt2_124m(CACHE / "models" / "random-gpt2-124m")
    body = {"messages": [{"role": "user", "content": "Qui es-tu ?"}], "max_tokens": 40, "temperature": 0}
    answers: list[Answer] = []
    over = threading.Event()

    with frigo(model, group, IA_ENGINE="ctranslate2") as server:

        def client() -> None:
            while not over.is_set():
                answers.append(chat(server.url, body))

        clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
        for one in clients:
            one.start()
        names = itertools.cycle(["frigo-mini", model.name])
        seconds = [switch(server, next(names)) for _switch in range(SWITCHES)]
        over.set()
        for one in clients:
            one.join()
    failed = [one.error for one in answers if one.error]
    return {
        "switches": len(seconds),
        "switch_seconds": {"median": round(statistics.median(seconds), 2), "longest": round(max(seconds), 2)},
        "requests": len(answers),
        "failed": len(failed),
        "failures": failed[:3],
        "longest_first_token_seconds": round(max(one.first for one in answers if not one.error), 2),
        "longest_gap_seconds": round(max(max(one.gaps) for one in answers if one.gaps), 2),
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
