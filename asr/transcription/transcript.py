"""What a transcription gives, step by step and in the end. Times in seconds from the recording's beginning."""

from __future__ import annotations

from dataclasses import dataclass, field

from asr.engines.base import Word
from common.messages import Text


@dataclass(frozen=True)
class Segment:
    """A sentence, or words said in one breath; short enough for a subtitle."""

    start: float
    end: float
    text: str


@dataclass(frozen=True)
class SpeechReport:
    """Where speech was heard and whether it was all read.

    `voiced_seconds` were heard as speech; `dropped_seconds` of the recording were not, and no model saw them;
    `undecoded` are stretches (start, end) heard as speech in which the model found no words, even when asked again.
    """

    voiced_seconds: float = 0.0
    dropped_seconds: float = 0.0
    undecoded: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Transcript:
    """What was said.

    `language` is the one spoken for the most seconds (ISO 639-1), `languages` all that were heard, most heard first;
    `target` the one it was translated into, None when it was not. `word_times`: the times of the words are the model's
    own; else they were spread over the speech by length.
    """

    language: str
    duration: float
    words: list[Word]
    segments: list[Segment]
    warnings: list[Text]
    speech: SpeechReport = SpeechReport()
    languages: tuple[str, ...] = ()
    target: str | None = None
    word_times: bool = True

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.segments)


@dataclass(frozen=True)
class Partial:
    """Words that will not change any more; everything that begins before `through` is in this one or an earlier one.

    Asking again with ``start=through`` goes on from there, with no word lost or twice.
    """

    words: list[Word] = field(default_factory=list)
    through: float = 0.0
