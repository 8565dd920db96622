"""Long texts cut into parts that a model can hold, at the best place there is."""

import re

# Characters per token, on the low side, so that a part fits without the model's tokenizer.
CHARS_PER_TOKEN = 2.5
LEAST_CHARS = 300

_BREAKS = (re.compile(r"\n\s*\n"), re.compile(r"\n"), re.compile(r"[.!?…;:»\"][\s]+"), re.compile(r"\s+"))


def split(text: str, limit: int) -> list[tuple[int, int]]:
    """Spans of `text` of at most `limit` characters, cut after a paragraph, a line, a sentence or a word."""
    spans: list[tuple[int, int]] = []
    start = 0
    while len(text) - start > limit:
        end = _cut(text, start, start + limit)
        spans.append((start, end))
        start = end
    spans.append((start, len(text)))
    return [(begin, end) for begin, end in spans if text[begin:end].strip()]


def _cut(text: str, start: int, limit: int) -> int:
    """The end of the last good place in the second half of [start, limit), else `limit`."""
    for pattern in _BREAKS:
        ends = [found.end() for found in pattern.finditer(text, start + (limit - start) // 2, limit)]
        if ends:
            return ends[-1]
    return limit


def chars_for(context: int, *, embedded: bool, instructions: int) -> int:
    """How many characters of text a model of `context` tokens can be given and still have room to answer.

    The embedded model answers in less than it was given; the others get `instructions` characters of prompt and a
    third of their context to answer.
    """
    tokens = context * 0.6 if embedded else context * 0.66 - instructions / CHARS_PER_TOKEN
    return max(LEAST_CHARS, int(tokens * CHARS_PER_TOKEN))
