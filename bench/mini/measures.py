"""Scores of graphs and minutes against references written by hand.

A predicted node matches a reference node when their words overlap with F1 ≥ 0.5 (best pairs first, each used once).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

MATCH = 0.5


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def overlap(first: str, second: str) -> float:
    """Token F1 of two spans."""
    one, two = Counter(words(first)), Counter(words(second))
    common = sum((one & two).values())
    return 2 * common / (one.total() + two.total()) if common else 0.0


def pair(found: list[str], wanted: list[str]) -> dict[int, int]:
    """Index of the reference for each found span that has one."""
    scores = [(overlap(a, b), -abs(i - j), i, j) for i, a in enumerate(found) for j, b in enumerate(wanted)]
    pairs: dict[int, int] = {}
    for score, _, i, j in sorted(scores, reverse=True):
        if score >= MATCH and i not in pairs and j not in pairs.values():
            pairs[i] = j
    return pairs


@dataclass
class Ratio:
    """A share counted over many examples."""

    hits: int = 0
    total: int = 0

    def add(self, hits: int, total: int) -> None:
        self.hits += hits
        self.total += total

    @property
    def value(self) -> float:
        return round(self.hits / self.total, 3) if self.total else 0.0


def f1(hits: int, found: int, wanted: int) -> float:
    return round(2 * hits / (found + wanted), 3) if found + wanted else 1.0


@dataclass
class GraphScore:
    """Sums over a set of diagrams."""

    recall: Ratio = field(default_factory=Ratio)
    precision: Ratio = field(default_factory=Ratio)
    decisions: Ratio = field(default_factory=Ratio)
    actors: Ratio = field(default_factory=Ratio)
    valid: Ratio = field(default_factory=Ratio)
    edge_hits: int = 0
    edges_found: int = 0
    edges_wanted: int = 0

    def add(self, found: dict[str, Any] | None, wanted: dict[str, Any]) -> None:
        """Count one diagram; `found` is None when the answer is not a graph."""
        nodes = found["nodes"] if found else []
        gold = wanted["nodes"]
        self.valid.add(int(bool(nodes)), 1)
        pairs = pair([node["label"] for node in nodes], [node["label"] for node in gold])
        self.recall.add(len(pairs), len(gold))
        self.precision.add(len(pairs), len(nodes))
        self.actors.add(sum(nodes[i]["actor"] == gold[j]["actor"] for i, j in pairs.items()), len(pairs))
        tests = [j for j, node in enumerate(gold) if node["kind"] == "decision"]
        self.decisions.add(
            sum(any(j == k and nodes[i]["kind"] == "decision" for i, k in pairs.items()) for j in tests), len(tests)
        )
        names = {nodes[i]["id"]: gold[j]["id"] for i, j in pairs.items()}
        edges = {(names.get(edge["from"]), names.get(edge["to"])) for edge in found["edges"]} if found else set()
        reference = {(edge["from"], edge["to"]) for edge in wanted["edges"]}
        self.edge_hits += len(edges & reference)
        self.edges_found += len(found["edges"]) if found else 0
        self.edges_wanted += len(reference)

    def summary(self) -> dict[str, float]:
        return {
            "node_recall": self.recall.value,
            "node_precision": self.precision.value,
            "node_f1": f1(self.recall.hits, self.precision.total, self.recall.total),
            "decisions_found": self.decisions.value,
            "actor_right": self.actors.value,
            "edge_f1": f1(self.edge_hits, self.edges_found, self.edges_wanted),
            "valid_not_empty": self.valid.value,
        }


def minutes_fields(minutes: dict[str, Any]) -> dict[str, list[str]]:
    """The strings of each field; an action counts as « who what »."""
    return {
        "summary": [minutes["summary"]] if minutes["summary"] else [],
        "decisions": minutes["decisions"],
        "actions": [f"{item['who']} {item['what']}" for item in minutes["actions"]],
        "open_points": minutes["open_points"],
    }


@dataclass
class MinutesScore:
    """F1 of each field over a set of dialogues."""

    counts: dict[str, list[int]] = field(
        default_factory=lambda: {name: [0, 0, 0] for name in ("summary", "decisions", "actions", "open_points")}
    )
    dates: Ratio = field(default_factory=Ratio)
    valid: Ratio = field(default_factory=Ratio)

    def add(self, found: dict[str, Any] | None, wanted: dict[str, Any]) -> None:
        empty = {"summary": "", "decisions": [], "actions": [], "open_points": []}
        got, gold = minutes_fields(found or empty), minutes_fields(wanted)
        self.valid.add(int(found is not None), 1)
        for name, counter in self.counts.items():
            pairs = pair(got[name], gold[name])
            for index, value in enumerate((len(pairs), len(got[name]), len(gold[name]))):
                counter[index] += value
            if name == "actions" and found:
                same = sum(
                    overlap(found["actions"][i]["when"], wanted["actions"][j]["when"]) >= MATCH
                    or found["actions"][i]["when"].strip() == wanted["actions"][j]["when"]
                    for i, j in pairs.items()
                )
                self.dates.add(same, len(pairs))

    def summary(self) -> dict[str, float]:
        scores = {f"{name}_f1": f1(*counter) for name, counter in self.counts.items()}
        total = [sum(counter[index] for counter in self.counts.values()) for index in range(3)]
        return {
            **scores,
            "all_f1": f1(total[0], total[1], total[2]),
            "when_right": self.dates.value,
            "valid": self.valid.value,
        }
