"""An asr service whose models run in real processes, for tests over HTTP."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from asr.factory import create_app
from asr.settings import AsrSettings
from common.settings import load

_SECONDS = 240


@contextmanager
def serving(data_dir: Path, **settings: Any) -> Iterator[FlaskClient]:
    """A client of a service that is ready."""
    app = create_app(load(AsrSettings, data_dir=data_dir, ia_use_gpu=False, **settings))
    try:
        client = app.test_client()
        deadline = time.monotonic() + _SECONDS
        while client.get("/ready").status_code != 200:
            assert time.monotonic() < deadline, client.get("/api/models").json
            time.sleep(0.05)
        yield client
    finally:
        app.extensions["frigo.models"].close()


def post(client: FlaskClient, path: str, sound: bytes, **fields: Any) -> Any:
    return client.post(path, data={"file": (io.BytesIO(sound), "a.wav"), **fields})


def states(client: FlaskClient) -> dict[str, dict[str, Any]]:
    return {model["key"]: model for model in client.get("/api/models").json["models"]}


def wait(client: FlaskClient, key: str, state: str) -> dict[str, Any]:
    """The model once it is in that state; an error ends the wait."""
    deadline = time.monotonic() + _SECONDS
    while (model := states(client)[key])["state"] != state:
        assert time.monotonic() < deadline, model
        assert model["state"] != "error", model
        time.sleep(0.05)
    return model
