"""Changes of a flowchart that need no model but its steps: one taken away or added by name, a validation, fewer boxes.

Only flowcharts that this service's own serializer wrote are read, and only when writing them again gives the same text:
nothing of a diagram is lost for being misread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from chat.diagrams.graph import Direction, Edge, Graph, Node
from chat.diagrams.labels import GraphError
from chat.diagrams.serialize import COLOURS, SHAPES, serialize
from chat.diagrams.tidy import fold, one_spaced, renumber

MOST_IN_ONE = 3  # steps that a simpler flowchart says in one box
MOST_LABEL = 240

_NODE = re.compile(r'    (n\d+)(\(\[|\[|\{)"(.*)"(?:\]\)|\]|\})')
_EDGE = re.compile(r'    (n\d+) -->(?:\|"(.*)"\|)? (n\d+)')
_CLASS = re.compile(r"    class (n\d+(?:,n\d+)*) (\w+)")
_HEAD = re.compile(r"flowchart (TD|LR)")
_ENTITY = re.compile(r"#(\d{1,7});")

_QUOTED = r"[«\"“]\s*(?P<{0}>.+?)\s*[»\"”]"
_NAMED = _QUOTED.format("step")
_WHERE = r"(?P<where>avant|apr[eè]s|before|after)\s+" + _QUOTED.format("other")
_END = r"\s*,?\s*(?:s['’ ]?il (?:te|vous) pla[iî]t|stp|svp|please)?\s*[.!]*\s*"
_REMOVE = re.compile(
    r"\s*(?:supprime|retire|enl[eè]ve|[oô]te|remove|delete)\w*\s+(?:(?:l['’ ]|la |le |the )?(?:[eé]tape|step)\s+)?"
    + _NAMED
    + _END,
    re.I | re.S,
)
_ADD = re.compile(
    r"\s*(?:ajoute|ins[eè]re|add|insert)\w*\s+(?:(?:une |l['’ ]|a |the )?(?:[eé]tape|step)\s+)?"
    + _NAMED
    + r"\s+"
    + _WHERE
    + _END,
    re.I | re.S,
)
_VALIDATE = re.compile(
    r"\s*(?:ajoute|ins[eè]re|add|insert)\w*\s+(?:(?:une?|an?)\s+)?(?:(?:[eé]tape|phase|step)\s+(?:de |d['’])?)?"
    r"(?P<what>validation|v[eé]rification|approbation|relecture|contr[oô]le|review|approval|check)(?:\s+step)?"
    r"(?:\s+" + _WHERE + r")?" + _END,
    re.I | re.S,
)
_SIMPLIFY = re.compile(
    r"\s*(?:(?:peux[- ]tu|can you)\s+)?(?:simplifi\w*|simplify)(?:\s+(?:le |la |the |this |ce )?\w+)?" + _END
    + r"|\s*(?:plus simple|simpler|make it simpler|rends[- ]le plus simple)" + _END,
    re.I,
)  # fmt: skip


def exactly(mermaid: str, instruction: str) -> tuple[Graph, Direction] | None:
    """The flowchart with a step taken away or added as the instruction says word for word; None when it is not so."""
    instruction = one_spaced(instruction)
    if removing := _REMOVE.fullmatch(instruction):
        return _changed(mermaid, lambda graph: _removed(graph, removing["step"]))
    if adding := _ADD.fullmatch(instruction):
        before = adding["where"].lower() in {"avant", "before"}
        return _changed(mermaid, lambda graph: _added(graph, adding["step"], adding["other"], before=before))
    return None


def roughly(mermaid: str, instruction: str) -> tuple[Graph, Direction] | None:
    """As `exactly`, for what a model would do better: a validation, or successive steps of one actor in one box."""
    instruction = one_spaced(instruction)
    if found := _VALIDATE.fullmatch(instruction):
        before = (found["where"] or "").lower() in {"avant", "before"}
        return _changed(mermaid, lambda graph: _validated(graph, found["what"], found["other"], before=before))
    if _SIMPLIFY.fullmatch(instruction):
        return _changed(mermaid, _simplified)
    return None


def _changed(mermaid: str, change: Callable[[Graph], Graph | None]) -> tuple[Graph, Direction] | None:
    given = read_flowchart(mermaid)
    if given is None:
        return None
    graph, direction = given
    made = change(graph)
    if made is None or not made.nodes:
        return None
    try:
        made.check()
    except GraphError:
        return None
    return renumber(made), direction


def read_flowchart(mermaid: str) -> tuple[Graph, Direction] | None:
    """The graph and the direction of a flowchart of `serialize`; None of any other text."""
    head, *lines = mermaid.strip("\n").split("\n")
    found = _HEAD.fullmatch(head)
    if found is None:
        return None
    nodes: list[Node] = []
    edges: list[Edge] = []
    actors: dict[str, str] = {}
    for line in lines:
        if boxed := _NODE.fullmatch(line):
            kind = next(kind for kind, (opening, _closing) in SHAPES.items() if opening == boxed[2])
            nodes.append(Node.model_construct(id=boxed[1], label=_unquoted(boxed[3]), kind=kind))
        elif edge := _EDGE.fullmatch(line):
            label = _unquoted(edge[2]) if edge[2] is not None else None
            edges.append(Edge.model_construct(from_=edge[1], to=edge[3], label=label))
        elif classed := _CLASS.fullmatch(line):
            actors |= dict.fromkeys(classed[1].split(","), classed[2])
    leaving = {edge.from_ for edge in edges}
    for node in nodes:
        node.actor = actors.get(node.id) if actors.get(node.id) in COLOURS else None  # type: ignore[assignment]
        if node.kind == "start" and node.id not in leaving:  # both have the same shape
            node.kind = "end"
    graph = Graph.model_construct(nodes=nodes, edges=edges)
    direction: Direction = "LR" if found[1] == "LR" else "TD"
    try:
        graph = Graph.model_validate(graph.model_dump(by_alias=True))
        graph.check()
        same = serialize(graph, direction).strip("\n") == mermaid.strip("\n")
    except (ValueError, KeyError):
        return None
    return (graph, direction) if same else None


def _unquoted(written: str) -> str:
    return _ENTITY.sub(lambda found: chr(min(int(found[1]), 0x10FFFF)), written.replace("<br/>", "\n"))


def _find(graph: Graph, label: str) -> Node | None:
    wanted = fold(label)
    return next((node for node in graph.nodes if fold(node.label) == wanted), None)


def _removed(graph: Graph, label: str) -> Graph | None:
    """Without that step: what led to it leads to what it led to."""
    gone = _find(graph, label)
    if gone is None or len(graph.nodes) < 2:
        return None
    before = [edge for edge in graph.edges if edge.to == gone.id and edge.from_ != gone.id]
    after = [edge for edge in graph.edges if edge.from_ == gone.id and edge.to != gone.id]
    kept = [edge for edge in graph.edges if gone.id not in {edge.from_, edge.to}]
    known = {(edge.from_, edge.to) for edge in kept}
    bridges = [_edge(a.from_, b.to, a.label) for a in before for b in after if a.from_ != b.to]
    bridges = [edge for edge in bridges if (edge.from_, edge.to) not in known]
    return Graph(nodes=[node for node in graph.nodes if node.id != gone.id], edges=[*kept, *bridges])


def _added(graph: Graph, label: str, beside: str, *, before: bool) -> Graph | None:
    place = _find(graph, beside)
    if place is None:
        return None
    return _insert(graph, Node(id="new", label=label), place, before=before)


def _insert(graph: Graph, node: Node, place: Node, *, before: bool, answer: str | None = None) -> Graph:
    """With `node` on every way into `place`, or out of it. `answer`: what the way from `node` on is called."""
    edges = []
    for edge in graph.edges:
        moved = edge.model_copy()
        if before and edge.to == place.id:
            moved.to = node.id
        elif not before and edge.from_ == place.id:
            moved.from_ = node.id
            moved.label = edge.label or answer
        edges.append(moved)
    link = _edge(node.id, place.id, answer) if before else _edge(place.id, node.id, None)
    index = graph.nodes.index(place) + (0 if before else 1)
    if not before and place.kind == "end":
        place.kind = "action"
    return Graph(nodes=[*graph.nodes[:index], node, *graph.nodes[index:]], edges=[*edges, link])


def _validated(graph: Graph, what: str, beside: str | None, *, before: bool) -> Graph | None:
    """With a question before the last step, or where it is asked; « non » leads back to what is to be done again."""
    if beside is not None:
        place = _find(graph, beside)
    else:
        leaving, reached = {edge.from_ for edge in graph.edges}, {edge.to for edge in graph.edges}
        ends = [node for node in graph.nodes if node.id not in leaving and node.id in reached]
        place, before = (ends[-1] if ends else None), True
    if place is None or (not before and place.kind == "decision"):
        return None
    english = fold(what) in {"review", "approval", "check"}
    sign, yes, no = ("?", "yes", "no") if english else (" ?", "oui", "non")
    asked = Node(id="new", label=f"{what[:1].upper()}{what[1:].lower()}{sign}", kind="decision", actor="human")
    entering = [edge.from_ for edge in graph.edges if edge.to == place.id and edge.from_ != place.id]
    again = place.id if not before else entering[0] if entering else None
    made = _insert(graph, asked, place, before=before, answer=yes)
    if again is not None:
        made.edges.append(_edge(asked.id, again, no))
    return made


def _simplified(graph: Graph) -> Graph | None:
    """Successive steps of one actor, with nothing to decide between them, in one box."""
    boxes = {node.id: [node] for node in graph.nodes}
    edges = list(graph.edges)
    for edge in graph.edges:
        first = next((ids for ids in boxes.values() if ids[-1].id == edge.from_), None)
        second = boxes.get(edge.to)
        if first is None or second is None or first is second or not _one_box(first, second, edge, graph.edges):
            continue
        first += second
        del boxes[edge.to]
        edges.remove(edge)
    if len(boxes) == len(graph.nodes):
        return None
    home = {node.id: key for key, nodes in boxes.items() for node in nodes}
    nodes = [nodes[0].model_copy(update={"label": "\n".join(node.label for node in nodes)}) for nodes in boxes.values()]
    return Graph(nodes=nodes, edges=[_edge(home[edge.from_], home[edge.to], edge.label) for edge in edges])


def _one_box(first: Sequence[Node], second: Sequence[Node], link: Edge, edges: Sequence[Edge]) -> bool:
    nodes = [*first, *second]
    leaving = sum(edge.from_ == first[-1].id for edge in edges)
    entering = sum(edge.to == second[0].id for edge in edges)
    return (
        link.label is None
        and leaving == entering == 1
        and len(nodes) <= MOST_IN_ONE
        and {node.kind for node in nodes} == {"action"}
        and len({node.actor for node in nodes}) == 1
        and sum(len(node.label) for node in nodes) <= MOST_LABEL
    )


def _edge(start: str, end: str, label: str | None) -> Edge:
    return Edge.model_validate({"from": start, "to": end, "label": label})
