"""Sequence diagrams: who tells whom what, in order."""

from itertools import groupby
from textwrap import wrap
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from chat.diagrams.escape import plain
from chat.diagrams.graph import Direction
from chat.diagrams.kinds.base import kind_of, known, numbered
from chat.diagrams.labels import Drawing, Id, Item, Label

WIDTH = 32  # characters of a line of a block's label
LONG_WORD = 12  # characters that fit in the narrowest block


class Participant(Item):
    id: Id
    label: Label
    kind: Literal["actor", "participant"] = "participant"


class Block(BaseModel):
    """What a run of messages depends on; messages that follow each other with the same block are drawn in one."""

    model_config = ConfigDict(extra="ignore")

    kind: Literal["alt", "opt", "loop", "par"]
    label: Label


class Message(Item):
    from_: Id = Field(alias="from")
    to: Id
    label: Label
    kind: Literal["call", "reply", "note"] = "call"
    block: Block | None = None


class Sequence(Drawing):
    title: Label | None = None
    participants: list[Participant] = Field(min_length=1, max_length=30)
    messages: list[Message] = Field(min_length=1, max_length=150)

    def check(self) -> None:
        ids = numbered((one.id for one in self.participants), "p")
        known((end for message in self.messages for end in (message.from_, message.to)), ids)


def serialize(drawing: Sequence, _direction: Direction | None = None) -> str:
    ids = numbered((one.id for one in drawing.participants), "p")
    lines = ["sequenceDiagram"]
    if drawing.title:
        lines.append(f"    title {plain(drawing.title, lines=' ')}")
    lines += [f"    {one.kind} {ids[one.id]} as {plain(one.label)}" for one in drawing.participants]
    open_block: Block | None = None
    for block, messages in groupby(drawing.messages, key=lambda message: message.block):
        lines += _between(open_block, block)
        open_block = block
        lines += [f"    {_line(message, ids)}" for message in messages]
    lines += _between(open_block, None)
    return "\n".join(lines) + "\n"


def _between(last: Block | None, block: Block | None) -> list[str]:
    """The lines that end `last` and begin `block`; another branch of the same choice goes on."""
    branches = {"alt": "else", "par": "and"}
    if last and block and last.kind == block.kind and block.kind in branches:
        return [f"    {branches[block.kind]} {_condition(block.label)}"]
    lines = ["    end"] if last else []
    return [*lines, f"    {block.kind} {_condition(block.label)}"] if block else lines


def _condition(label: str) -> str:
    """The words of a block, in lines of our own: Mermaid hyphenates long words wherever it likes, even in an entity,
    but only where it finds no line break."""
    lines = [
        line for each in label.split("\n") for line in wrap(each, WIDTH, break_long_words=False, break_on_hyphens=False)
    ]
    written = plain("\n".join(lines))
    long = any("#" in word and len(word) + 3 * word.count("#") > LONG_WORD for word in written.split())
    return f"{written}<br/>" if long and "<br/>" not in written else written


def _line(message: Message, ids: dict[str, str]) -> str:
    one, other = ids[message.from_], ids[message.to]
    if message.kind == "note":
        over = one if one == other else f"{one},{other}"
        return f"Note over {over}: {plain(message.label)}"
    return f"{one}{'-->>' if message.kind == 'reply' else '->>'}{other}: {plain(message.label)}"


KIND = kind_of(
    "sequence",
    Sequence,
    serialize,
    title={"fr": "diagramme de séquence", "en": "sequence diagram"},
    shape='{"participants":[{"id":"p1","label":"…","kind":"actor|participant"}],"messages":[{"from":"p1","to":"p2",'
    '"label":"…","kind":"call|reply|note","block":{"kind":"alt|opt|loop|par","label":"…"}}]}',
    rules={
        "fr": "- participants : ceux qui se parlent ; actor pour une personne, participant pour un logiciel ou un "
        "service.\n- messages : ce que l'un dit ou demande à l'autre ; reply pour une réponse, note pour une "
        "remarque.\n"
        "- block, seulement si le message dépend d'une condition (alt : des cas qui s'excluent, opt : un cas, loop : "
        "une "
        "répétition, par : en parallèle) ; son label est la condition.",
        "en": "- participants: those who talk; actor for a person, participant for software or a service.\n"
        "- messages: what one tells or asks the other; reply for an answer, note for a remark.\n"
        "- block, only if the message depends on a condition (alt: cases that exclude each other, opt: one case, "
        "loop: a "
        "repetition, par: in parallel); its label is the condition.",
    },
)
