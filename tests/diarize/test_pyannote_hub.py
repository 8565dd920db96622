"""pyannote's pipelines as the hub gives them: gated, in one repository or in three. No pyannote needed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.errors import ApiError
from common.hub.hub import Hub, Patience, never
from common.hub.listing import Listing, RemoteFile
from common.models.catalogue import ModelEntry, load_catalogue
from diarize.engines.pyannote.backend import PyannoteBackend
from diarize.engines.pyannote.recipe import EMBEDDING, SEGMENTATION
from tests.diarize.test_pyannote_recipe import COMMUNITY, THREE_ONE
from tests.hub_server import COMMIT, Fault, HubServer

ONE, THREE = "pyannote/speaker-diarization-community-1", "pyannote/speaker-diarization-3.1"
FILES: dict[str, dict[str, bytes | int]] = {
    ONE: {
        "config.yaml": COMMUNITY.encode(),
        "segmentation/pytorch_model.bin": 300_000,
        "embedding/pytorch_model.bin": 500_000,
        "plda/plda.npz": 5_000,
        "plda/xvec_transform.npz": 6_000,
        "README.md": 100,
        "handler.py": 100,
        "diagram.png": 1_000,
    },
    THREE: {"config.yaml": THREE_ONE.encode(), "README.md": 100, "handler.py": 10},
    SEGMENTATION: {"pytorch_model.bin": 200_000, "config.yaml": 100, "README.md": 100},
    EMBEDDING: {"pytorch_model.bin": 400_000, "speaker-embedding.onnx": 100_000, "README.md": 100},
}
QUICK = Patience(connect_s=20, stall_s=20, attempts=3, first_wait_s=0.01, most_wait_s=0.02, retry_after_s=1.5)
CATALOGUE = load_catalogue(Path(__file__).parents[2] / "diarize" / "models.toml")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    folders = {}
    for repo, files in FILES.items():
        folders[repo] = tmp_path / "hub" / repo
        for name, content in files.items():
            path = folders[repo] / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(random.Random(name).randbytes(content) if isinstance(content, int) else content)
    server = HubServer(folders, cdn=True).start()
    yield server
    server.stop()


@pytest.fixture
def backend(hub: HubServer, tmp_path: Path) -> PyannoteBackend:
    return PyannoteBackend(Hub(tmp_path / "cache", hub.url, "", patience=QUICK))


def entry(key: str) -> ModelEntry:
    found = CATALOGUE.find(key)
    assert found is not None
    return found


def fetch(backend: PyannoteBackend, key: str) -> list[tuple[int, int]]:
    seen: list[tuple[int, int]] = []
    backend.fetch(entry(key), lambda done, total: seen.append((done, total)), never)
    return seen


def with_token(backend: PyannoteBackend, hub: HubServer, token: str) -> PyannoteBackend:
    return PyannoteBackend(Hub(backend._hub.cache_dir, hub.url, token, patience=QUICK))


def fetched_bodies(hub: HubServer) -> list[str]:
    return [path for method, path, _span in hub.seen if method == "GET" and path.endswith((".bin", ".npz"))]


def test_community_1_comes_with_its_folders_and_nothing_else(backend: PyannoteBackend, hub: HubServer) -> None:
    one = entry("pyannote-community-1")
    assert backend.path(one) is None
    backend.learn(one)
    size = sum(len(COMMUNITY) if isinstance(size, bytes) else size for size in list(FILES[ONE].values())[:5])
    assert backend.stored_bytes(one) == size
    seen = fetch(backend, "pyannote-community-1")
    assert seen[-1] == (size, size)
    assert [done for done, _total in seen] == sorted(done for done, _total in seen)
    path = backend.path(one)
    assert path is not None
    assert path.name == COMMIT
    kept = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
    assert kept == set(list(FILES[ONE])[:5])
    assert backend.stored_bytes(one) == size - len(COMMUNITY)  # the weights
    assert not any("handler" in path for _method, path, _span in hub.seen)


def test_3_1_comes_with_the_two_repositories_that_it_names(backend: PyannoteBackend, hub: HubServer) -> None:
    three = entry("pyannote-3.1")
    backend.learn(three)
    assert backend.stored_bytes(three) == 600_000 + len(THREE_ONE)
    seen = fetch(backend, "pyannote-3.1")
    assert {total for _done, total in seen} == {600_000 + len(THREE_ONE)}
    assert seen[-1][0] == seen[-1][1]
    assert [done for done, _total in seen] == sorted(done for done, _total in seen)
    assert backend.here(three)
    assert backend.stored_bytes(three) == 600_000
    assert sorted({path.rpartition("/")[2] for path in fetched_bodies(hub)}) == ["pytorch_model.bin"]
    assert not any("onnx" in path for _method, path, _span in hub.seen)


def test_3_1_is_not_here_until_its_parts_are(backend: PyannoteBackend, hub: HubServer) -> None:
    hub.faults = [
        Fault(f"/{EMBEDDING}/resolve/main/pytorch", 500),
        Fault("pytorch_model.bin", cut_after=1000, cdn=True),
    ]
    with pytest.raises(ApiError):
        fetch(backend, "pyannote-3.1")
    assert not backend.here(entry("pyannote-3.1"))
    hub.faults = []
    fetch(backend, "pyannote-3.1")
    assert backend.here(entry("pyannote-3.1"))
    weights = backend._hub.snapshot(EMBEDDING, "main")
    assert weights is not None
    (weights / "pytorch_model.bin").unlink()
    assert not backend.here(entry("pyannote-3.1"))


TERMS = Fault("", 403, "GatedRepo", {"X-Error-Message": "Access to model is restricted"})
NO_TOKEN = Fault("", 401, "GatedRepo", {"X-Error-Message": "Access to model is restricted. Please log in."})
WAITING = Fault("", 403, "GatedRepo", {"X-Error-Message": "Your request is awaiting a review from the repo authors"})


@pytest.mark.parametrize(
    ("key", "token", "fault", "where", "said", "unsaid"),
    [
        ("pyannote-community-1", "", NO_TOKEN, [ONE], [f"/{ONE}, puis donnez", "HUGGINGFACE_TOKEN"], []),
        ("pyannote-community-1", "hf_x", TERMS, [ONE], [f"acceptez-les sur HUB/{ONE} avec"], []),
        ("pyannote-community-1", "hf_x", WAITING, [ONE], ["attend encore l'accord"], []),
        ("pyannote-3.1", "hf_x", TERMS, [SEGMENTATION], [f"acceptez-les sur HUB/{SEGMENTATION} "], [THREE]),
        ("pyannote-3.1", "hf_x", TERMS, [THREE], [f"acceptez-les sur HUB/{THREE} avec"], [SEGMENTATION]),
        ("pyannote-3.1", "hf_x", TERMS, [THREE, SEGMENTATION], [f"HUB/{THREE}, HUB/{SEGMENTATION}"], [EMBEDDING]),
        ("pyannote-3.1", "", NO_TOKEN, [THREE, SEGMENTATION], [f"HUB/{SEGMENTATION}", "_TOKEN"], [EMBEDDING]),
    ],
)
def test_terms_that_are_not_accepted_are_told_with_the_page_of_each_repository(
    backend: PyannoteBackend,
    hub: HubServer,
    key: str,
    token: str,
    fault: Fault,
    where: list[str],
    said: list[str],
    unsaid: list[str],
) -> None:
    """As the real hub does: it lists gated repositories, and gives none of their files."""
    hub.faults = [Fault(f"/{repo}/resolve/", fault.status, fault.error_code, fault.headers) for repo in where]
    with pytest.raises(ApiError, match="hub_gated") as refused:
        fetch(with_token(backend, hub, token), key)
    message = str(refused.value.message).replace(hub.url, "HUB")
    for part in said:
        assert part in message
    for part in unsaid:
        assert f"HUB/{part}" not in message
    assert "hf_x" not in message
    assert not list(backend._hub.cache_dir.glob("**/blobs/*"))  # not one file before all may be read


@pytest.mark.parametrize(
    ("token", "status", "error_code", "code", "said"),
    [
        ("hf_wrong", 401, "", (401, "hub_unauthorized"), "ne reconnaît pas HUGGINGFACE_TOKEN"),
        ("", 401, "RepoNotFound", (401, "hub_unauthorized"), "privé ou n'existe pas"),
        ("hf_x", 404, "RepoNotFound", (404, "hub_not_found"), "n'existe pas sur le hub"),
        ("hf_x", 403, "", (403, "hub_forbidden"), "n'a pas le droit de lire"),
    ],
)
def test_a_wrong_token_and_a_repository_that_is_not_are_told_apart(
    backend: PyannoteBackend,
    hub: HubServer,
    token: str,
    status: int,
    error_code: str,
    code: tuple[int, str],
    said: str,
) -> None:
    hub.faults = [Fault("", status, error_code)]
    with pytest.raises(ApiError) as refused:
        fetch(with_token(backend, hub, token), "pyannote-3.1")
    assert (refused.value.status, refused.value.code) == code
    assert said in str(refused.value.message)
    assert "hf_" not in str(refused.value.message)


def test_a_config_that_names_another_repository_is_refused_before_it_is_asked(
    backend: PyannoteBackend, hub: HubServer
) -> None:
    config = hub.repos[THREE] / "config.yaml"
    config.write_text(THREE_ONE.replace(SEGMENTATION, "someone/elses"), encoding="utf-8")
    with pytest.raises(ApiError, match="model_unusable") as refused:
        fetch(backend, "pyannote-3.1")
    assert "someone/elses" in str(refused.value.message)
    assert not any("someone" in path for _method, path, _span in hub.seen)
    assert fetched_bodies(hub) == []


def test_a_repository_of_another_kind_is_no_pipeline(backend: PyannoteBackend, hub: HubServer) -> None:
    (hub.repos[ONE] / "config.yaml").unlink()
    with pytest.raises(ApiError, match="model_unusable"):
        fetch(backend, "pyannote-community-1")


@pytest.mark.parametrize(
    ("repo", "names", "yes"),
    [
        ("team/ours", ["config.yaml", "segmentation/pytorch_model.bin"], True),
        ("team/speaker-diarization-fr", ["config.yaml"], True),
        ("team/llm", ["config.yaml", "config.json", "segmentation/pytorch_model.bin"], False),
        ("team/other", ["config.yaml", "pytorch_model.bin"], False),
        ("team/ours", ["segmentation/pytorch_model.bin"], False),
    ],
)
def test_a_pipeline_that_no_catalogue_lists_is_known_by_its_files(
    backend: PyannoteBackend, repo: str, names: list[str], yes: bool
) -> None:
    listing = Listing(repo, COMMIT, tuple(RemoteFile(name, 1, "0" * 64) for name in names))
    assert backend.recognises(listing) is yes


def test_a_folder_is_whole_when_all_its_parts_are(backend: PyannoteBackend, tmp_path: Path, hub: HubServer) -> None:
    folder = tmp_path / "hub" / ONE
    assert backend.whole(folder)
    (folder / "plda" / "plda.npz").unlink()
    assert not backend.whole(folder)
    three = tmp_path / "hub" / THREE
    assert not backend.whole(three)
    for repo in (SEGMENTATION, EMBEDDING):  # put beside the config by hand
        (hub.repos[repo]).rename(three / repo.rpartition("/")[2])
    assert backend.whole(three)
    assert not backend.whole(tmp_path)


def test_what_is_missing_is_said_with_the_remedy(backend: PyannoteBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diarize.engines.pyannote.backend.python_with", lambda _engine: None)
    assert "make run MOTEURS=pyannote" in str(backend.missing())
