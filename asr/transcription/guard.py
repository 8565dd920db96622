"""What a model wrote where nobody spoke, taken out: silence gives nothing, and never a credit line.

Models of speech that learnt from subtitles make some up on noise, and decoders sometimes go round in circles. Both
show: the words are where no voice is, or are too many for the voice there is, or repeat themselves.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from asr.engines.base import Chunk, Word
from common.audio.decode import SPEECH_RATE

MARGIN = 1.0
"""Seconds away from any voice at which a word can't have been said, whatever the model's precision."""
LOOP = 5
"""The same three words more often than this in one chunk, and mostly them: the decoder goes round in circles."""
FASTEST = 25.0
"""Characters that a fast speaker says in a second."""
_LOUD = 10.0 ** (-45.0 / 20.0)  # speech is brought to -20 dBFS before
_FRAME = SPEECH_RATE // 50
_CREDITS = re.compile(
    r"\b(?:"
    r"(?:sous titr(?:es|age|ages)|subtitles|captions?|subt[ií]tulos|untertitel(?:ung)?|legendas|sottotitoli)"
    r"(?: \w+){0,3}? (?:par|by|por|von|pela|da|dalla|st|société|de|der|des|im)\b(?: \w+){0,6}"
    r"|amara org|soustitreur com|opensubtitles org|sous titrage fr"
    r"|merci d avoir (?:regardé|visionné|suivi)(?: (?:cette|la|ma) vidéo)?"
    r"|(?:n oubliez pas de (?:vous )?|pensez à vous )?abonne[rz](?: vous)?(?: à (?:la|ma) chaîne)?"
    r"|than(?:ks|k you)(?: (?:so|very) much)? for (?:watching|listening)"
    r"|(?:please |like and )*subscribe(?: to (?:my|the|this) channel)?"
    r"|gracias por ver(?: el v[ií]deo)?|vielen dank fürs zuschauen|obrigado por assistir|grazie per la visione"
    r")\b"
)


def believable(words: Sequence[Word], chunk: Chunk, *, timed: bool = True) -> list[Word]:
    """The words that may have been said in `chunk`; `timed`: their times are the model's own."""
    kept = [word for word in words if word.word.strip()]
    if timed and chunk.voiced:
        kept = [word for word in kept if _distance(word, chunk) <= MARGIN]
    kept = without_loop(kept)
    if kept and _characters(kept) > 2 * FASTEST * (_voice(chunk, chunk.start, chunk.end) + 0.5):
        return []
    return _without_credits(kept, chunk)


def without_loop(words: Sequence[Word]) -> list[Word]:
    """`words` without what was repeated in circles; what comes before the first repetition stays."""
    plain = [_plain(word.word) for word in words]
    triples = list(zip(plain, plain[1:], plain[2:], strict=False))
    counts = Counter(triples)
    looping = {triple for triple, count in counts.items() if count > LOOP}
    inside = {index + offset for index, triple in enumerate(triples) if triple in looping for offset in range(3)}
    if len(inside) <= len(words) / 2:
        return list(words)
    # A circle of n words has n triples: its first round is what was said, if anything was.
    first = min(inside)
    period = next(step for step in range(1, len(triples)) if triples[first] == triples[first + step])
    return [word for index, word in enumerate(words) if index not in inside or index < first + period]


def _without_credits(words: list[Word], chunk: Chunk) -> list[Word]:
    """Take out the lines that end films and videos, unless there is enough voice to have said them."""
    text, places = "", []
    for index, word in enumerate(words):
        for part in _plain(word.word, " ").split():
            places += [index] * (len(part) + bool(text))
            text += f" {part}" if text else part
    dropped: set[int] = set()
    for found in _CREDITS.finditer(text):
        indices = range(places[found.start()], places[found.end() - 1] + 1)
        line = [words[index] for index in indices]
        start, end = line[0].start - 0.25, line[-1].end + 0.25
        if _voice(chunk, start, end) < _characters(line) / FASTEST:
            dropped.update(indices)
    for index, word in enumerate(words):
        if index - 1 in dropped and not _plain(word.word):  # the line's own punctuation
            dropped.add(index)
    return [word for index, word in enumerate(words) if index not in dropped]


def _distance(word: Word, chunk: Chunk) -> float:
    """Seconds between the word and the nearest voice."""
    return min(max(0.0, start - word.end, word.start - end) for start, end in chunk.voiced)


def _voice(chunk: Chunk, start: float, end: float) -> float:
    """Seconds of [start, end] that are heard as speech and are not next to silent."""
    spans = chunk.voiced or ((chunk.start, chunk.end),)
    total = 0.0
    for a, b in spans:
        first = round((max(a, start) - chunk.start) * SPEECH_RATE)
        last = round((min(b, end) - chunk.start) * SPEECH_RATE)
        samples = chunk.samples[max(0, first) : max(0, last)]
        count = samples.size // _FRAME
        if count:
            power = np.mean(np.square(samples[: count * _FRAME].reshape(count, _FRAME)), axis=1)
            total += float(np.sum(power > _LOUD**2)) * _FRAME / SPEECH_RATE
    return total


def _characters(words: Sequence[Word]) -> int:
    return sum(len(word.word) + 1 for word in words)


def _plain(word: str, gap: str = "") -> str:
    return "".join(letter if letter.isalnum() else gap for letter in word.casefold())
