"""Two app, two chat and two gpt on PostgreSQL and Redis, behind Caddy: `make docker-test PARTS=scale`.

Chats go on while a gpt, then a chat, is killed; a meeting that one app holds is finished by the other when it is killed
(SIGKILL each time). Where no registry gives the official images of PostgreSQL, Redis and Caddy, the same servers from
Debian's packages stand in for them (docker/test/Dockerfile), and the report says so.
"""

import json
import secrets
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from scripts.console import say
from scripts.docker_engine import (
    CHAT_PORT,
    PORT,
    Compose,
    FailedError,
    call,
    chat,
    docker,
    obtained,
    question,
    timed,
    until,
)
from scripts.docker_light import build

_OFFICIAL = {
    "postgres": ("POSTGRES_IMAGE", "postgres:16-alpine"),
    "redis": ("REDIS_IMAGE", "redis:7-alpine"),
    "proxy": ("PROXY_IMAGE", "caddy:2-alpine"),
}
_FILES = ("docker-compose.yml", "docker-compose.scale.yml")
_APP, _CHAT = f"http://127.0.0.1:{PORT}", f"http://127.0.0.1:{CHAT_PORT}"
_PULL_SECONDS = 60.0
_CLIENTS = 4
_ANSWERS_BEFORE, _ANSWERS_AFTER = 4, 8
PROJECT = Compose("frigo-docker-test-scale", _FILES, {"POSTGRES_PASSWORD": secrets.token_hex(16)})


def try_it() -> dict[str, Any]:
    """What was measured."""
    report: dict[str, Any] = {"of": ["app", "chat", "gpt"], "replicas": 2, "memory_limit": "512m"}
    build()
    report["images"] = _servers()
    begun = time.monotonic()
    PROJECT("up", "--wait", "--no-build", seconds=600)
    report["up_seconds"] = timed(begun)
    say(f"  onze conteneurs prêts en {report['up_seconds']:.0f} s")
    report["spread"] = _spread()
    report["gpt_killed"] = _killed_under_chats("gpt")
    report["chat_killed"] = _killed_under_chats("chat")
    report["app_killed"] = _meeting()
    return report


def _servers() -> dict[str, str]:
    """The images of PostgreSQL, Redis and Caddy: official, or made from Debian's packages. Says which."""
    found = {}
    for name, (variable, image) in _OFFICIAL.items():
        if not obtained(image, _PULL_SECONDS):
            image = f"frigo-test-{name}"
            docker("build", "--target", name, "-t", image, "docker/test", seconds=600)
        PROJECT.env[variable] = image
        found[name] = image if not image.startswith("frigo-") else "paquet de Debian 12"
    return found


def _spread() -> dict[str, int]:
    """Who answered twenty questions asked of the proxy. Raises `FailedError` when one of the two did nothing."""
    for _turn in range(20):
        status, _answer = call("GET", f"{_APP}/api/status")
        if status != 200:
            raise FailedError(f"/api/status a répondu {status}.")

    def served() -> dict[str, int]:
        lines = {name: PROJECT.logs(name) for name in ("app", "app-b")}
        return {name: sum(line.get("path") == "/api/status" for line in lines[name]) for name in lines}

    until(lambda: sum(served().values()) >= 20, "les journaux des deux app", 20)
    found = served()
    if not all(found.values()):
        raise FailedError(f"Les deux app ne se partagent pas les appels : {found}.")
    return found


def _killed_under_chats(service: str) -> dict[str, Any]:
    """Clients chat without a pause through app; `service` is killed while they do. How chats ended before and after.

    An answer that had begun to stream may only end by an error that says so, and a call that a killed chat had in hand
    is not done twice (it may have been kept or counted): a 502 says so. Any other must be whole.
    """
    ended: Counter[str] = Counter()
    lock, killed, stop = threading.Lock(), threading.Event(), threading.Event()

    def one(number: int) -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            how = _one_chat(f"Frigo, question {number}.{turn} ?", stream=bool(number % 2))
            with lock:
                ended[f"{how} {'après' if killed.is_set() else 'avant'}"] += 1

    with ThreadPoolExecutor(_CLIENTS) as clients:
        running = [clients.submit(one, number) for number in range(_CLIENTS)]
        try:
            until(lambda: ended["entière avant"] >= _ANSWERS_BEFORE, "des réponses", 240)
            container = PROJECT.container(service)
            killed.set()
            docker("kill", container)
            begun = time.monotonic()
            until(lambda: ended["entière après"] >= _ANSWERS_AFTER, f"des réponses sans {service}", 240)
            seconds = timed(begun)
        finally:
            stop.set()
        for client in running:
            client.result()
    found = dict(sorted(ended.items()))
    fine = ("entière", "coupée et dite", *(("refusée 502 peer_broken",) if service == "chat" else ()))
    wrong = {how: count for how, count in found.items() if not how.startswith(fine)}
    if sum(count for how, count in found.items() if not how.startswith("entière")) > _CLIENTS:
        wrong = found  # more than those that were in hand
    say(f"  {service} tué : {found}")
    if wrong:
        raise FailedError(f"{service} tué, des discussions ont mal fini : {found}.")
    chat(_CHAT)  # the other address, chat's own, while one is down
    _again(service)
    return {"clients": _CLIENTS, "chats": found, f"seconds_for_{_ANSWERS_AFTER}_more": seconds}


def _one_chat(text: str, *, stream: bool) -> str:
    """How it ended: « entière », « coupée et dite » (a stream's own error event), or what went wrong."""
    if not stream:
        status, answer = call("POST", f"{_APP}/v1/chat/completions", question(text, max_tokens=48))
        return "entière" if status == 200 else _refused(status, answer)
    body = json.dumps(question(text, max_tokens=48, stream=True)).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{_APP}/v1/chat/completions", data=body, headers=headers)
    said = False
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            for raw in answer:
                line = raw.decode().strip().removeprefix("data:").strip()
                if line == "[DONE]":
                    return "coupée et dite" if said else "entière"
                said = said or (line.startswith("{") and "error" in json.loads(line))
    except urllib.error.HTTPError as error:
        return _refused(error.code, _json(error.read()))
    except (OSError, ValueError) as error:
        return f"rompue {type(error).__name__}"
    return "coupée et dite" if said else "coupée sans le dire"


def _refused(status: int, answer: Any) -> str:
    error = answer.get("error") if isinstance(answer, dict) else None
    return f"refusée {status} {error.get('code') if isinstance(error, dict) else None}"


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _meeting() -> dict[str, Any]:
    """The sample meeting, while the app that holds it is killed."""
    status, made = call("POST", f"{_APP}/api/meetings/sample")
    if status not in (200, 201, 202):
        raise FailedError(f"La réunion d'exemple n'a pas commencé ({status}).")
    meeting = str(made["id"])

    def shown() -> dict[str, Any]:
        return dict(call("GET", f"{_APP}/api/meetings/{meeting}", seconds=20)[1] or {})

    def transcribing() -> bool:
        steps = {step["name"]: step for step in shown().get("steps", ())}
        return bool(steps) and steps["asr"]["state"] == "running" and bool(steps["asr"]["progress"])

    def holder() -> str | None:
        for name in ("app", "app-b"):
            lines = PROJECT.logs(name)
            if any(line.get("message") == "meeting taken" and line.get("meeting") == meeting for line in lines):
                return name
        return None

    until(transcribing, "la transcription", 300)
    held = holder()
    if held is None:
        raise FailedError("Aucune app ne dit tenir la réunion.")
    docker("kill", PROJECT.container(held))
    begun = time.monotonic()
    until(lambda: call("GET", f"{_APP}/health", seconds=5)[0] == 200, "la page", 30)
    page = timed(begun)
    until(lambda: shown().get("state") in {"done", "failed", "cancelled"}, "la fin de la réunion", 900)
    found = shown()
    wrong = [step["name"] for step in found["steps"] if step["state"] != "done"]
    if found["state"] != "done" or wrong:
        raise FailedError(f"La réunion n'a pas fini : {found['state']}, {wrong}.")
    seconds = timed(begun)
    say(f"  {held} tuée pendant la transcription ; l'autre finit la réunion en {seconds:.0f} s")
    _again(held)
    chat(_APP)
    return {
        "killed": held,
        "during": "transcription",
        "page_answers_after_seconds": page,
        "state": "done",
        "segments": len(found["segments"]),
        "seconds_after_the_kill": seconds,
    }


def _again(service: str) -> None:
    """Start what was killed, and wait until it answers."""
    PROJECT("start", service, seconds=60)
    until(lambda: PROJECT.state(service, "Health.Status") == "healthy", f"{service} de retour", 180)
