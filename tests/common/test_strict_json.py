"""JSON bodies: what is let in, what is refused, what goes out."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, request

from common.web.strict_json import StrictJSON


@pytest.fixture
def client() -> Any:
    app = Flask(__name__)
    app.json = StrictJSON(app)

    @app.post("/")
    def echo() -> Any:
        return request.get_json()

    return app.test_client()


def post(client: Any, body: bytes) -> Any:
    return client.post("/", data=body, content_type="application/json")


@pytest.mark.parametrize("text", ["Été à l’œuvre", r"\ud83c\udf89", r"\\ud800", "🎉"])
def test_letters_go_through(client: Any, text: str) -> None:
    answer = post(client, f'{{"z": "{text}", "a": 1}}'.encode())
    assert answer.status_code == 200
    assert list(answer.json) == ["z", "a"]
    assert "\\u" not in answer.text.replace("\\\\u", "")


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        rb'{"a": "\ud800"}',
        rb'{"\uDFFF": 1}',
        b"{",
        b"\xff",
        b'"\xed\xa0\x80"',
        '"x"'.encode("utf-16-le").replace(b"x\x00", b"\x00\xd8"),
    ],
)
def test_what_is_not_json_is_refused(client: Any, body: bytes) -> None:
    assert post(client, body).status_code == 400
