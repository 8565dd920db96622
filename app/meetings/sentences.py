"""Sentences for engines that write none: cut at pauses, a capital at the beginning and a full stop at the end.

A small engine gives bare lower-case words. Whoever reads them next, a person or a model that looks for the steps of a
process, needs to know where a sentence ends, and the speakers said it: they paused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from common.speech.words import Spoken

SENTENCE_PAUSE = 0.6
"""Seconds of silence that end a sentence."""
SENTENCE_ENDS = (".", "!", "?", "…")


def punctuate(spoken: Sequence[Spoken], language: str | None = None) -> list[Spoken]:
    """The same words as sentences; words of an engine that punctuates are left as they are."""
    if any(item.word.word.endswith(SENTENCE_ENDS) for item in spoken):
        return list(spoken)
    result: list[Spoken] = []
    for index, item in enumerate(spoken):
        before = spoken[index - 1] if index else None
        after = spoken[index + 1] if index + 1 < len(spoken) else None
        text = item.word.word
        if before is None or _apart(before, item) or (language == "en" and text.partition("'")[0] == "i"):
            text = text[:1].upper() + text[1:]
        if after is None or _apart(item, after):
            text = text.rstrip(",;:") + "."
        result.append(replace(item, word=replace(item.word, word=text)))
    return result


def _apart(first: Spoken, second: Spoken) -> bool:
    return first.speaker != second.speaker or second.word.start - first.word.end >= SENTENCE_PAUSE
