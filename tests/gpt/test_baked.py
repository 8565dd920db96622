"""An image with its models in it: HF_HUB_OFFLINE=1, a switch among them, and no other."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from common.hub.hub import Hub
from gpt.factory import create_app, create_registry
from gpt.settings import GptSettings
from tests.gpt.conftest import settings_for, wait_until
from tests.hub_server import HubServer

GPT2, DISTIL = "openai-community/gpt2", "distilbert/distilgpt2"


@pytest.fixture(scope="module")
def image(tiny_gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[HubServer, Path]:
    """The models' folder of an image that holds gpt2 and distilgpt2, and the hub they came from."""
    folder = tmp_path_factory.mktemp("image")
    repos = {name: shutil.copytree(tiny_gpt2, folder / name) for name in (GPT2, DISTIL)}
    hub = HubServer(repos).start()
    for name in repos:
        Hub(folder / "cache", hub.url, "").download(name, "main", lambda _done, _total: None)
    hub.stop()
    hub.seen.clear()
    return hub, folder / "cache"


def offline(image: tuple[HubServer, Path], tmp_path: Path, model: str) -> GptSettings:
    hub, cache = image
    return settings_for(
        model, cache, hf_endpoint=hub.url, hf_hub_offline=True, ia_engine="transformers", data_dir=tmp_path
    )


def start(settings: GptSettings) -> FlaskClient:
    registry = create_registry(settings, isolate=False)
    app = create_app(settings, registry).test_client()
    registry.start()
    wait_until(lambda: registry.ready() == {"model": "ready"}, 60)
    return app


def ask(app: FlaskClient, model: str) -> dict[str, str]:
    answer = app.post("/v1/completions", json={"model": model, "prompt": "x", "max_tokens": 1})
    assert answer.json is not None
    said: dict[str, str] = answer.json
    return said


@pytest.mark.parametrize(("model", "other"), [("gpt2", "distilgpt2"), ("distilgpt2", "gpt2")])
def test_a_start_and_the_dashboard_switch_among_baked_models(
    image: tuple[HubServer, Path], tmp_path: Path, model: str, other: str
) -> None:
    app = start(offline(image, tmp_path, model))
    assert ask(app, "default")["model"] == model
    assert app.post(f"/api/models/{other}/load").status_code == 202
    wait_until(lambda: ask(app, other).get("model") == other)
    assert image[0].seen == []


@pytest.mark.parametrize("action", ["download", "load"])
def test_another_model_is_refused_with_the_list_of_those_that_are_there(
    image: tuple[HubServer, Path], tmp_path: Path, action: str
) -> None:
    app = start(offline(image, tmp_path, "gpt2"))
    for refused in (
        app.post(f"/api/models/gpt2-medium/{action}"),
        app.post("/v1/completions", json={"model": "gpt2-medium", "prompt": "x"}),
    ):
        assert refused.json is not None
        error = refused.json["error"]
        assert (refused.status_code, error["code"]) == (409, "model_not_baked")
        assert "Modèles présents : frigo-mini, gpt2, distilgpt2." in error["message"]
    assert ask(app, "gpt2")["model"] == "gpt2"  # what serves goes on
    assert image[0].seen == []
