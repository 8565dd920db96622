"""How a model writes the calls of its tools, and its thoughts: told by its chat template.

hermes   <tool_call>{"name": …, "arguments": {…}}</tool_call>       Hermes, Qwen, and whoever has no way of its own
mistral  [TOOL_CALLS][{"name": …, "arguments": {…}}, …]             Mistral until v7
args     [TOOL_CALLS]name[ARGS]{…}                                  Mistral since v11
llama    {"name": …, "parameters": {…}}; …  or  <|python_tag|>{…}   Llama 3.x
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Style = Literal["hermes", "mistral", "args", "llama"]
Thinking = Literal["open", "closed", "may"]  # a thought is begun, is over, may begin

_MARKS = ("<tool_call>", "</tool_call>", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "<|python_tag|>")
_THOUGHTS = (("<think>", "</think>"), ("[THINK]", "[/THINK]"))


@dataclass(frozen=True)
class Dialect:
    """`native`: the template takes the tools itself; else they are told in a system message. `unaware`: the model was
    never shown a tool and says so in its template (``{% set knows_tools = false %}``); it is told of them only when it
    must call one. `thoughts` are the marks around a thought. Of the marks that are tokens, `hidden` are those that a
    text leaves out, and `single` those that a grammar does not spell (llguidance: special ones, and whatever is added
    and looks like ``<this>``)."""

    style: Style = "hermes"
    native: bool = False
    unaware: bool = False
    thoughts: tuple[str, str] | None = None
    hidden: dict[int, str] = field(default_factory=dict)
    single: dict[str, int] = field(default_factory=dict)

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


PLAIN = Dialect()


def dialect_of(template: str | None, added: Mapping[int, tuple[str, bool]]) -> Dialect:
    """What `template` says. `added` are the tokens added to the vocabulary, and whether they are special."""
    source = template or ""
    thoughts = next((pair for pair in _THOUGHTS if pair[1] in source), None)
    marks = {*_MARKS, *(thoughts or ())}
    found = {token: one for token, one in added.items() if one[0] in marks}
    hidden = {token: mark for token, (mark, special) in found.items() if special}
    single = {mark: token for token, (mark, special) in found.items() if special or (mark[0], mark[-1]) == ("<", ">")}
    takes = bool(re.search(r"\btools\b", source))
    style: Style | None = None
    if "[TOOL_CALLS]" in source:
        style = "args" if "[ARGS]" in source else "mistral"
    elif "<|python_tag|>" in source or ("ipython" in source and '"parameters"' in source):
        style = "llama"
    elif "<tool_call>" in source and "<function=" not in source:
        style = "hermes"
    unaware = bool(re.search(r"\bset knows_tools = false\b", source))
    return Dialect(style or "hermes", takes and style is not None, unaware, thoughts, hidden, single)
