"""The Space as it is sent, in a folder of its own."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


def packaged(target: Path) -> Path:
    """The folder that `spaces/deploy.py` would send, nothing in it having run."""
    sys.path.insert(0, str(ROOT / "spaces"))
    try:
        package = importlib.import_module("package")
    finally:
        sys.path.remove(str(ROOT / "spaces"))
    folder: Path = package.package(target, torch=False).folder
    return folder


@pytest.fixture(scope="session")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That folder, with Mermaid's parser installed as the Space does at start."""
    folder = packaged(tmp_path_factory.mktemp("space") / "sent")
    validator = Path("chat") / "diagrams" / "validator"
    (folder / validator / "node_modules").symlink_to(ROOT / validator / "node_modules")
    return folder
