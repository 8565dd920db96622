"""What an answer is made of, as it comes: thoughts, text, calls of tools."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gpt.tools.calls import Arguments, Begun, CallReader, ImposedCallReader, Text
from gpt.tools.styles import Style, Thinking


@dataclass(frozen=True)
class Part:
    """A piece: `call` is the number of the call that a name begins or that arguments belong to."""

    kind: Literal["thought", "text", "name", "arguments"]
    text: str
    call: int = 0
    id: str = ""


@dataclass(frozen=True)
class Reading:
    """How to read the answers of a request.

    `names` are the tools that may be called, None when there are none; `imposed` when a grammar makes every answer
    nothing but calls; `single` keeps one call; `legacy` is for who asked with `functions`. `end_of_thought` is the
    token that ends one, when it is a single one.
    """

    style: Style = "hermes"
    thoughts: tuple[str, str] | None = None
    thinking: Thinking | None = None
    end_of_thought: int | None = None
    names: frozenset[str] | None = None
    imposed: bool = False
    single: bool = False
    legacy: bool = False

    @property
    def plain(self) -> bool:
        """True when an answer is its text and nothing else."""
        return self.names is None and self.thinking is None


class Thoughts:
    """Parts thoughts from what is said."""

    def __init__(self, marks: tuple[str, str], state: Thinking) -> None:
        self._begin, self._finish = marks
        self.state: Thinking | Literal["said"] = "said" if state == "closed" else state
        self._held = ""
        self._blank = state == "open"  # line breaks that begin a thought, or what is said after it, are nobody's

    @property
    def holding(self) -> bool:
        """True when something is held back."""
        return bool(self._held)

    def push(self, text: str, *, last: bool = False) -> tuple[str, str]:
        """What is thought and what is said."""
        self._held += text
        thought = ""
        if self.state == "may":
            bare = self._held.lstrip()
            if bare.startswith(self._begin):
                self.state, self._blank = "open", True
                self._held = bare[len(self._begin) :]
            elif last or not self._begin.startswith(bare):
                self.state = "said"
            else:
                return "", ""
        if self.state == "open":
            thought = self._think(last)
        said = ""
        if self.state == "said":
            said, self._held = self._held, ""
            if self._blank:
                said = said.lstrip("\r\n")
                self._blank = not said
        return thought, said

    def _think(self, last: bool) -> str:
        if self._blank:
            self._held = self._held.lstrip("\r\n")
            self._blank = not self._held
        at = self._held.find(self._finish)
        if at >= 0:
            thought = self._held[:at].rstrip("\r\n")
            self._held = self._held[at + len(self._finish) :]
            self.state, self._blank = "said", True
            return thought
        keep = 0
        if not last:
            most = min(len(self._finish) - 1, len(self._held))
            keep = next(n for n in range(most, -1, -1) if self._held.endswith(self._finish[:n]))
        given = self._held[: len(self._held) - keep]
        if not last:
            given = given.rstrip("\r\n")
        self._held = self._held[len(given) :]
        return given


class Reader:
    """Reads one choice."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        thinks = reading.thoughts is not None and reading.thinking is not None
        self._thoughts = Thoughts(reading.thoughts, reading.thinking) if thinks else None  # type: ignore[arg-type]
        self._calls: CallReader | ImposedCallReader | None = None
        if reading.names is not None:
            self._calls = ImposedCallReader() if reading.imposed else CallReader(reading.style, reading.names)
        self.calls = 0
        self.over = False  # the one call that was asked for is whole: nothing after it is wanted
        self.reasoning_tokens = 0

    @property
    def thinking(self) -> bool:
        """True within a thought."""
        return self._thoughts is not None and self._thoughts.state == "open"

    @property
    def holding(self) -> bool:
        """True when text is held back that may turn out to be something else."""
        return any(part is not None and part.holding for part in (self._thoughts, self._calls))

    def push(self, text: str, tokens: Sequence[int] = ()) -> list[Part]:
        """What `text`, made of `tokens`, adds."""
        return self._push(text, tokens, last=False)

    def finish(self, text: str, tokens: Sequence[int] = ()) -> list[Part]:
        """As `push`, for the end of the answer."""
        return self._push(text, tokens, last=True)

    def _push(self, text: str, tokens: Sequence[int], *, last: bool) -> list[Part]:
        parts: list[Part] = []
        said = text
        if self._thoughts is not None:
            before = self._thoughts.state
            thought, said = self._thoughts.push(text, last=last)
            if before == "open" or self._thoughts.state == "open" or thought:
                end = self._reading.end_of_thought
                self.reasoning_tokens += tokens.index(end) + 1 if end in tokens else len(tokens)
            if thought:
                parts.append(Part("thought", thought))
        if self._calls is None:
            return [*parts, Part("text", said)] if said else parts
        pieces = self._calls.push(said) if said else []
        if last:
            pieces += self._calls.finish()
        for piece in pieces:
            if self.over:
                break
            match piece:
                case Text(words):
                    parts.append(Part("text", words))
                case Begun(name):
                    if self._reading.single and self.calls:
                        self.over = True
                        break
                    self.calls += 1
                    parts.append(Part("name", name, self.calls - 1, call_id(self._reading.style)))
                case Arguments(given):
                    parts.append(Part("arguments", given, self.calls - 1))
        if self._reading.single and self.calls and not self._reading.imposed:
            self.over = True  # calls that are held until they are whole come whole
        return parts


def call_id(style: Style) -> str:
    """A fresh id: Mistral's templates take nine letters and digits, and nothing else."""
    return uuid.uuid4().hex[:9] if style in {"mistral", "args"} else f"call_{uuid.uuid4().hex[:24]}"
