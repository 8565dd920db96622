"""One diarize service, its engine loaded once for all of its tests."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from flask_openapi import OpenAPI

from common.settings import load
from diarize.factory import create_app
from diarize.settings import DiarizeSettings


@pytest.fixture(scope="session")
def diarize_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAPI]:
    settings = load(
        DiarizeSettings,
        diarize_model="resemblyzer",
        data_dir=tmp_path_factory.mktemp("diarize"),
        max_upload_mb=8,
        max_audio_minutes=3,
    )
    app = create_app(settings)
    client = app.test_client()
    deadline = time.monotonic() + 120
    while client.get("/ready").status_code != 200:
        assert time.monotonic() < deadline, client.get("/ready").json
        time.sleep(0.05)
    yield app
    app.extensions["frigo.models"].close()


@pytest.fixture
def client(diarize_app: OpenAPI) -> FlaskClient:
    return diarize_app.test_client()
