"""The JSON graph that models write and that becomes a flowchart: its shape, its limits, what is wrong with it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from chat.diagrams.labels import MAX_LABEL, Drawing, GraphError, Id, Item

Kind = Literal["start", "action", "decision", "end"]
Actor = Literal["human", "system", "ai", "goal"]
Direction = Literal["TD", "LR"]

MAX_NODES = 200
MAX_EDGES = 400  # Mermaid itself refuses more than 500
MAX_EDGE_LABEL = 120


class Node(Item):
    id: Id
    label: Annotated[str, StringConstraints(max_length=MAX_LABEL)]
    kind: Kind = "action"
    actor: Actor | None = None


class Edge(BaseModel):
    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    from_: Id = Field(alias="from")
    to: Id
    label: Annotated[str, StringConstraints(max_length=MAX_EDGE_LABEL)] | None = None


class Graph(Drawing):
    """Nodes in reading order and the edges between them."""

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
