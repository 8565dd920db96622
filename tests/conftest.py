"""Fixtures every test may use."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from tests import ports

ROOT = Path(__file__).resolve().parent.parent
LONG_FIRST = ("e2e", "gpt", "asr", "diarize", "chat", "app")
SHARED_DATA = ROOT.parent / "shared" / "data"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Several workers begin with what takes long: what they end with is short, and none waits for another."""
    if hasattr(config, "workerinput"):
        places = {name: place for place, name in enumerate(LONG_FIRST)}
        items.sort(key=lambda item: places.get(item.path.relative_to(ROOT / "tests").parts[0], len(places)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file is one worker's, and so is the stack of all end-to-end tests: what they share is made once."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "tests/e2e" if nodeid.startswith("tests/e2e/") else nodeid.partition("::")[0]

    if config.getvalue("dist") != "loadgroup":
        return None
    config.option.loadscopereorder = False  # see `pytest_collection_modifyitems`
    return ByFile(config, log)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real inputs with reference answers, which is beside the project and not part of it."""
    if not SHARED_DATA.is_dir():
        pytest.skip("../shared/data is not here: real inputs with reference answers are kept beside the project")
    return SHARED_DATA


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Make the machine one with these engines' environments only, whatever this one has; none until it is called.

    Nothing can be opened with them: they are only found. No hub answers, and no variable chooses a model.
    """
    folder = tmp_path / "engines"
    monkeypatch.setenv("ENGINES_DIR", str(folder))
    monkeypatch.setattr("common.process.environments._has", lambda _module: False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("MODEL_CACHE_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    for name in ("ASR_MODEL", "ASR_ENGINE", "DIARIZE_MODEL", "DIARIZE_ENGINE", "HF_HUB_OFFLINE", "HUGGINGFACE_TOKEN"):
        monkeypatch.delenv(name, raising=False)

    def install(*names: str) -> None:
        for name in names:
            python = folder / name / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.symlink_to(sys.executable)
            (folder / name / "lib" / "python3.11" / "site-packages" / name).mkdir(parents=True)

    return install


@pytest.fixture
def free_port() -> int:
    """A TCP port of loopback that nobody listens on."""
    return ports.free_port()


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Serve a WSGI application for real, in a thread; gives its URL. `port` 0 is any free one."""
    servers = []

    def start(app: Any, port: int = 0) -> str:
        server = make_server("127.0.0.1", port, app, threaded=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join(timeout=5)
        server.server_close()
