"""What Frigo's gateway costs, beside the LiteLLM proxy: `python -m bench.gateway` writes bench/results/gateway.json.

    python -m bench.gateway --rounds 1 --seconds 3 --only frigo   a quick look

The same backend (bench/serving/openai_backend.c, built here) answers both: a JSON answer, or a stream of 52 chunks that
follow one another without a pause. wrk asks in a closed loop over 8 and 64 connections. In every round each system has
its turn at each load, so that a machine that slows down slows them all; medians of the rounds are kept.

frigo    app and chat, as `make run` starts them: two gunicorn workers each. Every request goes through both, carries a
         key made in the dashboard, which is looked up, and its tokens are counted for that key and kept in SQLite.
litellm  `litellm --num_workers 2`, in an environment of its own, with what its documentation asks for in production
         (LITELLM_MODE, LITELLM_LOG). It checks its master_key; its own keys and its usage need PostgreSQL: it has
         neither here, which is in its favour.
direct   the backend alone: what the two are compared with for the time they add.

CPU is what all processes of a system used, in milliseconds per answer: it depends less on what else runs on the
machine than requests per second do. `paced`: 8 streams at once whose chunks come 10 ms apart, each on its own, as a
model writes them; nothing is saturated then: the CPU and the time added to a stream are what it tells.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.peers import LITELLM, litellm
from bench.serving.server import Server
from bench.serving.wrk import Run, wrk
from scripts.environment import ROOT

RESULTS = ROOT / "bench" / "results" / "gateway.json"
CONNECTIONS = (8, 64)
PACED_MS, PACED_CONNECTIONS = 10, 8
LONGER = 8
SERVICE_TOKEN = "bench-service-token"  # noqa: S105  of processes that end with this script
MASTER_KEY = "sk-bench-master"
MESSAGES = [{"role": "system", "content": "Réponds en une phrase."}, {"role": "user", "content": "Bonjour !"}]
LOADS: dict[str, dict[str, Any]] = {
    "json": {"model": "fake", "messages": MESSAGES},
    "sse": {"model": "fake", "messages": MESSAGES, "stream": True},
    "paced": {"model": f"paced-{PACED_MS}", "messages": MESSAGES, "stream": True},
}
GUNICORN = str(Path(sys.executable).with_name("gunicorn"))


@dataclass
class System:
    """One that is measured: its address, the key it wants, and its processes' roots."""

    url: str
    key: str
    roots: list[int]

    def post(self, load: str, *, connections: int, seconds: int) -> Run:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        url = f"{self.url}/v1/chat/completions"
        return wrk(url, LOADS[load], headers, connections=connections, seconds=seconds)

    def _family(self) -> list[psutil.Process]:
        found = [psutil.Process(root) for root in self.roots]
        return found + [child for one in found for child in one.children(recursive=True)]

    def cpu_seconds(self) -> float:
        return sum(sum(process.cpu_times()[:2]) for process in self._family())

    def memory(self) -> dict[str, Any]:
        family = self._family()
        return {
            "processes": len(family),
            "pss_mb": round(sum(process.memory_full_info().pss for process in family) / 2**20, 1),
        }


@contextlib.contextmanager
def backend() -> Iterator[System]:
    """The fake OpenAI server."""
    with tempfile.TemporaryDirectory(prefix="frigo-bench-") as folder:
        program = Path(folder) / "openai_backend"
        source = ROOT / "bench" / "serving" / "openai_backend.c"
        subprocess.run(["cc", "-O2", "-o", str(program), str(source)], check=True)
        with contextlib.closing(Server([str(program), "{port}"], "/health")) as server:
            yield System(server.url, "", [server.process.pid])


@contextlib.contextmanager
def frigo(target: System) -> Iterator[System]:
    """app in front of chat in front of the backend, and a key of the dashboard's."""
    with tempfile.TemporaryDirectory(prefix="frigo-bench-") as data, contextlib.ExitStack() as stack:
        shared = {"DATA_DIR": data, "SERVICE_TOKEN": SERVICE_TOKEN, "WEB_CONCURRENCY": "2", "OPENAI_API_KEYS": ""}

        def start(name: str, **variables: str) -> Server:
            command = (GUNICORN, "-c", "python:common.web.gunicorn_conf", f"{name}.wsgi:app")
            return stack.enter_context(contextlib.closing(Server(command, "/health", {**shared, **variables})))

        chat = start("chat", GPT_API_URL=target.url, ASR_API_URL=target.url)
        app = start("app", CHAT_API_URL=chat.url, GPT_API_URL=target.url)
        made = _call(f"{chat.url}/api/keys", {"name": "bench"})
        system = System(app.url, made["key"], [app.process.pid, chat.process.pid])
        yield system
        told = _call(f"{chat.url}/api/keys/{made['id']}/usage")["usage"]
        _check_usage({name: sum(day[name] for day in told) for name in ("requests", "completion_tokens")})


def _call(url: str, body: dict[str, Any] | None = None) -> Any:
    headers = {"X-Service-Token": SERVICE_TOKEN, "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode() if body else None, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


answered_by_frigo = 0
counted_by_frigo: dict[str, float] = {}


def _check_usage(counted: dict[str, float]) -> None:
    """Every answer that wrk got whole was counted; those it left in the middle may be too."""
    counted_by_frigo.update(counted)
    if counted["requests"] < answered_by_frigo or counted["completion_tokens"] < 50 * answered_by_frigo:
        raise SystemExit(f"usage was lost: {answered_by_frigo} answers, counted {counted}")


@contextlib.contextmanager
def litellm_proxy(target: System) -> Iterator[System]:
    """The LiteLLM proxy in front of the backend."""
    names = ["fake", LOADS["paced"]["model"]]
    models = [
        {
            "model_name": name,
            "litellm_params": {"model": f"openai/{name}", "api_base": f"{target.url}/v1", "api_key": "none"},
        }
        for name in names
    ]
    config = {
        "model_list": models,
        "litellm_settings": {"set_verbose": False, "request_timeout": 600},
        "general_settings": {"master_key": MASTER_KEY},
    }
    with tempfile.TemporaryDirectory(prefix="frigo-bench-") as folder:
        file = Path(folder) / "config.yaml"
        file.write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
        with contextlib.closing(litellm(file, workers=2)) as server:
            yield System(server.url, MASTER_KEY, [server.process.pid])


def check(system: System) -> None:
    """One answer of each kind, whole and right."""
    for load in ("json", "sse"):
        headers = {"Authorization": f"Bearer {system.key}", "Content-Type": "application/json"}
        data = json.dumps(LOADS[load]).encode()
        request = urllib.request.Request(f"{system.url}/v1/chat/completions", data, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read().decode()
        if load == "json":
            whole = json.loads(text)["choices"][0]["message"]["content"].endswith("de reponse.")
        else:
            lines = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
            deltas = [json.loads(line)["choices"] for line in lines[:-1]]
            said = "".join(choices[0]["delta"].get("content") or "" for choices in deltas if choices)
            whole = lines[-1] == "[DONE]" and said.split() == [f"mot{number:02d}" for number in range(1, 51)]
        if not whole:
            raise SystemExit(f"{system.url} does not answer as the backend does: {text[:2000]}")


def one_run(system: System, target: System, load: str, connections: int, seconds: int) -> dict[str, float]:
    """One system under one load."""
    before, before_target = system.cpu_seconds(), target.cpu_seconds()
    run = system.post(load, connections=connections, seconds=seconds)
    if run.answers < connections:  # too slow for that: not every caller had an answer
        before, before_target = system.cpu_seconds(), target.cpu_seconds()
        run = system.post(load, connections=connections, seconds=LONGER * seconds)
    used, used_target = system.cpu_seconds() - before, target.cpu_seconds() - before_target
    if run.failed or not run.answers:
        raise SystemExit(f"{system.url}: {run.failed} requests failed, {run.answers} were answered")
    return {
        "answers": run.answers,
        "per_second": run.per_second,
        "p50_ms": run.p50_ms,
        "p99_ms": run.p99_ms,
        "cpu_ms": 1000 * used / run.answers,
        "backend_cpu_ms": 1000 * used_target / run.answers,
    }


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    kept = {name: round(statistics.median(run[name] for run in runs), 3) for name in runs[0] if name != "answers"}
    return {**kept, "answers": sum(run["answers"] for run in runs)}


def measure(systems: dict[str, System], rounds: int, seconds: int) -> dict[str, Any]:
    """Every system under every load, in turns."""
    global answered_by_frigo
    target = systems["direct"]
    loads = [(load, connections) for load in ("json", "sse") for connections in CONNECTIONS]
    loads.append(("paced", PACED_CONNECTIONS))
    runs: dict[str, dict[str, list[dict[str, float]]]] = {}
    for number in range(rounds):
        for load, connections in loads:
            for name, system in systems.items():
                run = one_run(system, target, load, connections, seconds)
                runs.setdefault(f"{load}, {connections}", {}).setdefault(name, []).append(run)
                if name == "frigo":
                    answered_by_frigo += int(run["answers"])
                shown = f"{run['per_second']:9.1f}/s  p50 {run['p50_ms']:7.1f}  p99 {run['p99_ms']:7.1f} ms"
                print(
                    f"{number + 1}  {load:5} {connections:3} {name:8} {shown}  {run['cpu_ms']:.3f} ms CPU", flush=True
                )
    found: dict[str, Any] = {}
    for load, by_system in runs.items():
        found[load] = {name: medians(of_system) for name, of_system in by_system.items()}
        direct = found[load]["direct"]
        for name, figures in found[load].items():
            if name != "direct":
                figures["added_p50_ms"] = round(figures["p50_ms"] - direct["p50_ms"], 2)
                figures["added_p99_ms"] = round(figures["p99_ms"] - direct["p99_ms"], 2)
        if {"frigo", "litellm"} <= set(by_system):
            ours, theirs = found[load]["frigo"], found[load]["litellm"]
            found[load]["ratio"] = {
                "per_second": round(ours["per_second"] / theirs["per_second"], 2),
                "cpu": round(theirs["cpu_ms"] / ours["cpu_ms"], 2),
            }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--only", choices=("frigo", "litellm"), help="nothing is written then")
    arguments = parser.parse_args()
    sides = {"frigo": frigo, "litellm": litellm_proxy}
    load_before = [round(one, 1) for one in os.getloadavg()]
    with backend() as target, contextlib.ExitStack() as stack:
        systems = {"direct": target}
        for name, start in sides.items():
            if arguments.only in (None, name):
                systems[name] = stack.enter_context(start(target))
                check(systems[name])
                systems[name].post("json", connections=8, seconds=1)
        others = [name for name in systems if name != "direct"]
        idle = {name: systems[name].memory() for name in others}
        loads = measure(systems, arguments.rounds, arguments.seconds)
        memory = {name: {"idle": idle[name], "after": systems[name].memory()} for name in others}
        time.sleep(1.5)  # usage is written every second
    result = {
        "machine": {"cores": os.cpu_count(), "load_before": load_before},
        "litellm": LITELLM[0],
        "rounds": arguments.rounds,
        "seconds": arguments.seconds,
        "loads": loads,
        "memory": memory,
        "usage": {"answers": answered_by_frigo, "counted": counted_by_frigo},
    }
    print(json.dumps({"memory": memory, "usage": result["usage"]}))
    if arguments.only is None:
        RESULTS.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
