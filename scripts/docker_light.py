"""The five light images: built, no bigger than they may be, and the sample meeting held in Compose, 512 MB each."""

import subprocess
import sys
import time
from typing import Any

from scripts.console import say
from scripts.docker_engine import PORT, Compose, FailedError, chat, docker, megabytes, timed
from scripts.environment import PORTS, ROOT

PROJECT = Compose("frigo-docker-test")
MOST_MB = {"gpt": 400}
_MOST_MB = 350
_SECRET_WORDS = ("token", "secret", "password", "api_key")


def build(services: tuple[str, ...] = tuple(PORTS)) -> dict[str, Any]:
    """One image after the other, each no bigger than it may be."""
    found: dict[str, Any] = {}
    for service in services:
        begun = time.monotonic()
        name = f"frigo-{service}:lite"
        docker("build", "-f", f"{service}/Dockerfile.render-lite", "-t", name, ".", seconds=1800)
        size = megabytes(name)
        found[service] = {"megabytes": size, "build_seconds": timed(begun)}
        say(f"  {service:<8} {size} Mo ({timed(begun):.0f} s)")
        if size > MOST_MB.get(service, _MOST_MB):
            raise FailedError(f"{name} : {size} Mo, {MOST_MB.get(service, _MOST_MB)} au plus.")
        no_secret(name)
    return found


def no_secret(image: str) -> None:
    """Raises `FailedError` when the image's history names one."""
    if any(word in docker("history", "--no-trunc", image).lower() for word in _SECRET_WORDS):
        raise FailedError(f"{image} : son histoire nomme un secret.")


def inspect(compose: Compose) -> list[str]:
    """Who each container runs as, and what it can write to."""
    for service in PORTS:
        if compose("exec", "-T", service, "id", "-u") != "1000":
            raise FailedError(f"{service} : uid 1000 est attendu.")
        code = "import importlib.util, pathlib\nassert importlib.util.find_spec('torch') is None, 'torch'\n"
        code += (
            "try: pathlib.Path('/srv/frigo/x').write_text('x')\nexcept OSError: pass\nelse: raise SystemExit('root')"
        )
        compose("exec", "-T", service, "python", "-c", code)
    return ["uid 1000", "racine en lecture seule", "pas de torch", "pas de secret dans l'histoire"]


def try_it() -> dict[str, Any]:
    """Built, up, the sample meeting, a chat, stopped. What was measured."""
    report: dict[str, Any] = {"memory_limit": "512m", "images": build()}
    begun = time.monotonic()
    PROJECT("up", "--wait", "--no-build", seconds=600)
    report["up_seconds"] = timed(begun)
    say(f"  prêts en {report['up_seconds']:.0f} s")
    report["checks"] = inspect(PROJECT)
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "scripts.demo", f"http://127.0.0.1:{PORT}"], cwd=ROOT, check=False, timeout=900
    )
    if done.returncode:
        raise FailedError("La réunion d'exemple n'est pas allée au bout.")
    report["meeting_seconds"] = timed(begun)
    chat(f"http://127.0.0.1:{PORT}")
    for service in PORTS:
        killed = docker("inspect", "-f", "{{.State.OOMKilled}} {{.RestartCount}}", PROJECT.container(service))
        if killed != "false 0":
            raise FailedError(f"{service} : tué ou relancé ({killed}).")
    report["peak_megabytes"] = {service: PROJECT.peak(service) for service in PORTS}
    say("  " + ", ".join(f"{name} {size} Mo" for name, size in report["peak_megabytes"].items()))
    begun = time.monotonic()
    PROJECT("stop")
    report["stop_seconds"] = timed(begun)
    return report
