"""gpt and a hub on loopback that serves a tiny random model: from IA_MODEL=owner/name to an answer."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import ApiError
from common.hub.cache import PARTIAL
from common.hub.hub import Hub, Patience
from common.models.catalogue import ModelEntry
from gpt.factory import create_app, create_registry
from tests.gpt.conftest import settings_for, wait_until
from tests.hub_server import COMMIT, Fault, HubServer

REPO = "frigo-tests/tiny-llama"
QUICK = Patience(attempts=1)


@pytest.fixture
def hub(tiny_llama: Path, tmp_path: Path) -> Iterator[HubServer]:
    folder = shutil.copytree(tiny_llama, tmp_path / "repo")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    (folder / "modeling_trap.py").write_text("raise SystemExit", encoding="utf-8")
    server = HubServer({REPO: folder}).start()
    yield server
    server.stop()


def client(hub: HubServer, tmp_path: Path, token: str | None = "", saved_token: Path | None = None) -> Hub:
    return Hub(tmp_path / "cache", hub.url, token, saved_token=saved_token, patience=QUICK)


def silent(_done: int, _total: int) -> None:
    """No one looks."""


def test_only_what_is_safe_is_fetched_and_every_byte_is_counted(hub: HubServer, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    here = client(hub, tmp_path)
    assert here.find(REPO, "main") is None
    here.download(REPO, "main", lambda done, total: seen.append((done, total)))
    folder = here.find(REPO, "main")
    assert folder is not None
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    assert not names & {"pytorch_model.bin", "modeling_trap.py"}
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert seen[-1] == (size, size)
    assert (folder / "model.safetensors").read_bytes() == (hub.repos[REPO] / "model.safetensors").read_bytes()


def test_a_commit_finds_its_own_folder(hub: HubServer, tmp_path: Path) -> None:
    here = client(hub, tmp_path)
    here.download(REPO, COMMIT, silent)
    assert here.find(REPO, COMMIT) is not None
    assert here.find(REPO, "main") is None


def test_the_token_opens_what_is_closed_and_is_never_shown(hub: HubServer, tmp_path: Path) -> None:
    hub.token = "hf_right"
    with pytest.raises(ApiError) as refused:
        client(hub, tmp_path, "hf_wrong").download(REPO, "main", silent)
    assert refused.value.code == "hub_unauthorized"
    assert "hf_wrong" not in str(refused.value.message)
    client(hub, tmp_path, "hf_right").download(REPO, "main", silent)


@pytest.mark.parametrize("from_environment", ["", "hf_too_old"])
def test_a_token_saved_from_the_page_is_read_at_the_next_download(
    hub: HubServer, tmp_path: Path, from_environment: str
) -> None:
    hub.token = "hf_right"
    saved = tmp_path / "huggingface_token"
    here = client(hub, tmp_path, from_environment, saved)
    with pytest.raises(ApiError, match="hub_unauthorized"):
        here.download(REPO, "main", silent)
    saved.write_text("hf_right\n", encoding="utf-8")
    here.download(REPO, "main", silent)
    assert here.find(REPO, "main") is not None
    saved.unlink()
    assert here.current_token() == from_environment


def test_a_model_without_safetensors_is_refused_before_its_first_file(hub: HubServer, tmp_path: Path) -> None:
    (hub.repos[REPO] / "model.safetensors").unlink()
    with pytest.raises(ApiError) as refused:
        client(hub, tmp_path).download(REPO, "main", silent)
    assert refused.value.code == "no_safetensors"
    assert not any("/resolve/" in path for _method, path, _range in hub.seen)


def test_a_hub_model_is_fetched_loaded_and_answers(hub: HubServer, tmp_path: Path) -> None:
    """From IA_MODEL=owner/name to an answer, states on the way; a fault leaves a state that says why."""
    hub.faults = [Fault("/resolve/", status=403, error_code="GatedRepo", times=1)]
    settings = settings_for(REPO, tmp_path / "cache", hf_endpoint=hub.url, ia_engine="transformers", data_dir=tmp_path)
    registry = create_registry(settings, isolate=False)
    app = create_app(settings, registry).test_client()
    registry.start()
    wait_until(lambda: registry.state(REPO) == "error")
    body = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 2, "model": REPO}
    refused = app.post("/v1/chat/completions", json=body)
    assert refused.status_code == 503
    assert refused.json is not None
    assert f"{hub.url}/{REPO}" in refused.json["error"]["message"]  # where to accept the terms
    assert app.post(f"/api/models/{REPO}/load").status_code == 202
    wait_until(lambda: registry.state(REPO) == "ready")
    answer = app.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["model"] == REPO
    shown = app.get(f"/v1/models/{REPO}").json
    assert shown is not None
    assert (shown["state"], shown["context"]) == ("ready", 256)  # told by its own files
    assert create_registry(settings).state(REPO) == "downloaded"  # kept for the next start


def test_a_download_shows_its_bytes_is_cancelled_by_the_route_and_goes_on_from_there(
    hub: HubServer, tmp_path: Path
) -> None:
    weights = "big.safetensors"
    (hub.repos[REPO] / "model.safetensors").rename(hub.repos[REPO] / weights)
    with (hub.repos[REPO] / weights).open("ab") as file:
        file.write(bytes(4 * 2**20))
    hub.faults = [Fault(f"/{weights}", slow=0.05)]
    settings = settings_for("frigo-mini", tmp_path / "cache", hf_endpoint=hub.url, data_dir=tmp_path)
    registry = create_registry(settings, isolate=False)
    registry.catalogue.add(ModelEntry(key="tiny", hub_id=REPO, family="llama", parameters=1, licence=""))
    app = create_app(settings, registry).test_client()

    def shown() -> dict[str, Any]:
        found: dict[str, Any] = next(m for m in app.get("/api/models").get_json()["models"] if m["key"] == "tiny")
        return found

    assert app.post("/api/models/tiny/download").status_code == 202
    wait_until(lambda: shown()["bytes_done"] > 2**20)
    assert shown()["state"] == "downloading"
    assert shown()["bytes_total"] > 4 * 2**20
    assert app.post("/api/models/tiny/cancel").status_code == 202
    wait_until(lambda: shown()["state"] == "idle")
    [partial] = (tmp_path / "cache").glob(f"*/blobs/*{PARTIAL}")
    kept = partial.stat().st_size
    assert 0 < kept < 4 * 2**20
    hub.faults = []
    app.post("/api/models/tiny/download")
    wait_until(lambda: shown()["state"] == "downloaded")
    assert hub.ranges_of(weights)[-2:] == ["", f"bytes={kept}-"]  # after the header, read to know the model's size
