"""Where each item of the minutes comes from: the line that the model names when the words bear it out, else the passage
that resembles it most."""

from __future__ import annotations

from collections.abc import Sequence

from chat.diagrams.labels import Source as Passage
from chat.diagrams.source import LEAST_SCORE, locate
from chat.minutes.merge import sentences
from chat.minutes.shape import Item, Minutes, Point, Source
from chat.minutes.transcript import Line, Transcript

AROUND = 1  # lines before and after the named one that its words may be in


def tie(minutes: Minutes, transcript: Transcript, lines: Sequence[Line]) -> None:
    """Give every item of the minutes of `lines` its source and its seconds."""
    for items in (minutes.decisions, minutes.actions, minutes.open_points):
        tie_items(items, transcript, lines)


def tie_summary(minutes: Minutes, transcript: Transcript) -> None:
    """The sentences of the summary, each with the passage that resembles it most."""
    minutes.summary_points = [Point(text=text) for text in sentences(minutes.summary)]
    tie_items(minutes.summary_points, transcript, transcript.lines)


def tie_items(items: Sequence[Item], transcript: Transcript, lines: Sequence[Line]) -> None:
    """As `tie`, for some items. Their lines are numbered from 1 in `lines`."""
    if not items or not lines:
        return
    begin = lines[0].at
    anywhere = locate([item.said for item in items], transcript.text[begin : lines[-1].end])
    for item, found in zip(items, anywhere, strict=True):
        passage = _moved(found, begin)
        if item.line is not None and 1 <= item.line <= len(lines):
            passage = _named(item, passage, transcript, lines)
        if passage is not None:
            item.source = _source(passage, transcript)
            item.seconds = item.source.start_s


def _named(item: Item, found: Passage | None, transcript: Transcript, lines: Sequence[Line]) -> Passage:
    """The passage near the line that the model names, unless another one resembles the item clearly more."""
    index = (item.line or 1) - 1
    near = lines[max(0, index - AROUND) : index + AROUND + 1]
    begin = near[0].at
    here = _moved(locate([item.said], transcript.text[begin : near[-1].end])[0], begin)
    if here is not None and (found is None or here.score >= found.score - 0.15):
        return here
    if found is not None:
        return found
    line = lines[index]
    weak = locate([item.said], transcript.text[line.at : line.end], least=0.0)[0]
    return Passage(start=line.at, end=line.end, score=min(weak.score, LEAST_SCORE - 0.01) if weak else 0.0)


def _moved(passage: Passage | None, by: int) -> Passage | None:
    return passage and Passage(start=passage.start + by, end=passage.end + by, score=passage.score)


def _source(passage: Passage, transcript: Transcript) -> Source:
    kept = transcript.narrowed(passage.start, passage.end)
    segment, start, end = transcript.place(*kept)
    moment = transcript.moment(*kept)
    begin, until = moment or (None, None)
    return Source(segment=segment, start=start, end=end, score=passage.score, start_s=begin, end_s=until)
