"""chat under requests drawn from its own OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.openapi_fuzz import Fuzz, patient_services


@pytest.fixture
def fuzz(front: Any, make_client: Callable[..., FlaskClient]) -> Fuzz:
    url = front[1]
    client = make_client(gpt_api_url=url, asr_api_url=url, service_token="s3cret")
    front[0].app = patient_services()
    return Fuzz(client.application, headers={"X-Service-Token": "s3cret"})


def test_no_request_breaks_chat(fuzz: Fuzz) -> None:
    fuzz.run(2)
    assert {"POST /v1/chat/completions", "POST /api/diagrams", "POST /api/minutes"} <= set(fuzz.operations)
    assert fuzz.statuses[200] > 10
    assert fuzz.statuses[400] > 10


@pytest.mark.slow
def test_no_request_breaks_chat_for_long(fuzz: Fuzz) -> None:
    fuzz.run(200)
