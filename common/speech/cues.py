"""Words with their times cut into subtitles that can be read: seven seconds and two lines of 42 characters at most.

A sentence stays whole when it fits; when it does not, it is cut where the speaker breathes or at a comma. Cues never
overlap and are never empty. French typography holds: nothing begins a line that belongs to what is before it
(« ! », « ? », « : », « ; », « » »), nor ends one that belongs to what follows (« « »).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

LINE_CHARS = 42
LINES = 2
MAX_SECONDS = 7.0
_READ_CHARS_PER_SECOND = 20.0  # a cue stays long enough to be read when nothing follows it
_MIN_SECONDS = 1.0
_SHORTEST_MS = 20  # of a cue squeezed between two others
_SILENCE = 2.0  # no cue goes over a longer one
_PAUSE = 0.7  # what ends a sentence where nothing is punctuated
_BREATH = 0.25
_SHORT_CHARS, _SHORT_SECONDS = 16, 1.0  # a sentence this short joins its neighbour
_LABEL_CHARS = 14  # a longer label takes a line of its own
_NBSP = "\N{NO-BREAK SPACE}"
_CLOSING = re.compile(r"[;:!?»%€…,.)\]]+")
_SPACED = re.compile(r"[;:!?»%€]")
_OPENING = re.compile(r"[«(\[–—-]+")
_SENTENCE_END = re.compile(r"[.!?…][\"'”’»)\]\s]*$")
_ABBREVIATION = re.compile(r"(?:\b[^\W\d_]|\b(?:Mme|Mlle|Dr|Me|Mr|Mrs|Ms|St|vs|cf|ex|etc|env|art|av|bd|n°))\.$", re.I)
_CLAUSE_END = re.compile(r"[,;:–—)][\"'”’»\s]*$")


class Timed(Protocol):
    """A word and when it is said, in seconds."""

    @property
    def word(self) -> str: ...
    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...


@dataclass(frozen=True)
class Passage:
    """Consecutive words of one speaker (None: nobody is named). `label` is what a subtitle shows of who speaks."""

    words: Sequence[Timed]
    label: str | None = None


@dataclass(frozen=True)
class Cue:
    """One subtitle; times in seconds, to the millisecond. `lines` leave room for the label."""

    start: float
    end: float
    lines: tuple[str, ...]
    label: str | None = None

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@dataclass(frozen=True)
class _Atom:
    """Words that no line break may part."""

    text: str
    start: float
    end: float

    @property
    def ends_sentence(self) -> bool:
        return bool(_SENTENCE_END.search(self.text)) and not _ABBREVIATION.search(self.text)


@dataclass(frozen=True)
class _Draft:
    atoms: Sequence[_Atom]
    widths: tuple[int, ...]
    label: str | None

    @property
    def start(self) -> float:
        return self.atoms[0].start

    @property
    def end(self) -> float:
        return max(atom.end for atom in self.atoms)


def shown(label: str) -> str:
    """A label as it is written before the words, where the format has no place of its own for it."""
    return f"[{label}]"


def cues(passages: Iterable[Passage]) -> list[Cue]:
    """The subtitles of the passages, in order of time."""
    drafts = [draft for passage in passages for draft in _drafts(passage)]
    drafts.sort(key=lambda draft: (draft.start, draft.end))
    return list(_timed(drafts))


def _drafts(passage: Passage) -> Iterator[_Draft]:
    widths = _widths(passage.label)
    held: list[_Draft] = []
    for sentence in _sentences(_atoms(passage.words, min(widths))):
        for piece in _pieces(sentence, widths):
            draft = _Draft(piece, widths, passage.label)
            if held and _joinable(held[-1], draft):
                draft = _Draft([*held.pop().atoms, *piece], widths, passage.label)
            held.append(draft)
    yield from held


def _widths(label: str | None) -> tuple[int, ...]:
    """The characters that each line has for words."""
    if label is None:
        return (LINE_CHARS,) * LINES
    taken = len(shown(label)) + 1
    if taken > _LABEL_CHARS:
        return (LINE_CHARS,) * (LINES - 1)
    return (LINE_CHARS - taken, *(LINE_CHARS,) * (LINES - 1))


def _atoms(words: Sequence[Timed], width: int) -> list[_Atom]:
    atoms: list[_Atom] = []
    opening = ""
    for word in sorted(words, key=lambda word: (word.start, word.end)):
        for token in word.word.split():
            if _CLOSING.fullmatch(token) and atoms and not opening:
                glue = _NBSP if _SPACED.match(token) else ""
                last = atoms.pop()
                atoms.append(_Atom(f"{last.text}{glue}{token}", last.start, max(last.end, word.end)))
            elif _OPENING.fullmatch(token):
                opening += token + _NBSP
            else:
                atoms.append(_Atom(opening + token, word.start, max(word.start, word.end)))
                opening = ""
    if opening:
        final = words[-1]
        atoms.append(_Atom(opening.rstrip(), final.start, max(final.start, final.end)))
    return [piece for atom in atoms for piece in _hyphenless(atom, width)]


def _hyphenless(atom: _Atom, width: int) -> Iterator[_Atom]:
    """An atom longer than a line (an address, say) in pieces, its time shared out by length."""
    text, start = atom.text, atom.start
    rate = (atom.end - atom.start) / len(text)
    while len(text) > width:
        cut = width if len(text) >= width + 4 else width - 4  # no piece of punctuation alone
        yield _Atom(text[:cut].rstrip() or text[:cut], start, start + rate * cut)
        text, start = text[cut:].lstrip(), start + rate * cut
    if text:
        yield _Atom(text, start, atom.end)


def _sentences(atoms: Sequence[_Atom]) -> Iterator[list[_Atom]]:
    punctuated = any(atom.ends_sentence for atom in atoms[:-1])
    longest = _SILENCE if punctuated else _PAUSE
    held: list[_Atom] = []
    for atom in atoms:
        ended = bool(held) and held[-1].ends_sentence and not atom.text[0].islower()  # « Non ! » dit-il.
        if held and (ended or atom.start - held[-1].end >= longest):
            yield held
            held = []
        held.append(atom)
    if held:
        yield held


def _pieces(sentence: list[_Atom], widths: tuple[int, ...]) -> list[list[_Atom]]:
    """The sentence in as few cues as it takes, cut at the best places: least cost first, by dynamic programming."""
    if _fits(sentence, widths):
        return [sentence]
    best: list[tuple[float, int]] = [(0.0, 0)]
    for end in range(1, len(sentence) + 1):
        found: tuple[float, int] | None = None
        for begin in range(end - 1, -1, -1):
            piece = sentence[begin:end]
            if len(piece) > 1 and not _fits(piece, widths):
                break
            cost = best[begin][0] + _cost(sentence, begin, end, sum(widths))
            if found is None or cost < found[0]:
                found = (cost, begin)
        assert found is not None  # noqa: S101  a single atom is always taken
        best.append(found)
    cuts = [len(sentence)]
    while cuts[-1]:
        cuts.append(best[cuts[-1]][1])
    cuts.reverse()
    return [sentence[begin:end] for begin, end in pairwise(cuts)]


def _cost(sentence: list[_Atom], begin: int, end: int, room: int) -> float:
    empty = 1.0 - min(1.0, _length(sentence[begin:end]) / room)
    cost = 6.0 + 3.0 * empty * empty
    if end == len(sentence):
        return cost
    last = sentence[end - 1]
    if _CLAUSE_END.search(last.text) or last.ends_sentence:
        return cost
    gap = sentence[end].start - last.end
    return cost + (2.0 if gap >= _BREATH else 4.0) + (2.0 if len(last.text) <= 3 else 0.0)  # an article alone


def _joinable(before: _Draft, after: _Draft) -> bool:
    """True when one of two sentences is too short to stand alone, and both fit in one cue."""
    if after.start - before.end >= _PAUSE or not _fits([*before.atoms, *after.atoms], before.widths):
        return False
    return any(_length(d.atoms) <= _SHORT_CHARS or d.end - d.start <= _SHORT_SECONDS for d in (before, after))


def _length(atoms: Sequence[_Atom]) -> int:
    return sum(len(atom.text) + 1 for atom in atoms) - 1


def _fits(atoms: Sequence[_Atom], widths: tuple[int, ...]) -> bool:
    if max(atom.end for atom in atoms) - atoms[0].start > MAX_SECONDS or _length(atoms) > sum(widths) + len(widths):
        return False
    rest, line = list(widths), -1
    for atom in atoms:
        line += 1 + len(atom.text)
        if line > rest[0]:
            rest.pop(0)
            line = len(atom.text)
            if not rest or line > rest[0]:
                return False
    return True


def _lines(atoms: Sequence[_Atom], widths: tuple[int, ...]) -> tuple[str, ...]:
    """One line when it is enough, else the two that are most even, cut after punctuation rather than elsewhere."""
    if _length(atoms) <= widths[0]:
        return (" ".join(atom.text for atom in atoms),)
    best: tuple[float, tuple[str, ...]] | None = None
    for cut in range(1, len(atoms)):
        first, second = _length(atoms[:cut]), _length(atoms[cut:])
        if first > widths[0] or second > widths[1]:
            continue
        last = atoms[cut - 1].text
        cost = abs(first - second) + (4 if first > second else 0)
        cost += -12 if _CLAUSE_END.search(last) or _SENTENCE_END.search(last) else 8 if len(last) <= 3 else 0
        if best is None or cost < best[0]:
            best = (cost, tuple(" ".join(atom.text for atom in part) for part in (atoms[:cut], atoms[cut:])))
    assert best is not None  # noqa: S101  only what `_fits` accepted comes here
    return best[1]


def _timed(drafts: Sequence[_Draft]) -> Iterator[Cue]:
    """Each cue until it has been read or the next one begins. Milliseconds are whole numbers."""
    starts: list[int] = []
    for draft in drafts:
        start = max(0, round(draft.start * 1000))
        starts.append(max(start, starts[-1] + _SHORTEST_MS) if starts else start)
    for number, draft in enumerate(drafts):
        start = starts[number]
        seconds = max(draft.end - draft.start, _MIN_SECONDS, _length(draft.atoms) / _READ_CHARS_PER_SECOND)
        end = start + round(1000 * min(seconds, MAX_SECONDS))
        if number + 1 < len(drafts):
            end = min(end, starts[number + 1])
        yield Cue(start / 1000, end / 1000, _lines(draft.atoms, draft.widths), draft.label)
