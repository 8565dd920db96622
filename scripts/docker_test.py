"""Try in Docker what is shipped: `make docker-test`, or `make docker-test PARTS="light scale gpt production"`.

light       the five light images, the sample meeting in Compose (the part that runs when none is named)
scale       two app, chat and gpt on PostgreSQL and Redis: one of each killed
gpt         gpt in 512 MB with a model of GPT-2's size from a local hub; stopped in the middle of a stream
production  the five production images; production-diarize is diarize's alone

`--report FILE` adds what was measured to that JSON file. Nothing is left running, and no volume.
Exit status: 0 all went well, 1 something did not, 3 no Docker engine answers here (said, and nothing is tried).
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from scripts import docker_gpt, docker_light, docker_production, docker_scale
from scripts.console import say
from scripts.docker_engine import Compose, FailedError, absent
from scripts.environment import PORTS

NO_ENGINE = 3
WRONG = (FailedError, subprocess.TimeoutExpired, OSError)
Part = tuple[str, Callable[[], dict[str, Any]], Compose | None, Callable[[], str | None]]


def parts() -> dict[str, Part]:
    """By name: where its figures go, what does it, its Compose project, and why it cannot be tried here."""

    def here() -> None:
        return None

    found: dict[str, Part] = {
        "light": ("light", docker_light.try_it, docker_light.PROJECT, here),
        "scale": ("scale", docker_scale.try_it, docker_scale.PROJECT, here),
        "gpt": ("gpt_in_512_megabytes", docker_gpt.try_it, docker_gpt.PROJECT, docker_gpt.absent),
        "production": ("production", docker_production.try_it, None, here),
    }
    for service in PORTS:

        def one(service: str = service) -> dict[str, Any]:
            return docker_production.try_it((service,))

        found[f"production-{service}"] = ("production", one, None, here)
    return found


def run(part: Part) -> dict[str, Any]:
    """Try one part; nothing of it is left. Raises what went wrong, once told with the last lines of its containers."""
    _key, try_it, project, _absent = part
    try:
        return try_it()
    except WRONG as wrong:
        print(wrong, file=sys.stderr)
        if project is not None:
            with suppress(FailedError):
                print(project("logs", "--tail", "15")[-6000:], file=sys.stderr)
        raise
    finally:
        if project is not None:
            project.down()


def add(file: Path, key: str, measured: dict[str, Any]) -> None:
    """Put what was measured in the file, with the machine's load, in the place of what was there under `key`."""
    report = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    old = report.get(key) if key == "production" else None  # each service's is its own
    report[key] = (old or {}) | {"load": round(os.getloadavg()[0], 1)} | measured
    file.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> int:
    known = parts()
    parser = argparse.ArgumentParser(description="Essaie dans Docker ce qui est livré.")
    parser.add_argument("parts", nargs="*", metavar="PARTIE", help=", ".join(known))
    parser.add_argument("--report", type=Path, help="fichier JSON où ajouter les mesures")
    options = parser.parse_args()
    if unknown := [name for name in options.parts if name not in known]:
        parser.error(f"partie inconnue : {', '.join(unknown)}")
    if reason := absent():
        say(f"Images ni construites ni essayées : {reason}.")
        return NO_ENGINE
    for name in options.parts or ["light"]:
        if reason := known[name][3]():
            say(f"{name} : pas essayé, {reason}.")
            continue
        say(f"{name} :")
        try:
            measured = run(known[name])
        except WRONG:
            return 1
        if options.report:
            add(options.report, known[name][0], measured)
    say("Ce qui a été essayé va, et rien n'est resté.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
