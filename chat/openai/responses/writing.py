"""A response as it is written: its items, and the events that tell each step of them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import Any

from chat.openai.assembly import add_run

Event = dict[str, Any]
_DONE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class Writing:
    """Fed with the chunks of a chat completion. It moves on as the events that its methods give are read."""

    def __init__(self, echo: dict[str, Any], model: str) -> None:
        self._echo = echo
        self._id = f"resp_{secrets.token_hex(24)}"
        self._created = int(time.time())
        self._model = model
        self._events = 0
        self._output: list[dict[str, Any]] = []
        self._open: dict[str, Any] = {}  # the last item, while it is being written
        self._calls: dict[int, dict[str, Any]] = {}
        self._runs: list[dict[str, Any]] = []  # of Frigo's own tools
        self._finish: str | None = None
        self._usage: dict[str, Any] | None = None

    def begin(self) -> Iterator[Event]:
        yield self._event("created", response=self._response("in_progress"))
        yield self._event("in_progress", response=self._response("in_progress"))

    def add(self, chunk: dict[str, Any]) -> Iterator[Event]:
        """The next chunk."""
        self._model = chunk.get("model") or self._model
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk.get("choices") or ():
            if choice.get("index"):
                continue
            delta = choice.get("delta") or {}
            if run := delta.get("tool_run"):
                add_run(self._runs, run)
                yield self._event("tool_run", run=run)
            self._runs = delta.get("tool_runs") or self._runs
            logprobs = (choice.get("logprobs") or {}).get("content") or []
            if thought := delta.get("reasoning_content"):
                yield from self._text("reasoning", "reasoning_text", thought)
            if delta.get("content") or (logprobs and delta.get("content") is not None):
                yield from self._text("message", "output_text", delta["content"], logprobs)
            if refusal := delta.get("refusal"):
                yield from self._text("message", "refusal", refusal)
            for call in delta.get("tool_calls") or ():
                yield from self._call(call)
            self._finish = choice.get("finish_reason") or self._finish

    def end(self) -> Iterator[Event]:
        """After the last chunk."""
        if not self._output:
            yield from self._part("message", "output_text")
        reason = _DONE.get(self._finish or "")
        status = "incomplete" if reason else "completed"
        yield from self._close(status)
        yield self._event(status, response=self.response())

    def fail(self, message: str) -> Iterator[Event]:
        """The answer broke off."""
        yield from self._close("incomplete")
        failed = {**self._response("failed"), "error": {"code": "server_error", "message": message}}
        yield self._event("failed", response=failed)

    @property
    def ended(self) -> bool:
        """Whether the model said that it had ended."""
        return self._finish is not None

    def response(self) -> dict[str, Any]:
        """The whole, after `end`."""
        reason = _DONE.get(self._finish or "")
        response = self._response("incomplete" if reason else "completed")
        return {**response, "incomplete_details": {"reason": reason} if reason else None}

    def _text(self, kind: str, part_type: str, piece: str, logprobs: list[Any] | None = None) -> Iterator[Event]:
        yield from self._part(kind, part_type)
        part = self._last_part()
        field = "refusal" if part_type == "refusal" else "text"
        part[field] += piece
        extra: dict[str, Any] = {}
        if part_type == "output_text":
            extra["logprobs"] = logprobs or []
            part["logprobs"].extend(logprobs or [])
        yield self._event(f"{part_type}.delta", **self._place(), delta=piece, **extra)

    def _part(self, kind: str, part_type: str) -> Iterator[Event]:
        """Make sure that such a part is being written."""
        if not self._open or self._open["type"] != kind:
            yield from self._close("completed")
            made: dict[str, Any] = {"id": _new_id("msg"), "type": "message", "role": "assistant"}
            if kind == "reasoning":
                made = {"id": _new_id("rs"), "type": "reasoning", "summary": []}
            yield from self._begin({**made, "status": "in_progress", "content": []})
        parts = self._open["content"]
        if parts and parts[-1]["type"] == part_type:
            return
        if parts:
            yield from self._close_part()
        parts.append(_new_part(part_type))
        yield self._event("content_part.added", **self._place(), part=_copy(parts[-1]))

    def _call(self, piece: dict[str, Any]) -> Iterator[Event]:
        index, function = int(piece.get("index") or 0), piece.get("function") or {}
        item = self._calls.get(index)
        if item is None:
            yield from self._close("completed")
            item = self._calls[index] = {
                "id": _new_id("fc"),
                "type": "function_call",
                "status": "in_progress",
                "call_id": piece.get("id") or _new_id("call"),
                "name": function.get("name") or "",
                "arguments": "",
            }
            yield from self._begin(item)
        if arguments := function.get("arguments"):
            item["arguments"] += arguments
            place = {"item_id": item["id"], "output_index": self._output.index(item)}
            yield self._event("function_call_arguments.delta", **place, delta=arguments)

    def _begin(self, item: dict[str, Any]) -> Iterator[Event]:
        self._open = item
        self._output.append(item)
        yield self._event("output_item.added", output_index=len(self._output) - 1, item=_copy(item))

    def _close(self, status: str) -> Iterator[Event]:
        """End the item being written, if any."""
        item = self._open
        if not item:
            return
        if item["type"] == "function_call":
            place = {"item_id": item["id"], "output_index": self._output.index(item)}
            yield self._event("function_call_arguments.done", **place, name=item["name"], arguments=item["arguments"])
        elif item["content"]:
            yield from self._close_part()
        item["status"] = status
        yield self._event("output_item.done", output_index=self._output.index(item), item=_copy(item))
        self._open = {}

    def _close_part(self) -> Iterator[Event]:
        part = self._last_part()
        kind = part["type"]
        field = "refusal" if kind == "refusal" else "text"
        extra = {"logprobs": part["logprobs"]} if kind == "output_text" else {}
        yield self._event(f"{kind}.done", **self._place(), **{field: part[field]}, **extra)
        yield self._event("content_part.done", **self._place(), part=_copy(part))

    def _last_part(self) -> dict[str, Any]:
        part: dict[str, Any] = self._open["content"][-1]
        return part

    def _place(self) -> dict[str, Any]:
        return {
            "item_id": self._open["id"],
            "output_index": len(self._output) - 1,
            "content_index": len(self._open["content"]) - 1,
        }

    def _event(self, kind: str, /, **fields: Any) -> Event:
        event = {"type": f"response.{kind}", "sequence_number": self._events, **fields}
        self._events += 1
        return event

    def _response(self, status: str) -> dict[str, Any]:
        ended = status in ("completed", "incomplete")
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "completed_at": int(time.time()) if status == "completed" else None,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "model": self._model,
            "output": [_copy(item) for item in self._output],
            "usage": _usage(self._usage) if ended and self._usage else None,
            **({"tool_runs": self._runs} if self._runs else {}),
            **self._echo,
        }


def _new_id(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(24)}"


def _new_part(kind: str) -> dict[str, Any]:
    if kind == "refusal":
        return {"type": kind, "refusal": ""}
    if kind == "reasoning_text":
        return {"type": kind, "text": ""}
    return {"type": kind, "text": "", "annotations": [], "logprobs": []}


def _copy(item: dict[str, Any]) -> dict[str, Any]:
    """As it is now: an item grows until it is done."""
    content = item.get("content")
    return {**item, "content": [dict(part) for part in content]} if content is not None else dict(item)


def _usage(used: dict[str, Any]) -> dict[str, Any]:
    read, written = used.get("prompt_tokens") or 0, used.get("completion_tokens") or 0
    cached = (used.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    thought = (used.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": read + written,
    }
