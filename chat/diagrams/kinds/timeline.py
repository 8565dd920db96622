"""Timelines: what happened when."""

import re
from itertools import groupby

from pydantic import Field

from chat.diagrams.escape import plain
from chat.diagrams.graph import Direction
from chat.diagrams.kinds.base import kind_of
from chat.diagrams.labels import Drawing, Item, Label

_STATEMENT = re.compile(r"title|section|timeline|acctitle|accdescr", re.I)


class Event(Item):
    label: Label


class Period(Item):
    label: Label
    section: Label | None = None
    events: list[Event] = Field(min_length=1, max_length=20)


class Timeline(Drawing):
    title: Label | None = None
    periods: list[Period] = Field(min_length=1, max_length=60)


def serialize(drawing: Timeline, direction: Direction | None = None) -> str:
    lines = [f"timeline {direction}" if direction else "timeline"]
    if drawing.title:
        lines.append(f"    title {plain(drawing.title, lines=' ')}")
    for section, periods in groupby(drawing.periods, key=lambda period: period.section):
        if section:
            lines.append(f"    section {_words(section)}")
        for period in periods:
            events = "".join(f" : {_words(event.label)}" for event in period.events)
            lines.append(f"    {_words(period.label)}{events}")
    return "\n".join(lines) + "\n"


def _words(label: str) -> str:
    return plain(label, keywords=_STATEMENT, lines="<br>")


KIND = kind_of(
    "timeline",
    Timeline,
    serialize,
    title={"fr": "frise chronologique", "en": "timeline"},
    shape='{"title":"…","periods":[{"label":"…","section":"…","events":[{"label":"…"}]}]}',
    rules={
        "fr": "- periods : les dates ou les moments du texte, du plus ancien au plus récent (label : « 1998 », « "
        "lundi ») ; "
        "events, ce qui s'y passe.\n- section, seulement si le texte regroupe les périodes : la même pour celles d'un "
        "groupe.",
        "en": "- periods: the dates or moments of the text, oldest first (label: “1998”, “Monday”); events, what "
        "happens "
        "then.\n- section, only if the text groups the periods: the same for those of a group.",
    },
    directed=True,
)
