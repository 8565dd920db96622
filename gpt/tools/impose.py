"""Grammars (llguidance's Lark) that make an answer call tools, in the model's own way of writing calls, and that let a
model think before an imposed form."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from common.errors import ApiError
from common.messages import _
from gpt.engines.base import Constraint
from gpt.tools.arguments import SMALL_CONTEXT, bounded, closed
from gpt.tools.styles import Dialect, Style, Thinking

MAX_CALLS = 16  # a model that is not told when to stop goes on calling
_NO_SPACE = {"whitespace_flexible": False}  # small models wander in free white space
_BLANK = r"/[\r\n]{0,2}/"  # after a thought; more, and a small model would write nothing else
_AS_TRAINED = {**_NO_SPACE, "key_separator": ": ", "item_separator": ", "}  # as models were shown calls


def calls_grammar(
    tools: Sequence[dict[str, Any]], dialect: Dialect, *, single: bool, context: int | None = None
) -> str:
    """The rules of an answer that is one call of `tools`, or several without `single`; it begins at ``calls``.

    `context`: tokens that the model can hold. One that holds few makes one call, with short arguments.
    """
    small = context is not None and context <= SMALL_CONTEXT
    single = single or small
    style = dialect.style
    rules = ["calls: " + _together(style, dialect, single)]
    rules.append("call: " + " | ".join(f"call_{at}" for at in range(len(tools))))
    for at, tool in enumerate(tools):
        name = tool["function"]["name"]
        schema = closed(schema_of(tool))
        given = _json_rule(bounded(schema) if small else schema, _AS_TRAINED)
        if style == "args":
            rules.append(f"call_{at}: {_quoted(name)} {_mark('[ARGS]', dialect)} given_{at}")
        else:
            key = "parameters" if style == "llama" else "arguments"
            head = f'{{"name": "{name}", "{key}": '
            rules.append(f'call_{at}: {_quoted(head)} given_{at} "}}"')
        rules.append(f"given_{at}: {given}")
    return "\n".join(rules)


def free_grammar(tools: Sequence[dict[str, Any]], dialect: Dialect, *, single: bool) -> str:
    """As `calls_grammar`, of an answer that says what it likes, and in which each call is a true one."""
    rules = calls_grammar(tools, dialect, single=single)
    style = dialect.style
    text = "TEXT: /(.|\\n)*/"
    if style == "llama":
        return f"{rules}\nfree: calls | NO_CALL | \nNO_CALL: /[^ \\r\\n\\t{{](.|\\n)*/"
    opener = "<tool_call>" if style == "hermes" else "[TOOL_CALLS]"
    if opener in dialect.single:
        return f"{rules}\nfree: TEXT | TEXT? calls\n{text}"
    before, _quote, after = rules.partition(_quoted(opener + ("\n" if style == "hermes" else "")))
    lead = '"\\n"' if style == "hermes" else ""
    return f"{before}lead {lead}{after}\nfree: TEXT | calls\nlead[suffix={_quoted(opener)}]: TEXT\n{text}"


def _together(style: Style, dialect: Dialect, single: bool) -> str:
    more = MAX_CALLS - 1
    if style == "hermes":
        line = _quoted("\n")
        one = f"{_mark('<tool_call>', dialect)} {line} call {line} {_mark('</tool_call>', dialect)}"
        if "<tool_call>" not in dialect.single:
            one = f"{_quoted('<tool_call>' + chr(10))} call {_quoted(chr(10) + '</tool_call>')}"
        return one if single else f'tagged ("\\n" tagged){{0,{more}}}\ntagged: {one}'
    mark = _mark("[TOOL_CALLS]", dialect)
    if style == "mistral":
        return f'{mark} "[" call "]"' if single else f'{mark} "[" call (", " call){{0,{more}}} "]"'
    if style == "args":
        return f"{mark} call" if single else f"({mark} call){{1,{MAX_CALLS}}}"
    return "call" if single else f'call ("; " call){{0,{more}}}'


def around(constraint: Constraint, dialect: Dialect, thinking: Thinking | None, calls: str | None) -> Constraint:
    """`constraint` of an answer that may begin with a thought, or call tools instead (the rules `calls`).

    A grammar of the client's own says all of the answer already: it is left as it is.
    """
    thinks = dialect.thoughts is not None and thinking in {"open", "may"}
    if constraint.kind == "grammar" or not (thinks or calls):
        return constraint
    value = constraint.value
    match constraint.kind:
        case "json_object":
            form = _json_rule({"type": "object"})
        case "json_schema":
            form = _json_rule(_schema(value, constraint.param))
        case "regex":
            form = "/" + re.sub(r"(\\.)|/", lambda m: m[1] or r"\/", str(value).replace("\n", r"\n")) + "/"
        case _:
            form = " | ".join(_quoted(str(item)) for item in value)
    rules = f"{beginning('answer', dialect, thinking)}\nform: {form}\nanswer: form"
    return Constraint("grammar", f"{rules} | calls\n{calls}" if calls else rules, constraint.param)


def beginning(start: str, dialect: Dialect, thinking: Thinking | None) -> str:
    """The rule ``start`` that leads to the rule `start`, after a thought when there is to be or may be one."""
    if dialect.thoughts is None or thinking is None or thinking == "closed":
        return f"start: {start}"
    begin, end = dialect.thoughts
    if (token := dialect.single.get(end)) is not None:
        thought = f"think_text? <[{token}]> {_BLANK}\nthink_text: /(.|\\n)*/"
    else:
        thought = f"think_text {_BLANK}\nthink_text[suffix={_quoted(end)}]: /(.|\\n)*/"
    if thinking == "open":
        return f"start: thought {start}\nthought: {thought}"
    return f"start: ({_mark(begin, dialect)} thought)? {start}\nthought: {thought}"


def _schema(value: Any, param: str) -> dict[str, Any]:
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        message = _("La forme demandée n'est pas utilisable : %(reason)s", reason="a JSON schema is an object")
        raise ApiError(400, "invalid_constraint", message, param)
    return found


def _json_rule(schema: dict[str, Any], spaces: dict[str, Any] | None = None) -> str:
    """A JSON schema inside a grammar."""
    return "%json " + json.dumps({**schema, "x-guidance": spaces or _NO_SPACE}, ensure_ascii=False)


def schema_of(tool: dict[str, Any]) -> dict[str, Any]:
    """The schema of a tool's arguments: always an object, and an empty one when it takes none."""
    given = tool["function"].get("parameters")
    if not given:
        return {"type": "object", "properties": {}, "additionalProperties": False}
    return given if "type" in given or "$ref" in given or "anyOf" in given else {"type": "object", **given}


def _mark(text: str, dialect: Dialect) -> str:
    token = dialect.single.get(text)
    return _quoted(text) if token is None else f"<[{token}]>"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
