"""Commands run for the set-up: their output goes to a log file, and its end is shown when one fails."""

import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.console import tail
from scripts.environment import ROOT, SetupError


class Log:
    """One file for the whole set-up; what a command wrote there is quoted when it fails."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._children: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def begin(self) -> None:
        """Empty the file. Raises `SetupError` when it cannot be written."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text("", encoding="utf-8")
        except OSError as error:
            raise SetupError(f"LOG_DIR : {self.path.parent} ne peut pas être écrit.") from error

    def run(self, command: Sequence[str | Path], *, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> None:
        """Run to the end. Raises `SetupError` with the last lines when it fails."""
        if self._stopped:
            raise SetupError("Installation interrompue.")
        words = [str(word) for word in command]
        with subprocess.Popen(
            words,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as child:
            with self._lock:
                self._children.add(child)
            if self._stopped:
                child.terminate()
            output, _ = child.communicate()
            with self._lock:
                self._children.discard(child)
        with self._lock, self.path.open("a", encoding="utf-8") as log:
            log.write(f"\n$ {' '.join(words)}\n{output}")
        if self._stopped:
            raise SetupError("Installation interrompue.")
        if child.returncode:
            raise SetupError(self._why(words, output))

    def stop(self) -> None:
        """End what is running: another step failed, or the person pressed Ctrl-C."""
        self._stopped = True
        with self._lock:
            for child in self._children:
                child.terminate()

    def _why(self, words: list[str], output: str) -> str:
        where = f"Tout est dans {self.path}."
        if "No space left on device" in output or "ENOSPC" in output:
            return f"Le disque est plein : libérez de la place, puis relancez. {where}"
        return f"« {' '.join(words[:6])[:120]} » a échoué :\n{tail(output)}\n{where}"
