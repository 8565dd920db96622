"""A Docker engine and Compose projects on it, for `scripts.docker_test` and its parts."""

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.environment import ROOT

PORT, CHAT_PORT, GPT_PORT = 5600, 5601, 5602
PUBLISHED = {
    "HOST_PORT": str(PORT),
    "CHAT_HOST_PORT": str(CHAT_PORT),
    "GPT_HOST_PORT": str(GPT_PORT),
    "HOST_BIND_ADDRESS": "127.0.0.1",
}
BASES = ("python:3.11-slim", "node:20-slim")


class FailedError(Exception):
    """What did not go as it should."""


def docker(*words: str, seconds: float = 900.0, env: Mapping[str, str] | None = None) -> str:
    """The output of a docker command, from the repository's root. Raises `FailedError`."""
    done = subprocess.run(
        ["docker", *words],
        cwd=ROOT,
        env=os.environ | PUBLISHED | dict(env or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    if done.returncode:
        raise FailedError(f"docker {' '.join(words[:4])}… : {(done.stderr or done.stdout)[-1500:]}")
    return done.stdout.strip()


@dataclass
class Compose:
    """A project made of Compose's files, that no `.env` changes."""

    project: str
    files: tuple[str, ...] = ("docker-compose.yml",)
    env: dict[str, str] = field(default_factory=dict)

    def __call__(self, *words: str, seconds: float = 900.0) -> str:
        files = [word for file in self.files for word in ("-f", file)]
        return docker(
            "compose", "--env-file", os.devnull, "-p", self.project, *files, *words, seconds=seconds, env=self.env
        )

    def container(self, service: str) -> str:
        """The id of its container, running or not."""
        return self("ps", "-aq", service)

    def logs(self, service: str) -> list[dict[str, Any]]:
        """Its log's JSON lines."""
        lines = docker("logs", self.container(service)).splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def state(self, service: str, what: str) -> str:
        """`what` of its container's state, in docker's words: OOMKilled, ExitCode, Health.Status…"""
        return docker("inspect", "-f", f"{{{{.State.{what}}}}}", self.container(service))

    def down(self) -> None:
        """Nothing is left. Raises `FailedError` when something is."""
        self("down", "--volumes", "--timeout", "10")
        if self("ps", "-aq"):
            raise FailedError("Des conteneurs sont restés.")

    def cgroup(self, service: str, *names: str) -> Path | None:
        """The file of its container's cgroup that has one of `names`; None where it is not in sight."""
        return cgroup(self.container(service), *names)

    def peak(self, service: str) -> int | None:
        """See `peak`."""
        return peak(self.container(service))

    def anonymous(self, service: str) -> int | None:
        """See `anonymous`."""
        return anonymous(self.container(service))


def cgroup(container: str, *names: str) -> Path | None:
    """The file of a container's cgroup that has one of `names`; None where it is not in sight."""
    number = docker("inspect", "-f", "{{.Id}}", container)
    return next((path for name in names for path in Path("/sys/fs/cgroup").glob(f"**/*{number}*/{name}")), None)


def peak(container: str) -> int | None:
    """The most memory it has had, in megabytes, its files' cache included; None where that is not told."""
    path = cgroup(container, "memory.peak", "memory.max_usage_in_bytes")
    return round(int(path.read_text()) / 1e6) if path else None


def anonymous(container: str) -> int | None:
    """What it holds now beside files, in megabytes; None where that is not told."""
    path = cgroup(container, "memory.stat")
    if path is None:
        return None
    found = dict(line.split() for line in path.read_text().splitlines())
    return round(int(found.get("anon") or found["total_rss"]) / 1e6)


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
        if not obtained(base):
            return f"l'image {base} n'est pas là, et aucun dépôt ne la donne"
    return None


def obtained(image: str, seconds: float = 300.0) -> bool:
    """Whether `image` is here, or a registry gives it."""
    for words in (("image", "inspect", image), ("pull", "--quiet", image)):
        try:
            docker(*words, seconds=seconds)
            return True
        except (FailedError, subprocess.TimeoutExpired):
            pass
    return False


def megabytes(image: str) -> int:
    return round(int(docker("image", "inspect", "-f", "{{.Size}}", image)) / 1e6)


def timed(begun: float) -> float:
    """Seconds since `begun`."""
    return round(time.monotonic() - begun, 1)


def until(condition: Callable[[], object], what: str, seconds: float = 120.0) -> None:
    """Wait until `condition`. Raises `FailedError`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise FailedError(f"{what} : toujours pas après {seconds:.0f} s.")
        time.sleep(0.25)


def call(method: str, url: str, body: object = None, seconds: float = 120.0) -> tuple[int, Any]:
    """The status and the JSON of an answer; status 0 when there is none."""
    request = urllib.request.Request(
        url,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        try:
            return error.code, json.load(error)
        except ValueError:
            return error.code, None
    except (OSError, ValueError):
        return 0, None


def question(text: str, **more: object) -> dict[str, Any]:
    """The body of a chat."""
    return {"model": "default", "messages": [{"role": "user", "content": text}], **more}


def chat(url: str, text: str = "Que sait faire Frigo ?", **more: object) -> None:
    """One answer of /v1/chat/completions. Raises `FailedError`."""
    status, answer = call("POST", f"{url}/v1/chat/completions", question(text, **more))
    if status != 200 or not answer["choices"][0]["message"]["content"].strip():
        raise FailedError(f"La discussion n'a rien répondu ({status} {answer}).")
