"""What a kind of diagram is: how a model is told to write it, how that is read, how it becomes Mermaid."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import ValidationError

from chat.diagrams.graph import Direction
from chat.diagrams.labels import Drawing, GraphError
from chat.diagrams.read import read_json
from chat.diagrams.schema import schema_of
from chat.language import Language


class Reader(Protocol):
    def __call__(self, written: str, *, cut: bool = False) -> Any: ...


@dataclass(frozen=True)
class Kind:
    """A kind that has a drawing (`Drawing`), a schema and a serializer.

    `serialize(drawing, direction)` always gives the same text, and one that Mermaid accepts. `directed`: Mermaid knows
    a direction for this kind.
    """

    name: str
    title: dict[Language, str]
    instructions: dict[Language, str]
    schema: dict[str, Any]
    read: Reader
    serialize: Callable[[Any, Direction | None], str]
    directed: bool = False


def kind_of(
    name: str,
    drawing: type[Drawing],
    serialize: Callable[[Any, Direction | None], str],
    *,
    title: dict[Language, str],
    shape: str,
    rules: dict[Language, str],
    directed: bool = False,
) -> Kind:
    """A kind of which the model's answer is `drawing`, shown to it as `shape` and explained by `rules`."""
    asked: dict[Language, str] = {
        "fr": f"Tu transformes un texte en {title['fr']}. Tu réponds par un seul objet JSON, sans rien d'autre :\n"
        f"{shape}\n\nRègles :\n- N'invente rien : tout vient du texte, dans l'ordre du texte.\n"
        f"- label : les mots mêmes du texte, une suite courte, en français si le texte l'est.\n{rules['fr']}",
        "en": f"You turn a text into a {title['en']}. You answer with one JSON object and nothing else:\n"
        f"{shape}\n\nRules:\n- Invent nothing: all of it comes from the text, in the order of the text.\n"
        f"- label: the text's own words, a short run of them, in the language of the text.\n{rules['en']}",
    }

    def read(written: str, *, cut: bool = False) -> Drawing:
        if cut:
            raise GraphError("The answer is too long: it was cut before its end. Write a shorter one.")
        return read_as(drawing, written)

    return Kind(name, title, asked, schema_of(drawing), read, serialize, directed)


def read_as(drawing: type[Drawing], written: str) -> Drawing:
    """The drawing in a model's answer. Raises `GraphError`, whose message tells the model what is wrong."""
    data = read_json(written)
    if not isinstance(data, dict):
        raise GraphError("The answer must be a JSON object.")
    try:
        read = drawing.model_validate(data)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise GraphError(f"{where}: {problem['msg']}.") from error
    read.check()
    return read


def numbered(ids: Iterable[str], prefix: str) -> dict[str, str]:
    """Ids of our own for those of the model, which may be keywords. Raises `GraphError` on one used twice."""
    ours: dict[str, str] = {}
    for given in ids:
        if given in ours:
            raise GraphError(f'The id "{given}" is used twice.')
        ours[given] = f"{prefix}{len(ours) + 1}"
    return ours


def known(ends: Iterable[str], ids: Iterable[str]) -> None:
    """Raise `GraphError` on the first of `ends` that is not in `ids`."""
    there = set(ids)
    for end in ends:
        if end not in there:
            raise GraphError(f'The id "{end}" is used and does not exist.')
