"""Mind maps: a subject and what it divides into."""

from pydantic import Field

from chat.diagrams.escape import quote
from chat.diagrams.graph import Direction
from chat.diagrams.kinds.base import kind_of, known, numbered
from chat.diagrams.labels import Drawing, GraphError, Id, Item, Label

DEEPEST = 20


class Idea(Item):
    id: Id
    label: Label
    parent: Id | None = None


class Mindmap(Drawing):
    """The first idea is the subject; one without a parent hangs from it."""

    ideas: list[Idea] = Field(min_length=1, max_length=150)

    def check(self) -> None:
        ids = numbered((idea.id for idea in self.ideas), "i")
        known((idea.parent for idea in self.ideas if idea.parent), ids)
        reached = {idea.id for idea, _depth in self.outline()}
        for idea in self.ideas:
            if idea.id not in reached:
                raise GraphError(f'The idea "{idea.id}" does not lead back to the first one, or is too deep.')

    def outline(self) -> list[tuple[Idea, int]]:
        """The ideas under the first one, each before its own, with how deep it is."""
        root = self.ideas[0]
        below: dict[str, list[Idea]] = {}
        for idea in self.ideas[1:]:
            below.setdefault(idea.parent or root.id, []).append(idea)
        found: list[tuple[Idea, int]] = []
        left = [(root, 0)]
        while left:
            idea, depth = left.pop()
            found.append((idea, depth))
            if depth < DEEPEST:
                left += [(child, depth + 1) for child in reversed(below.pop(idea.id, []))]
        return found


def serialize(drawing: Mindmap, _direction: Direction | None = None) -> str:
    ids = numbered((idea.id for idea in drawing.ideas), "i")
    lines = ["mindmap"]
    for idea, depth in drawing.outline():
        opening, closing = ("((", "))") if depth == 0 else ("[", "]")
        lines.append(f"{'  ' * (depth + 1)}{ids[idea.id]}{opening}{quote(idea.label)}{closing}")
    return "\n".join(lines) + "\n"


KIND = kind_of(
    "mindmap",
    Mindmap,
    serialize,
    title={"fr": "carte mentale", "en": "mind map"},
    shape='{"ideas":[{"id":"i1","label":"…"},{"id":"i2","label":"…","parent":"i1"}]}',
    rules={
        "fr": "- ideas : la première est le sujet du texte, sans parent ; chacune des autres donne dans parent "
        "l'idée dont "
        "elle est un détail. Trois niveaux suffisent.",
        "en": "- ideas: the first is the subject of the text, without parent; each other one gives in parent the "
        "idea of "
        "which it is a detail. Three levels are enough.",
    },
)
