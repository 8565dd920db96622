"""Changes that need no model: the direction of a diagram, a label renamed, colours taken away.

An instruction is one of these only when it says nothing else: the rest is for a model.
"""

import re

from chat.diagrams.escape import quote
from chat.diagrams.kinds.registry import KINDS
from chat.diagrams.tidy import fold, one_spaced
from common.errors import ApiError
from common.messages import _

# Words that add nothing to « mets le diagramme à l'horizontale, s'il te plaît ».
_FILLER_WORDS = """
le la les l un une ce cet cette il elle qu que se s te vous plait stp svp merci peux tu pouvez peut on a au diagramme
schema organigramme graphe dessin flux rends rend rendre mets met mettre fais fait faire passe passer passez oriente
orienter dessine dessiner tourne tourner change changer affiche soit de du en sens mode format orientation direction un
peu plus bien encore please can you make turn draw lay out put it the this diagram chart graph flowchart more be is to
in a bit into
"""
_FILLERS = frozenset(_FILLER_WORDS.split())
_DIRECTIONS = {
    **dict.fromkeys(
        ("vertical", "verticale", "verticalement", "vertically", "td", "tb", "haut bas", "top bottom"), "TB"
    ),
    **dict.fromkeys(("top down", "moins horizontal", "less horizontal", "portrait"), "TB"),
    **dict.fromkeys(("horizontal", "horizontale", "horizontalement", "horizontally", "lr", "gauche droite"), "LR"),
    **dict.fromkeys(("left right", "moins vertical", "less vertical", "paysage", "landscape", "large", "wider"), "LR"),
    **dict.fromkeys(("bt", "bas haut", "bottom top", "bottom up"), "BT"),
    **dict.fromkeys(("rl", "droite gauche", "right left"), "RL"),
}
_NO_COLOURS = re.compile(
    r"(?:sans|enleve|retire|supprime|ote|remove|no|without|drop)(?: toutes)? (?:couleurs?|colou?rs?)"
)
_RENAME = re.compile(
    r"^\s*(?:renomm|remplac|chang|renam|replac)\w*\s+[«\"“]\s*(.+?)\s*[»\"”]\s+(?:en|par|to|with|by)\s+"
    r"[«\"“]\s*(.+?)\s*[»\"”]\s*[.!]*\s*$",
    re.I | re.S,
)
_COLOUR_LINE = re.compile(r"^[ \t]*(?:classDef|class|style|linkStyle)[ \t][^\n]*\n?", re.M)
_FLOW_HEAD = re.compile(
    r"^([ \t]*(?:flowchart-elk|flowchart|graph))(?:[ \t]+(?:TB|TD|BT|RL|LR|[<>^v]))?(?=[ \t]*(?:;|$))", re.M
)
_TIME_HEAD = re.compile(r"^([ \t]*timeline)(?:[ \t]+(?:TD|LR))?(?=[ \t]*$)", re.M)
_HEADS = {
    "class": re.compile(r"^[ \t]*classDiagram(?:-v2)?[ \t]*\n", re.M),
    "state": re.compile(r"^[ \t]*stateDiagram(?:-v2)?[ \t]*\n", re.M),
    "er": re.compile(r"^[ \t]*erDiagram[ \t]*\n", re.M),
}
_DIRECTION_LINE = re.compile(r"^[ \t]*direction[ \t]+(?:TB|TD|BT|RL|LR)[ \t]*\n", re.M)


def apply(mermaid: str, instruction: str, kind: str) -> str | None:
    """`mermaid` changed as `instruction` says, when that needs no model; else None.

    Raises `ApiError` 400 when it asks for a direction and Mermaid knows none for this kind.
    """
    direction = direction_asked(instruction)
    if direction is not None:
        return with_direction(mermaid, direction, kind)
    if kind == "flowchart" and _NO_COLOURS.fullmatch(_essential(instruction)):
        return _COLOUR_LINE.sub("", mermaid)
    renamed = _RENAME.match(one_spaced(instruction))
    return _rename(mermaid, renamed.group(1), renamed.group(2)) if renamed else None


def direction_asked(instruction: str) -> str | None:
    """TB, LR, BT or RL when the instruction asks for a direction and nothing else."""
    return _DIRECTIONS.get(_essential(instruction))


def with_direction(mermaid: str, direction: str, kind: str) -> str:
    """`mermaid` in another direction; everything else stays as it is. Raises `ApiError` 400."""
    if kind == "flowchart":
        changed, count = _FLOW_HEAD.subn(rf"\1 {'TD' if direction == 'TB' else direction}", mermaid, count=1)
    elif kind == "timeline" and direction in {"TB", "LR"}:
        changed, count = _TIME_HEAD.subn(rf"\1 {'TD' if direction == 'TB' else direction}", mermaid, count=1)
    elif kind in _HEADS:
        changed, count = _with_line(mermaid, direction, _HEADS[kind])
    else:
        raise no_direction(kind)
    return changed if count else mermaid


def no_direction(kind: str) -> ApiError:
    """The 400 that says which kinds have a direction."""
    directed = ", ".join(name for name, spec in KINDS.items() if spec.directed)
    message = _(
        "Mermaid ne connaît pas cette direction pour « %(kind)s » ; types orientables : %(kinds)s.",
        kind=kind,
        kinds=directed,
    )
    return ApiError(400, "unsupported_parameter", message, "direction")


def _essential(instruction: str) -> str:
    return " ".join(word for word in fold(instruction).split() if word not in _FILLERS)


def _with_line(mermaid: str, direction: str, head: re.Pattern[str]) -> tuple[str, int]:
    """The direction of a kind that writes it on a line of its own, before any block."""
    text = mermaid if mermaid.endswith("\n") else mermaid + "\n"
    found = head.search(text)
    if found is None:
        return mermaid, 0
    line = f"    direction {direction}\n"
    first_block = text.find("{", found.end())
    there = _DIRECTION_LINE.search(text, found.end(), first_block if first_block >= 0 else len(text))
    start, end = there.span() if there else (found.end(), found.end())
    return text[:start] + line + text[end:], 1


def _rename(mermaid: str, old: str, new: str) -> str | None:
    """The label `old` written as `new` wherever it is a whole label; None when it is not there."""
    changed = mermaid.replace(quote(old), quote(new))
    bare = re.compile(rf"(?<=[\[({{|])\s*{re.escape(old)}\s*(?=[\])}}|])")
    changed = bare.sub(lambda _found: quote(new), changed)
    return changed if changed != mermaid else None
