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

Tokenize = Callable[[str, bool], list[int]]
Turns = Callable[[Sequence[Message], Mapping[str, Any]], list[int]]


@dataclass(frozen=True)
class Prompter:
    """What prompts are made with.

    `tokenize(text, begin)` gives ids, begun as the tokenizer begins a text when `begin`. `vocabulary` counts the ids
    that the model knows, `context` the tokens it holds, `longest` the characters of its longest token. `beginnings`
    are what an empty prompt may start from; `marks` the model's own tokens that no text may contain. `turns` gives the
    ids of a conversation; without, it is written as a plain dialogue.
    """

    tokenize: Tokenize
    vocabulary: int
    context: int
    longest: int
    beginnings: Sequence[int]
    marks: Sequence[str]
    turns: Turns | None

    def text(self, text: str) -> Prompt:
        """A text to continue, begun as the tokenizer begins a text (BOS where the model has one)."""
        self.check_length(text, "prompt")
        return self.ids(self.tokenize(text, True))

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

    def _check_ids(self, ids: Iterable[int], param: str) -> None:
        wrong = next((i for i in ids if not 0 <= i < self.vocabulary), None)
        if wrong is not None:
            size = self.vocabulary
            message = _("L'identifiant %(id)s n'est pas dans le vocabulaire (%(size)s).", id=wrong, size=size)
            raise ApiError(400, "invalid_value", message, param)

    def chat(self, messages: Sequence[Message], options: Mapping[str, Any]) -> Prompt:
        """A conversation, ready for the assistant's next turn. Raises 400 when the model's template refuses it."""
        plain: list[Message] = [{"role": m["role"], "content": text_of(m)} for m in messages]
        self.check_length("".join(map(text_of, plain)), "messages")
        if self.turns is None:
            return Prompt(self.text(plain_chat(plain)).ids, stops=PLAIN_STOPS)
        whole: list[Message] = [{"role": m["role"], "content": self.without_marks(text_of(m))} for m in plain]
        ids = self.turns(whole, options)
        return Prompt(ids, context_ids=ids if options.get("continue_final_message") else [])

    def without_marks(self, content: str) -> str:
        """`content` with the model's own marks (end of turn, roles…) broken by a space: a text may not fake a turn."""
        for mark in self.marks:
            if mark in content:
                content = content.replace(mark, f"{mark[0]} {mark[1:]}")
        return content

    def check_length(self, text: str, param: str) -> None:
        """Spare the tokenizer a text that cannot fit: a token stands for `longest` characters at most."""
        if len(text) > self.longest * self.context:
            raise context_exceeded(len(text) // self.longest, self.context, param)

    def _beginning(self) -> list[int]:
        if not self.beginnings:
            raise ApiError(400, "invalid_value", _("Ce modèle ne peut pas commencer sans texte."), "prompt")
        return [self.beginnings[0]]


def templated(template: ChatTemplate | None, tokenize: Tokenize) -> Turns | None:
    """Conversations as the model's own template writes them, when it has one."""
    return None if template is None else lambda messages, options: tokenize(template.render(messages, options), False)
