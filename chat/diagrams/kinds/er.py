"""Entity-relationship diagrams: what a database holds."""

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from chat.diagrams.escape import quote
from chat.diagrams.graph import Direction
from chat.diagrams.kinds.base import kind_of, known, numbered
from chat.diagrams.labels import Drawing, Id, Item, Label, Link

Count = Literal["one", "zero_or_one", "one_or_more", "zero_or_more"]

FROM = {"one": "||", "zero_or_one": "|o", "one_or_more": "}|", "zero_or_more": "}o"}
TO = {"one": "||", "zero_or_one": "o|", "one_or_more": "|{", "zero_or_more": "o{"}
# Mermaid's names of attributes: ASCII words and anything from À on, but no sign.
_NO_NAME = re.compile(r"[^A-Za-z0-9_\u00c0-\U0010ffff]+|[×÷]|[^\w]")


class Attribute(BaseModel):
    """A name that Mermaid cannot hold is written beside it, as a remark."""

    model_config = ConfigDict(extra="ignore")

    name: Label
    type: Label
    key: Literal["PK", "FK", "UK"] | None = None


class Entity(Item):
    id: Id
    label: Label
    attributes: list[Attribute] = Field(default_factory=list, max_length=60)


class Relationship(Link):
    from_count: Count = "one"
    to_count: Count = "zero_or_more"


class Entities(Drawing):
    entities: list[Entity] = Field(min_length=1, max_length=60)
    relations: list[Relationship] = Field(default_factory=list, max_length=150)

    def check(self) -> None:
        ids = numbered((one.id for one in self.entities), "e")
        known((end for relation in self.relations for end in (relation.from_, relation.to)), ids)


def serialize(drawing: Entities, direction: Direction | None = None) -> str:
    ids = numbered((one.id for one in drawing.entities), "e")
    lines = ["erDiagram"]
    if direction:
        lines.append(f"    direction {'LR' if direction == 'LR' else 'TB'}")
    for one in drawing.entities:
        head = f"    {ids[one.id]}[{_quote(one.label)}]"
        attributes = [f"        {_attribute(attribute)}" for attribute in one.attributes]
        lines += [head + " {", *attributes, "    }"] if attributes else [head]
    for relation in drawing.relations:
        ends = f"{ids[relation.from_]} {FROM[relation.from_count]}--{TO[relation.to_count]} {ids[relation.to]}"
        lines.append(f"    {ends} : {_quote(relation.label or '')}")
    return "\n".join(lines) + "\n"


def _quote(text: str) -> str:
    return quote(text, signs="%")


def _attribute(attribute: Attribute) -> str:
    """`type name key "remark"`: what a name or a type loses is in the remark."""
    name, kind = _name(attribute.name), _name(attribute.type)
    remarks = [given for given, kept in ((attribute.type, kind), (attribute.name, name)) if given != kept]
    written = [kind, name, attribute.key or "", _quote(" ".join(remarks)) if remarks else ""]
    return " ".join(part for part in written if part)


def _name(text: str) -> str:
    """`text` as one word that Mermaid takes and that is no key."""
    word = _NO_NAME.sub("_", text).strip("_") or "x"
    return word if word[0].isalpha() and word.upper() not in {"PK", "FK", "UK"} else f"_{word}"


KIND = kind_of(
    "er",
    Entities,
    serialize,
    title={"fr": "diagramme entité-association", "en": "entity-relationship diagram"},
    shape='{"entities":[{"id":"e1","label":"…","attributes":[{"name":"…","type":"…","key":"PK|FK|UK"}]}],'
    '"relations":[{"from":"e1","to":"e2","from_count":"one|zero_or_one|one_or_more|zero_or_more",'
    '"to_count":"one|zero_or_one|one_or_more|zero_or_more","label":"…"}]}',
    rules={
        "fr": "- entities : ce dont le texte garde la trace ; attributes, seulement ceux que le texte donne, avec leur "
        "type (texte, nombre, date…) ; key : PK pour l'identifiant, FK pour celui d'une autre entité.\n"
        "- relations : from_count, combien de from pour un to ; to_count, combien de to pour un from ; label, le "
        "verbe.",
        "en": "- entities: what the text keeps track of; attributes, only those that the text gives, with their type "
        "(text, number, date…); key: PK for the identifier, FK for that of another entity.\n"
        "- relations: from_count, how many from for one to; to_count, how many to for one from; label, the verb.",
    },
    directed=True,
)
