"""The whole chat completion that a stream's chunks add up to."""

from __future__ import annotations

from typing import Any

_TEXTS = ("content", "refusal", "reasoning_content")
_ENVELOPE = ("id", "created", "model", "service_tier", "system_fingerprint")


class Assembly:
    """Chunks of one answer, in their order."""

    def __init__(self) -> None:
        self._envelope: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}
        self._usage: dict[str, Any] | None = None

    def add(self, chunk: dict[str, Any]) -> None:
        """The next chunk. What is no chunk, as an error, is left out."""
        if not isinstance(choices := chunk.get("choices"), list):
            return
        for name in _ENVELOPE:
            if chunk.get(name) is not None:
                self._envelope.setdefault(name, chunk[name])
        if isinstance(chunk.get("usage"), dict):
            self._usage = chunk["usage"]
        for choice in choices:
            self._add_choice(choice)

    @property
    def whole(self) -> bool:
        """Whether every choice has ended."""
        return bool(self._choices) and all(choice["finish_reason"] for choice in self._choices.values())

    def completion(self) -> dict[str, Any]:
        """As the answer in one piece would have been."""
        choices = [self._choices[index] for index in sorted(self._choices)]
        answer = {**self._envelope, "object": "chat.completion", "choices": choices}
        return {**answer, "usage": self._usage} if self._usage else answer

    def _add_choice(self, given: dict[str, Any]) -> None:
        index = int(given.get("index") or 0)
        message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
        choice = self._choices.setdefault(
            index, {"index": index, "message": message, "logprobs": None, "finish_reason": None}
        )
        message = choice["message"]
        delta = given.get("delta") or {}
        for name in _TEXTS:
            if isinstance(piece := delta.get(name), str):
                message[name] = (message.get(name) or "") + piece
        for call in delta.get("tool_calls") or ():
            _add_call(message.setdefault("tool_calls", []), call)
        if isinstance(function := delta.get("function_call"), dict):
            _add_function(message.setdefault("function_call", {"name": "", "arguments": ""}), function)
        if isinstance(run := delta.get("tool_run"), dict):
            add_run(message.setdefault("tool_runs", []), run)
        for name, tokens in (given.get("logprobs") or {}).items():
            if tokens:
                choice["logprobs"] = choice["logprobs"] or {"content": None, "refusal": None}
                choice["logprobs"][name] = [*(choice["logprobs"].get(name) or ()), *tokens]
        choice["finish_reason"] = given.get("finish_reason") or choice["finish_reason"]


def _add_call(calls: list[dict[str, Any]], piece: dict[str, Any]) -> None:
    """Calls come in their order: the piece of a new index begins one."""
    at = int(piece.get("index") or 0)
    while len(calls) <= at:
        calls.append({"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
    call = calls[at]
    call["id"] = piece.get("id") or call["id"]
    _add_function(call["function"], piece.get("function") or {})


def _add_function(function: dict[str, Any], piece: dict[str, Any]) -> None:
    for name in ("name", "arguments"):
        function[name] += piece.get(name) or ""


def add_run(runs: list[dict[str, Any]], run: dict[str, Any]) -> None:
    """A run of a tool of ours is told twice: when it begins, and when it has ended."""
    for at, known in enumerate(runs):
        if known.get("id") == run.get("id"):
            runs[at] = {**known, **run}
            return
    runs.append(dict(run))
