"""Finds the calls of tools in an answer, as it comes: see `gpt.tools.styles` for how they are written.

What is not a whole call of a known tool is given back as the text it is, to the last character. Without a grammar
nobody knows that a call will be one until its end: it is held until then. Under a grammar (`live`) its arguments are
given as they come.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from gpt.tools.styles import Style

_OPENERS: dict[Style, str] = {
    "hermes": "<tool_call>",
    "mistral": "[TOOL_CALLS]",
    "args": "[TOOL_CALLS]",
    "llama": "<|python_tag|>",
}
_CLOSER = "</tool_call>"
_BLANKS = " \r\n\t"
_HEAD = re.compile(r'\{"name": "([\w-]+)", "(?:arguments|parameters)": |([\w-]+)\[ARGS\]')
# nothing here is tried twice: a model may go on with blanks for ever
_NAMED = re.compile(r"\s*+([\w.-]++)\s*+(?:\[CALL_ID\]\s*+\w++\s*+)?+(?:\[ARGS\]\s*+)?+(?=\{)")
_NAMED_SO_FAR = re.compile(r"\s*+(?:[\w.-]++\s*+(?:\[[A-Z_]*+\]?+\s*+\w*+\s*+(?:\[[A-Z]*+\]?+\s*+)?+)?+)?+$")
_SURROGATE = re.compile("[\ud800-\udfff]")
_MOST_UNENDED = 64  # beginnings of calls that never end, each looked through to the answer's end


@dataclass(frozen=True)
class Text:
    """What is said."""

    text: str


@dataclass(frozen=True)
class Begun:
    """A call begins."""

    name: str


@dataclass(frozen=True)
class Arguments:
    """A piece of the JSON that the begun call is given."""

    text: str


Piece = Text | Begun | Arguments


class _More(Exception):  # noqa: N818  no error: what came is not a whole call yet
    pass


class _NoCall(Exception):  # noqa: N818  no error either
    pass


class JsonEnd:
    """Follows an object or an array to its end, a piece at a time."""

    def __init__(self) -> None:
        self._depth = 0
        self._quoted = self._escaped = False

    def push(self, text: str) -> int | None:
        """How many characters of `text` belong to it, when it ends there; None when it goes on."""
        for at, character in enumerate(text):
            if self._quoted:
                if self._escaped:
                    self._escaped = False
                elif character == "\\":
                    self._escaped = True
                elif character == '"':
                    self._quoted = False
            elif character == '"':
                self._quoted = True
            elif character in "{[":
                self._depth += 1
            elif character in "}]":
                self._depth -= 1
                if self._depth <= 0:
                    return at + 1
        return None


class CallReader:
    """Reads one answer in `style`, whose calls are of the tools `names`."""

    def __init__(self, style: Style, names: Collection[str]) -> None:
        self._style = style
        self._names = names
        self._opener = _OPENERS[style]
        self._held = ""
        self._inside = False  # what is held may be a call
        self._fresh = True  # nothing was said since the beginning or the last call
        self._found = False
        self._gap = ""  # blanks before what may be a call: nobody's, unless it is none
        self._scanned = 0  # of what is held, already looked through for its end
        self._end = JsonEnd()
        self._unended = 0

    @property
    def holding(self) -> bool:
        """True when something is held back."""
        return bool(self._held)

    @property
    def _between(self) -> str:
        """What may stand before a call, and is nobody's."""
        return _BLANKS + ";" if self._found and self._style == "llama" else _BLANKS

    def push(self, text: str) -> list[Piece]:
        """What `text` adds."""
        self._held += text
        return self._read(last=False)

    def finish(self) -> list[Piece]:
        """What was held back, at the answer's end."""
        pieces = self._read(last=True)
        rest, self._held = self._held, ""
        if rest and not (self._found and self._fresh and not rest.strip(self._between)):
            pieces.append(Text(rest))
        return pieces

    def _read(self, *, last: bool) -> list[Piece]:
        pieces: list[Piece] = []
        while True:
            if not self._inside:
                self._inside = self._find(pieces)
                if not self._inside:
                    return pieces
            try:
                calls, length = self._calls(last)
            except _More:
                return pieces
            except _NoCall:
                mark = len(self._opener) if self._held.startswith(self._opener) else 1
                self._say(pieces, self._held[:mark])
                self._held = self._held[mark:]
            else:
                self._held = self._held[length:]
                self._fresh = self._found = True
                self._gap = ""
                for name, arguments in calls:
                    pieces += [Begun(name), Arguments(arguments)]
            self._inside, self._scanned, self._end = False, 0, JsonEnd()

    def _find(self, pieces: list[Piece]) -> bool:
        """Say what cannot be a call. True when what is then held begins like one."""
        if self._unended > _MOST_UNENDED:
            return False
        held = self._held
        at = held.find(self._opener)
        if self._fresh:
            bare = held.lstrip(self._between)
            if not bare:
                return False
            if (self._style == "llama" and bare.startswith("{")) or bare.startswith(self._opener):
                self._gap, self._held = held[: len(held) - len(bare)], bare
                return True
        if at >= 0:
            self._say(pieces, held[:at])
            self._held = held[at:]
            return True
        keep = next(n for n in range(min(len(self._opener) - 1, len(held)), -1, -1) if held.endswith(self._opener[:n]))
        if self._fresh and not held[: len(held) - keep].strip(self._between):
            return False
        self._say(pieces, held[: len(held) - keep])
        self._held = held[len(held) - keep :]
        return False

    def _say(self, pieces: list[Piece], text: str) -> None:
        if text:
            self._fresh = False
            pieces.append(Text(self._gap + text))
            self._gap = ""

    def _calls(self, last: bool) -> tuple[list[tuple[str, str]], int]:
        """The calls that what is held begins with, and how long they are. Raises _More or _NoCall."""
        start = len(self._opener) if self._held.startswith(self._opener) else 0
        name = None
        if self._style in {"mistral", "args"}:
            name, start = self._named(start, last)
        start = len(self._held) - len(self._held[start:].lstrip())
        if start == len(self._held):
            raise _NoCall if last else _More
        if self._held[start] != "{" and not (self._held[start] == "[" and self._style in {"mistral", "args"}):
            raise _NoCall
        end = self._json_end(start)
        if end is None:
            self._unended += last
            raise _NoCall if last else _More
        try:
            value = _read(self._held[start:end])
            if name is not None:
                value = {"name": name, "arguments": value}
            calls = [self._call(one) for one in (value if isinstance(value, list) else [value])]
        except (ValueError, RecursionError):
            raise _NoCall from None
        if not calls:
            raise _NoCall
        return calls, self._closed(end, last) if self._style == "hermes" else end

    def _named(self, start: int, last: bool) -> tuple[str | None, int]:
        """The name before the arguments, and where they begin; None when it is not written so."""
        if found := _NAMED.match(self._held, start):
            return found[1], found.end()
        rest = self._held[start:].lstrip()
        if rest.startswith(("[", "{")):
            return None, start
        if _NAMED_SO_FAR.match(self._held, start) and not last:
            raise _More
        raise _NoCall

    def _json_end(self, start: int) -> int | None:
        if self._scanned < start:
            self._scanned = start
        found = self._end.push(self._held[self._scanned :])
        if found is None:
            self._scanned = len(self._held)
            return None
        return self._scanned + found

    def _closed(self, end: int, last: bool) -> int:
        """Where the mark after a call ends, or the call itself when the mark was forgotten."""
        rest = self._held[end:]
        after = rest.lstrip()
        if after.startswith(_CLOSER):
            return end + len(rest) - len(after) + len(_CLOSER)
        if not last and _CLOSER.startswith(after):
            self._end, self._scanned = JsonEnd(), 0  # the object's end was met: look again from its beginning
            raise _More
        return end

    def _call(self, value: Any) -> tuple[str, str]:
        if not isinstance(value, dict) or not isinstance(value.get("name"), str) or value["name"] not in self._names:
            raise _NoCall
        given = value.get("arguments", value.get("parameters"))
        if isinstance(given, str):
            given = _read(given)
        if given is None:
            given = {}
        if not isinstance(given, dict):
            raise _NoCall
        return value["name"], _written(given)


def _read(text: str) -> Any:
    """JSON, and nothing that only Python takes for it. Raises ValueError, RecursionError."""
    return json.loads(text, parse_constant=_no_constant)


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _written(given: dict[str, Any]) -> str:
    """JSON that can be sent: half of a pair of surrogates stays the escape that the model wrote."""
    text = json.dumps(given, ensure_ascii=False)
    return text if text.isascii() or not _SURROGATE.search(text) else json.dumps(given)


class ImposedCallReader:
    """Reads an answer that is nothing but calls, as `gpt.tools.impose` has them written."""

    holding = False

    def __init__(self) -> None:
        self._held = ""
        self._end: JsonEnd | None = None

    def push(self, text: str) -> list[Piece]:
        """What `text` adds."""
        pieces: list[Piece] = []
        self._held += text
        while self._held:
            if self._end is None:
                head = _HEAD.search(self._held)
                if head is None:
                    break
                pieces.append(Begun(head[1] or head[2]))
                self._held = self._held[head.end() :]
                self._end = JsonEnd()
                continue
            length = self._end.push(self._held)
            given, self._held = self._held[:length], self._held[length:] if length is not None else ""
            if given:
                pieces.append(Arguments(given))
            if length is not None:
                self._end = None
        return pieces

    def finish(self) -> list[Piece]:
        """Nothing: what was cut before a name is no call, and says nothing."""
        return []
