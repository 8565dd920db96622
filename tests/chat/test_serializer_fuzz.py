"""Drawings of every kind with labels drawn by hypothesis: the real parser accepts each."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from chat.diagrams.kinds.registry import KINDS
from chat.diagrams.labels import clean_label
from chat.diagrams.parser import MermaidParser
from tests.chat.drawings import drawing_of
from tests.chat.hostile import LABELS

PIECES = st.one_of(
    st.sampled_from(LABELS),
    st.sampled_from(list("\"'`#;:(){}[]<>|&%$@~*_-=+\\/^!?,.\n\t 0é🚀")),
    st.sampled_from(["end", "1. ", "<br>", "&quot;", "-->", ":::", "%%", "```", "subgraph", "note", "title", "state"]),
    st.text(max_size=12),
)
LABEL = st.lists(PIECES, min_size=1, max_size=5).map(lambda pieces: clean_label("".join(pieces))).filter(bool)


def fuzz(parser: MermaidParser, kind: str, examples: int) -> None:
    """Draw `examples` times, always the same ones."""

    @given(labels=st.lists(LABEL, min_size=4, max_size=4), direction=st.sampled_from([None, "TD", "LR"]))
    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    def accepted(labels: list[str], direction: str | None) -> None:
        drawing, _shown = drawing_of(kind, labels)
        mermaid = KINDS[kind].serialize(drawing, direction if KINDS[kind].directed else None)
        verdict = parser.check(mermaid)
        assert verdict.valid is True, (mermaid, verdict)

    accepted()


@pytest.mark.parametrize("kind", list(KINDS))
def test_any_label_is_accepted(mermaid_parser: MermaidParser, kind: str) -> None:
    fuzz(mermaid_parser, kind, 8)


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(KINDS))
def test_any_of_many_labels_is_accepted(mermaid_parser: MermaidParser, kind: str) -> None:
    fuzz(mermaid_parser, kind, 400)
