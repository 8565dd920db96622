"""Turns that overlap, made exclusive: for pipelines that give no exclusive output of their own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from diarize.engines.pyannote.spec import Span


def one_at_a_time(turns: Sequence[Span]) -> tuple[Span, ...]:
    """The same speech with one speaker at any time. Where two speak at once, the one who was speaking goes on, and
    takes what is left when the other ends: an interruption shorter than the turn that it interrupts stays hidden."""
    edges = sorted({edge for _speaker, start, end in turns for edge in (start, end)})
    ordered = sorted(turns, key=lambda turn: (turn[1], turn[2]))
    spans: list[Span] = []
    active: list[Span] = []
    following = 0
    for start, end in pairwise(edges):
        active = [turn for turn in active if turn[2] > start]
        while following < len(ordered) and ordered[following][1] <= start:
            if ordered[following][2] > start:
                active.append(ordered[following])
            following += 1
        if not active:
            continue
        speaker = active[0][0]
        if spans and spans[-1][0] == speaker and spans[-1][2] == start:
            spans[-1] = (speaker, spans[-1][1], end)
        else:
            spans.append((speaker, start, end))
    return tuple(spans)
