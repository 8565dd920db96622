"""POST /api/diagrams and /api/diagrams/validate, over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from chat.diagrams.parser import MermaidParser
from chat.factory import create_app
from chat.settings import ChatSettings
from tests.chat.fake_gpt import FakeGpt
from tests.chat.test_generate import GRAPH, TEXT


def test_a_text_is_drawn(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.enqueue(GRAPH)
    answer = client.post("/api/diagrams", json={"text": TEXT, "direction": "TB"})
    assert answer.status_code == 200
    assert set(answer.json) == {"mermaid", "valid", "kind", "graph", "repairs", "model", "warnings", "live_url"}
    assert answer.json["valid"] is True
    assert answer.json["mermaid"].startswith("flowchart TD\n")
    first = answer.json["graph"]["nodes"][0]
    assert first == {
        "id": "n1",
        "label": "La cliente envoie sa demande",
        "kind": "start",
        "actor": "human",
        "source": {"start": 0, "end": 28, "score": 1.0},
    }
    assert answer.json["graph"]["edges"][2] == {"from": "n3", "to": "n4", "label": "oui"}
    assert "é" in answer.get_data(as_text=True)
    grammar = gpt.requests[0]["structured_outputs"]["grammar"]
    assert "dossier" in grammar


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "text"),
        ({"text": "  "}, "text"),
        ({"text": 3}, "text"),
        ({"instruction": "plus vertical"}, "mermaid"),
        ({"mermaid": "flowchart TD\n a-->b"}, "instruction"),
        ({"mermaid": " ", "instruction": "x"}, "mermaid"),
        ({"text": "x", "kind": "sequence"}, "kind"),
        ({"text": "x", "kind": "dessin"}, "kind"),
        ({"mermaid": "pie", "instruction": "x", "pvb": {}}, "pvb"),
        ({"text": "x", "direction": "UP"}, "direction"),
        ({"text": "x", "language": "de"}, "language"),
        ({"text": "x" * 500_001}, "text"),
        ({"text": "x", "pvb": {}}, "pvb"),
    ],
)
def test_a_wrong_request_names_its_field(client: FlaskClient, gpt: FakeGpt, body: dict[str, Any], param: str) -> None:
    answer = client.post("/api/diagrams", json=body)
    assert (answer.status_code, answer.json["error"]["param"]) == (400, param)
    assert gpt.requests == []


@pytest.mark.parametrize("data", ["", "{", "[]", "null", '"x"', "\xff"])
def test_what_is_not_a_json_object_is_refused(client: FlaskClient, data: str) -> None:
    answer = client.post("/api/diagrams", data=data.encode("latin-1"), content_type="application/json")
    assert answer.status_code == 400
    assert answer.json["error"]["type"] == "invalid_request_error"


def test_errors_speak_english_on_demand(client: FlaskClient) -> None:
    french = client.post("/api/diagrams", json={"text": "x", "kind": "dessin"})
    assert "types acceptés : flowchart" in french.json["error"]["message"]


def test_a_refusal_carries_the_parsers_words(client: FlaskClient) -> None:
    body = {"mermaid": "flowchart TD\n  A[x(y)]", "instruction": "simplifie", "model": "qwen"}
    answer = client.post("/api/diagrams", json=body)
    assert (answer.status_code, answer.json["error"]["code"], answer.json["error"]["line"]) == (
        422,
        "diagram_invalid",
        2,
    )
    assert "Parse error on line 2" in answer.json["error"]["parser"]


def test_validate_says_what_the_parser_says(client: FlaskClient) -> None:
    good = client.post("/api/diagrams/validate", json={"mermaid": 'pie\n "é" : 2'})
    assert good.json == {"valid": True, "kind": "pie"}
    bad = client.post("/api/diagrams/validate", json={"mermaid": "flowchart TD\n A-->B\n C[x(y)]"})
    assert (bad.status_code, bad.json["valid"], bad.json["kind"], bad.json["error"]["line"]) == (
        200,
        False,
        "flowchart",
        3,
    )
    assert client.post("/api/diagrams/validate", json={"mermaid": ""}).json["valid"] is False
    assert client.post("/api/diagrams/validate", json={}).json["error"]["param"] == "mermaid"


def test_validate_without_a_parser_is_null(gpt_url: str, tmp_path: Any) -> None:
    parser = MermaidParser(script=tmp_path / "validator.mjs")
    client = create_app(ChatSettings(gpt_api_url=gpt_url, data_dir=tmp_path), parser=parser).test_client()
    answer = client.post("/api/diagrams/validate", json={"mermaid": "flowchart TD\n A-->B"})
    assert answer.status_code == 200
    assert answer.json["valid"] is None
    assert "npm ci" in answer.json["error"]["message"]
    ready = client.get("/ready")
    assert ready.status_code == 503
    assert "npm ci" in ready.json["components"]["parser"]


def test_gpt_down_is_named(make_client: Callable[..., FlaskClient], free_port: int) -> None:
    client = make_client(gpt_api_url=f"http://127.0.0.1:{free_port}")
    for path, body in (("/api/diagrams", {"text": TEXT}), ("/api/minutes", {"transcript": TEXT})):
        answer = client.post(path, json=body)
        assert answer.status_code == 503
        assert (answer.json["error"]["code"], answer.json["error"]["service"]) == ("peer_unavailable", "gpt")
    assert client.get("/ready").json["components"]["gpt"] == "ne répond pas"
    assert client.get("/health").status_code == 200


def test_ready_says_what_gpt_says_and_asks_it_rarely(client: FlaskClient, gpt: FakeGpt) -> None:
    gpt.ready = False
    answer = client.get("/ready")
    assert (answer.status_code, answer.json["components"]) == (503, {"gpt": "loading", "parser": "ready"})
    gpt.ready = True
    assert client.get("/ready").json["components"]["gpt"] == "loading"


def test_only_services_and_key_holders_are_served(make_client: Callable[..., FlaskClient]) -> None:
    client = make_client(service_token="s3cret", openai_api_keys="k1")
    body = {"mermaid": "pie"}
    assert client.post("/api/diagrams/validate", json=body).json["error"]["code"] == "service_token_required"
    wrong = client.post("/api/diagrams/validate", json=body, headers={"X-Service-Token": "x"})
    assert wrong.status_code == 401
    for headers in ({"X-Service-Token": "s3cret"}, {"Authorization": "Bearer k1"}):
        assert client.post("/api/diagrams/validate", json=body, headers=headers).status_code == 200
    assert make_client(openai_api_keys="k1").post("/api/diagrams/validate", json=body).status_code == 200
