"""The JSON graph that models write and that becomes a flowchart: its shape, its limits, what is wrong with it."""

import unicodedata
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Kind = Literal["start", "action", "decision", "end"]
Actor = Literal["human", "system", "ai", "goal"]
Direction = Literal["TD", "LR"]

MAX_NODES = 200
MAX_EDGES = 400  # Mermaid itself refuses more than 500
MAX_LABEL = 500
MAX_EDGE_LABEL = 120

Id = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class GraphError(ValueError):
    """A graph that cannot be drawn; the message is English and meant for the model that wrote it."""


class Source(BaseModel):
    """Where a label comes from: offsets in characters (Unicode code points) of the given text, `end` excluded."""

    start: int
    end: int
    score: float = Field(description="1 when the label is in the text as it is, less when it was reworded.")


class Node(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: Id
    label: Annotated[str, StringConstraints(max_length=MAX_LABEL)]
    kind: Kind = "action"
    actor: Actor | None = None
    source: Source | None = None


class Edge(BaseModel):
    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    from_: Id = Field(alias="from")
    to: Id
    label: Annotated[str, StringConstraints(max_length=MAX_EDGE_LABEL)] | None = None


class Graph(BaseModel):
    """Nodes in reading order and the edges between them."""

    model_config = ConfigDict(extra="ignore")

    nodes: list[Node] = Field(max_length=MAX_NODES)
    edges: list[Edge] = Field(default_factory=list, max_length=MAX_EDGES)

    def check(self) -> None:
        """Raise `GraphError` on the first id used twice or edge that leads nowhere."""
        seen: set[str] = set()
        for node in self.nodes:
            if node.id in seen:
                raise GraphError(f'Two nodes have the id "{node.id}".')
            seen.add(node.id)
        for edge in self.edges:
            for end in (edge.from_, edge.to):
                if end not in seen:
                    raise GraphError(f'An edge names the node "{end}", which does not exist.')

    def public(self) -> dict[str, Any]:
        """As the API answers it: the keys of the wire, and no empty ones."""
        return self.model_dump(by_alias=True, exclude_none=True)


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


def graph_schema() -> dict[str, Any]:
    """JSON schema of what a model must answer: strict, so that constrained decoding needs nothing else."""
    text = {"type": "string", "minLength": 1, "maxLength": MAX_EDGE_LABEL}
    node = {
        "type": "object",
        "properties": {
            "id": {"type": "string", "pattern": "^n[1-9][0-9]{0,2}$"},
            "label": {"type": "string", "minLength": 1, "maxLength": 200},
            "kind": {"type": "string", "enum": ["start", "action", "decision", "end"]},
            "actor": {"type": "string", "enum": ["human", "system", "ai", "goal"]},
        },
        "required": ["id", "label", "kind", "actor"],
        "additionalProperties": False,
    }
    edge = {
        "type": "object",
        "properties": {"from": node["properties"]["id"], "to": node["properties"]["id"], "label": text},  # type: ignore[index]
        "required": ["from", "to"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {
            "nodes": {"type": "array", "items": node, "minItems": 1, "maxItems": MAX_NODES},
            "edges": {"type": "array", "items": edge, "maxItems": MAX_EDGES},
        },
        "required": ["nodes", "edges"],
        "additionalProperties": False,
    }
