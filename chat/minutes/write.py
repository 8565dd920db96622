"""Transcript → minutes. A long one is read by parts, cut between turns, and the minutes of the parts are merged."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from chat.language import Language, detect
from chat.llm import LanguageModel, Model
from chat.minutes import prompts
from chat.minutes.shape import Minutes, MinutesError, markdown, merge, read_minutes
from chat.parts import chars_for, split
from common.errors import ApiError
from common.messages import Text, _

log = logging.getLogger(__name__)

MAX_REPAIRS = 2
MAX_PARTS = 40
SHRINKS = 4

EmbeddedRequest = Callable[[str], dict[str, Any]]


class Segment(BaseModel):
    """A turn of a transcript; times in seconds."""

    speaker: str = ""
    start: float | None = None
    end: float | None = None
    text: str


@dataclass
class Written:
    """Minutes as the API answers them."""

    minutes: Minutes
    markdown: str
    model: str
    warnings: list[Text] = field(default_factory=list)


def as_transcript(segments: Sequence[Segment]) -> str:
    """Lines "Name: sentence", successive segments of one speaker on one line."""
    lines: list[tuple[str, str]] = []
    for segment in segments:
        speaker, text = " ".join(segment.speaker.split()), " ".join(segment.text.split())
        if not text:
            continue
        if lines and lines[-1][0] == speaker:
            lines[-1] = (speaker, f"{lines[-1][1]} {text}")
        else:
            lines.append((speaker, text))
    return "\n".join(f"{speaker}: {text}" if speaker else text for speaker, text in lines)


class MinutesWriter:
    """Plain service: no Flask. One per worker."""

    def __init__(self, llm: LanguageModel, embedded_request: EmbeddedRequest) -> None:
        self._llm = llm
        self._embedded_request = embedded_request

    def write(self, transcript: str, *, language: Language | None = None, model: str | None = None) -> Written:
        """The minutes of `transcript`. Raises `ApiError` 400 when it is empty, 422 `minutes_invalid`, gpt's errors."""
        if not transcript.strip():
            message = _("La transcription est vide : il n'y a rien à résumer.")
            raise ApiError(400, "empty_transcript", message, "transcript")
        spoken = language or detect(transcript)
        chosen = self._llm.model(model)
        limit = chars_for(chosen.context, embedded=chosen.embedded, instructions=prompts.instructions_length(spoken))
        for _shrink in range(SHRINKS):
            try:
                return self._write(chosen, transcript, split(transcript, limit), spoken)
            except ApiError as error:
                if error.code != "context_length_exceeded" or limit < 100:
                    raise
                limit //= 2
        message = _("Ce texte ne tient pas dans le contexte du modèle %(model)s.", model=chosen.id)
        raise ApiError(400, "context_length_exceeded", message, "transcript")

    def _write(self, model: Model, transcript: str, spans: list[tuple[int, int]], language: Language) -> Written:
        parts: list[Minutes] = []
        for start, end in spans[:MAX_PARTS]:
            part = transcript[start:end]
            body = self._embedded_request(part) if model.embedded else prompts.write_request(part, language)
            minutes, _name = self._ask(model, body, language)
            parts.append(minutes)
        merged = self._merge(model, parts, language)
        warnings: list[Text] = []
        if len(spans) > 1:
            warnings.append(
                _(
                    "Transcription longue : lue en %(parts)s parties pour tenir dans le contexte de %(model)s.",
                    parts=len(parts),
                    model=model.id,
                )
            )
        if len(spans) > MAX_PARTS:
            warnings.append(
                _(
                    "Seuls les %(read)s premiers caractères sur %(total)s sont dans le compte rendu.",
                    read=spans[MAX_PARTS - 1][1],
                    total=len(transcript),
                )
            )
        if merged.empty:
            warnings.append(_("Le modèle n'a rien relevé dans cette transcription."))
        return Written(merged, markdown(merged, language), model.id, warnings)

    def _merge(self, model: Model, parts: list[Minutes], language: Language) -> Minutes:
        """By the model when it can rewrite, else by putting together what differs."""
        together = merge(parts)
        if len(parts) == 1 or model.embedded:
            return together
        body = prompts.merge_request([part.model_dump_json() for part in parts], language)
        try:
            rewritten, _name = self._ask(model, body, language)
        except ApiError as error:
            if error.code not in {"context_length_exceeded", "minutes_invalid"}:
                raise
            return together
        return together if rewritten.empty else rewritten

    def _ask(self, model: Model, body: dict[str, Any], language: Language) -> tuple[Minutes, str]:
        asked = {**body, "model": model.id}
        problem = ""
        for attempt in range(MAX_REPAIRS + 1):
            answer = self._llm.complete(asked)
            try:
                return read_minutes(answer.text), answer.model
            except MinutesError as error:
                problem = str(error)
            log.info("minutes refused", extra={"model": model.id, "attempt": attempt + 1, "problem": problem[:300]})
            if model.embedded:
                asked = {**asked, "temperature": 0.5, "seed": attempt + 1}
            else:
                asked = prompts.repair_request({**body, "model": model.id}, answer.text, problem, language)
        message = _(
            "Le modèle %(model)s n'a pas su écrire ce compte rendu (%(tries)s essais) : %(problem)s",
            model=model.id,
            tries=MAX_REPAIRS + 1,
            problem=problem,
        )
        raise ApiError(422, "minutes_invalid", message)
