"""What every service gets from the factory: errors, ids, languages, health, metrics, OpenAPI."""

from __future__ import annotations

import errno
import io
import json
import logging
from typing import Any

import pytest
from flask import request
from flask.testing import FlaskClient
from pydantic import BaseModel, ConfigDict, Field
from pythonjsonlogger.json import JsonFormatter

from common.errors import ApiError
from common.messages import _
from common.settings import ServiceSettings
from common.web import factory
from common.web.factory import create_service


class Body(BaseModel):
    count: int = Field(ge=0, le=10)
    names: list[str] = Field(default_factory=list, max_length=2)


class Form(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    share: float = 0.0
    bug: bool = False
    marks: list[int] = Field(default_factory=list, alias="marks[]")


@pytest.fixture
def state() -> dict[str, str]:
    return {"model": "ready"}


@pytest.fixture
def client(state: dict[str, str]) -> FlaskClient:
    app = create_service("test", ServiceSettings(max_upload_mb=1), ready=lambda: state)

    @app.post("/count")
    def count(body: Body) -> dict[str, Any]:
        return {"count": body.count}

    @app.post("/upload")
    def upload() -> dict[str, Any]:
        return {"size": len(request.files["file"].read())}

    @app.get("/full")
    def full() -> dict[str, Any]:
        raise OSError(errno.ENOSPC, "No space left on device", "/tmp/secret-path")

    @app.post("/form")
    def filled(form: Form) -> dict[str, Any]:
        if form.bug:
            raise RecursionError
        return {"share": form.share}

    @app.get("/teapot")
    def teapot() -> dict[str, Any]:
        raise ApiError(
            418, "teapot", _("Cette adresse n'existe pas."), "pot", headers={"Retry-After": "3"}, extra={"x": 1}
        )

    @app.get("/bug")
    def bug() -> dict[str, Any]:
        raise RuntimeError("secret-in-a-traceback")

    return app.test_client()


def test_health_and_ready(client: FlaskClient, state: dict[str, str]) -> None:
    assert client.get("/health").json["status"] == "ok"
    assert client.get("/ready").status_code == 200
    state["model"] = "loading"
    answer = client.get("/ready")
    assert answer.status_code == 503
    assert answer.json["components"] == {"model": "loading"}


def test_api_error_is_openai_shaped(client: FlaskClient) -> None:
    answer = client.get("/teapot")
    assert answer.status_code == 418
    assert answer.headers["Retry-After"] == "3"
    error = answer.json["error"]
    assert error == {
        "message": "Cette adresse n'existe pas.",
        "type": "invalid_request_error",
        "param": "pot",
        "code": "teapot",
        "x": 1,
    }


def test_english_on_request(client: FlaskClient) -> None:
    answer = client.get("/teapot", headers={"Accept-Language": "en"})
    assert answer.json["error"]["message"] == "This address does not exist."


def test_accents_are_not_escaped(client: FlaskClient) -> None:
    assert "méthode n'est pas acceptée" in client.get("/count").text


def test_unknown_path_and_method(client: FlaskClient) -> None:
    assert client.get("/nowhere").json["error"]["code"] == "not_found"
    answer = client.delete("/count")
    assert answer.status_code == 405
    assert answer.json["error"]["code"] == "method_not_allowed"
    assert "POST" in answer.headers["Allow"]


def test_a_bug_says_nothing_of_itself(client: FlaskClient) -> None:
    answer = client.get("/bug")
    assert answer.status_code == 500
    assert answer.json["error"]["code"] == "internal_error"
    assert "secret-in-a-traceback" not in answer.text
    assert answer.headers["X-Request-ID"] in answer.text


def test_request_id_is_kept_when_sane(client: FlaskClient) -> None:
    assert client.get("/health", headers={"X-Request-ID": "abc-123"}).headers["X-Request-ID"] == "abc-123"
    made = client.get("/health", headers={"X-Request-ID": "a b<script>"}).headers["X-Request-ID"]
    assert made.startswith("req_")


@pytest.mark.parametrize(
    ("data", "code", "param"),
    [
        ('{"count": 1', "invalid_json", None),
        ("[]", "invalid_json", None),
        ('"text"', "invalid_json", None),
        ("", "invalid_json", None),
        ("{}", "missing_field", "count"),
        ('{"count": -1}', "invalid_value", "count"),
        ('{"count": "beaucoup"}', "invalid_value", "count"),
        ('{"count": 1, "names": [1]}', "invalid_value", "names[0]"),
        ('{"count": 1, "names": ["a", "b", "c"]}', "invalid_value", "names"),
    ],
)
def test_a_wrong_body_names_the_field(client: FlaskClient, data: str, code: str, param: str | None) -> None:
    answer = client.post("/count", data=data, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json["error"]["code"] == code
    assert answer.json["error"]["param"] == param


def test_a_bound_is_said_in_words(client: FlaskClient) -> None:
    answer = client.post("/count", json={"count": 11})
    assert answer.json["error"]["message"] == "Champ « count » refusé : doit être au plus 10."


def test_a_body_that_is_not_json_is_told_so(client: FlaskClient) -> None:
    answer = client.post("/count", data="count=1", content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 415


def test_upload_over_the_limit(client: FlaskClient) -> None:
    answer = client.post("/upload", data={"file": (io.BytesIO(bytes(1000)), "a.bin")})
    assert answer.json == {"size": 1000}
    too_big = client.post("/upload", data=b"x" * (1024 * 1024 + 1), content_type="multipart/form-data; boundary=b")
    assert too_big.status_code == 413
    assert too_big.json["error"]["code"] == "upload_too_large"
    assert "MAX_UPLOAD_MB" in too_big.json["error"]["message"]


def test_metrics_count_by_route(client: FlaskClient) -> None:
    client.post("/count", json={"count": 1})
    text = client.get("/metrics").text
    assert 'frigo_http_requests_total{method="POST",route="/count",service="test",status="200"}' in text


def test_openapi_and_docs_work_offline(client: FlaskClient) -> None:
    document = client.get("/openapi.json").json
    assert "/count" in document["paths"]
    page = client.get("/docs", follow_redirects=True)
    assert page.status_code == 200
    assert "https://" not in page.text.replace("https://github.com", "")


def test_logs_are_json_lines_with_the_request_id(client: FlaskClient) -> None:
    written = io.StringIO()
    handler = next(h for h in logging.getLogger().handlers if isinstance(h.formatter, JsonFormatter))
    assert isinstance(handler, logging.StreamHandler)
    before = handler.setStream(written)
    try:
        client.post("/count?token=tres-secret", json={"count": 1}, headers={"X-Request-ID": "id-1"})
    finally:
        handler.setStream(before)
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    line = next(line for line in lines if line.get("path") == "/count")
    assert line["request_id"] == "id-1"
    assert line["service"] == "test"
    assert "tres-secret" not in written.getvalue()


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 50_000, '{"a":' * 50_000])
@pytest.mark.parametrize("field", ["share", "bug", "marks[]"])
def test_a_form_field_that_no_json_reader_ends_is_refused_by_its_name(
    client: FlaskClient, field: str, value: str
) -> None:
    answer = client.post("/form", data={field: value})
    assert answer.status_code == 400
    assert answer.json["error"]["code"] == "invalid_value"
    assert answer.json["error"]["param"] == field.removesuffix("[]")


def test_a_bug_of_ours_behind_a_form_is_still_a_bug(client: FlaskClient) -> None:
    assert client.post("/form", data={"bug": "true"}).status_code == 500


def test_a_full_disk_is_told_without_its_paths(client: FlaskClient) -> None:
    answer = client.get("/full")
    assert (answer.status_code, answer.json["error"]["code"]) == (507, "disk_full")
    assert "secret-path" not in answer.text


def test_any_json_is_held_to_the_limit_of_json(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factory, "MAX_JSON_BYTES", 1000)
    for kind in ("application/json", "application/problem+json"):
        answer = client.post("/count", data=b" " * 2000, content_type=kind)
        assert (answer.status_code, answer.json["error"]["code"]) == (413, "body_too_large")


def test_methods_that_callers_make_up_are_counted_as_one(client: FlaskClient) -> None:
    for method in ("ABRACADABRA", "XYZZY"):
        assert client.open("/count", method=method).status_code == 405
    text = client.get("/metrics").text
    assert 'method="OTHER",route="unmatched"' in text
    assert "ABRACADABRA" not in text
