"""Which Python has an engine's libraries: the service's own, or an environment made for that engine alone.

NeMo and pyannote pin what the others cannot live with. `make run MOTEURS=nemo` gives each its own environment under
ENGINES_DIR; the service starts the model's process with it, and runs the same code.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

ENGINES_DIR = Path(__file__).resolve().parents[2] / ".engines"


def python_with(engine: str, module: str, folder: Path = ENGINES_DIR) -> str | None:
    """The interpreter that can import `module` (a top-level name), or None: this one first, else
    ``folder/engine/bin/python``. Nothing is imported or run to find out."""
    if _has(module):
        return sys.executable
    python = folder / engine / "bin" / "python"
    found = python.is_file() and any((folder / engine).glob(f"lib/python3*/site-packages/{module}"))
    return str(python) if found else None


@cache
def _has(module: str) -> bool:
    return find_spec(module) is not None
