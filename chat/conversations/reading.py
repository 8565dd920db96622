"""An answer read as its events go by: OpenAI's chunks, and what the server's tools tell of themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from chat.conversations import bounds
from chat.openai.events import END_OF_EVENT

DONE = b"data: [DONE]"


class AnswerReader:
    """What was said so far, as columns of a message."""

    def __init__(self) -> None:
        self._buffer = b""
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._length = {"content": 0, "reasoning": 0}
        self._runs: dict[str, dict[str, Any]] = {}
        self._after_run = False
        self._told: dict[str, Any] = {}
        self.ended = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The whole events that there are now. The last one, [DONE], is kept back: `ended` says that it came."""
        self._buffer += chunk
        start = 0
        for end in END_OF_EVENT.finditer(self._buffer):
            event = self._buffer[start : end.start()]
            start = end.end()
            if event.strip() == DONE:
                self.ended = True
                continue
            self._read(event)
            yield event + b"\n\n"
        self._buffer = self._buffer[start:]

    @property
    def failed(self) -> bool:
        """Whether the stream told an error."""
        return "error" in self._told

    def columns(self) -> dict[str, Any]:
        told = {**self._told, "content": "".join(self._content), "reasoning": "".join(self._reasoning) or None}
        return {**told, "tool_runs": list(self._runs.values())} if self._runs else told

    def _read(self, event: bytes) -> None:
        data = b"\n".join(line[5:].strip() for line in event.splitlines() if line.startswith(b"data:"))
        try:
            told = json.loads(data) if data else None
        except (ValueError, RecursionError):
            return
        if not isinstance(told, dict):
            return
        if isinstance(error := told.get("error"), dict):
            self._told["error"] = {name: error.get(name) for name in ("message", "code")}
            return
        if isinstance(model := told.get("model"), str) and model:
            self._told["model"] = model[:500]
        if isinstance(usage := told.get("usage"), dict):
            self._told["usage"] = usage
        choices = told.get("choices")
        if isinstance(choices, list) and choices and isinstance(choices[0], dict):
            self._choice(choices[0])

    def _choice(self, choice: dict[str, Any]) -> None:
        if isinstance(reason := choice.get("finish_reason"), str):
            self._told["finish_reason"] = reason[:32]
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            return
        if isinstance(text := delta.get("content"), str) and text:
            if self._after_run and self._content and not text.startswith("\n\n"):
                text = f"\n\n{text}"  # what is said after a tool's answer is another paragraph
            self._after_run = False
            self._say("content", self._content, text)
        if isinstance(text := delta.get("reasoning_content"), str) and text:
            self._say("reasoning", self._reasoning, text)
        if isinstance(run := delta.get("tool_run"), dict):
            self._run(run)

    def _say(self, name: str, said: list[str], text: str) -> None:
        text = text.replace("\x00", "")[: bounds.MAX_ANSWER - self._length[name]]
        self._length[name] += len(text)
        said.append(text)

    def _run(self, run: dict[str, Any]) -> None:
        self._after_run = True
        name = str(run.get("id"))
        if name in self._runs or len(self._runs) < bounds.MAX_RUNS:
            self._runs[name] = {**self._runs.get(name, {}), **{key: _short(value) for key, value in run.items()}}


def _short(value: Any) -> Any:
    """What a tool was given, or gave, of a size that is kept."""
    if isinstance(value, str):
        return value.replace("\x00", "")[: bounds.MAX_RUN_TEXT]
    if isinstance(value, dict | list) and len(text := json.dumps(value, ensure_ascii=False)) > bounds.MAX_RUN_TEXT:
        return text[: bounds.MAX_RUN_TEXT]
    return value
