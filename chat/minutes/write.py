"""Transcript → minutes. A long one is read by parts that fit the model, cut between turns; the parts are made one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from chat.language import Language, detect
from chat.llm import LanguageModel
from chat.minutes import prompts
from chat.minutes.ask import Asker, TooLongError
from chat.minutes.markdown import markdown
from chat.minutes.merge import essential, merge
from chat.minutes.reduce import MOST_SENTENCES, summarise, without_repeats
from chat.minutes.shape import Minutes, read_minutes
from chat.minutes.sources import tie, tie_summary
from chat.minutes.transcript import Line, Transcript
from chat.parts import LEAST_CHARS, chars_for
from common.errors import ApiError
from common.messages import Text, _

MAX_QUESTIONS = 400  # about eight hours of meeting in a context of 2,048 tokens
MOST_FAILURES = 3  # parts that cannot be read, the first ones: the others will not be either
READING = 0.9  # the share of the work that is reading the parts
PRUDENCE = 0.85  # parts differ: of the characters per token measured on one, this much is counted on for the next
WIDER = 3.0  # a measure enlarges the parts this many times at most

EmbeddedRequest = Callable[[str], dict[str, Any]]


@dataclass
class Written:
    """Minutes as the API answers them. `parts` is how many the transcript was read in."""

    minutes: Minutes
    markdown: str
    model: str
    parts: int = 1
    warnings: list[Text] = field(default_factory=list)


@dataclass(frozen=True)
class Advance:
    """How far the work is: a share of it, and characters of the transcript, read and in all."""

    share: float
    read: int
    total: int


@dataclass
class _Read:
    """What the reading of the parts gave; `missing` of them could not be."""

    parts: list[Minutes] = field(default_factory=list)
    missing: int = 0
    read_to: int = 0
    problem: ApiError | None = None


class MinutesWriter:
    """Plain service: no Flask. One per worker."""

    def __init__(self, llm: LanguageModel, embedded_request: EmbeddedRequest) -> None:
        self._llm = llm
        self._embedded_request = embedded_request

    def write(
        self, transcript: Transcript, *, language: Language | None = None, model: str | None = None
    ) -> Iterator[Advance | Written]:
        """Advances, and at last the minutes of `transcript`.

        Raises `ApiError` 400 when it is empty or does not fit, 422 `minutes_invalid`, gpt's errors; the first two at
        once, not at the first step.
        """
        if not any(char.isalnum() for line in transcript.lines for char in transcript.words(line)):
            message = _("La transcription est vide : il n'y a rien à résumer.")
            raise ApiError(400, "empty_transcript", message, "transcript")
        spoken = language or detect(transcript.text)
        return self._steps(Asker(self._llm, self._llm.model(model), spoken), transcript)

    def _steps(self, asker: Asker, transcript: Transcript) -> Iterator[Advance | Written]:
        total = sum(line.end - line.at for line in transcript.lines)
        found = _Read()
        yield Advance(0.0, 0, total)
        for read in self._read(asker, transcript, found):
            yield Advance(round(READING * read / total, 4), read, total)
        if not found.parts:
            raise found.problem or self._too_long(asker)
        minutes = merge(found.parts)
        if len(found.parts) > 1:
            if asker.model.embedded:
                minutes.summary = essential(minutes.summary, MOST_SENTENCES)
            else:
                limit = self._limit(asker)
                minutes.summary = summarise(asker, [part.summary for part in found.parts], limit)
                yield Advance(0.95, found.read_to, total)
                without_repeats(asker, minutes, limit)
        tie_summary(minutes, transcript)
        yield self._written(asker, minutes, found, total)

    def _read(self, asker: Asker, transcript: Transcript, found: _Read) -> Iterator[int]:
        """Read part after part into `found`; gives the number of characters that were read so far."""
        waiting: list[Sequence[Line]] = []  # halves of a part that was too long
        following, read = 0, 0
        for _question in range(MAX_QUESTIONS):
            if waiting:
                lines = waiting.pop()
            else:
                lines = transcript.take(following, self._limit(asker))
                following += len(lines)
            if not lines:
                return
            whole = len(lines) == len(transcript.lines)
            try:
                minutes = asker.ask(self._request(asker, transcript, lines, part=not whole), read_minutes)
            except TooLongError:
                if len(lines) > 1:
                    half = len(lines) // 2
                    waiting += [lines[half:], lines[:half]]
                    continue
                found.missing += 1
            except ApiError as error:
                if error.code != "minutes_invalid":
                    raise
                found.missing += 1
                found.problem = error
            else:
                tie(minutes, transcript, lines)
                found.parts.append(minutes)
            if found.missing == MOST_FAILURES and not found.parts:
                return
            read += sum(line.end - line.at for line in lines)
            found.read_to = read
            yield read

    def _request(self, asker: Asker, transcript: Transcript, lines: Sequence[Line], *, part: bool) -> dict[str, Any]:
        if asker.model.embedded:
            return self._embedded_request(transcript.plain(lines))
        return prompts.write_request(transcript.numbered(lines), len(lines), asker.language, part=part)

    def _limit(self, asker: Asker) -> int:
        """Characters of transcript that a question may hold: a safe guess, then what the tokenizer was seen to make."""
        instructions = prompts.instructions_length(asker.language)
        context, embedded = asker.model.context, asker.model.embedded
        safe = chars_for(context, embedded=embedded, instructions=instructions)
        if embedded or asker.chars_per_token is None:
            return safe
        measured = int(context * 0.66 * asker.chars_per_token * PRUDENCE) - instructions
        return max(LEAST_CHARS, min(measured, int(WIDER * safe)))

    def _written(self, asker: Asker, minutes: Minutes, found: _Read, total: int) -> Written:
        warnings: list[Text] = []
        parts = len(found.parts) + found.missing
        if parts > 1:
            warnings.append(
                _(
                    "Transcription longue : lue en %(parts)s parties pour tenir dans le contexte de %(model)s.",
                    parts=parts,
                    model=asker.model.id,
                )
            )
        if found.missing:
            warnings.append(
                _(
                    "%(missing)s partie(s) sur %(parts)s manquent au compte rendu : le modèle n'a pas su les lire.",
                    missing=found.missing,
                    parts=parts,
                )
            )
        if found.read_to < total:
            warnings.append(
                _(
                    "Seuls les %(read)s premiers caractères sur %(total)s sont dans le compte rendu.",
                    read=found.read_to,
                    total=total,
                )
            )
        if minutes.empty:
            warnings.append(_("Le modèle n'a rien relevé dans cette transcription."))
        return Written(minutes, markdown(minutes, asker.language), asker.model.id, parts, warnings)

    def _too_long(self, asker: Asker) -> ApiError:
        message = _("Ce texte ne tient pas dans le contexte du modèle %(model)s.", model=asker.model.id)
        return ApiError(400, "context_length_exceeded", message, "transcript")
