"""Class diagrams: what things are made of and how they relate."""

import re
from collections.abc import Callable
from typing import Literal

from pydantic import Field

from chat.diagrams.escape import plain, quote
from chat.diagrams.graph import Direction
from chat.diagrams.kinds.base import kind_of, known, numbered
from chat.diagrams.labels import Drawing, Id, Item, Label, Link

ARROWS = {
    "inheritance": "--|>",
    "realization": "..|>",
    "composition": "--*",
    "aggregation": "--o",
    "association": "-->",
    "dependency": "..>",
}
_DASH = re.compile("-")
_METHOD = re.compile(r"^([^()]+)\(([^()]*)\)([^()]*)$", re.S)


class Class(Item):
    id: Id
    label: Label
    attributes: list[Label] = Field(default_factory=list, max_length=40)
    methods: list[Label] = Field(default_factory=list, max_length=40)


class Relation(Link):
    kind: Literal["inheritance", "realization", "composition", "aggregation", "association", "dependency"] = (
        "association"
    )


class Classes(Drawing):
    classes: list[Class] = Field(min_length=1, max_length=60)
    relations: list[Relation] = Field(default_factory=list, max_length=150)

    def check(self) -> None:
        ids = numbered((one.id for one in self.classes), "c")
        known((end for relation in self.relations for end in (relation.from_, relation.to)), ids)


def serialize(drawing: Classes, direction: Direction | None = None) -> str:
    ids = numbered((one.id for one in drawing.classes), "c")
    lines = ["classDiagram"]
    if direction:
        lines.append(f"    direction {'LR' if direction == 'LR' else 'TB'}")
    for one in drawing.classes:
        members = [*(_attribute(label) for label in one.attributes), *(_method(label) for label in one.methods)]
        head = f"    class {ids[one.id]}[{quote(one.label)}]"
        lines += [head + " {", *(f"        {member}" for member in members), "    }"] if members else [head]
    for relation in drawing.relations:
        label = f" : {plain(relation.label)}" if relation.label else ""
        lines.append(f"    {ids[relation.from_]} {ARROWS[relation.kind]} {ids[relation.to]}{label}")
    return "\n".join(lines) + "\n"


def _attribute(label: str) -> str:
    return _visibility(label, _member)


def _method(label: str) -> str:
    return _visibility(label, _call)


def _visibility(label: str, written: Callable[[str], str]) -> str:
    """A mark of visibility (+ public, - private, # protected, ~ package) is one only before a word."""
    marked = len(label) > 1 and label[0] in "+-#~" and label[1].isalnum()
    return label[0] + written(label[1:]) if marked else written(label)


def _call(text: str) -> str:
    """`name(parameters) result`: a method without parentheses gets them, one with odd ones keeps them as text."""
    found = _METHOD.match(text)
    name, parameters, result = (part.strip(" :\n") for part in found.groups()) if found else (text, "", "")
    if not name:
        return f"{_member(text)}()"
    return f"{_member(name)}({_member(parameters) if parameters else ''}){' ' + _member(result) if result else ''}"


def _member(text: str) -> str:
    return plain(text, keywords=_DASH, signs="()", lines=" ")


KIND = kind_of(
    "class",
    Classes,
    serialize,
    title={"fr": "diagramme de classes", "en": "class diagram"},
    shape='{"classes":[{"id":"c1","label":"…","attributes":["…"],"methods":["…()"]}],'
    '"relations":[{"from":"c1","to":"c2","kind":"inheritance|realization|composition|aggregation|association|dependency",'
    '"label":"…"}]}',
    rules={
        "fr": "- classes : les choses dont le texte parle ; attributes, ce qu'elles ont ; methods, ce qu'elles font.\n"
        "- relations, de from vers to : inheritance (from est une sorte de to), composition (from est une partie de "
        "to et "
        "ne vit pas sans), aggregation (from est une partie de to), realization (from réalise to), dependency (from se "
        "sert de to), sinon association ; label, le verbe, ou rien.",
        "en": "- classes: the things the text speaks of; attributes, what they have; methods, what they do.\n"
        "- relations, from one to the other: inheritance (from is a kind of to), composition (from is a part of to and "
        "does not live without it), aggregation (from is a part of to), realization (from implements to), dependency "
        "(from uses to), otherwise association; label, the verb, or nothing.",
    },
    directed=True,
)
