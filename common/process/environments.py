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


def python_with(engine: str, module: str, folder: Path | None = None) -> str | None:
    """The interpreter that can import `module` (a top-level name), or None: this one first, else
    ``folder/engine/bin/python`` (`engines_dir()` by default). Nothing is imported or run to find out."""
    if _has(module):
        return sys.executable
    folder = folder or engines_dir()
    python = folder / engine / "bin" / "python"
    found = python.is_file() and any((folder / engine).glob(f"lib/python3*/site-packages/{module}"))
    return str(python) if found else None


@cache
def _has(module: str) -> bool:
    return find_spec(module) is not None
