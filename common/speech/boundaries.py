"""Changes of speaker put where people change: between sentences.

Word times are off by a tenth of a second or three, edges of turns by up to half a second: the last word of a
sentence often falls into the next speaker's turn, or the first one into the turn before. Each change is moved, by a
few words and a fraction of a second at most, to the place near by where a sentence ends. Whole turns are never
swallowed, so a short answer or an interruption stays. A model that writes no sentences leaves changes where they are:
pauses between words whose times are off tell less than the times themselves (bench/join_quality.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from common.speech.words import Spoken

REACH = 0.9
"""Seconds by which a change may be moved."""
SENTENCE_ENDS = (".", "!", "?", "…", "…»", ".»", "!»", "?»")
_CLAUSE_ENDS = (",", ";", ":", "—", "–")
_MOVE = 1.0  # what moving a change by REACH costs, against 1 for a change in the middle of a sentence
_CLAUSE_WORTH, _CAPITAL_WORTH = 0.2, 0.7
_MANY_CAPITALS = 0.15  # of the words within sentences: German's nouns, titles; there a capital tells nothing


def settle(spoken: Sequence[Spoken]) -> list[Spoken]:
    """The same words, their changes of speaker moved to where they most likely are."""
    result = list(spoken)
    if not any(ends_sentence(item.word.word) for item in result):
        return result
    telling = _capitals_tell(result)
    first = 0  # where the run that ends at the change begins
    for at in range(1, len(result)):
        if result[at].speaker == result[at - 1].speaker:
            continue
        end = _end_of_run(result, at)
        best = _best(result, first, at, end, telling)
        for index in range(best, at):
            result[index] = replace(result[index], speaker=result[at].speaker)
        for index in range(at, best):
            result[index] = replace(result[index], speaker=result[first].speaker)
        first = best
    return result


def ends_sentence(word: str) -> bool:
    """True for the last word of a sentence, as written; an initial (« M. », « J. ») is not one."""
    if len(word) == 2 and word[0].isupper() and word[1] == ".":
        return False
    return word.rstrip("\"')]»” \u00a0\u202f").endswith(SENTENCE_ENDS)


def _capitals_tell(spoken: Sequence[Spoken]) -> bool:
    """True when a capital letter is most often the beginning of a sentence."""
    within = [b.word.word for a, b in pairwise(spoken) if not ends_sentence(a.word.word)]
    return sum(word[:1].isupper() for word in within) <= _MANY_CAPITALS * len(within)


def _end_of_run(spoken: Sequence[Spoken], start: int) -> int:
    end = start + 1
    while end < len(spoken) and spoken[end].speaker == spoken[start].speaker:
        end += 1
    return end


def _best(spoken: Sequence[Spoken], first: int, at: int, end: int, telling: bool) -> int:
    """The place of the change between `first` and `end`, both sides keeping a word, that costs least."""
    here = _moment(spoken, at)
    best, least = at, _doubt(spoken, at, telling)
    for step in (-1, 1):
        place = at + step
        while first < place < end:
            distance = abs(_moment(spoken, place) - here)
            if distance > REACH:
                break
            cost = _MOVE * distance / REACH + _doubt(spoken, place, telling)
            if cost < least - 1e-9:
                best, least = place, cost
            place += step
    return best


def _moment(spoken: Sequence[Spoken], place: int) -> float:
    return (spoken[place - 1].word.end + spoken[place].word.start) / 2


def _doubt(spoken: Sequence[Spoken], place: int, telling: bool) -> float:
    """How unlikely a change of speaker before that word is, from what is written around it: 0 to 1."""
    before, after = spoken[place - 1].word, spoken[place].word
    if ends_sentence(before.word):
        return 0.0
    doubt = 1.0
    if before.word.endswith(_CLAUSE_ENDS):
        doubt -= _CLAUSE_WORTH
    if telling and after.word[:1].isupper():
        doubt -= _CAPITAL_WORTH
    return doubt
