"""Text → diagram with a scripted model and the real parser: valid, or an error that says why."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chat.diagrams.generate import MAX_PARTS, DiagramMaker
from chat.diagrams.parser import MermaidParser, Verdict
from chat.llm import LanguageModel
from common.errors import ApiError
from common.messages import _
from tests.chat.fake_gpt import FakeGpt

TEXT = "La cliente envoie sa demande. L'agent vérifie le dossier. Si le dossier est complet, il valide la demande."
GRAPH = {
    "nodes": [
        {"id": "n1", "label": "La cliente envoie sa demande", "kind": "start", "actor": "human"},
        {"id": "n2", "label": "vérifie le dossier", "kind": "action", "actor": "human"},
        {"id": "n3", "label": "le dossier est complet", "kind": "decision", "actor": "system"},
        {"id": "n4", "label": "valide la demande", "kind": "end", "actor": "goal"},
    ],
    "edges": [{"from": "n1", "to": "n2"}, {"from": "n2", "to": "n3"}, {"from": "n3", "to": "n4", "label": "oui"}],
}


def embedded_request(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "system", "content": "frigo:diagram"}, {"role": "user", "content": text}]}


@pytest.fixture
def maker(llm: LanguageModel, mermaid_parser: MermaidParser) -> DiagramMaker:
    return DiagramMaker(llm, mermaid_parser, embedded_request)


def test_a_text_becomes_a_valid_flowchart_with_its_sources(maker: DiagramMaker, gpt: FakeGpt) -> None:
    gpt.enqueue(GRAPH)
    diagram = maker.draw(TEXT, direction="LR")
    assert diagram.valid is True
    assert (diagram.kind, diagram.repairs, diagram.model, diagram.warnings) == ("flowchart", 0, "frigo-mini", [])
    assert diagram.mermaid.startswith('flowchart LR\n    n1(["La cliente envoie sa demande"])\n')
    for node in diagram.graph.nodes:
        assert node.source is not None
        assert TEXT[node.source.start : node.source.end] == node.label
        assert node.source.score == 1


def test_the_embedded_model_gets_its_own_request(maker: DiagramMaker, gpt: FakeGpt) -> None:
    gpt.enqueue(GRAPH)
    maker.draw(TEXT)
    assert gpt.requests[0]["messages"][0]["content"] == "frigo:diagram"
    assert gpt.requests[0]["model"] == "frigo-mini"
    assert "response_format" not in gpt.requests[0]


@pytest.mark.parametrize(("text", "words"), [(TEXT, "Tu transformes"), ("The client sends the form.", "You turn")])
def test_other_models_get_instructions_in_the_language_of_the_text(
    maker: DiagramMaker, gpt: FakeGpt, text: str, words: str
) -> None:
    gpt.enqueue(GRAPH)
    diagram = maker.draw(text, model="qwen")
    sent = gpt.requests[0]
    assert diagram.model == sent["model"] == "qwen3-4b"
    assert sent["messages"][0]["content"].startswith(words)
    assert sent["messages"][1]["content"] == text
    assert sent["response_format"]["json_schema"]["schema"]["required"] == ["nodes", "edges"]


def test_a_refused_answer_is_repaired_with_the_reason(maker: DiagramMaker, gpt: FakeGpt) -> None:
    dangling = {**GRAPH, "edges": [{"from": "n1", "to": "n9"}]}
    gpt.enqueue("Bien sûr !", dangling, GRAPH)
    diagram = maker.draw(TEXT, model="qwen")
    assert diagram.repairs == 2
    assert diagram.valid is True
    first, second = (request["messages"][-1]["content"] for request in gpt.requests[1:])
    assert "no JSON object" in first
    assert '"n9", which does not exist' in second
    assert gpt.requests[2]["messages"][-2] == {
        "role": "assistant",
        "content": json.dumps(dangling, separators=(",", ":"), ensure_ascii=False),
    }


def test_after_two_repairs_it_is_an_error(maker: DiagramMaker, gpt: FakeGpt) -> None:
    gpt.enqueue("a", "b", "c", GRAPH)
    with pytest.raises(ApiError) as raised:
        maker.draw(TEXT)
    assert (raised.value.status, raised.value.code) == (422, "diagram_invalid")
    assert gpt.left == 1


def test_the_embedded_model_draws_another_answer_instead_of_reading_a_remark(maker: DiagramMaker, gpt: FakeGpt) -> None:
    gpt.enqueue("…", GRAPH)
    assert maker.draw(TEXT).repairs == 1
    assert gpt.requests[1]["messages"] == gpt.requests[0]["messages"]
    assert (gpt.requests[1]["temperature"], gpt.requests[1]["seed"]) == (0.5, 1)


def test_the_parser_has_the_last_word(llm: LanguageModel, gpt: FakeGpt) -> None:
    class Refusing(MermaidParser):
        def check(self, text: str) -> Verdict:
            from chat.diagrams.parser import Problem

            return Verdict(False, "flowchart", Problem(3, "Parse error on line 3"))

    gpt.enqueue(GRAPH, GRAPH, GRAPH)
    with pytest.raises(ApiError) as raised:
        DiagramMaker(llm, Refusing(), embedded_request).draw(TEXT)
    assert raised.value.code == "diagram_invalid"
    assert "Parse error on line 3" in str(raised.value.message)
    assert len(gpt.requests) == 3


def test_without_a_parser_validity_is_unknown_never_true(llm: LanguageModel, gpt: FakeGpt) -> None:
    class Missing(MermaidParser):
        def check(self, text: str) -> Verdict:
            return Verdict(None, unknown=_("Le parseur Mermaid n'est pas installé."))

    gpt.enqueue(GRAPH)
    diagram = DiagramMaker(llm, Missing(), embedded_request).draw(TEXT)
    assert diagram.valid is None
    assert "n'est pas installé" in str(diagram.warnings[0])


def test_a_text_without_steps_says_what_to_write(maker: DiagramMaker, gpt: FakeGpt) -> None:
    gpt.enqueue({"nodes": [], "edges": []})
    with pytest.raises(ApiError) as raised:
        maker.draw("Bonjour !")
    assert (raised.value.status, raised.value.code, raised.value.param) == (422, "diagram_invalid", "text")
    assert "Décrivez" in str(raised.value.message)
    assert len(gpt.requests) == 1


def test_signs_alone_are_not_even_sent(maker: DiagramMaker, gpt: FakeGpt) -> None:
    with pytest.raises(ApiError) as raised:
        maker.draw("… !!! 🚀")
    assert (raised.value.status, raised.value.code) == (422, "diagram_invalid")
    assert gpt.requests == []


def test_an_answer_that_was_cut_gives_what_is_whole(maker: DiagramMaker, gpt: FakeGpt) -> None:
    written = json.dumps(GRAPH)
    gpt.enqueue(("cut", written[: written.index('"n4"')]))
    diagram = maker.draw(TEXT)
    assert diagram.valid is True
    assert len(diagram.graph.nodes) == 3


def test_a_long_text_is_read_in_parts_and_drawn_as_one(maker: DiagramMaker, gpt: FakeGpt) -> None:
    sentences = [f"L'agent numéro {n} range la caisse {n} au fond du dépôt." for n in range(60)]
    text = " ".join(sentences)

    def one(n: int) -> dict[str, Any]:
        return {"nodes": [{"id": "n1", "label": f"range la caisse {n}", "kind": "start"}], "edges": []}

    gpt.enqueue(*(one(n) for n in range(MAX_PARTS)))
    diagram = maker.draw(text)
    parts = len(gpt.requests)
    assert 1 < parts <= MAX_PARTS
    assert "".join(request["messages"][1]["content"] for request in gpt.requests) == text
    assert diagram.valid is True
    assert [(e.from_, e.to) for e in diagram.graph.edges] == [(f"n{n}", f"n{n + 1}") for n in range(1, parts)]
    assert [node.kind for node in diagram.graph.nodes] == ["start"] + ["action"] * (parts - 1)
    assert f"{parts} parties" in str(diagram.warnings[0])
    first = diagram.graph.nodes[1].source
    assert first is not None
    assert text[first.start : first.end] == "range la caisse 1"


def test_a_book_is_not_read_whole_and_the_answer_says_so(maker: DiagramMaker, gpt: FakeGpt) -> None:
    gpt.enqueue(*({"nodes": [{"id": "n1", "label": f"étape {n}"}], "edges": []} for n in range(MAX_PARTS)))
    diagram = maker.draw("Il range la caisse et il repart. " * 3000)
    assert len(gpt.requests) == MAX_PARTS
    assert any("99000" in str(warning) for warning in diagram.warnings)


def test_a_part_that_cannot_be_drawn_is_named_missing(maker: DiagramMaker, gpt: FakeGpt) -> None:
    text = "L'agent range la caisse au fond du dépôt. " * 40
    gpt.enqueue("x", "x", "x", *({"nodes": [{"id": "n1", "label": "range la caisse"}], "edges": []} for _ in range(9)))
    diagram = maker.draw(text)
    assert diagram.valid is True
    assert "manque" in str(diagram.warnings[-1])


def test_a_text_that_does_not_fit_is_cut_smaller(maker: DiagramMaker, gpt: FakeGpt) -> None:
    refusal = {"error": {"message": "trop long", "type": "t", "param": "messages", "code": "context_length_exceeded"}}
    text = "L'agent range la caisse au fond du dépôt. " * 20
    gpt.enqueue((400, refusal), GRAPH, GRAPH, GRAPH)
    assert maker.draw(text).valid is True
    assert len(gpt.requests[1]["messages"][1]["content"]) < len(gpt.requests[0]["messages"][1]["content"])


def test_an_engine_that_cannot_impose_a_schema_is_asked_without(maker: DiagramMaker, gpt: FakeGpt) -> None:
    refusal = {"error": {"message": "non", "type": "t", "param": "response_format", "code": "unsupported_parameter"}}
    gpt.enqueue((400, refusal), GRAPH)
    assert maker.draw(TEXT, model="qwen").valid is True
    assert "response_format" not in gpt.requests[1]


def test_gpt_errors_come_through(maker: DiagramMaker, gpt: FakeGpt) -> None:
    refusal = {"message": "pas prêt", "type": "server_error", "param": "model", "code": "model_not_ready"}
    gpt.enqueue((503, {"error": {**refusal, "model": {"key": "x"}}}))
    with pytest.raises(ApiError) as raised:
        maker.draw(TEXT)
    assert (raised.value.status, raised.value.code) == (503, "model_not_ready")
    assert raised.value.extra == {"model": {"key": "x"}}
    with pytest.raises(ApiError) as unknown:
        maker.draw(TEXT, model="gpt-9")
    assert (unknown.value.status, unknown.value.code) == (404, "model_not_found")


def test_no_model_named_means_the_one_gpt_would_use(maker: DiagramMaker, gpt: FakeGpt, llm: LanguageModel) -> None:
    gpt.models = [{**m, "state": "ready"} for m in gpt.models]
    gpt.chosen = "qwen3-4b"
    assert llm.model(None).id == "qwen3-4b"
    assert llm.model("default").id == "qwen3-4b"
    assert llm.model("EMBEDDED").id == "frigo-mini"


OLD = 'flowchart TD\n    n1["Recevoir"] --> n2["Répondre"]\n'


def test_a_diagram_is_changed_by_an_instruction(maker: DiagramMaker, gpt: FakeGpt) -> None:
    gpt.enqueue({"direction": "LR", **GRAPH})
    diagram = maker.refine(OLD, "plus horizontal, et ajoute une validation", model="qwen")
    assert diagram.valid is True
    assert diagram.mermaid.startswith("flowchart LR")
    asked = gpt.requests[0]["messages"][1]["content"]
    assert OLD.strip() in asked
    assert "ajoute une validation" in asked


def test_the_embedded_model_says_that_it_cannot_change_a_diagram(maker: DiagramMaker, gpt: FakeGpt) -> None:
    with pytest.raises(ApiError) as raised:
        maker.refine(OLD, "simplifie")
    assert (raised.value.status, raised.value.param) == (400, "instruction")
    assert "frigo-mini" in str(raised.value.message)
    assert gpt.requests == []


def test_a_broken_diagram_is_not_changed(maker: DiagramMaker) -> None:
    with pytest.raises(ApiError) as raised:
        maker.refine("flowchart TD\n  A[x(y)]", "simplifie", model="qwen")
    assert (raised.value.status, raised.value.code, raised.value.extra["line"]) == (422, "diagram_invalid", 2)
    with pytest.raises(ApiError) as other:
        maker.refine("info", "simplifie", model="qwen")
    assert (other.value.status, other.value.code) == (400, "unsupported_kind")
