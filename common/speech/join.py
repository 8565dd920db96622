"""Who said which word: words of the transcription joined to the turns of the diarization, word by word.

A word goes to the speaker whose turns overlap it most, or to the nearest turn when none does. Joining whole
sentences instead gives a sentence that runs over a change of speaker to one of the two.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

from common.speech.boundaries import settle
from common.speech.words import Segment, Spoken, Turn, Word

ONLY_SPEAKER = "SPEAKER_00"
PARAGRAPH_PAUSE = 2.0
"""Seconds of silence that start a new segment of the same speaker."""
LONG_SEGMENT = 30.0
"""A segment longer than this, in seconds, ends with its sentence."""
STRONG = 0.5
"""A speaker who covers this share of a word has a firm claim on it."""
_CLOSE = 0.5


class _Turns:
    """Turns in order of time; they may overlap one another."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self._turns = sorted((t for t in turns if t.end > t.start), key=lambda t: (t.start, t.end))
        self._starts = [turn.start for turn in self._turns]
        self._latest: list[Turn] = []
        """For each turn, the one that ends last among it and those before."""
        for turn in self._turns:
            self._latest.append(max(self._latest[-1], turn, key=lambda t: t.end) if self._latest else turn)

    def __bool__(self) -> bool:
        return bool(self._turns)

    def overlaps(self, start: float, end: float) -> dict[str, float]:
        """Seconds of [start, end] covered by each speaker's turns."""
        found: dict[str, float] = {}
        index = bisect_left(self._starts, end) - 1
        while index >= 0 and self._latest[index].end > start:
            turn = self._turns[index]
            shared = min(end, turn.end) - max(start, turn.start)
            if shared > 0:
                found[turn.speaker] = found.get(turn.speaker, 0.0) + shared
            index -= 1
        return found

    def nearest(self, start: float, end: float) -> str:
        """The speaker of the turn that is nearest in time; the earlier one when two are as near."""
        index = bisect_left(self._starts, end)
        before = self._latest[index - 1] if index else None
        after = self._turns[index] if index < len(self._turns) else None
        if before is None:
            return self._turns[index].speaker
        if after is not None and after.start - end < max(0.0, start - before.end):
            return after.speaker
        return before.speaker


def speakers_of(words: Sequence[Word], turns: Sequence[Turn]) -> list[Spoken]:
    """The words in order, each with who said it. Without turns everything was said by one speaker."""
    ordered = sorted((w for w in words if w.word.strip()), key=lambda w: (w.start, w.end))
    return settle(smooth(attribute(ordered, turns)))


def join(words: Sequence[Word], turns: Sequence[Turn]) -> list[Segment]:
    """The segments of the meeting, in order."""
    return group(speakers_of(words, turns))


def attribute(words: Sequence[Word], turns: Sequence[Turn]) -> list[Spoken]:
    """Give each word its speaker. Where two speak equally at once, the one who was speaking goes on."""
    known = _Turns(turns)
    spoken: list[Spoken] = []
    for word in words:
        if not known:
            spoken.append(Spoken(word, ONLY_SPEAKER, 1.0))
            continue
        overlaps = known.overlaps(word.start, word.end)
        if not overlaps:
            spoken.append(Spoken(word, known.nearest(word.start, word.end), 0.0))
            continue
        most = max(overlaps.values())
        best = [speaker for speaker, shared in overlaps.items() if shared > most - 1e-6]
        going_on = spoken and spoken[-1].speaker in best
        speaker = spoken[-1].speaker if going_on else min(best)
        spoken.append(Spoken(word, speaker, min(1.0, most / max(word.end - word.start, 1e-6))))
    return spoken


def smooth(spoken: Sequence[Spoken]) -> list[Spoken]:
    """A lone word inside another speaker's flow, on which its own speaker has no firm claim, joins the flow.

    Word times are off by a tenth of a second or so: a word that a turn merely brushes is not a turn of its own.
    A word that a turn really covers (a «oui» of the other person) stays where it is.
    """
    result = list(spoken)
    for index in range(1, len(result) - 1):
        before, here, after = result[index - 1], result[index], result[index + 1]
        alone = before.speaker == after.speaker != here.speaker
        flowing = here.word.start - before.word.end < _CLOSE and after.word.start - here.word.end < _CLOSE
        if alone and flowing and here.share < STRONG:
            result[index] = replace(here, speaker=before.speaker)
    return result


def group(spoken: Sequence[Spoken]) -> list[Segment]:
    """Consecutive words of one speaker make a segment, cut at long pauses and, when long, at sentence ends."""
    segments: list[Segment] = []
    previous: Spoken | None = None
    for here in spoken:
        if previous is None or _new_segment(segments[-1], previous, here):
            segments.append(Segment(here.speaker))
        segments[-1].words.append(here.word)
        previous = here
    return segments


def _new_segment(segment: Segment, previous: Spoken, here: Spoken) -> bool:
    if here.speaker != previous.speaker or here.word.start - previous.word.end >= PARAGRAPH_PAUSE:
        return True
    return previous.word.end - segment.start > LONG_SEGMENT and previous.word.word.endswith((".", "!", "?", "…"))
