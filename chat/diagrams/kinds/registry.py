"""Every kind there is: those with a schema, and those that a model writes as Mermaid."""

from chat.diagrams.kinds import classes, er, flowchart, gantt, journey, mindmap, pie, sequence, state, timeline
from chat.diagrams.kinds.base import Kind

FLOWCHART = "flowchart"

KINDS: dict[str, Kind] = {
    module.KIND.name: module.KIND
    for module in (flowchart, sequence, classes, state, er, gantt, mindmap, timeline, journey, pie)
}

# Kinds without a schema: the name of the API, and what the first line of such a diagram must be.
WRITTEN: dict[str, str] = {
    "quadrantChart": "quadrantChart",
    "gitGraph": "gitGraph",
    "requirement": "requirementDiagram",
    "c4": "C4Context",
    "sankey": "sankey",
    "xychart": "xychart",
    "block": "block",
    "packet": "packet",
    "kanban": "kanban",
    "architecture": "architecture-beta",
    "radar": "radar-beta",
    "treemap": "treemap-beta",
    "treeView": "treeView-beta",
    "venn": "venn-beta",
    "ishikawa": "ishikawa-beta",
    "wardley": "wardley-beta",
    "eventmodeling": "eventmodeling",
}

# What else people call them, in lower case: Mermaid's first lines, and French.
_ALIASES = {
    "graph": "flowchart",
    "organigramme": "flowchart",
    "flux": "flowchart",
    "sequencediagram": "sequence",
    "séquence": "sequence",
    "classdiagram": "class",
    "classes": "class",
    "statediagram": "state",
    "statediagram-v2": "state",
    "états": "state",
    "erdiagram": "er",
    "entité-association": "er",
    "carte mentale": "mindmap",
    "frise": "timeline",
    "parcours": "journey",
    "camembert": "pie",
    **{first.lower().removesuffix("-beta"): name for name, first in WRITTEN.items()},
}


def named(name: str) -> str | None:
    """The kind that `name` designates, whatever its case; None when there is none."""
    wanted = name.strip().lower().removesuffix("-beta")
    if wanted in _ALIASES:
        return _ALIASES[wanted]
    return next((known for known in (*KINDS, *WRITTEN) if known.lower() == wanted), None)
