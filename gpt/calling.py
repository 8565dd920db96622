"""How an answer is to be read, and what form it is given, when tools may be called or the model thinks."""

from __future__ import annotations

from common.errors import ApiError
from common.messages import _
from gpt.engines.base import FORMS, Capabilities, Constraint
from gpt.tools.impose import around, beginning, calls_grammar, free_grammar
from gpt.tools.reader import Reading
from gpt.tools.styles import Dialect, Thinking
from gpt.wire.tools import ToolUse


def reading_of(used: ToolUse, dialect: Dialect, thinking: Thinking | None) -> Reading:
    """How to read the answers of a request."""
    return Reading(
        style=dialect.style,
        thoughts=dialect.thoughts,
        thinking=None if thinking == "closed" else thinking,
        end_of_thought=dialect.single.get(dialect.thoughts[1]) if dialect.thoughts is not None else None,
        names=used.names or None,
        imposed=used.required,
        single=used.single,
        legacy=used.legacy,
    )


def imposed(
    used: ToolUse, asked: Constraint | None, capabilities: Capabilities, thinking: Thinking | None, context: int
) -> Constraint | None:
    """The form of the answer of a model of `context` tokens: the one that was `asked` for, calls when one must be made,
    true ones when some tool's schema is strict.

    A `response_format` is the form of a text: an answer that must be a call has none, as at OpenAI. Raises 400 when two
    forms would be imposed."""
    dialect = capabilities.dialect
    if used.required and asked is not None and asked.param == "response_format":
        asked = None
    if dialect.unaware and not used.required:
        return asked
    able = capabilities.parameters >= FORMS
    if asked is not None:
        if used.required:
            message = _("%(one)s et %(other)s ne vont pas ensemble.", one=asked.param, other="tool_choice")
            raise ApiError(400, "invalid_value", message, asked.param)
        calls = calls_grammar(used.tools, dialect, single=used.single) if used.tools else None
        return around(asked, dialect, thinking, calls) if able else asked
    if used.required:
        rules = calls_grammar(used.tools, dialect, single=used.single, context=context)
        return Constraint("grammar", f"{beginning('calls', dialect, thinking)}\n{rules}", used.param)
    if used.strict and able:
        rules = free_grammar(used.tools, dialect, single=used.single)
        return Constraint("grammar", f"{beginning('free', dialect, thinking)}\n{rules}", used.param)
    return None
