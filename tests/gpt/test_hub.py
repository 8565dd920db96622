"""Downloads, against a hub on loopback that serves a tiny random model and refuses as real hubs do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.errors import ApiError
from common.models.hub import Hub, wanted
from common.models.registry import Registry
from gpt.engines.base import LanguageEngine
from gpt.factory import create_app, create_registry
from tests.gpt.conftest import settings_for, wait_until
from tests.hub_server import COMMIT, Fault, HubServer

REPO = "frigo-tests/tiny-llama"


@pytest.fixture
def hub(tiny_llama: Path, tmp_path: Path) -> Iterator[HubServer]:
    folder = shutil.copytree(tiny_llama, tmp_path / "repo")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    (folder / "modeling_trap.py").write_text("raise SystemExit", encoding="utf-8")
    server = HubServer({REPO: folder}).start()
    yield server
    server.stop()


def client(hub: HubServer, tmp_path: Path, **more: object) -> Hub:
    return Hub(cache_dir=tmp_path / "cache", endpoint=hub.url, **more)  # type: ignore[arg-type]


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
    assert [done for done, _total in seen] == sorted(done for done, _total in seen)
    assert (folder / "model.safetensors").read_bytes() == (hub.repos[REPO] / "model.safetensors").read_bytes()


def test_a_commit_finds_its_own_folder(hub: HubServer, tmp_path: Path) -> None:
    here = client(hub, tmp_path)
    here.download(REPO, COMMIT, lambda _done, _total: None)
    assert here.find(REPO, COMMIT) is not None
    assert here.find(REPO, "main") is None


def test_a_download_that_was_cut_goes_on_where_it_stopped(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 4096)  # 10 MB: more than the whole file
    weights = hub.repos[REPO] / "model.safetensors"
    hub.faults = [Fault("model.safetensors", cut_after=weights.stat().st_size // 2, times=1)]
    here = client(hub, tmp_path)
    here.download(REPO, "main", lambda _done, _total: None)
    folder = here.find(REPO, "main")
    assert folder is not None
    assert (folder / "model.safetensors").read_bytes() == weights.read_bytes()
    ranges = [span for method, path, span in hub.seen if method == "GET" and path.endswith("model.safetensors")]
    assert len(ranges) == 2
    assert ranges[1].startswith("bytes=")


@pytest.mark.parametrize(
    ("status", "hub_code", "code", "said"),
    [
        (401, "RepoNotFound", "hub_unauthorized", "HUGGINGFACE_TOKEN"),
        (403, "GatedRepo", "hub_gated", "/frigo-tests/tiny-llama"),
        (403, "", "hub_forbidden", "HUGGINGFACE_TOKEN"),
        (404, "RepoNotFound", "hub_not_found", REPO),
        (404, "RevisionNotFound", "hub_not_found", "révision"),
        (429, "", "hub_rate_limited", "ralentir"),
    ],
)
@pytest.mark.parametrize("where", ["/api/models/", "/resolve/"])
def test_each_refusal_has_its_own_sentence(
    hub: HubServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    status: int,
    hub_code: str,
    code: str,
    said: str,
) -> None:
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _seconds: None)  # its patience with a 429
    hub.faults = [Fault(where, status=status, error_code=hub_code)]
    with pytest.raises(ApiError) as refused:
        client(hub, tmp_path).download(REPO, "main", lambda _done, _total: None)
    assert (refused.value.code, refused.value.status) == (code, status)
    assert said in str(refused.value.message)


def test_the_token_opens_what_is_closed_and_is_never_shown(hub: HubServer, tmp_path: Path) -> None:
    hub.token = "hf_right"
    with pytest.raises(ApiError) as refused:
        client(hub, tmp_path, token="hf_wrong").download(REPO, "main", lambda _done, _total: None)
    assert refused.value.code == "hub_unauthorized"
    assert "hf_wrong" not in str(refused.value.message)
    client(hub, tmp_path, token="hf_right").download(REPO, "main", lambda _done, _total: None)


def test_a_token_saved_from_the_page_is_read_at_the_next_download(hub: HubServer, tmp_path: Path) -> None:
    hub.token = "hf_right"
    saved = tmp_path / "huggingface_token"
    here = client(hub, tmp_path, saved_token=saved)
    with pytest.raises(ApiError, match="hub_unauthorized"):
        here.download(REPO, "main", lambda _done, _total: None)
    saved.write_text("hf_right\n", encoding="utf-8")
    here.download(REPO, "main", lambda _done, _total: None)
    assert here.find(REPO, "main") is not None


def test_no_hub_at_all(hub: HubServer, tmp_path: Path) -> None:
    here = client(hub, tmp_path)
    hub.stop()
    with pytest.raises(ApiError) as refused:
        here.download(REPO, "main", lambda _done, _total: None)
    assert refused.value.code == "hub_unreachable"


def test_offline_asks_nothing(hub: HubServer, tmp_path: Path) -> None:
    with pytest.raises(ApiError) as refused:
        client(hub, tmp_path, offline=True).download(REPO, "main", lambda _done, _total: None)
    assert refused.value.code == "hub_offline"
    assert hub.seen == []


def test_a_model_without_safetensors_is_refused_before_its_first_file(hub: HubServer, tmp_path: Path) -> None:
    (hub.repos[REPO] / "model.safetensors").unlink()
    with pytest.raises(ApiError) as refused:
        client(hub, tmp_path).download(REPO, "main", lambda _done, _total: None)
    assert refused.value.code == "no_safetensors"
    assert not any("/resolve/" in path for _method, path, _range in hub.seen)


def test_a_model_that_the_disk_cannot_hold_is_refused_before_its_first_file(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr("common.models.hub.shutil.disk_usage", lambda _path: usage)
    with pytest.raises(ApiError) as refused:
        client(hub, tmp_path).download(REPO, "main", lambda _done, _total: None)
    assert (refused.value.status, refused.value.code) == (507, "disk_full")


@pytest.mark.parametrize(
    ("name", "yes"),
    [
        ("model.safetensors", True),
        ("model-00001-of-00002.safetensors", True),
        ("consolidated.safetensors", False),
        ("tokenizer.model", True),
        ("chat_template.jinja", True),
        ("onnx/model.onnx", False),
        ("original/params.json", False),
        ("modeling_x.py", False),
        ("pytorch_model.bin", False),
    ],
)
def test_what_is_wanted(name: str, yes: bool) -> None:
    assert wanted(name) is yes


def test_a_hub_model_is_fetched_loaded_and_answers(hub: HubServer, tmp_path: Path) -> None:
    """From IA_MODEL=owner/name to an answer, states on the way; a fault leaves a state that says why."""
    hub.faults = [Fault("/api/models/", status=429, times=1)]
    settings = settings_for(REPO, tmp_path / "cache", hf_endpoint=hub.url)
    registry: Registry[LanguageEngine] = create_registry(settings)
    app = create_app(settings, registry).test_client()
    registry.start()
    wait_until(lambda: registry.state(REPO) == "error")
    refused = app.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "x"}]})
    assert refused.status_code == 503
    assert refused.json is not None
    assert "ralentir" in refused.json["error"]["message"]
    assert app.post(f"/api/models/{REPO}/load").status_code == 202
    wait_until(lambda: registry.state(REPO) == "ready")
    body = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 2, "model": REPO}
    answer = app.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["model"] == REPO
    shown = app.get(f"/v1/models/{REPO}").json
    assert shown is not None
    assert (shown["state"], shown["context"]) == ("ready", 256)  # told by its own files
    assert create_registry(settings).state(REPO) == "downloaded"  # kept for the next start
