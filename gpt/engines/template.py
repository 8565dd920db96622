"""A model's chat template, rendered as transformers renders it, without transformers.

Templates come with models, so they are other people's programs: they run in Jinja's immutable sandbox, which here
also bounds what they may build and how long they may take.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from common.errors import ApiError
from common.messages import _

MAX_TEMPLATE = 500_000  # characters; the longest known ones take 30,000
MAX_MESSAGES = 10_000
MAX_SECONDS = 5.0  # for one conversation
_MAX_BUILT = 1_000_000  # characters or items that one operation may make out of a repetition
_MAX_POWER = 64
_TAG = "CONTINUE_FINAL_MESSAGE_TAG "  # transformers' own, so that trimming templates behave alike


class ChatTemplate:
    """A compiled template. Raises TemplateError when it is not one, or is longer than `MAX_TEMPLATE`."""

    def __init__(self, source: str, special_tokens: Mapping[str, str]) -> None:
        if len(source) > MAX_TEMPLATE:
            raise TemplateError(f"the chat template is longer than {MAX_TEMPLATE} characters")
        self.source = source
        self._special_tokens = dict(special_tokens)
        try:
            self._template = _ENVIRONMENT.from_string(source)
        except (RecursionError, MemoryError, OverflowError) as error:
            raise TemplateError("the chat template cannot be compiled") from error

    def render(self, messages: Sequence[Mapping[str, Any]], options: Mapping[str, Any]) -> str:
        """The conversation as text. `options` are the template's own, `tools`, and `add_generation_prompt` (true unless
        said) or `continue_final_message`, which leaves the last message open.

        Raises 400 with the template's reason when it refuses these messages, takes too long or builds too much.
        """
        try:
            try:
                return self._render(messages, options)
            except TypeError:
                if not any(message.get("tool_calls") for message in messages):
                    raise
                return self._render([_written(message) for message in messages], options)
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
            raise refused(error) from error

    def _render(self, messages: Sequence[Mapping[str, Any]], options: Mapping[str, Any]) -> str:
        if len(messages) > MAX_MESSAGES:
            raise ValueError(f"more than {MAX_MESSAGES} messages")
        copies = [dict(message) for message in messages]
        begins = bool(options.get("continue_final_message"))
        last = ""
        if begins:
            last, copies[-1]["content"] = _tagged(copies[-1]["content"])
        own = {name: value for name, value in options.items() if name not in _RESERVED}
        with _Deadline(MAX_SECONDS):
            text = self._template.render(
                **{
                    **self._special_tokens,
                    **own,
                    "messages": copies,
                    "tools": options.get("tools") or None,
                    "documents": None,
                    "add_generation_prompt": not begins and bool(options.get("add_generation_prompt", True)),
                }
            )
        return _cut(text, last) if begins else text


def find_template(folder: Path, tokenizer_config: Mapping[str, Any]) -> str | None:
    """The template of a model: chat_template.jinja, chat_template.json, or the tokenizer's configuration (one, or
    the list's one that is named default)."""
    jinja, older = folder / "chat_template.jinja", folder / "chat_template.json"
    if jinja.is_file():
        return jinja.read_text(encoding="utf-8")
    said: Any = tokenizer_config.get("chat_template")
    if older.is_file():
        said = json.loads(older.read_text(encoding="utf-8")).get("chat_template", said)
    return chosen_template(said)


def chosen_template(said: Any) -> str | None:
    """The template among what a configuration says: one, or several of which one is named default."""
    if isinstance(said, list):
        said = {str(one.get("name")): one.get("template") for one in said if isinstance(one, dict)}
    if isinstance(said, dict):
        said = said.get("default")
    return said if isinstance(said, str) and said else None


def open_template(source: str | None, special_tokens: Mapping[str, str]) -> ChatTemplate | None:
    """The compiled template of a model that has one. Raises 422 with the reason when it is not usable."""
    try:
        return ChatTemplate(source, special_tokens) if source else None
    except TemplateError as error:
        reason = _("son gabarit de conversation : %(reason)s", reason=str(error)[:200])
        raise ApiError(
            422, "model_unusable", _("Ce modèle ne peut pas être ouvert : %(reason)s", reason=reason)
        ) from error


def refused(error: Exception) -> ApiError:
    """The 400 of a template that does not take these messages, with its reason."""
    reason = str(error)[:300]
    message = _("Le gabarit de conversation de ce modèle refuse ces messages : %(reason)s", reason=reason)
    return ApiError(400, "invalid_messages", message, "messages")


def _tagged(content: Any) -> tuple[str, Any]:
    """The last message's text and its content with the tag after it: after the last text among parts."""
    if isinstance(content, str):
        return content, content + _TAG
    parts = [dict(part) for part in content]
    part = next((part for part in reversed(parts) if "text" in part), None)
    if part is None:
        raise ValueError("the last message has no text to continue")
    last = str(part["text"])
    part["text"] = last + _TAG
    return last, parts


def _cut(text: str, last: str) -> str:
    """`text` up to where the last message ends."""
    at = text.rfind(_TAG.strip())
    if at < 0 or last.strip() not in text:
        raise ValueError("the last message does not appear in what the chat template writes")
    kept = text[:at]
    return kept if text.startswith(_TAG, at) else kept.rstrip()


def _written(message: Mapping[str, Any]) -> dict[str, Any]:
    """The message with the arguments of its calls as text: some templates put them together with text."""
    calls = [
        {**call, "function": {**call["function"], "arguments": _tojson(call["function"]["arguments"])}}
        if not isinstance(call["function"]["arguments"], str)
        else call
        for call in message.get("tool_calls") or ()
    ]
    return {**message, "tool_calls": calls} if calls else dict(message)


class _Deadline:
    """Ends what runs in this thread after `seconds`: Jinja's code is Python, so a trace sees each of its lines."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._before: Any = None

    def __enter__(self) -> None:
        self._before = sys.gettrace()
        sys.settrace(self._trace)

    def __exit__(self, *_exception: object) -> None:
        sys.settrace(self._before)

    def _trace(self, _frame: FrameType, _event: str, _arg: Any) -> Any:
        if time.monotonic() > self._end:
            raise SecurityError("the chat template takes too long")
        return self._trace


class _Generation(Extension):
    """``{% generation %}`` marks what the assistant says, for training: here it only gives its content."""

    tags = {"generation"}  # noqa: RUF012  as Jinja declares it

    def parse(self, parser: Parser) -> nodes.Node:
        next(parser.stream)
        line = parser.stream.current.lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, in which a short expression may not build a huge value either."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        sizes = [len(side) for side in (left, right) if isinstance(side, str | list | tuple)]
        times = [abs(side) for side in (left, right) if isinstance(side, int)]
        if operator == "*" and sizes and times and sizes[0] * times[0] > _MAX_BUILT:
            raise SecurityError("the chat template builds too much")
        if operator == "**" and not all(isinstance(side, float) or abs(side) <= _MAX_POWER for side in (left, right)):
            raise SecurityError("the chat template computes too much")
        if operator == "%" and isinstance(left, str) and any(len(digits) > 5 for digits in _numbers(left)):
            raise SecurityError("the chat template builds too much")
        return super().call_binop(context, operator, left, right)


def _numbers(text: str) -> list[str]:
    return "".join(c if c.isdigit() else " " for c in text).split()


class _TemplateNamespace(Namespace):
    """A namespace that holds no underscored name, which could reach Python's own."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, args = args[0], args[1:]
        attributes = dict(*args, **kwargs)
        for name in attributes:
            _check_name(name)
        Namespace.__init__(self, attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        Namespace.__setitem__(self, name, value)


def _check_name(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"chat templates cannot store the attribute {name!r}")


class _TemplateDict:
    """``dict`` without the attributes of a class."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args)


def _raise_exception(message: str) -> None:
    raise TemplateError(message)


def _tojson(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    """JSON without HTML's escapes."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)


def _environment() -> _Sandbox:
    environment = _Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols])
    environment.filters["tojson"] = _tojson
    environment.globals |= {
        "raise_exception": _raise_exception,
        "strftime_now": _strftime_now,
        "dict": _TemplateDict(),
        "namespace": _TemplateNamespace,
    }
    del environment.globals["lipsum"]  # makes as much text as it is asked for
    for filler in ("center", "indent", "format"):
        environment.filters[filler] = _bounded(environment.filters[filler])
    return environment


def _bounded(build: Any) -> Any:
    """A filter that pads, refused when it is asked to pad with more than a page."""

    def checked(value: Any, *args: Any, **kwargs: Any) -> Any:
        widths = [side for side in (*args, *kwargs.values()) if isinstance(side, int) and abs(side) > 1000]
        digits = _numbers(value) if isinstance(value, str) and build.__name__ == "do_format" else []
        if widths or any(len(number) > 5 for number in digits):
            raise SecurityError("the chat template builds too much")
        return build(value, *args, **kwargs)

    return checked


_ENVIRONMENT = _environment()
# What the renderer itself passes: an option of the same name is not the template's own.
_RESERVED = frozenset(
    {"messages", "conversation", "tools", "documents", "chat_template", "add_generation_prompt", "tokenize"}
    | {"continue_final_message", "padding", "truncation", "max_length", "return_tensors", "return_dict"}
    | {"return_assistant_tokens_mask", "tokenizer_kwargs", "sanitize_control_tokens"}
)
