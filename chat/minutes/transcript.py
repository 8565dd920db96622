"""A transcript as it is read: numbered lines, parts that fit a model, and the way back to the seconds of a passage."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict, Field

from chat.parts import split

MOST_SECONDS = 1e8  # three years
LINE_CHARS = 300  # a line is what an item is tied to: about twenty seconds of speech
CHARS_PER_SECOND = 12.0  # of somebody who speaks slowly
MOST_MISSED = 200  # words that are not in their segment; looking for all of a hostile one's would take minutes
EXACT_SECONDS = 30.0  # a segment that lasts no longer is a moment; in a longer one, time is shared out by length


class Word(BaseModel):
    """A word of a segment; times in seconds."""

    model_config = ConfigDict(extra="ignore")

    word: str
    start: float = Field(ge=0, le=MOST_SECONDS)
    end: float = Field(ge=0, le=MOST_SECONDS)


class Segment(BaseModel):
    """A turn of a transcript; times in seconds. With its words, moments are exact to the word."""

    speaker: str = ""
    start: float | None = Field(default=None, ge=0, le=MOST_SECONDS)
    end: float | None = Field(default=None, ge=0, le=MOST_SECONDS)
    text: str
    words: list[Word] | None = None


@dataclass(frozen=True)
class Line:
    """What one person says in one go: characters [at, end) of the text. `continued`: the line before is theirs too."""

    at: int
    end: int
    speaker: str = ""
    continued: bool = False


@dataclass(frozen=True)
class Piece:
    """Characters [at, end) of the text and when they were said; `segment` is whose they are, from its character
    `offset` on."""

    at: int
    end: int
    start_s: float | None
    end_s: float | None
    segment: int | None = None
    offset: int = 0


class Transcript:
    """`text` is what offsets refer to; `lines` what is read of it, in order."""

    def __init__(self, text: str, lines: Sequence[Line], pieces: Sequence[Piece]) -> None:
        self.text = text
        self.lines = [line for line in lines if text[line.at : line.end].strip()]
        self._pieces = list(pieces)
        self._starts = [piece.at for piece in pieces]

    def words(self, line: Line) -> str:
        """What a line says."""
        return " ".join(self.text[line.at : line.end].split())

    def take(self, first: int, limit: int) -> list[Line]:
        """The lines from `first` on that are at most `limit` characters once numbered; one at least."""
        taken: list[Line] = []
        used = 0
        for line in self.lines[first:]:
            used += len(self._shown(line, len(taken))) + 1
            if taken and used > limit:
                break
            taken.append(line)
        return taken

    def numbered(self, lines: Sequence[Line]) -> str:
        """These lines as a general model reads them, numbered from 1."""
        return "\n".join(self._shown(line, number) for number, line in enumerate(lines))

    def plain(self, lines: Sequence[Line]) -> str:
        """These lines as the embedded model reads them: one turn a line."""
        turns: list[str] = []
        for number, line in enumerate(lines):
            if line.continued and number:
                turns[-1] += f" {self.words(line)}"
            else:
                turns.append(self._head(line) + self.words(line))
        return "\n".join(turns)

    def _shown(self, line: Line, index: int) -> str:
        head = "" if line.continued and index else self._head(line)
        return f"[{index + 1}] {head}{self.words(line)}"

    def _head(self, line: Line) -> str:
        return f"{line.speaker}: " if line.speaker else ""

    def moment(self, start: int, end: int) -> tuple[float, float | None] | None:
        """When the characters [start, end) were said; None when their time is not known."""
        said = [piece for piece in self._over(start, end) if piece.start_s is not None]
        if not said:
            return None
        first, last = said[0], said[-1]
        begin = _at(first, max(start, first.at))
        if last.end_s is None:
            return begin, None
        return begin, max(begin, _until(last, min(end, last.end)))

    def narrowed(self, start: int, end: int) -> tuple[int, int]:
        """Characters [start, end), cut to the turn that holds most of them."""
        held: dict[int, tuple[int, int, int]] = {}
        for piece in self._over(start, end):
            low, high = max(start, piece.at), min(end, piece.end)
            key = -piece.at - 1 if piece.segment is None else piece.segment
            first, _last, size = held.get(key, (low, high, 0))
            held[key] = first, high, size + high - low
        return max(held.values(), key=lambda turn: turn[2])[:2] if held else (start, end)

    def place(self, start: int, end: int) -> tuple[int | None, int, int]:
        """Whose characters [start, end) of one turn are, as (segment, start, end) in that segment's own text; segment
        is None, and offsets the text's, in a plain one."""
        pieces = [piece for piece in self._over(start, end) if piece.segment is not None]
        if not pieces:
            return None, start, end
        shift = pieces[0].offset - pieces[0].at
        return pieces[0].segment, start + shift, end + shift

    def _over(self, start: int, end: int) -> list[Piece]:
        found = []
        for piece in self._pieces[max(0, bisect_right(self._starts, start) - 1) :]:
            if piece.at >= end:
                break
            if piece.end > start:
                found.append(piece)
        return found


def _at(piece: Piece, char: int) -> float:
    """The second of a character; a piece that is short in time is one moment."""
    begin, end = piece.start_s or 0.0, piece.end_s
    if end is None or end - begin <= EXACT_SECONDS:
        return begin
    return round(begin + (end - begin) * (char - piece.at) / max(1, piece.end - piece.at), 3)


def _until(piece: Piece, char: int) -> float:
    begin, end = piece.start_s or 0.0, piece.end_s or 0.0
    if end - begin <= EXACT_SECONDS:
        return end
    return round(begin + (end - begin) * (char - piece.at) / max(1, piece.end - piece.at), 3)


def of_segments(segments: Sequence[Segment]) -> Transcript:
    """Turns with their times, as lines « Name: words »; successive turns of one speaker go on on the same line."""
    parts: list[str] = []
    lines: list[Line] = []
    pieces: list[Piece] = []
    at, before = 0, ""
    for index, segment in enumerate(segments):
        said = re.sub(r"\s", " ", segment.text)  # as long as what was given: offsets are the segment's own
        if not said.strip():
            continue
        speaker = " ".join(segment.speaker.split())[:100]
        same = bool(lines) and speaker == before
        head = " " if same else ("\n" if parts else "") + (f"{speaker}: " if speaker else "")
        parts += (head, said)
        at += len(head)
        pieces += _pieces(segment, said, at, index)
        spans = split(said, LINE_CHARS)
        if same and at + len(said) - lines[-1].at <= LINE_CHARS:
            lines[-1] = replace(lines[-1], end=at + len(said))
        else:
            lines += [
                Line(at + low, at + high, speaker, continued=same or number > 0)
                for number, (low, high) in enumerate(spans)
            ]
        at += len(said)
        before = speaker
    return Transcript("".join(parts), lines, pieces)


def _pieces(segment: Segment, said: str, at: int, index: int) -> list[Piece]:
    """One for each word that has its time, else one for the segment."""
    found: list[Piece] = []
    cursor = missed = 0
    for word in segment.words or ():
        begin = said.find(token, cursor) if (token := word.word.strip()) else -1
        if begin >= 0:
            cursor = begin + len(token)
            found.append(Piece(at + begin, at + cursor, word.start, max(word.start, word.end), index, begin))
        elif (missed := missed + 1) == MOST_MISSED:
            break
    if found:
        return found
    end = segment.end if segment.end is None or segment.start is None else max(segment.start, segment.end)
    return [Piece(at, at + len(said), segment.start, end, index)]


_CLOCK = r"(?:(\d{1,2}):)?(\d{1,3}):(\d{2})(?:[.,](\d{1,3}))?"
_CUE = re.compile(rf"{_CLOCK}\s*-->\s*{_CLOCK}.*")
_BRACKETED = re.compile(rf"\s*[\[(]{_CLOCK}[\])]\s*[-–—:]?\s*")
_BARE = re.compile(rf"\s*{_CLOCK}\s+[-–—]?\s*(?=\S)")
_EXPORTED = re.compile(rf"\s*\*\*[^*\n]{{1,100}}\*\*\s\({_CLOCK}\)\s:\s")
_SPEAKER = re.compile(r"\s*([^\s:.,;?!()\[\]]{1,30}(?: [^\s:.,;?!()\[\]]{1,30}){0,3}) ?:\s")


def of_text(text: str) -> Transcript:
    """A text, a line a turn (« Name: words »); times at the head of lines ([02:03]…) and subtitles' are understood."""
    rows: list[tuple[int, int, tuple[float, float | None] | None]] = []
    cue: tuple[float, float | None] | None = None
    bare = _all_bare(text)
    for begin, end in _rows(text):
        row = text[begin:end]
        if found := _CUE.fullmatch(row.strip()):
            cue = _seconds(found.groups()[:4]), _seconds(found.groups()[4:])
            if rows and text[rows[-1][0] : rows[-1][1]].strip().isdigit():  # the number of the subtitle
                rows.pop()
        elif not row.strip():
            cue = None
        elif row.strip() == "WEBVTT":
            continue
        elif cue is not None:
            rows.append((begin, end, cue))
        elif found := _BRACKETED.match(row) or (_BARE.match(row) if bare else None):
            rows.append((begin + found.end(), end, (_seconds(found.groups()), None)))
        elif found := _EXPORTED.match(row):
            rows.append((begin, end, (_seconds(found.groups()), None)))
        else:
            rows.append((begin, end, None))
    return Transcript(text, _lines_of(text, rows), _timed(rows))


def _rows(text: str) -> list[tuple[int, int]]:
    return [found.span() for found in re.finditer(r"[^\n]*(?:\n|$)", text) if found.end() > found.start()]


def _lines_of(text: str, rows: Sequence[tuple[int, int, object]]) -> list[Line]:
    lines: list[Line] = []
    for begin, end, _time in rows:
        row = text[begin:end]
        head = _SPEAKER.match(row)
        speaker, after = (head.group(1), head.end()) if head else ("", 0)
        for number, (low, high) in enumerate(split(row[after:], LINE_CHARS)):
            lines.append(Line(begin + after + low, begin + after + high, speaker, continued=number > 0))
    return lines


def _timed(rows: Sequence[tuple[int, int, tuple[float, float | None] | None]]) -> list[Piece]:
    """A row without an end lasts as long as it takes to say, until the next one begins; one without a time has none."""
    pieces = []
    for number, (begin, end, time) in enumerate(rows):
        if time is None:
            continue
        following = rows[number + 1][2] if number + 1 < len(rows) else None
        until = time[1] if time[1] is not None else round(time[0] + (end - begin) / CHARS_PER_SECOND, 3)
        if time[1] is None and following and following[0] > time[0]:
            until = min(until, following[0])
        pieces.append(Piece(begin, end, time[0], max(time[0], until)))
    return pieces


def _all_bare(text: str) -> bool:
    """Whether most lines begin with a time, in order: those of a recording, not the hours of a programme."""
    rows = [text[begin:end] for begin, end in _rows(text) if text[begin:end].strip()]
    times = [_seconds(found.groups()) for row in rows if (found := _BARE.match(row))]
    return len(times) >= 2 and 2 * len(times) >= len(rows) and times == sorted(times) and times[0] < 3600


def _seconds(groups: Sequence[str | None]) -> float:
    hours, minutes, seconds, thousandths = groups
    whole = 3600 * int(hours or 0) + 60 * int(minutes or 0) + int(seconds or 0)
    return whole + (int(thousandths.ljust(3, "0")) / 1000 if thousandths else 0.0)
