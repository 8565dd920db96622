"""Several engines behind one registry: which opens what, where, from which files, and what is refused with why."""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from common.errors import ApiError
from common.hub.client import Patience
from common.hub.hub import Hub
from common.hub.settings import HubSettings
from common.machine.gpus import Gpu
from common.machine.resources import Resources
from common.models.asked_gpus import tell_absent_gpus
from common.models.backend_loader import BackendLoader
from common.models.backends import Placement
from common.models.catalogue import ModelEntry, load_catalogue
from common.models.hub_registry import HubRegistry
from common.settings import SettingsError, load
from tests.common.toy_engines import CATALOGUE, GB, ToyBackend, ToyEngine, machine, toys
from tests.hub_server import Fault, HubServer

QUICK = Patience(connect_s=20, stall_s=20, attempts=4, first_wait_s=0.01, most_wait_s=0.02, retry_after_s=1.5)
FILES = {"toys/big": ["m.tar", "m.box"], "toys/small": ["m.tar", "m.box"], "toys/shut": ["m.box"],
         "people/theirs": ["theirs.tar"], "people/both": ["a.box", "a.tar"], "people/none": ["a.txt"]}  # fmt: skip
SIZE = 300_000


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    repos = {}
    for repo, names in FILES.items():
        folder = tmp_path / "repos" / repo
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_bytes(random.Random(repo + name).randbytes(SIZE))
        repos[repo] = folder
    server = HubServer(repos).start()
    server.faults.append(Fault("toys/shut", 403, "GatedRepo"))
    yield server
    server.stop()


@pytest.fixture
def settings(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HubSettings:
    monkeypatch.delenv("HUGGINGFACE_TOKEN", raising=False)
    data = {"data_dir": tmp_path / "data", "model_cache_dir": tmp_path / "cache", "hf_endpoint": hub.url}
    return load(HubSettings, **data)


def entry(tmp_path: Path, key: str) -> ModelEntry:
    models = tmp_path / "models.toml"
    models.write_text(CATALOGUE, encoding="utf-8")
    return load_catalogue(models).resolve(key)


def loader(
    hub: HubServer,
    tmp_path: Path,
    here: Resources | None = None,
    *,
    asked: str = "auto",
    placement: Placement | None = None,
    beside: int = 0,
    **installed: bool,
) -> BackendLoader[ToyEngine]:
    kept = Hub(tmp_path / "cache", hub.url, "", patience=QUICK)
    backends = [
        ToyBackend(kept, name, installed=installed.get(name, True), beside_bytes=beside) for name in ("tar", "box")
    ]
    have = here or machine(16)
    return BackendLoader(
        backends,
        kept,
        variable="TOY_ENGINE",
        asked=asked,
        placement=placement or Placement(use_gpu=True),
        resources=lambda ids: dataclasses.replace(
            have, gpus=tuple(gpu for gpu in have.gpus if not ids or gpu.index in ids)
        ),
    )


def wait_for(true: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def nothing(_done: int, _total: int) -> None:
    """Nobody looks at the progress."""


# --- which engine -----------------------------------------------------------------------------------------------------


def named(chosen: object) -> str:
    assert isinstance(chosen, ToyBackend), chosen
    return chosen.name


def test_the_first_installed_engine_that_the_catalogue_names_opens_the_entry(hub: HubServer, tmp_path: Path) -> None:
    both, only_box = loader(hub, tmp_path), loader(hub, tmp_path, tar=False)
    big, small = entry(tmp_path, "big"), entry(tmp_path, "small")
    assert [named(both.backend(big)), named(both.backend(small))] == ["tar", "box"]
    assert [named(only_box.backend(big)), named(only_box.backend(small))] == ["box", "box"]


def test_files_that_are_here_are_opened_by_the_engine_they_are_for(hub: HubServer, tmp_path: Path) -> None:
    big = entry(tmp_path, "big")
    loader(hub, tmp_path, tar=False).download(big, nothing)
    later = loader(hub, tmp_path)  # tar, preferred, was installed since
    assert named(later.backend(big)) == "box"
    assert later.downloaded(big)
    assert later.load(big, {}).path.is_dir()


def test_a_repository_without_the_preferred_engines_files_is_opened_by_the_other(
    hub: HubServer, tmp_path: Path
) -> None:
    (hub.repos["toys/big"] / "m.tar").unlink()
    opens, big = loader(hub, tmp_path), entry(tmp_path, "big")
    opens.download(big, nothing)
    assert named(opens.backend(big)) == "box"
    assert opens.load(big, {}).name == "box"
    (hub.repos["toys/small"] / "m.tar").unlink()
    (hub.repos["toys/small"] / "m.box").unlink()
    with pytest.raises(ApiError) as refused:
        opens.download(entry(tmp_path, "small"), nothing)
    assert (refused.value.status, refused.value.code) == (422, "model_unusable")
    assert "no .box file" in str(refused.value.message)


def test_without_any_engine_the_first_says_how_to_install_it(hub: HubServer, tmp_path: Path) -> None:
    none = loader(hub, tmp_path, tar=False, box=False)
    verdict = none.judge(entry(tmp_path, "big"))
    assert "`make run MOTEURS=tar`" in str(verdict.reason)
    assert verdict.need_bytes is None
    with pytest.raises(ApiError) as refused:
        none.download(entry(tmp_path, "big"), nothing)
    assert (refused.value.status, refused.value.code) == (501, "engine_not_installed")


def test_an_engine_that_was_asked_for_is_the_only_one(hub: HubServer, tmp_path: Path) -> None:
    box, tar = loader(hub, tmp_path, asked="box"), loader(hub, tmp_path, asked="tar")
    assert named(box.backend(entry(tmp_path, "big"))) == "box"
    assert "TOY_ENGINE=tar" in str(tar.missing(entry(tmp_path, "shut")))


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_lies_on_the_disk_tells_its_engine(
    hub: HubServer, settings: HubSettings, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "mine"
    path.mkdir()
    (path / "small.box").write_bytes(bytes(1000))
    name = path / "small.box" if kind == "file" else path
    service = toys(tmp_path, settings, model=str(name))
    catalogue, judge = service.catalogue(), service.loader()
    found = catalogue.resolve(service.choose(catalogue, judge).chosen)
    assert found.path == name.resolve()
    assert found.key == ("local/small" if kind == "file" else "mine")  # the catalogue has a "small"
    assert named(judge.backend(found)) == "box"
    assert judge.load(found, {}).path == name.resolve()
    assert hub.seen == []


def test_a_path_that_is_no_model_is_refused_by_the_variable(settings: HubSettings, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in (str(tmp_path / "empty"), "nonsense", "/nowhere/at/all", "http://server#model"):
        with pytest.raises(SettingsError, match=r"^TOY_MODEL") as refused:
            toys(tmp_path, settings, model=name).registry()
        assert "serveur" not in str(refused.value)


# --- does it fit ------------------------------------------------------------------------------------------------------


def test_a_model_goes_to_the_gpu_that_has_room_for_it(hub: HubServer, tmp_path: Path) -> None:
    big = entry(tmp_path, "big")
    on_gpu = loader(hub, tmp_path, machine(1, 2, 6)).judge(big)
    assert (on_gpu.need_bytes, on_gpu.available_bytes, on_gpu.fallback, on_gpu.cramped) == (4 * GB, 6 * GB, None, None)
    assert str(on_gpu.how) == "tar, GPU"
    beside = loader(hub, tmp_path, machine(16, 2)).judge(big)
    assert (beside.need_bytes, beside.available_bytes) == (8 * GB, 16 * GB)
    assert "4,00 Go" in str(beside.fallback)
    nowhere = loader(hub, tmp_path, machine(6, 2))
    assert "demande environ 4,00 Go de mémoire, il en reste 2,00" in str(nowhere.unfit(big))
    assert nowhere.unfit(big, 2 * GB) is None  # with what others give back
    assert str(nowhere.judge(big, 2 * GB).how) == "tar, GPU"


def test_an_engine_that_fits_is_preferred_to_a_first_that_does_not(hub: HubServer, tmp_path: Path) -> None:
    class Heavy(ToyBackend):
        def need_bytes(self, entry: ModelEntry, *, cuda: bool) -> int | None:
            return 3 * (super().need_bytes(entry, cuda=cuda) or 0)

    big = entry(tmp_path, "big")  # 8 Go, 4 on a GPU; three times as much with tar
    kept = Hub(tmp_path / "cache", hub.url, "", patience=QUICK)

    def opens_it(have: Resources, freed: int = 0) -> str:
        backends = [Heavy(kept, "tar"), ToyBackend(kept, "box")]
        judge = BackendLoader(backends, kept, variable="TOY_ENGINE", resources=lambda _ids: have)
        return str(judge.judge(big, freed).how)

    assert opens_it(machine(64, 16)) == "tar, GPU"
    assert opens_it(machine(64, 8)) == "box, GPU"
    assert opens_it(machine(64, 2)) == "tar, processeur"
    assert opens_it(machine(16)) == "box, processeur"
    assert opens_it(machine(16), 10 * GB) == "tar, processeur"
    assert opens_it(machine(1)) == "tar, processeur"  # neither: what it would take with the preferred one is said


def test_a_model_for_gpus_is_left_by_auto_where_there_is_none(hub: HubServer, tmp_path: Path) -> None:
    assert "GPU" in str(loader(hub, tmp_path, machine(64)).judge(entry(tmp_path, "big")).cramped)
    assert loader(hub, tmp_path, machine(64)).judge(entry(tmp_path, "small")).cramped is None


def test_the_memory_beside_the_gpu_counts(hub: HubServer, tmp_path: Path) -> None:
    judge = loader(hub, tmp_path, machine(1, 80), beside=2 * GB)
    assert "2,00 Go de mémoire à côté du GPU, il en reste 1,00" in str(judge.unfit(entry(tmp_path, "big")))
    assert judge.unfit(entry(tmp_path, "big"), GB) is None


def test_a_model_that_the_disk_cannot_hold_is_refused(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge, small = loader(hub, tmp_path), entry(tmp_path, "small")
    monkeypatch.setattr("common.machine.disk.free_bytes", lambda _folder: 1000)
    assert judge.unfit(small) is None  # nobody knows its size yet
    judge.learn(small)
    assert "de disque" in str(judge.unfit(small))


def test_the_hub_says_the_size_before_a_byte_is_fetched(hub: HubServer, tmp_path: Path) -> None:
    judge, small = loader(hub, tmp_path), entry(tmp_path, "small")
    assert judge.need_bytes(small) == 400_000_000
    judge.learn(small)
    assert judge.need_bytes(small) == SIZE
    assert not any("/resolve/" in path for _method, path, _span in hub.seen)


def test_what_can_never_fit_is_refused_before_its_first_byte(hub: HubServer, tmp_path: Path) -> None:
    with pytest.raises(ApiError) as refused:
        loader(hub, tmp_path, Resources(SIZE - 1, 10, 2.0)).download(entry(tmp_path, "small"), nothing)
    assert (refused.value.status, refused.value.code) == (507, "model_does_not_fit")
    assert "demande" in str(refused.value.message)
    assert not any("/resolve/" in path for _method, path, _span in hub.seen)
    loader(hub, tmp_path, Resources(SIZE + 1, 10, 2.0)).download(entry(tmp_path, "small"), nothing)  # others may leave


def test_a_cut_download_goes_on_where_it_stopped(hub: HubServer, tmp_path: Path) -> None:
    hub.faults.append(Fault("m.box", cut_after=100_000, times=1))
    seen: list[tuple[int, int]] = []
    small, fetch = entry(tmp_path, "small"), loader(hub, tmp_path)
    fetch.download(small, lambda done, total: seen.append((done, total)))
    first, second = hub.ranges_of("m.box")
    assert first == ""
    assert second.startswith("bytes=")
    assert second != "bytes=0-"
    assert seen[-1] == (SIZE, SIZE)
    engine = fetch.load(small, {})
    assert (engine.path / "m.box").read_bytes() == (hub.repos["toys/small"] / "m.box").read_bytes()


def test_a_load_may_name_its_gpus(hub: HubServer, tmp_path: Path) -> None:
    small, opens = entry(tmp_path, "small"), loader(hub, tmp_path, machine(16, 3, 5, 4))
    opens.download(small, nothing)
    assert opens.load(small, {}).placement == Placement(use_gpu=True, gpu_device_ids=(1,))  # the one with most room
    assert opens.load(small, {"gpu_device_ids": [0]}).placement.gpu_device_ids == (0,)
    assert opens.load(small, {"gpu_device_ids": [0, 2]}).placement.gpu_device_ids == (2,)
    with pytest.raises(ApiError) as refused:
        opens.load(small, {"gpu_device_ids": [1, 7]})
    assert (refused.value.status, refused.value.param) == (400, "gpu_device_ids")
    assert "7" in str(refused.value.message)
    cramped = loader(hub, tmp_path, machine(16, 0.0001))
    assert cramped.load(small, {}).placement == Placement(use_gpu=False)  # no room on the GPU: beside it
    without = loader(hub, tmp_path, machine(16, 4), placement=Placement(use_gpu=False))
    assert without.load(small, {}).placement.use_gpu is False


# --- the registry -----------------------------------------------------------------------------------------------------


@pytest.fixture
def start(
    settings: HubSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., HubRegistry[Any]]]:
    made: list[HubRegistry[Any]] = []
    monkeypatch.setattr("common.models.backend_loader.read_resources", lambda **_asked: machine(16))

    def build(model: str = "petit", engine: str = "auto", **more: Any) -> HubRegistry[Any]:
        changed = settings.model_copy(update={name: more.pop(name) for name in list(more) if hasattr(settings, name)})
        registry = toys(tmp_path, changed, model=model, engine=engine, **more).registry()
        made.append(registry)
        registry.start()
        return registry

    yield build
    for registry in made:
        registry.close()


def states(registry: HubRegistry[Any]) -> dict[str, str]:
    return {model["key"]: model["state"] for model in registry.snapshot()["models"]}


def test_the_chosen_model_is_fetched_and_opened(start: Callable[..., HubRegistry[Any]]) -> None:
    registry = start()
    assert registry.status("big")["engine"] == "tar"
    wait_for(lambda: states(registry)["small"] == "ready")
    with registry.use() as lease:
        assert (lease.entry.key, lease.engine.name) == ("small", "box")
    assert registry.status("small")["engine"] == "box"


def test_a_hub_id_is_opened_by_the_engine_that_knows_its_files(start: Callable[..., HubRegistry[Any]]) -> None:
    registry = start()
    assert registry.load("people/theirs")["engine"] == "tar"
    wait_for(lambda: states(registry)["people/theirs"] == "ready")
    with registry.use() as lease:
        assert (lease.entry.key, lease.engine.name) == ("people/theirs", "tar")
    assert registry.download("people/both")["key"] == "people/both"
    assert registry.catalogue.resolve("people/both").engines == ("tar", "box")


@pytest.mark.parametrize(
    ("name", "code"),
    [("people/none", "model_unusable"), ("people/absent", "hub_not_found"), ("toys/../x", "model_not_found")],
)
def test_what_no_engine_opens_is_refused_and_not_listed(
    start: Callable[..., HubRegistry[Any]], name: str, code: str
) -> None:
    registry = start()
    before = states(registry).keys()
    with pytest.raises(ApiError) as refused:
        registry.load(name)
    assert refused.value.code == code
    assert states(registry).keys() == before


def test_a_hub_id_named_at_start_is_recognised_when_it_comes(
    start: Callable[..., HubRegistry[Any]], hub: HubServer
) -> None:
    registry = start("people/theirs")
    wait_for(lambda: states(registry)["people/theirs"] == "ready")
    refused = start("people/none")
    wait_for(lambda: states(refused)["people/none"] == "error")
    assert "aucun des moteurs" in refused.status("people/none")["error"]


def test_an_absent_engine_is_refused_at_once(start: Callable[..., HubRegistry[Any]]) -> None:
    registry = start("small", box=True, tar=False)
    assert registry.status("big")["fits"] is True  # by the other engine
    registry = start(str(registry.catalogue.resolve("small").hub_id), box=False)
    with pytest.raises(ApiError) as refused:
        registry.load("shut")
    assert (refused.value.status, refused.value.code) == (501, "engine_not_installed")
    assert "MOTEURS=box" in registry.status("shut")["reason"]


def test_offline_only_what_is_here_serves(start: Callable[..., HubRegistry[Any]], hub: HubServer) -> None:
    online = start()
    online.load("people/theirs")
    wait_for(lambda: states(online)["people/theirs"] == "ready")
    hub.seen.clear()
    registry = start("people/theirs", hf_hub_offline=True)
    wait_for(lambda: states(registry)["people/theirs"] == "ready")
    registry.load("small")
    wait_for(lambda: registry.selection.chosen == "small" and states(registry)["small"] == "ready")
    for action in (registry.load, registry.download):
        with pytest.raises(ApiError) as refused:
            action("big")
        assert (refused.value.status, refused.value.code) == (409, "model_not_baked")
        assert "small, people/theirs" in str(refused.value.message)
        with pytest.raises(ApiError) as refused:
            action("people/unheard-of")
        assert (refused.value.status, refused.value.code) == (409, "model_not_baked")
        assert "small, people/theirs" in str(refused.value.message)
    with pytest.raises(SettingsError, match=r"HF_HUB_OFFLINE.*small"):
        start("big", hf_hub_offline=True)
    assert hub.seen == []


@pytest.mark.parametrize(
    ("asked", "use_gpu", "here", "told"),
    [("all", True, (), True), ("all", False, (), False), ("void", True, (), False), ("all", True, (0,), False)],
)
def test_an_image_made_for_a_gpu_says_that_it_sees_none(
    asked: str,
    use_gpu: bool,
    here: tuple[int, ...],
    told: bool,
    settings: HubSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    monkeypatch.setattr("common.models.asked_gpus._log.warning", lambda message, **_more: said.append(message))
    monkeypatch.setenv("NVIDIA_VISIBLE_DEVICES", asked)
    cards = tuple(Gpu(index, "GPU", 2**30, 2**30) for index in here)
    monkeypatch.setattr("common.models.asked_gpus.read_gpus", lambda: cards)
    tell_absent_gpus(settings.model_copy(update={"ia_use_gpu": use_gpu}))
    assert said == ["no GPU is visible"] * told


def test_auto_leaves_gated_models_without_a_token_and_a_hub_that_is_down(
    settings: HubSettings, hub: HubServer, tmp_path: Path
) -> None:
    def decide(**more: Any) -> dict[str, Any]:
        service = toys(tmp_path, settings.model_copy(update=more))
        try:
            return service.decide(machine(0.3), ask_hub=True).data
        except SettingsError as error:
            return {"refused": str(error)}

    assert "HUGGINGFACE_TOKEN" in decide()["refused"]  # "small" asks for 0.4 Go, "shut" for a token
    assert hub.seen == []  # no need to ask: it would refuse
    assert "toys/shut" in decide(huggingface_token=SecretStr("x"))["refused"]  # its own sentence: 403
    assert "hub" in decide(hf_endpoint="http://127.0.0.1:9", huggingface_token=SecretStr("x"))["refused"]
    service = toys(tmp_path, settings)
    assert service.decide(machine(1), ask_hub=True).data["chosen"] == "small"
    assert service.decide(machine(1, 8), ask_hub=False).data["chosen"] == "big"


def test_what_variables_say_of_the_lifecycle_is_heard(start: Callable[..., HubRegistry[Any]]) -> None:
    registry = start(ia_model_ttl_s=1, ia_swap_wait_s=20)
    with registry.use("small") as lease:  # waits for the download and the load
        assert lease.entry.key == "small"
    wait_for(lambda: states(registry)["small"] == "downloaded")  # nobody used it for a second
    assert registry.ready() == {"model": "ready"}
    with pytest.raises(ApiError) as refused:
        registry.load("small", {"quantization": "int8"})
    assert (refused.value.status, refused.value.param) == (400, "quantization")
