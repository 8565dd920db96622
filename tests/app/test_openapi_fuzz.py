"""app under requests drawn from its own OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.factory import create_app
from app.settings import AppSettings
from common.settings import load
from tests.app.fakes import ADMIN, SERVICE
from tests.openapi_fuzz import Fuzz, patient_services


@pytest.fixture
def fuzz(serve: Callable[..., str], tmp_path: Any) -> Fuzz:
    url = serve(patient_services())
    settings = load(
        AppSettings,
        data_dir=tmp_path / "data",
        chat_api_url=url,
        gpt_api_url=url,
        asr_api_url=url,
        diarize_api_url=url,
        admin_token=ADMIN,
        service_token=SERVICE,
        max_upload_mb=2,
    )
    return Fuzz(create_app(settings), headers={"Authorization": f"Bearer {ADMIN}"})


def test_no_request_breaks_app(fuzz: Fuzz) -> None:
    fuzz.run(2)
    assert {"POST /api/meetings", "GET /api/admin/status", "POST /v1/chat/completions"} <= set(fuzz.operations)
    assert fuzz.statuses[200] > 10
    assert fuzz.statuses[404] + fuzz.statuses[400] > 10


@pytest.mark.slow
def test_no_request_breaks_app_for_long(fuzz: Fuzz) -> None:
    fuzz.run(200)
