"""Graph → Mermaid flowchart, always the same text for the same graph, and always one that Mermaid accepts.

It alone decides ids and colours, and `escape` how labels are written, so that none, whatever it holds, can break the
diagram or be read as syntax, Markdown, HTML, an icon or a formula: it is shown as it was given.
"""

from chat.diagrams.escape import quote
from chat.diagrams.graph import Direction, Graph, Node
from chat.diagrams.labels import clean_label

# Actor → fill, stroke. The text is dark: at least 5:1 on each of these fills (WCAG AA asks 4.5:1).
COLOURS = {
    "system": ("#4A90D9", "#2A6099"),
    "ai": ("#50C878", "#2B8A4B"),
    "human": ("#FF9F43", "#B8651B"),
    "goal": ("#E74C3C", "#9C2A1D"),
}
TEXT_COLOUR = "#111111"

SHAPES = {
    "start": ("([", "])"),
    "end": ("([", "])"),
    "decision": ("{", "}"),
    "action": ("[", "]"),
}


def serialize(graph: Graph, direction: Direction = "TD") -> str:
    """The flowchart of `graph` (checked: see `Graph.check`)."""
    ids = {node.id: f"n{number}" for number, node in enumerate(graph.nodes, start=1)}
    lines = [f"flowchart {direction}"]
    lines += [f"    {ids[node.id]}{_shape(node)}" for node in graph.nodes]
    for edge in graph.edges:
        label = quote(edge.label) if edge.label and clean_label(edge.label) else ""
        arrow = f"-->|{label}|" if label else "-->"
        lines.append(f"    {ids[edge.from_]} {arrow} {ids[edge.to]}")
    for actor, (fill, stroke) in COLOURS.items():
        coloured = [ids[node.id] for node in graph.nodes if node.actor == actor]
        if coloured:
            lines.append(f"    classDef {actor} fill:{fill},stroke:{stroke},color:{TEXT_COLOUR}")
            lines.append(f"    class {','.join(coloured)} {actor}")
    return "\n".join(lines) + "\n"


def _shape(node: Node) -> str:
    opening, closing = SHAPES[node.kind]
    return f"{opening}{quote(node.label)}{closing}"
