"""Build the five light images and hold the sample meeting in Compose: `make docker-test`.

`--report FILE` writes what was measured as JSON. Every container has 512 MB. Nothing is left running, and no volume.
Exit status: 0 all went well, 1 something did not, 3 no Docker engine answers here (said, and nothing is tried).
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from scripts.console import say
from scripts.environment import PORTS, ROOT

PROJECT = "frigo-docker-test"
PORT, CHAT_PORT = 5600, 5601
NO_ENGINE = 3
BASES = ("python:3.11-slim", "node:20-slim")
MOST_MB = {"gpt": 400}
_MOST_MB = 350
_SECRET_WORDS = ("token", "secret", "password", "api_key")


class FailedError(Exception):
    """What did not go as it should."""


def docker(*words: str, seconds: float = 900.0) -> str:
    """The output of a docker command. Raises `FailedError`."""
    env = os.environ | {"HOST_PORT": str(PORT), "CHAT_HOST_PORT": str(CHAT_PORT), "HOST_BIND_ADDRESS": "127.0.0.1"}
    done = subprocess.run(
        ["docker", *words], cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=seconds
    )
    if done.returncode:
        raise FailedError(f"docker {' '.join(words[:4])}… : {(done.stderr or done.stdout)[-1500:]}")
    return done.stdout.strip()


def compose(*words: str, seconds: float = 900.0) -> str:
    """The same for the project's Compose file; no `.env` is read, so that all is as it is by default."""
    return docker(
        "compose", "--env-file", os.devnull, "-p", PROJECT, "-f", "docker-compose.yml", *words, seconds=seconds
    )


def absent() -> str | None:
    """Why nothing can be tried here: no Docker engine, no Compose, no base image; None when all is there."""
    if not shutil.which("docker"):
        return "pas de Docker ici"
    try:
        docker("version", seconds=20)
    except (FailedError, subprocess.TimeoutExpired):
        return "pas de moteur Docker en marche ici"
    try:
        docker("compose", "version", seconds=20)
    except (FailedError, subprocess.TimeoutExpired):
        return "pas de Compose ici"
    for base in BASES:
        try:
            docker("image", "inspect", base, seconds=20)
        except FailedError:
            try:
                docker("pull", "--quiet", base, seconds=300)
            except (FailedError, subprocess.TimeoutExpired):
                return f"l'image {base} n'est pas là, et aucun dépôt ne la donne"
    return None


def timed(begun: float) -> float:
    return round(time.monotonic() - begun, 1)


def build(report: dict[str, Any]) -> None:
    """One image after the other, each no bigger than it may be, and without torch."""
    for service in PORTS:
        begun = time.monotonic()
        name = f"frigo-{service}:lite"
        docker("build", "-f", f"{service}/Dockerfile.render-lite", "-t", name, ".", seconds=1800)
        size = int(docker("image", "inspect", "-f", "{{.Size}}", name)) / 1e6
        report["images"][service] = {"megabytes": round(size), "build_seconds": timed(begun)}
        say(f"  {service:<8} {size:.0f} Mo ({timed(begun):.0f} s)")
        if size > MOST_MB.get(service, _MOST_MB):
            raise FailedError(f"{name} : {size:.0f} Mo, {MOST_MB.get(service, _MOST_MB)} au plus.")
        if any(word in docker("history", "--no-trunc", name).lower() for word in _SECRET_WORDS):
            raise FailedError(f"{name} : son histoire nomme un secret.")


def inspect(report: dict[str, Any]) -> None:
    """Who each container runs as, and what it can write to."""
    for service in PORTS:
        if compose("exec", "-T", service, "id", "-u") != "1000":
            raise FailedError(f"{service} : uid 1000 est attendu.")
        code = "import importlib.util, pathlib\nassert importlib.util.find_spec('torch') is None, 'torch'\n"
        code += (
            "try: pathlib.Path('/srv/frigo/x').write_text('x')\nexcept OSError: pass\nelse: raise SystemExit('root')"
        )
        compose("exec", "-T", service, "python", "-c", code)
    report["checks"] = ["uid 1000", "racine en lecture seule", "pas de torch", "pas de secret dans l'histoire"]


def chat() -> None:
    """One answer through the published page."""
    body = {"model": "default", "messages": [{"role": "user", "content": "Que sait faire Frigo ?"}]}
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        if not json.load(answer)["choices"][0]["message"]["content"].strip():
            raise FailedError("La discussion n'a rien répondu.")


def peak(service: str) -> int | None:
    """The most memory of a container's cgroup, in megabytes, its files' cache included; None where it is not told."""
    number = compose("ps", "-q", service)
    for name in ("memory.peak", "memory.max_usage_in_bytes"):
        for path in Path("/sys/fs/cgroup").glob(f"**/*{number}*/{name}"):
            return round(int(path.read_text()) / 1e6)
    return None


def journey(report: dict[str, Any]) -> None:
    """Up, the sample meeting, a chat, down."""
    begun = time.monotonic()
    compose("up", "--wait", "--no-build", seconds=600)
    report["up_seconds"] = timed(begun)
    say(f"  prêts en {report['up_seconds']:.0f} s")
    inspect(report)
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "scripts.demo", f"http://127.0.0.1:{PORT}"], cwd=ROOT, check=False, timeout=900
    )
    if done.returncode:
        raise FailedError("La réunion d'exemple n'est pas allée au bout.")
    report["meeting_seconds"] = timed(begun)
    chat()
    for service in PORTS:
        killed = docker("inspect", "-f", "{{.State.OOMKilled}} {{.RestartCount}}", compose("ps", "-q", service))
        if killed != "false 0":
            raise FailedError(f"{service} : tué ou relancé ({killed}).")
        report["peak_megabytes"][service] = peak(service)
    say("  " + ", ".join(f"{name} {size} Mo" for name, size in report["peak_megabytes"].items()))
    begun = time.monotonic()
    compose("stop")
    report["stop_seconds"] = timed(begun)


def main() -> int:
    parser = argparse.ArgumentParser(description="Construit les images légères et y tient la réunion d'exemple.")
    parser.add_argument("--report", type=Path, help="fichier JSON où écrire les mesures")
    options = parser.parse_args()
    if reason := absent():
        say(f"Images ni construites ni essayées : {reason}.")
        return NO_ENGINE
    report: dict[str, Any] = {"memory_limit": "512m", "load": os.getloadavg()[0], "images": {}, "peak_megabytes": {}}
    try:
        build(report)
        journey(report)
    except (FailedError, subprocess.TimeoutExpired, OSError) as wrong:
        print(wrong, file=sys.stderr)
        print(compose("logs", "--tail", "15")[-6000:], file=sys.stderr)
        return 1
    finally:
        compose("down", "--volumes", "--timeout", "10")
    if compose("ps", "-aq"):
        print("Des conteneurs sont restés.", file=sys.stderr)
        return 1
    if options.report:
        options.report.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    say("Les cinq images, la réunion d'exemple et l'arrêt : rien à redire.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
