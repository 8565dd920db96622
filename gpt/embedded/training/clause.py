"""What every language module gives to the document builder: clauses whose label words are marked.

A mark is `\\x01<node>\\x02label words\\x03`; marks survive concatenation, so that a text is built with plain strings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

ACTORS = ("human", "system", "ai", "goal")
OPEN, MIDDLE, CLOSE = "\x01", "\x02", "\x03"
MARK = re.compile(r"\x01(\d+)\x02([^\x03]*)\x03")


@dataclass
class Node:
    """One box of the graph while the text is being written."""

    kind: str
    actor: str = "human"
    number: int = -1  # index in Process.nodes
    label: str = ""
    subject: str = ""  # the subject that the text used, for pronouns in the next clause


@dataclass
class Edge:
    start: int
    end: int
    label: str = ""


@dataclass
class Graph:
    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)

    def add(self, kind: str) -> Node:
        node = Node(kind, number=len(self.nodes))
        self.nodes.append(node)
        return node


def mark(node: Node, words: str) -> str:
    return f"{OPEN}{node.number}{MIDDLE}{words}{CLOSE}"


def capital(text: str) -> str:
    """Upper-case the first letter, stepping over a mark."""
    match = re.match(r"(\x01\d+\x02)?(.)", text, re.DOTALL)
    if match is None:
        return text
    start = match.end(1) if match.group(1) else 0
    return text[:start] + text[start].upper() + text[start + 1 :]


def plain(text: str) -> str:
    return MARK.sub(lambda match: match.group(2), text)


def labels(text: str) -> list[tuple[int, str]]:
    """Marks in reading order: (node number, label words)."""
    return [(int(match.group(1)), match.group(2)) for match in MARK.finditer(text)]
