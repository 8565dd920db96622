"""Graphs are put in order before they are drawn, and the parts of a long text become one."""

import pytest

from chat.diagrams.graph import MAX_NODES, Graph, Node
from chat.diagrams.tidy import join, room, tidy


def _graph(nodes: str, edges: str = "") -> Graph:
    """`nodes`: "id:label:kind …", `edges`: "from>to:label …"."""
    made = []
    for item in nodes.split():
        name, label, kind = [*item.split(":"), "action", "action"][:3]
        made.append({"id": name, "label": label.replace("_", " "), "kind": kind})
    links = []
    for item in edges.split():
        ends, _sep, label = item.partition(":")
        start, end = ends.split(">")
        links.append({"from": start, "to": end, "label": label or None})
    return Graph.model_validate({"nodes": made, "edges": links})


def _shown(graph: Graph) -> tuple[list[str], list[str]]:
    nodes = [f"{n.id}:{n.label}" for n in graph.nodes]
    return nodes, [f"{e.from_}>{e.to}" + (f":{e.label}" if e.label else "") for e in graph.edges]


def test_ids_follow_the_reading_order() -> None:
    assert _shown(tidy(_graph("end:a zz:b", "end>zz"))) == (["n1:a", "n2:b"], ["n1>n2"])


def test_a_copy_that_nothing_leads_to_is_the_first_one() -> None:
    tidied = tidy(_graph("a:Valider b:payer c:valider d:classer", "a>b c>d"))
    assert _shown(tidied) == (["n1:Valider", "n2:payer", "n3:classer"], ["n1>n2", "n1>n3"])


def test_a_step_done_twice_stays_two_steps() -> None:
    assert len(tidy(_graph("a:Valider b:payer c:valider", "a>b b>c")).nodes) == 3


def test_labels_without_letters_are_not_confused() -> None:
    assert len(tidy(_graph("a:🚀 b:🔥")).nodes) == 2


def test_needless_edges_go() -> None:
    tidied = tidy(_graph("a:x b:y", "a>b a>b a>a b>b:encore a>b:oui"))
    assert _shown(tidied)[1] == ["n1>n2", "n2>n2:encore", "n1>n2:oui"]


def test_nodes_without_words_go_with_their_edges() -> None:
    graph = _graph("a:x b:y c:z", "a>b b>c")
    graph.nodes[1].label = " \n "
    assert _shown(tidy(graph)) == (["n1:x", "n2:z"], [])


def test_parts_follow_each_other() -> None:
    joined = join([_graph("a:x:start b:y", "a>b"), _graph("a:z:start b:fin:end", "a>b")])
    assert _shown(joined) == (["n1:x", "n2:y", "n3:z", "n4:fin"], ["n1>n2", "n2>n3", "n3>n4"])
    assert [node.kind for node in joined.nodes] == ["start", "action", "action", "end"]


def test_an_end_that_is_followed_is_no_end_unless_another_branch_goes_on() -> None:
    ended = join([_graph("a:x b:fini:end", "a>b"), _graph("a:z")])
    assert [node.kind for node in ended.nodes] == ["action", "action", "action"]
    branched = join([_graph("a:x:decision b:fini:end c:suite", "a>b:oui a>c:non"), _graph("a:z")])
    assert [node.kind for node in branched.nodes] == ["decision", "end", "action", "action"]
    assert _shown(branched)[1][-1] == "n3>n4"


def test_there_is_room_up_to_the_limit() -> None:
    full = Graph(nodes=[Node(id=str(i), label="x") for i in range(MAX_NODES - 1)])
    assert room([full], _graph("a:x"))
    assert not room([full], _graph("a:x b:y"))
    with pytest.raises(ValueError, match="at most 200"):
        join([full, _graph("a:x b:y")])
