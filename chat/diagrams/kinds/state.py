"""State diagrams: the states of something and what makes it pass from one to another."""

from pydantic import Field

from chat.diagrams.escape import plain, quote
from chat.diagrams.graph import Direction
from chat.diagrams.kinds.base import kind_of, known, numbered
from chat.diagrams.labels import Drawing, Id, Item, Label, Link


class State(Item):
    id: Id
    label: Label
    initial: bool = False
    final: bool = False


class States(Drawing):
    states: list[State] = Field(min_length=1, max_length=100)
    transitions: list[Link] = Field(default_factory=list, max_length=200)

    def check(self) -> None:
        ids = numbered((one.id for one in self.states), "s")
        known((end for link in self.transitions for end in (link.from_, link.to)), ids)


def serialize(drawing: States, direction: Direction | None = None) -> str:
    ids = numbered((one.id for one in drawing.states), "s")
    lines = ["stateDiagram-v2"]
    if direction:
        lines.append(f"    direction {'LR' if direction == 'LR' else 'TB'}")
    lines += [f"    state {quote(one.label)} as {ids[one.id]}" for one in drawing.states]
    lines += [f"    [*] --> {ids[one.id]}" for one in drawing.states if one.initial]
    for link in drawing.transitions:
        label = f" : {plain(link.label)}" if link.label else ""
        lines.append(f"    {ids[link.from_]} --> {ids[link.to]}{label}")
    lines += [f"    {ids[one.id]} --> [*]" for one in drawing.states if one.final]
    return "\n".join(lines) + "\n"


KIND = kind_of(
    "state",
    States,
    serialize,
    title={"fr": "diagramme d'états", "en": "state diagram"},
    shape='{"states":[{"id":"s1","label":"…","initial":true,"final":false}],'
    '"transitions":[{"from":"s1","to":"s2","label":"…"}]}',
    rules={
        "fr": "- states : les états par lesquels passe la chose dont parle le texte (« en attente », « payée ») ; "
        "initial pour le premier, final pour ceux où tout s'arrête.\n- transitions : label, ce qui fait passer de l'un "
        "à l'autre, ou rien.",
        "en": "- states: the states that the thing the text speaks of goes through (“pending”, “paid”); initial for "
        "the "
        "first, final for those where all ends.\n- transitions: label, what makes it pass from one to the other, or "
        "nothing.",
    },
    directed=True,
)
