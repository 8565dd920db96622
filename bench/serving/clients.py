"""Many clients of an OpenAI server at once, light enough not to be what is measured: one thread and one socket each."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Answer:
    """One streamed chat. `gaps` are the seconds before each of its pieces; `error` says why it failed, if it did."""

    tokens: int = 0
    first: float = 0.0
    seconds: float = 0.0
    gaps: list[float] = field(default_factory=list)
    text: str = ""
    model: str = ""
    error: str = ""


@dataclass(frozen=True)
class Load:
    """What `concurrent` clients got together. `tokens_per_second` counts every answer's tokens over the whole time."""

    answers: list[Answer]
    seconds: float

    @property
    def tokens_per_second(self) -> float:
        return sum(one.tokens for one in self.answers) / self.seconds

    @property
    def failed(self) -> list[str]:
        return [one.error for one in self.answers if one.error]


def chat(url: str, body: dict[str, Any], *, timeout: float = 300) -> Answer:
    """Stream one chat completion from `url` (the server's root, without ``/v1``)."""
    where, answer = urlsplit(url), Answer()
    started = last = time.perf_counter()
    link = http.client.HTTPConnection(where.hostname or "", where.port, timeout=timeout)
    try:
        asked = {**body, "stream": True, "stream_options": {"include_usage": True}}
        link.request("POST", "/v1/chat/completions", json.dumps(asked), {"Content-Type": "application/json"})
        reply = link.getresponse()
        if reply.status != 200:
            answer.error = f"{reply.status} {reply.read(2000).decode(errors='replace')}"
            return answer
        done = False
        for line in reply:
            if not line.startswith(b"data: "):
                continue
            if line.startswith(b"data: [DONE]"):
                done = True
                break
            event = json.loads(line[6:])
            if "error" in event:
                answer.error = json.dumps(event["error"], ensure_ascii=False)
                return answer
            answer.model = event.get("model") or answer.model
            if event.get("usage"):
                answer.tokens = event["usage"]["completion_tokens"]
            choices = event.get("choices", [])
            done = done or any(choice.get("finish_reason") for choice in choices)  # `transformers serve` says no more
            piece = "".join(choice["delta"].get("content") or "" for choice in choices)
            if piece:
                now = time.perf_counter()
                answer.first = answer.first or now - started
                answer.gaps.append(now - last)
                last = now
                answer.text += piece
        if not done:
            answer.error = "the stream was cut"
    except (OSError, http.client.HTTPException, ValueError) as error:
        answer.error = f"{type(error).__name__}: {error}"
    finally:
        answer.seconds = time.perf_counter() - started
        link.close()
    return answer


def load(url: str, body: Callable[[], dict[str, Any]], concurrent: int, rounds: int) -> Load:
    """`concurrent` clients, each asking `rounds` times in a row, every time what `body` makes."""
    answers: list[Answer] = []

    def client() -> None:
        for _round in range(rounds):
            answers.append(chat(url, body()))

    threads = [threading.Thread(target=client) for _ in range(concurrent)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Load(answers, time.perf_counter() - started)
