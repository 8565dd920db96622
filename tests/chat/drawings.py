"""Drawings of every kind made of given labels, with what Mermaid must show of them, in its order."""

from __future__ import annotations

import json
from typing import Any

from chat.diagrams.kinds.registry import KINDS
from chat.diagrams.labels import Drawing, clean_label


def drawing_of(kind: str, labels: list[str]) -> tuple[Drawing, list[str]]:
    """A drawing of four labels, and the labels as they are to be shown."""
    data, shown = _MAKERS[kind](*labels)
    return KINDS[kind].read(json.dumps(data)), [clean_label(label) for label in shown]


def _flowchart(a: str, b: str, c: str, d: str) -> tuple[Any, list[str]]:
    nodes = [
        {"id": "end", "label": a},
        {"id": "x", "label": b, "kind": "decision", "actor": "ai"},
        {"id": "y", "label": c},
    ]
    edges = [{"from": "end", "to": "x"}, {"from": "x", "to": "y", "label": d[:120]}]
    return {"nodes": nodes, "edges": edges}, [a, b, c, d[:120]]


def _sequence(a: str, b: str, c: str, d: str) -> tuple[Any, list[str]]:
    messages = [
        {"from": "end", "to": "x", "label": a, "block": {"kind": "alt", "label": b}},
        {"from": "x", "to": "end", "label": c, "kind": "reply", "block": {"kind": "alt", "label": d}},
        {"from": "x", "to": "x", "label": d, "block": {"kind": "loop", "label": a}},
        {"from": "x", "to": "end", "label": a, "kind": "note"},
    ]
    people = [{"id": "end", "label": c, "kind": "actor"}, {"id": "x", "label": d}]
    shown = [a, c, d, b, a, d, c, "", a, d, "", a]
    return {"title": a, "participants": people, "messages": messages}, shown


def _class(a: str, b: str, c: str, d: str) -> tuple[Any, list[str]]:
    classes = [
        {"id": "class", "label": a, "attributes": [b, c]},
        {"id": "end", "label": d, "methods": ["calculer(x) nombre"]},
    ]
    relations = [{"from": "class", "to": "end", "kind": "inheritance", "label": a}]
    return {"classes": classes, "relations": relations}, [a, b, c, d, "calculer(x) : nombre", a]


def _state(a: str, b: str, c: str, d: str) -> tuple[Any, list[str]]:
    states = [
        {"id": "end", "label": a, "initial": True},
        {"id": "state", "label": b},
        {"id": "note", "label": c, "final": True},
    ]
    transitions = [{"from": "end", "to": "state", "label": d}, {"from": "state", "to": "note"}]
    return {"states": states, "transitions": transitions}, [a, b, c, d]


def _er(a: str, b: str, c: str, d: str) -> tuple[Any, list[str]]:
    entities = [
        {"id": "end", "label": a, "attributes": [{"name": "é" + b, "type": "texte", "key": "PK"}]},
        {"id": "x", "label": c, "attributes": [{"name": "nom propre", "type": "texte"}]},
    ]
    relations = [{"from": "end", "to": "x", "label": d, "from_count": "one_or_more"}]
    return {"entities": entities, "relations": relations}, [
        a,
        *(["é" + b] if not b.isalnum() else []),
        c,
        "nom propre",
        d,
    ]


def _gantt(a: str, b: str, c: str, d: str) -> tuple[Any, list[str]]:
    tasks = [
        {"id": "end", "label": c, "days": 2},
        {"id": "x", "label": d, "after": "end", "kind": "milestone", "days": 0},
    ]
    return {"title": a, "sections": [{"label": b, "tasks": tasks}]}, [a, b, c, d]


def _mindmap(a: str, b: str, c: str, d: str) -> tuple[Any, list[str]]:
    ideas = [{"id": "end", "label": a}, {"id": "x", "label": b}, {"id": "y", "label": c, "parent": "x"}]
    return {"ideas": [*ideas, {"id": "z", "label": d, "parent": "end"}]}, [a, b, c, d]


def _timeline(a: str, b: str, c: str, d: str) -> tuple[Any, list[str]]:
    periods = [{"label": c, "section": b, "events": [{"label": d}, {"label": a}]}]
    return {"title": a, "periods": periods}, [a, b, c, d, a]


def _journey(a: str, b: str, c: str, d: str) -> tuple[Any, list[str]]:
    tasks = [{"label": c, "score": 3, "actors": [d, a]}]
    return {"title": a, "sections": [{"label": b, "tasks": tasks}]}, [a, b, c, d, a]


def _pie(a: str, b: str, c: str, d: str) -> tuple[Any, list[str]]:
    slices = [{"label": b, "value": 2}, {"label": c, "value": 1.5}]
    return {"title": a, "slices": slices}, [a, b, c]


_MAKERS = {
    "flowchart": _flowchart,
    "sequence": _sequence,
    "class": _class,
    "state": _state,
    "er": _er,
    "gantt": _gantt,
    "mindmap": _mindmap,
    "timeline": _timeline,
    "journey": _journey,
    "pie": _pie,
}
