"""What a model says in one round, in one piece or by chunks: text, calls of our tools, calls of the client's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chat.tools.asked import ToolRequest
from chat.tools.toolbox import Asked

_TEXTS = ("content", "reasoning_content", "refusal")


class Round:
    """`last`: calls of the server's tools are not followed any more. `after_text`: an earlier round has said something,
    from which the text of this one is parted by an empty line."""

    def __init__(self, request: ToolRequest, number: int, *, last: bool, after_text: bool) -> None:
        self._request = request
        self._number = number
        self._last = last
        self._after_text = after_text
        self._text: list[str] = []
        self._thought: list[str] = []
        self._calls: dict[int, dict[str, str]] = {}
        self._places: dict[int, int] = {}  # of the client's calls: the model's index, and the one the client sees
        self._finish: str | None = None
        self.client_calls: list[dict[str, Any]] = []
        self.pieces = 0

    @property
    def text(self) -> str:
        return "".join(self._text)

    @property
    def thought(self) -> str:
        """What a model that thinks thought before; it is given it again with the results."""
        return "".join(self._thought)

    @property
    def asked(self) -> list[Asked]:
        """The calls to run, in the model's order; none when the model was cut while it wrote them."""
        if self._last or self._finish == "length":
            return []
        found = []
        for place, call in enumerate(self._calls.values()):
            name = call["id"] or "call"
            found.append(Asked(f"{name}-{self._number}-{place}", call["name"], call["arguments"]))
        return found

    @property
    def ending(self) -> str:
        """The `finish_reason` that the client sees, if this round ends the answer."""
        if self.client_calls:
            return "tool_calls"
        return "stop" if self._finish in (None, "tool_calls") else self._finish

    def read_message(self, message: dict[str, Any], finish: object) -> None:
        """A whole answer's."""
        self._finish = finish if isinstance(finish, str) else None
        if isinstance(text := message.get("content"), str) and text:
            self._text.append(text)
        self._thought.append(message.get("reasoning_content") or "")
        for at, call in enumerate(message.get("tool_calls") or ()):
            for _shown in self._read_call({**call, "index": at}):
                self.client_calls.append({key: value for key, value in call.items() if key != "index"})

    def read_chunk(self, chunk: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Any]]:
        """The delta that the client is shown of a chunk, and its logprobs; nothing when it is not shown."""
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict):
            return
        if isinstance(finish := choice.get("finish_reason"), str):
            self._finish = finish
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            return
        shown = {key: value for key, value in delta.items() if key != "tool_calls"}
        if self._number > 1:
            shown.pop("role", None)
        if isinstance(text := shown.get("content"), str) and text:
            if self._after_text and not self._text:
                shown["content"] = f"\n\n{text}"
            self._text.append(text)
        elif self._number > 1:
            shown.pop("content", None)
        self._thought.append(shown.get("reasoning_content") or "")
        self.pieces += any(shown.get(name) for name in _TEXTS) or bool(delta.get("tool_calls"))
        calls = [seen for call in delta.get("tool_calls") or () for seen in self._read_call(call)]
        if calls:
            shown["tool_calls"] = calls
            for call in calls:
                self._gather(call)
        if shown:
            yield shown, choice.get("logprobs")

    def _read_call(self, piece: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """A call, or the next piece of one: the client sees its own under an index of its own."""
        index = int(piece.get("index") or 0)
        function = piece.get("function") or {}
        name = function.get("name")
        if index in self._places:
            yield {**piece, "index": self._places[index]}
            return
        if index not in self._calls and name in self._request.client:
            self._places[index] = len(self._places)
            yield {**piece, "index": self._places[index]}
            return
        call = self._calls.setdefault(index, {"id": "", "name": "", "arguments": ""})
        call["id"] = call["id"] or str(piece.get("id") or "")
        call["name"] += str(name or "")
        call["arguments"] += str(function.get("arguments") or "")

    def _gather(self, piece: dict[str, Any]) -> None:
        if piece["index"] >= len(self.client_calls):
            self.client_calls.append({"index": piece["index"]})  # that there is one is all that is asked of a stream


def add_usage(total: dict[str, Any] | None, used: Any) -> dict[str, Any] | None:
    """The two usages added up, number by number, details too."""
    if not isinstance(used, dict):
        return total
    added = dict(total or {})
    for name, value in used.items():
        known = added.get(name)
        if isinstance(value, dict):
            added[name] = add_usage(known if isinstance(known, dict) else None, value)
        elif isinstance(value, int | float) and isinstance(known, int | float):
            added[name] = known + value
        elif known is None:
            added[name] = value
    return added
