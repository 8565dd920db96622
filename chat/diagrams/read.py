"""What a model wrote, read as a graph: tolerant of form (code fences, synonyms, numbers as ids), never of meaning."""

import json
import re
from typing import Any, get_args

from pydantic import ValidationError

from chat.diagrams.graph import MAX_EDGE_LABEL, Actor, Graph, Kind
from chat.diagrams.labels import MAX_LABEL, GraphError, clean_label

_FENCE = re.compile(r"^\s*```[\w-]*\s*\n(.*?)\n?```\s*$", re.S)
_THOUGHTS = re.compile(r"^\s*<think>.*?</think>", re.S)
_KINDS: dict[str, Kind] = {
    **{name: name for name in get_args(Kind)},
    "begin": "start",
    "event": "start",
    "trigger": "start",
    "condition": "decision",
    "gateway": "decision",
    "finish": "end",
    "stop": "end",
    "terminal": "end",
}
_ACTORS: dict[str, Actor] = {**{name: name for name in get_args(Actor)}, "user": "human", "person": "human", "ia": "ai"}


def read_graph(written: str, *, cut: bool = False) -> Graph:
    """The graph in a model's answer. `cut`: it had no room to end, so what is complete in it is taken.

    Raises `GraphError`, whose message tells the model what is wrong.
    """
    data = read_json(written, cut=cut)
    if not isinstance(data, dict) or not isinstance(data.get("nodes"), list):
        raise GraphError('The answer must be a JSON object with the keys "nodes" and "edges".')
    edges = data.get("edges")
    cleaned = {
        "nodes": [_node(node) for node in data["nodes"] if isinstance(node, dict)],
        "edges": [_edge(edge) for edge in (edges if isinstance(edges, list) else []) if isinstance(edge, dict)],
    }
    try:
        graph = Graph.model_validate(cleaned)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise GraphError(f"{where}: {problem['msg']}.") from error
    if cut:
        known = {node.id for node in graph.nodes}
        graph.edges = [edge for edge in graph.edges if edge.from_ in known and edge.to in known]
    graph.check()
    return graph


def read_json(written: str, *, cut: bool = False) -> Any:
    """The JSON object in a model's answer; raises `GraphError`."""
    text = _THOUGHTS.sub("", written)
    fenced = _FENCE.match(text)
    text = fenced.group(1) if fenced else text
    begin = text.find("{")
    if begin < 0:
        raise GraphError("The answer holds no JSON object.")
    text = text[begin:]
    try:
        return json.JSONDecoder().raw_decode(text)[0]
    except (ValueError, RecursionError) as error:
        if cut:
            return _complete_part(text)
        raise GraphError(f"The answer is not valid JSON: {error}.") from error


def _complete_part(text: str) -> Any:
    """The whole objects of a JSON text that ends too soon."""
    ends = [found.end() for found in re.finditer("}", text)]
    for end in reversed(ends[-50:]):
        for closing in ("]}", '],"edges":[]}'):
            try:
                return json.loads(text[:end] + closing)
            except (ValueError, RecursionError):
                continue
    raise GraphError("The answer ends before its first node.")


def _node(node: dict[str, Any]) -> dict[str, Any]:
    kind = str(node.get("kind") or node.get("type") or "").strip().lower()
    actor = str(node.get("actor") or "").strip().lower()
    return {
        "id": str(node.get("id", "")),
        "label": clean_label(str(node.get("label") or ""))[:MAX_LABEL],
        "kind": _KINDS.get(kind, "action"),
        "actor": _ACTORS.get(actor),
    }


def _edge(edge: dict[str, Any]) -> dict[str, Any]:
    label = edge.get("label")
    return {
        "from": str(edge.get("from", edge.get("source", ""))),
        "to": str(edge.get("to", edge.get("target", ""))),
        "label": clean_label(str(label))[:MAX_EDGE_LABEL] or None if label else None,
    }
