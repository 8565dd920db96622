"""One question to a model and its answer read; a refused answer is asked again with the reason, twice at most."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from chat.language import Language
from chat.llm import LanguageModel, Model
from chat.minutes import prompts
from chat.minutes.shape import MinutesError
from common.errors import ApiError
from common.messages import _

log = logging.getLogger(__name__)

MAX_REPAIRS = 2
T = TypeVar("T")


class TooLongError(Exception):
    """What was given leaves the model no room, or not enough to end its answer: give it less."""


@dataclass
class Asker:
    """Asks one model in one language. `chars_per_token` is measured on its last answer, None before the first."""

    llm: LanguageModel
    model: Model
    language: Language
    chars_per_token: float | None = None

    def ask(self, body: dict[str, Any], read: Callable[[str], T]) -> T:
        """What `read` makes of the answer to `body`. Raises `TooLongError`, `ApiError` 422 `minutes_invalid`, and gpt's
        own."""
        asked = {**body, "model": self.model.id}
        problem = ""
        for attempt in range(MAX_REPAIRS + 1):
            try:
                answer = self.llm.complete(asked)
            except ApiError as error:
                if error.code == "context_length_exceeded":
                    raise TooLongError from error
                raise
            if answer.prompt_tokens:
                written = sum(len(message["content"]) for message in asked["messages"])
                self.chars_per_token = written / answer.prompt_tokens
            try:
                return read(answer.text)
            except MinutesError as error:
                if answer.cut:
                    raise TooLongError from error
                problem = str(error)
            log.info(
                "minutes refused", extra={"model": self.model.id, "attempt": attempt + 1, "problem": problem[:300]}
            )
            if self.model.embedded:  # it cannot read a remark: draw another answer
                asked = {**asked, "temperature": 0.5, "seed": attempt + 1}
            else:
                asked = prompts.repair_request({**body, "model": self.model.id}, answer.text, problem, self.language)
        message = _(
            "Le modèle %(model)s n'a pas su écrire ce compte rendu (%(tries)s essais) : %(problem)s",
            model=self.model.id,
            tries=MAX_REPAIRS + 1,
            problem=problem,
        )
        raise ApiError(422, "minutes_invalid", message)
