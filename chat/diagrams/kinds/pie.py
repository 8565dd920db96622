"""Pie charts: how a whole is shared."""

from pydantic import Field

from chat.diagrams.escape import plain, quote
from chat.diagrams.graph import Direction
from chat.diagrams.kinds.base import kind_of
from chat.diagrams.labels import Drawing, GraphError, Item, Label


class Slice(Item):
    label: Label
    value: float = Field(ge=0, le=1e12)


class Pie(Drawing):
    title: Label | None = None
    slices: list[Slice] = Field(min_length=1, max_length=30)

    def check(self) -> None:
        if not any(one.value for one in self.slices):
            raise GraphError("At least one value must be above 0.")


def serialize(drawing: Pie, _direction: Direction | None = None) -> str:
    """Slices of the same name are one: Mermaid keeps only the first of them."""
    values: dict[str, float] = {}
    for one in drawing.slices:
        name = quote(one.label.replace("\n", " "))
        values[name] = values.get(name, 0) + one.value
    lines = [f"pie title {plain(drawing.title, lines=' ')}" if drawing.title else "pie"]
    lines += [f"    {name} : {_number(value)}" for name, value in values.items()]
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


KIND = kind_of(
    "pie",
    Pie,
    serialize,
    title={"fr": "diagramme circulaire", "en": "pie chart"},
    shape='{"title":"…","slices":[{"label":"…","value":12.5}]}',
    rules={
        "fr": "- slices : les parts ; value, le nombre que le texte donne, dans une même unité pour toutes.",
        "en": "- slices: the shares; value, the number that the text gives, in one unit for all.",
    },
)
