"""Which Python has an engine's libraries: the service's own, or an environment made for that engine alone.

NeMo and pyannote pin what the others cannot live with. `make run MOTEURS=nemo` gives each its own environment in the
folder that the variable ENGINES_DIR names (``.engines``, at the root, when it is not set); the service starts the
model's process with it, and runs the same code. In an image, the service's environment is the engine's.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def engines_dir() -> Path:
    """Where the engines' environments are, one folder each."""
    return _ROOT / (os.environ.get("ENGINES_DIR") or ".engines")


def python_with(engine: str) -> str | None:
    """The interpreter that can import the library that `engine` is named after, or None: this one first, else that of
    the folder of this name in `engines_dir()`. Nothing is imported or run to find out."""
    if _has(engine):
        return sys.executable
    folder = engines_dir() / engine
    python = folder / "bin" / "python"
    found = python.is_file() and any(folder.glob(f"lib/python3*/site-packages/{engine}"))
    return str(python) if found else None


@cache
def _has(module: str) -> bool:
    return find_spec(module) is not None
