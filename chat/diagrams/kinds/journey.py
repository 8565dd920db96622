"""User journeys: what somebody goes through, and how well it goes."""

import re

from pydantic import Field

from chat.diagrams.escape import plain
from chat.diagrams.graph import Direction
from chat.diagrams.kinds.base import kind_of
from chat.diagrams.labels import Drawing, Item, Label

_STATEMENT = re.compile(r"title|section|journey|acctitle|accdescr", re.I)


class Task(Item):
    label: Label
    score: int = Field(ge=1, le=5)
    actors: list[Label] = Field(default_factory=list, max_length=8)


class Section(Item):
    label: Label
    tasks: list[Task] = Field(min_length=1, max_length=30)


class Journey(Drawing):
    title: Label | None = None
    sections: list[Section] = Field(min_length=1, max_length=20)


def serialize(drawing: Journey, _direction: Direction | None = None) -> str:
    lines = ["journey"]
    if drawing.title:
        lines.append(f"    title {plain(drawing.title, lines=' ')}")
    for section in drawing.sections:
        lines.append(f"    section {plain(section.label, lines=' ')}")
        for task in section.tasks:
            actors = ", ".join(plain(actor, signs=",", lines=" ") for actor in task.actors)
            label = plain(task.label, keywords=_STATEMENT, lines=" ")
            lines.append(f"      {label}: {task.score}" + (f": {actors}" if actors else ""))
    return "\n".join(lines) + "\n"


KIND = kind_of(
    "journey",
    Journey,
    serialize,
    title={"fr": "parcours utilisateur", "en": "user journey"},
    shape='{"title":"…","sections":[{"label":"…","tasks":[{"label":"…","score":3,"actors":["…"]}]}]}',
    rules={
        "fr": "- sections : les moments du parcours ; une seule si le texte n'en donne pas.\n- tasks : ce que la "
        "personne "
        "fait ; score, de 1 (pénible) à 5 (agréable), 3 si le texte ne dit rien ; actors, ceux qui y prennent part.",
        "en": "- sections: the moments of the journey; a single one if the text gives none.\n- tasks: what the "
        "person does; "
        "score, from 1 (painful) to 5 (pleasant), 3 if the text says nothing; actors, those who take part.",
    },
)
