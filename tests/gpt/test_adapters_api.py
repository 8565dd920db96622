"""/api/adapters and adapters as models, over HTTP. Random weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from common.settings import SettingsError
from gpt.factory import create_app
from gpt.settings import GptSettings
from tests.gpt.conftest import ready_registry, settings_for, wait_until
from tests.gpt.seeing import write_seeing
from tests.gpt.test_adapters import write_adapter
from tests.gpt.test_vision import picture, url
from tests.hub_server import HubServer

ASK = {"prompt": "Le client envoie", "max_tokens": 12, "temperature": 0, "min_tokens": 12}


@pytest.fixture(scope="module")
def poetry(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adapter(tiny_llama, tmp_path_factory.mktemp("made") / "poetry", 1)


@pytest.fixture(scope="module")
def law(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adapter(tiny_llama, tmp_path_factory.mktemp("made") / "law", 2)


class Served:
    """gpt with the tiny model, and a DATA_DIR of its own."""

    def __init__(self, model: Path, root: Path, *, isolate: bool = False, **more: Any) -> None:
        settings: GptSettings = settings_for(model, root / "cache", data_dir=root / "data", **more)
        self.folder = root / "data" / "adapters"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.registry = ready_registry(settings, isolate=isolate)
        self.client: FlaskClient = create_app(settings, self.registry).test_client()

    def say(self, model: str | None = None) -> str:
        answer = self.client.post("/v1/completions", json={**ASK, "model": model})
        assert answer.json is not None
        assert answer.status_code == 200, answer.json
        assert model is None or answer.json["model"] == model
        return str(answer.json["choices"][0]["text"])

    def add(self, name: str, source: str, **more: Any) -> Any:
        return self.client.post("/api/adapters", json={"name": name, "source": source, **more})

    def listed(self) -> dict[str, Any]:
        found = self.client.get("/api/adapters").json
        assert found is not None
        return {adapter["name"]: adapter for adapter in found["adapters"]}


@pytest.fixture(scope="module")
def refusing(tiny_llama: Path, poetry: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One that is only asked for what it refuses."""
    made = Served(tiny_llama, tmp_path_factory.mktemp("refusing"))
    shutil.copytree(poetry, made.folder / "poetry")
    (made.folder / "outside").symlink_to(poetry)  # whatever is asked, nothing beyond DATA_DIR/adapters is read
    (made.folder / "pointing").mkdir()
    for file in poetry.iterdir():
        (made.folder / "pointing" / file.name).symlink_to(file)
    (made.folder / "empty").mkdir()
    yield made
    made.registry.close()


@pytest.fixture
def served(tiny_llama: Path, poetry: Path, tmp_path: Path) -> Iterator[Served]:
    made = Served(tiny_llama, tmp_path)
    shutil.copytree(poetry, made.folder / "poetry")
    yield made
    made.registry.close()


def test_an_adapter_is_a_model_with_a_parent(served: Served) -> None:
    plain = served.say()
    answer = served.add("poésie", "poetry")
    assert answer.status_code == 201
    assert (answer.json["state"], answer.json["parent"], answer.json["rank"]) == ("ready", "tiny-llama", 4)
    assert served.say("poésie") != plain
    assert served.say() == plain
    models = served.client.get("/v1/models").json
    assert models is not None
    shown = next(model for model in models["data"] if model["id"] == "poésie")
    assert (shown["parent"], shown["state"], shown["context"]) == ("tiny-llama", "ready", 256)
    assert served.client.get("/v1/models/POÉSIE").json == shown


def test_it_is_there_again_after_a_swap_and_a_restart(served: Served, tiny_llama: Path, tmp_path: Path) -> None:
    served.add("poésie", "poetry")
    said = served.say("poésie")
    served.registry.unload("tiny-llama")
    wait_until(lambda: served.registry.state("tiny-llama") == "downloaded")
    assert served.listed()["poésie"]["state"] == "downloaded"
    assert served.client.get("/v1/models/poésie").json["parent"] == "tiny-llama"  # type: ignore[index]
    served.registry.load("tiny-llama")
    wait_until(lambda: served.registry.state("tiny-llama") == "ready")
    assert served.say("poésie") == said
    served.registry.close()
    again = Served(tiny_llama, tmp_path)
    assert again.say("poésie") == said
    again.registry.close()


def test_it_leaves_when_its_answers_have_ended(served: Served) -> None:
    served.add("poésie", "poetry")
    stream = served.client.post(
        "/v1/completions", json={**ASK, "model": "poésie", "max_tokens": 200, "min_tokens": 200, "stream": True}
    )
    assert served.client.delete("/api/adapters/poésie").status_code == 202
    assert served.listed()["poésie"]["state"] == "unloading"
    refused = served.client.post("/v1/completions", json={**ASK, "model": "poésie"})
    assert refused.status_code == 404
    chunks = [line for line in stream.text.splitlines() if line.startswith("data: ")]
    assert json.loads(chunks[-2][6:])["choices"][0]["finish_reason"] == "length"
    wait_until(lambda: "poésie" not in served.listed())
    assert served.add("poésie", "poetry").status_code == 201
    assert served.client.delete("/api/adapters/rien").status_code == 404


@pytest.mark.parametrize(
    ("name", "source", "status", "code"),
    [
        ("tiny-llama", "poetry", 409, "name_taken"),
        ("GPT2", "poetry", 409, "name_taken"),
        ("default", "poetry", 400, "invalid_value"),
        ("a/b", "poetry", 400, "invalid_value"),
        ("a", "/etc", 400, "invalid_value"),
        ("a", "../adapters.json", 400, "invalid_value"),
        ("a", "poetry/../../..", 400, "invalid_value"),
        ("a", ".", 400, "invalid_value"),
        ("a", "nowhere", 400, "invalid_value"),
        ("a", "outside", 400, "invalid_value"),
        ("a", "pointing", 400, "invalid_value"),
        ("a", "empty", 422, "adapter_unusable"),
    ],
)
def test_what_cannot_be_added_is_refused(refusing: Served, name: str, source: str, status: int, code: str) -> None:
    answer = refusing.add(name, source)
    assert (answer.status_code, answer.json["error"]["code"]) == (status, code)
    assert str(refusing.folder.parent) not in answer.json["error"]["message"]
    assert refusing.listed() == {}


def test_two_may_not_have_one_name(served: Served) -> None:
    assert served.add("a", "poetry").status_code == 201
    assert served.add("A", "poetry").json["error"]["code"] == "name_taken"


def test_one_for_another_model_is_refused_and_forgotten(served: Served, tiny_gpt2: Path) -> None:
    write_adapter(tiny_gpt2, served.folder / "other", 3)
    answer = served.add("a", "other")
    assert (answer.status_code, answer.json["error"]["code"]) == (422, "adapter_unusable")
    assert "c_attn" in answer.json["error"]["message"]
    assert served.listed() == {}


def test_an_adapter_of_the_hub_is_fetched_while_its_model_serves(tiny_llama: Path, law: Path, tmp_path: Path) -> None:
    hub = HubServer({"cabinet/droit": law}).start()
    try:
        made = Served(tiny_llama, tmp_path, hf_endpoint=hub.url)
        assert made.add("droit", "cabinet/droit").status_code == 202
        wait_until(lambda: made.listed()["droit"]["state"] in {"ready", "error"})
        assert made.listed()["droit"]["error"] is None
        said = made.say("droit")
        assert said != made.say()
        assert made.add("rien", "cabinet/rien").status_code == 202
        wait_until(lambda: made.listed()["rien"]["state"] == "error")
        waiting = made.client.post("/v1/completions", json={**ASK, "model": "rien"})
        assert waiting.status_code == 503
        made.registry.close()
    finally:
        hub.stop()
    again = Served(tiny_llama, tmp_path, hf_endpoint="http://127.0.0.1:9")  # the hub is no longer needed
    assert again.say("droit") == said
    again.registry.close()


def test_a_model_in_an_engine_without_adapters_is_loaded_anew(tiny_llama: Path, poetry: Path, tmp_path: Path) -> None:
    """The light engine is chosen while there is no adapter, and takes none; the next load chooses another."""
    made = Served(tiny_llama, tmp_path, ia_engine="auto")
    shutil.copytree(poetry, made.folder / "poetry")
    assert made.registry.status("tiny-llama")["engine"] == "ctranslate2"
    answer = made.add("poésie", "poetry")
    assert (answer.status_code, answer.json["state"]) == (201, "downloaded")
    refused = made.client.post("/v1/completions", json={"prompt": "Le", "model": "poésie"})
    assert refused.status_code == 400
    assert refused.json is not None
    assert refused.json["error"]["code"] == "adapters_unsupported"
    assert "ctranslate2" in refused.json["error"]["message"]
    made.registry.unload("tiny-llama")
    wait_until(lambda: made.registry.state("tiny-llama") == "downloaded")
    made.registry.load("tiny-llama")
    wait_until(lambda: made.registry.state("tiny-llama") == "ready")
    assert made.say("poésie") != made.say()
    assert made.registry.status("tiny-llama")["engine"] == "transformers"
    made.registry.close()


def test_those_of_the_variable_are_there_at_start(tiny_llama: Path, poetry: Path, law: Path, tmp_path: Path) -> None:
    made = Served(tiny_llama, tmp_path, ia_adapters=f"poésie={poetry}, droit={law}")
    assert len({made.say("poésie"), made.say("droit"), made.say()}) == 3
    assert made.listed()["droit"]["source"] is None
    assert str(tmp_path) not in json.dumps(made.listed())
    assert made.client.delete("/api/adapters/droit").json["error"]["code"] == "adapter_declared"  # type: ignore[index]
    made.registry.close()


@pytest.mark.parametrize("given", ["poésie", "=x/y", "gpt2={poetry}", "a={empty}", "a=/nowhere/at/all"])
def test_a_wrong_variable_is_refused_at_start_by_its_name(
    tiny_llama: Path, poetry: Path, tmp_path: Path, given: str
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SettingsError, match="IA_ADAPTERS"):
        Served(tiny_llama, tmp_path, ia_adapters=given.format(poetry=poetry, empty=tmp_path / "empty"))


def test_in_a_process_of_its_own(tmp_path: Path) -> None:
    """As it is served: adapters and images go through to the engine's process, and come back."""
    base = write_seeing(tmp_path / "voyant", "qwen3_vl")
    made = Served(base, tmp_path, isolate=True)
    write_adapter(base, made.folder / "a", 1, target_modules=r".*language_model.*(q_proj|down_proj)")
    assert made.add("art", "a").status_code == 201

    def see(model: str, seed: int) -> Any:
        parts = [
            {"type": "text", "text": "Que vois-tu ?"},
            {"type": "image_url", "image_url": {"url": url(picture(seed))}},
        ]
        body = {"model": model, "messages": [{"role": "user", "content": parts}], "max_tokens": 4, "temperature": 0}
        answer = made.client.post("/v1/chat/completions", json={**body, "logprobs": True, "min_tokens": 4})
        assert answer.status_code == 200, answer.json
        assert answer.json is not None
        return answer.json["choices"][0]["logprobs"]["content"]

    assert see("art", 1) == see("art", 1)
    assert see("art", 1) != see("voyant", 1) != see("voyant", 2)
    assert made.client.delete("/api/adapters/art").status_code == 202
    wait_until(lambda: made.listed() == {})
    made.registry.close()
