"""From a text, token ids or a conversation to a prompt: the same for every engine that tokenizes itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.errors import ApiError
from common.messages import _
from gpt.engines.base import Message, Prompt, context_exceeded, text_of
from gpt.engines.template import ChatTemplate
from gpt.prompts import PLAIN_STOPS, plain_chat


@dataclass(frozen=True)
class Prompter:
    """What prompts are made with.

    `tokenize(text, begin)` gives ids, begun as the tokenizer begins a text when `begin`. `vocabulary` counts the ids
    that the model knows, `context` the tokens it holds, `longest` the characters of its longest token. `beginnings`
    are what an empty prompt may start from; `marks` the model's own tokens that no text may contain.
    """

    tokenize: Callable[[str, bool], list[int]]
    vocabulary: int
    context: int
    longest: int
    beginnings: Sequence[int]
    marks: Sequence[str]
    template: ChatTemplate | None

    def text(self, text: str) -> Prompt:
        """A text to continue, begun as the tokenizer begins a text (BOS where the model has one)."""
        self._refuse_endless(text, "prompt")
        return self.ids(self.tokenize(text, True))

    def ids(self, ids: Sequence[int]) -> Prompt:
        """Token ids to continue. Raises 400 when one is outside the vocabulary or there is none to start from."""
        ids = list(ids) or self._beginning()
        self.check_ids(ids, "prompt")
        return Prompt(ids, context_ids=ids)

    def check_ids(self, ids: Sequence[int], param: str) -> None:
        """Raises 400 on an id that the model does not have."""
        wrong = next((i for i in ids if not 0 <= i < self.vocabulary), None)
        if wrong is not None:
            size = self.vocabulary
            message = _("L'identifiant %(id)s n'est pas dans le vocabulaire (%(size)s).", id=wrong, size=size)
            raise ApiError(400, "invalid_value", message, param)

    def chat(self, messages: Sequence[Message], options: Mapping[str, Any]) -> Prompt:
        """A conversation, ready for the assistant's next turn. Raises 400 when the model's template refuses it."""
        plain: list[Message] = [{"role": m["role"], "content": text_of(m)} for m in messages]
        self._refuse_endless("".join(map(text_of, plain)), "messages")
        if self.template is None:
            return Prompt(self.text(plain_chat(plain)).ids, stops=PLAIN_STOPS)
        whole = [{**message, "content": self.without_marks(text_of(message))} for message in plain]
        ids = self.tokenize(self.template.render(whole, options), False)
        return Prompt(ids, context_ids=ids if options.get("continue_final_message") else [])

    def without_marks(self, content: str) -> str:
        """`content` with the model's own marks (end of turn, roles…) broken by a space: a text may not fake a turn."""
        for mark in self.marks:
            if mark in content:
                content = content.replace(mark, f"{mark[0]} {mark[1:]}")
        return content

    def _refuse_endless(self, text: str, param: str) -> None:
        """Spare the tokenizer a text that cannot fit: a token stands for `longest` characters at most."""
        if len(text) > self.longest * self.context:
            raise context_exceeded(len(text) // self.longest, self.context, param)

    def _beginning(self) -> list[int]:
        if not self.beginnings:
            raise ApiError(400, "invalid_value", _("Ce modèle ne peut pas commencer sans texte."), "prompt")
        return [self.beginnings[0]]
