"""From a text, token ids or a conversation to a prompt: the same for every engine that tokenizes itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.errors import ApiError
from common.messages import _
from gpt.engines.base import GenerationRequest, Message, Prompt, context_exceeded, text_of
from gpt.engines.template import ChatTemplate
from gpt.prompts import PLAIN_STOPS, plain_chat
from gpt.tools.prompt import about_tools, cleaned, for_template, plainly, texts_of
from gpt.tools.styles import PLAIN, Dialect

Tokenize = Callable[[str, bool], list[int]]
Turns = Callable[[Sequence[Message], Mapping[str, Any]], tuple[list[int], str]]
# how models that were shown texts with a hole mark what is before it, what is after it, and where they fill it
_HOLES = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    ("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
    ("▁<PRE>", "▁<SUF>", "▁<MID>"),
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
)
_SUFFIX_STOP = 40  # characters of what comes after a hole by which its beginning is known


@dataclass(frozen=True)
class Prompter:
    """What prompts are made with.

    `tokenize(text, begin)` gives ids, begun as the tokenizer begins a text when `begin`. `vocabulary` counts the ids
    that the model knows, `context` the tokens it holds, `longest` the characters of its longest token. `beginnings`
    are what an empty prompt may start from; `marks` the model's own tokens that no text may contain. `turns` gives the
    ids of a conversation, and its text where there is one; without, it is written as a plain dialogue. `token_id` gives
    the id of a token of that name.
    """

    tokenize: Tokenize
    vocabulary: int
    context: int
    longest: int
    beginnings: Sequence[int]
    marks: Sequence[str]
    turns: Turns | None
    dialect: Dialect = PLAIN
    token_id: Callable[[str], int | None] = lambda _token: None

    def text(self, text: str) -> Prompt:
        """A text to continue, begun as the tokenizer begins a text (BOS where the model has one)."""
        self.check_length(len(text), "prompt")
        return self.ids(self.tokenize(text, True))

    def infill(self, text: str, suffix: str) -> Prompt:
        """A text to continue until `suffix`. A model that was shown texts with holes is given one; another one reads
        what comes after before what comes first, and its answer ends where what comes after would begin."""
        after = suffix.strip()
        if not after:
            return self.text(text)
        self.check_length(len(text) + len(suffix), "prompt")
        given = self.tokenize(text, False)
        for marks in _HOLES:
            before, hole, middle = (self.token_id(mark) for mark in marks)
            if before is not None and hole is not None and middle is not None:
                start = [*self.tokenize("", True), before]
                ids = [*start, *given, hole, *self.tokenize(suffix, False), middle]
                return Prompt(ids, given=(len(start), len(start) + len(given)))
        start = self.tokenize(f"{after}\n\n", True)
        ids = [*start, *given]
        stop = after.splitlines()[0][:_SUFFIX_STOP]
        return Prompt(ids, context_ids=ids, stops=(stop,), given=(len(start), len(ids)))

    def ids(self, ids: Sequence[int]) -> Prompt:
        """Token ids to continue. Raises 400 when one is outside the vocabulary or there is none to start from."""
        ids = list(ids) or self._beginning()
        self._check_ids(ids, "prompt")
        return Prompt(ids, context_ids=ids)

    def check(self, request: GenerationRequest) -> None:
        """Raises 400 on an id that the model does not have, and when prompt and answer do not fit in the context."""
        self._check_ids(request.logit_bias, "logit_bias")
        self._check_ids(request.stop_token_ids, "stop_token_ids")
        asked = len(request.prompt.ids) + request.max_tokens
        if asked > self.context:
            raise context_exceeded(asked, self.context, "max_tokens")

    def scored(self, prompt: Prompt) -> tuple[list[int], int, int]:
        """The ids to read to score `prompt`, and which of them are to be scored: all those given, the first one of all
        after what begins a text.

        Raises 400 when nothing does.
        """
        start, end = prompt.given or (0, len(prompt.ids))
        ids = prompt.ids[:end]
        if start == 0:
            if ids[:1] != [self._beginning()[0]]:
                ids = [*self._beginning(), *ids]
            return ids, 1, len(ids)
        return ids, start, end

    def _check_ids(self, ids: Iterable[int], param: str) -> None:
        wrong = next((i for i in ids if not 0 <= i < self.vocabulary), None)
        if wrong is not None:
            size = self.vocabulary
            message = _("L'identifiant %(id)s n'est pas dans le vocabulaire (%(size)s).", id=wrong, size=size)
            raise ApiError(400, "invalid_value", message, param)

    def chat(self, messages: Sequence[Message], options: Mapping[str, Any]) -> Prompt:
        """A conversation, ready for the assistant's next turn. Raises 400 when the model's template refuses it."""
        plain: list[Message] = [{**m, "content": text_of(m)} for m in messages]
        ready, options = self.with_tools(plain, options)
        if self.turns is None:
            return Prompt(self.text(plain_chat(ready)).ids, stops=PLAIN_STOPS)
        ids, text = self.turns(ready, options)
        return self.finished(ids, text, ready, options)

    def with_tools(
        self, messages: Sequence[Message], options: Mapping[str, Any]
    ) -> tuple[list[Message], Mapping[str, Any]]:
        """The conversation and its options as the template takes them, no mark of the model's in any text."""
        tools = options.get("tools")
        self.check_length(texts_of(messages) + texts_of(tools), "messages")
        if self.turns is not None and self.dialect.native:
            messages = for_template(messages, self.dialect)
        elif tools or about_tools(messages):
            messages = plainly(messages, tools)
            options = {name: value for name, value in options.items() if name != "tools"}
        if self.turns is not None:
            messages = [_without(message, self.without_marks) for message in messages]
            if options.get("tools"):
                options = {**options, "tools": cleaned(options["tools"], self.without_marks)}
        return list(messages), options

    def finished(
        self,
        ids: list[int],
        text: str,
        messages: Sequence[Message],
        options: Mapping[str, Any],
        images: tuple[bytes, ...] = (),
    ) -> Prompt:
        """The prompt of a conversation that the template wrote as `text`."""
        begins = bool(options.get("continue_final_message"))
        last = messages[-1]["content"] if begins else None
        said = last if isinstance(last, str) or last is None else text_of({"role": "", "content": last})
        thinking = self.dialect.thinking(text, said)
        return Prompt(ids, context_ids=ids if begins else [], images=images, thinking=thinking)

    def without_marks(self, content: str) -> str:
        """`content` with the model's own marks (end of turn, roles…) broken by a space: a text may not fake a turn."""
        for mark in self.marks:
            if mark in content:
                content = content.replace(mark, f"{mark[0]} {mark[1:]}")
        return content

    def check_length(self, characters: int, param: str) -> None:
        """Spare the tokenizer a text that cannot fit: a token stands for `longest` characters at most."""
        if characters > self.longest * self.context:
            raise context_exceeded(characters // self.longest, self.context, param)

    def _beginning(self) -> list[int]:
        if not self.beginnings:
            raise ApiError(400, "invalid_value", _("Ce modèle ne peut pas commencer sans texte."), "prompt")
        return [self.beginnings[0]]


def templated(template: ChatTemplate | None, tokenize: Tokenize) -> Turns | None:
    """Conversations as the model's own template writes them, when it has one."""
    if template is None:
        return None

    def turns(messages: Sequence[Message], options: Mapping[str, Any]) -> tuple[list[int], str]:
        text = template.render(messages, options)
        return tokenize(text, False), text

    return turns


def _without(message: Message, clean: Callable[[str], str]) -> Message:
    """The message, cleaned but for its role."""
    turn: Message = cleaned(message, clean)
    turn["role"] = message["role"]
    return turn
