"""Graphs put in order before they are drawn: what says nothing goes, parts of a long text become one."""

import re
import unicodedata

from chat.diagrams.graph import MAX_EDGES, MAX_NODES, Edge, Graph, Node
from chat.diagrams.labels import clean_label


def tidy(graph: Graph) -> Graph:
    """`graph` with clean labels and ids n1…nk, without empty nodes, copies nobody leads to, and needless edges."""
    nodes = [node.model_copy(update={"label": label}) for node in graph.nodes if (label := clean_label(node.label))]
    known = {node.id for node in nodes}
    edges = [edge for edge in graph.edges if edge.from_ in known and edge.to in known]
    nodes, edges = _merge_copies(nodes, edges)
    return renumber(Graph(nodes=nodes, edges=_needed(edges)))


def renumber(graph: Graph) -> Graph:
    """The same graph with the ids n1…nk in order."""
    ids = {node.id: f"n{number}" for number, node in enumerate(graph.nodes, start=1)}
    nodes = [node.model_copy(update={"id": ids[node.id]}) for node in graph.nodes]
    edges = [edge.model_copy(update={"from_": ids[edge.from_], "to": ids[edge.to]}) for edge in graph.edges]
    return Graph(nodes=nodes, edges=edges)


def join(parts: list[Graph]) -> Graph:
    """One graph of the graphs of successive parts of a text: each part goes on where the one before stopped.

    Raises `ValueError` when the whole is over the limits: callers check `room` first.
    """
    nodes: list[Node] = []
    edges: list[Edge] = []
    for number, part in enumerate(parts):
        prefix = f"p{number}-"
        added = [node.model_copy(update={"id": prefix + node.id}) for node in part.nodes]
        inner = [edge.model_copy(update={"from_": prefix + edge.from_, "to": prefix + edge.to}) for edge in part.edges]
        if nodes and added:
            if added[0].kind == "start":
                added[0] = added[0].model_copy(update={"kind": "action"})
            last = _last_open(nodes, edges)
            if nodes[last].kind == "end":  # the text goes on: it was not the end of it
                nodes[last] = nodes[last].model_copy(update={"kind": "action"})
            edges.append(Edge.model_validate({"from": nodes[last].id, "to": added[0].id}))
        nodes += added
        edges += inner
    return renumber(Graph(nodes=nodes, edges=edges))


def room(graphs: list[Graph], more: Graph) -> bool:
    """True when `more` can still be joined to `graphs`."""
    nodes = sum(len(graph.nodes) for graph in graphs) + len(more.nodes)
    edges = sum(len(graph.edges) + 1 for graph in graphs) + len(more.edges)
    return nodes <= MAX_NODES and edges <= MAX_EDGES


def _last_open(nodes: list[Node], edges: list[Edge]) -> int:
    """The last node that leads nowhere and is no end, else the last that leads nowhere, else the last."""
    leaving = {edge.from_ for edge in edges}
    open_ends = [i for i, node in enumerate(nodes) if node.id not in leaving]
    return next((i for i in reversed(open_ends) if nodes[i].kind != "end"), (open_ends or [len(nodes) - 1])[-1])


def _merge_copies(nodes: list[Node], edges: list[Edge]) -> tuple[list[Node], list[Edge]]:
    """A node that repeats an earlier one, and that no edge leads to, is the earlier one."""
    reached = {edge.to for edge in edges if edge.from_ != edge.to}
    first: dict[tuple[str, str], str] = {}
    same: dict[str, str] = {}
    kept: list[Node] = []
    for node in nodes:
        key = (fold(node.label) or node.label, "decision" if node.kind == "decision" else "")
        if key in first and node.id not in reached:
            same[node.id] = first[key]
        else:
            first.setdefault(key, node.id)
            kept.append(node)
    moved = [
        edge.model_copy(update={"from_": same.get(edge.from_, edge.from_), "to": same.get(edge.to, edge.to)})
        for edge in edges
    ]
    return kept, moved


def _needed(edges: list[Edge]) -> list[Edge]:
    """Without repeated edges, nor loops on a node that say nothing."""
    seen: set[tuple[str, str, str]] = set()
    kept: list[Edge] = []
    for edge in edges:
        label = clean_label(edge.label or "")
        key = (edge.from_, edge.to, fold(label))
        if key in seen or (edge.from_ == edge.to and not label):
            continue
        seen.add(key)
        kept.append(edge.model_copy(update={"label": label or None}))
    return kept


_SPACES = re.compile(r"\s+")


def one_spaced(text: str) -> str:
    """`text` without two spaces in a row, which patterns of optional spaces take for ever to try in every way."""
    return _SPACES.sub(lambda found: "\n" if "\n" in found[0] else " ", text)


def fold(text: str) -> str:
    """`text` as compared: letters and digits in lower case, without accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c if c.isalnum() else " " for c in plain if not unicodedata.combining(c)).split())
