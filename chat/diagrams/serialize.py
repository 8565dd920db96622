"""Graph → Mermaid flowchart, always the same text for the same graph, and always one that Mermaid accepts.

It alone decides ids, quoting and colours, so that no label, whatever it holds, can break the diagram or be read as
syntax, Markdown, HTML, an icon or a formula: it is shown as it was given.
"""

import re

from chat.diagrams.graph import Direction, Graph, Node, clean_label

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

# Written as entities (`#34;`): quotes, entities, HTML, Markdown.
_ALWAYS = re.compile(r"[\"#&<>`*_~\\]")
_LIST = re.compile(r"^(\d+)([.)])(?=\s|$)|^([-+])(?=\s|$)", re.M)  # Markdown: "1. ", "- "
_RULE = re.compile(r"^[-=+ ]+$", re.M)  # Markdown: rules and underlined titles
_PAIRS = re.compile(r"%(?=[%{])|\[(?=[^\]]*\]\s*[(\[:])|!(?=\[)|@(?=\w)")  # directives, links
_COLON = re.compile(r":(?=//)")  # bare addresses
_WWW = re.compile(r"(?<=\bwww)\.", re.I)
# Read by Mermaid after it has put entities back (its own marks for them, formulas, icons): parted, invisibly.
_MARKS = re.compile(r"(?<=ﬂ)(?=°)|(?<=¶)(?=ß)|(?<=\$)(?=\$)|(?<=fa)(?=:fa-)|(?<=fa[bklrs])(?=:fa-)")
_STYLE_WORDS = re.compile(r"style|classDef")  # Mermaid rewrites "style…:…#…;" wherever it stands


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


def quote(label: str) -> str:
    """`label` as a quoted Mermaid string that shows exactly its (cleaned) text; lines are kept as line breaks."""
    text = _MARKS.sub("\u200c", clean_label(label))
    special: set[int] = set()
    for pattern in (_ALWAYS, _PAIRS, _COLON, _WWW):
        special.update(found.start() for found in pattern.finditer(text))
    special.update(found.end() - 1 for found in _LIST.finditer(text))
    special.update(found.start() for found in _RULE.finditer(text))
    if _STYLE_WORDS.search(text):
        special.update(i for i, char in enumerate(text) if char == ":")
    written = "".join(f"#{ord(char)};" if i in special else char for i, char in enumerate(text))
    return '"' + (written.replace("\n", "<br/>") or " ") + '"'


def _shape(node: Node) -> str:
    opening, closing = SHAPES[node.kind]
    return f"{opening}{quote(node.label)}{closing}"
