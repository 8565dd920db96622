"""Installs with pip: torch's right build first, then what is pinned. Standard library only."""

import subprocess
import threading
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.commands import Log

TORCH = "torch==2.13.0"
TORCH_INDEX_URL = "https://download.pytorch.org/whl/cpu"
PROBE_S = 2.0


def has_nvidia() -> bool:
    """Whether a working NVIDIA driver is here."""
    try:
        return subprocess.run(["nvidia-smi", "-L"], capture_output=True, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def answers(url: str) -> bool:
    """Whether `url` answers within two seconds, name resolution included."""
    found: list[bool] = []

    def ask() -> None:
        try:
            with urllib.request.urlopen(url, timeout=PROBE_S) as answer:
                found.append(answer.status == 200)
        except (OSError, ValueError):
            found.append(False)

    probe = threading.Thread(target=ask, daemon=True)
    probe.start()
    probe.join(PROBE_S)
    return found == [True]


def torch_index(env: Mapping[str, str]) -> str:
    """Where torch's build for processors comes from."""
    return env.get("TORCH_INDEX_URL", TORCH_INDEX_URL).rstrip("/")


class Pip:
    """pip of one environment."""

    def __init__(self, python: Path, log: Log) -> None:
        self._python = python
        self._log = log

    def install(self, *words: str | Path) -> None:
        """`pip install` these words. Raises `SetupError`."""
        # Modules are compiled when they are first imported: compiling all of torch's doubles the time.
        options = ["--no-input", "--no-compile", "--disable-pip-version-check"]
        self._log.run([self._python, "-m", "pip", "install", *options, *words])

    def uninstall(self, name: str) -> None:
        """Remove a library."""
        self._log.run([self._python, "-m", "pip", "uninstall", "-y", name])

    def torch(
        self, env: Mapping[str, str], requirements: Sequence[Path], *, nvidia: bool, beside: Sequence[str] = ()
    ) -> None:
        """torch, for NVIDIA's GPUs or for processors (whose index also has what is `beside` it), pins kept."""
        index = torch_index(env)
        if not nvidia and answers(f"{index}/torch/"):
            self.install("--no-deps", "--index-url", index, TORCH, *beside)
        else:
            self.install(TORCH, *[word for path in requirements for word in ("-c", str(path))])
