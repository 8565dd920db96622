"""How a model writes the calls of its tools, and its thoughts: told by its chat template.

hermes   <tool_call>{"name": …, "arguments": {…}}</tool_call>       Hermes, Qwen, and whoever has no way of its own
mistral  [TOOL_CALLS][{"name": …, "arguments": {…}}, …]             Mistral until v7
args     [TOOL_CALLS]name[ARGS]{…}                                  Mistral since v11
llama    {"name": …, "parameters": {…}}; …  or  <|python_tag|>{…}   Llama 3.x
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Style = Literal["hermes", "mistral", "args", "llama"]
Thinking = Literal["open", "closed", "may"]  # a thought is begun, is over, may begin

_MARKS = ("<tool_call>", "</tool_call>", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "<|python_tag|>")
_THOUGHTS = (("<think>", "</think>"), ("[THINK]", "[/THINK]"))


@dataclass(frozen=True)
class Dialect:
    """`native`: the template takes the tools itself; else they are told in a system message. `thoughts` are the marks
    around a thought, `hidden` the marks that the tokenizer calls special and would leave out of the text (by id)."""

    style: Style = "hermes"
    native: bool = False
    thoughts: tuple[str, str] | None = None
    hidden: dict[int, str] = field(default_factory=dict)

    def thinking(self, text: str, continued: str | None = None) -> Thinking | None:
        """Whether the prompt `text` begins a thought; `continued` is the last message, when it is to be gone on with.
        None for a model that does not think."""
        if self.thoughts is None:
            return None
        begin, end = self.thoughts
        if continued is not None:
            if begin in continued and end not in continued:
                return "open"
            return "closed" if continued.strip() else "may"
        written = text.rstrip()
        if written.endswith(begin):
            return "open"
        return "closed" if written.endswith(end) else "may"

    def id_of(self, mark: str) -> int | None:
        """The id of a special mark."""
        return next((token for token, text in self.hidden.items() if text == mark), None)


PLAIN = Dialect()


def dialect_of(template: str | None, special_id: Callable[[str], int | None]) -> Dialect:
    """What `template` says. `special_id` gives the id of a token that the tokenizer calls special, or None."""
    source = template or ""
    thoughts = next((pair for pair in _THOUGHTS if pair[1] in source), None)
    marks = (*_MARKS, *(thoughts or ()))
    hidden = {token: mark for mark in marks if (token := special_id(mark)) is not None}
    takes = bool(re.search(r"\btools\b", source))
    style: Style | None = None
    if "[TOOL_CALLS]" in source:
        style = "args" if "[ARGS]" in source else "mistral"
    elif "<|python_tag|>" in source or ("ipython" in source and '"parameters"' in source):
        style = "llama"
    elif "<tool_call>" in source and "<function=" not in source:
        style = "hermes"
    return Dialect(style or "hermes", takes and style is not None, thoughts, hidden)
