"""One asr service, its engine loaded once for all of its tests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from flask_openapi import OpenAPI

from asr.factory import create_app
from asr.settings import AsrSettings
from common.settings import load


def wait_ready(client: FlaskClient) -> None:
    """Poll until the engine is loaded."""
    deadline = time.monotonic() + 120
    while client.get("/ready").status_code != 200:
        assert time.monotonic() < deadline, client.get("/ready").json
        time.sleep(0.05)


@pytest.fixture(scope="session")
def asr_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAPI]:
    settings = load(
        AsrSettings,
        asr_model="pocketsphinx",
        data_dir=tmp_path_factory.mktemp("asr"),
        max_upload_mb=8,
        max_audio_minutes=3,
    )
    app = create_app(settings)
    wait_ready(app.test_client())
    yield app
    app.extensions["frigo.models"].close()


@pytest.fixture
def client(asr_app: OpenAPI) -> FlaskClient:
    return asr_app.test_client()


@pytest.fixture(scope="session")
def jfk(shared_data: Path) -> bytes:
    """Eleven seconds of English."""
    return (shared_data / "speech" / "jfk" / "jfk.flac").read_bytes()
