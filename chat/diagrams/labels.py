"""Labels and where they come from: what the drawings of every kind share."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

MAX_LABEL = 500

Id = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class GraphError(ValueError):
    """A graph that cannot be drawn; the message is English and meant for the model that wrote it."""


class Source(BaseModel):
    """Where a label comes from: offsets in characters (Unicode code points) of the given text, `end` excluded."""

    start: int
    end: int
    score: float = Field(description="1 when the label is in the text as it is, less when it was reworded.")
    start_s: float | None = Field(default=None, description="In minutes: the second of a meeting it was said at.")
    end_s: float | None = None


class Item(BaseModel):
    """A part of a drawing that says something."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    label: str
    source: Source | None = None


class Drawing(BaseModel):
    """What a model writes of a diagram, before it is Mermaid; one class per kind."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    def check(self) -> None:
        """Raise `GraphError` on the first thing that Mermaid could not draw or would draw otherwise."""

    def items(self) -> list[Item]:
        """What has a label, in reading order."""
        return list(_items(self))

    def public(self) -> dict[str, Any]:
        """As the API answers it: the keys of the wire, and no empty ones."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def _items(value: Any) -> Iterator[Item]:
    if isinstance(value, list):
        for each in value:
            yield from _items(each)
    elif isinstance(value, BaseModel):
        if isinstance(value, Item):
            yield value
        for name in type(value).model_fields:
            yield from _items(getattr(value, name))


def clean_label(label: str) -> str:
    """`label` in Unicode NFC without control characters; white space is single, lines are kept, blank ones are not."""
    kept = "".join(c if _printable(c) else " " for c in unicodedata.normalize("NFC", _scalar(label)))
    lines = (" ".join(line.split()) for line in kept.replace("\r", "\n").split("\n"))
    return "\n".join(line for line in lines if line)


def _scalar(text: str) -> str:
    """`text` without lone surrogates, which no encoding can carry."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _printable(char: str) -> bool:
    # Cf keeps the joiners that emoji and some scripts need; the marks that reorder text are dropped with the rest.
    return char in "\n\r\t" or (unicodedata.category(char) not in {"Cc", "Cn", "Co"} and char not in _REORDERING)


_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff\ufffe\uffff")


def _label(value: Any) -> Any:
    return clean_label(str(value))[:MAX_LABEL] if isinstance(value, str | int | float) else value


Label = Annotated[str, BeforeValidator(_label), StringConstraints(min_length=1)]
"""A label that says something, cleaned as it is read."""


class Link(BaseModel):
    """From one thing to another, with or without a word."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    from_: Id = Field(alias="from")
    to: Id
    label: Label | None = None
