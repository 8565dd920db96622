"""The command line as a person runs it: a process of its own, in a pipe or at a terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def environ(folder: Path, **more: str) -> dict[str, str]:
    """Nothing of the person who runs the tests."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    home = {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state"), "DATA_DIR": str(folder / "data")}
    return {**kept, **home, "LANG": "C.UTF-8", "TERM": "xterm", **more}


def piped(url: str, folder: Path, *arguments: str, given: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """Run with `given` in the pipe."""
    return subprocess.run(
        [sys.executable, "-m", "chat.cli", "--url", url, *arguments],
        cwd=ROOT,
        env=environ(folder, **more),
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Terminal:
    """A session at a pseudo-terminal."""

    def __init__(self, url: str, folder: Path, *arguments: str, **more: str) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "chat.cli", "--url", url, *arguments],
            cwd=ROOT,
            env=environ(folder, **more),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(slave)
        self.raw = ""
        self._read_to = 0

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait_for(self, text: str, seconds: float = 60) -> str:
        """What was shown from the last wait to `text`, without colours."""
        deadline = time.monotonic() + seconds
        while True:
            shown = self._plain()
            found = shown.find(text, self._read_to)
            if found >= 0:
                part, self._read_to = shown[self._read_to : found + len(text)], found + len(text)
                return part
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"« {text} » never came:\n{shown[self._read_to :]}")
            assert self._read(min(left, 0.5)) or self.process.poll() is None, f"it ended before « {text} »:\n{shown}"

    def interrupt(self, until: str) -> str:
        """Ctrl-C, as a person does it: again when nothing happens (it may come just before the program waits)."""
        for _turn in range(6):
            self.type("\x03")
            try:
                return self.wait_for(until, 10)
            except TimeoutError:
                continue
        raise TimeoutError(until)

    def leave(self) -> int:
        """Ctrl-D, again when nothing happens; the exit status."""
        deadline = time.monotonic() + 60
        while self.process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError):  # it has just ended
                self.type("\x04")
            self._read(1)
        return self.process.wait(1)

    def ask(self, line: str) -> str:
        """What a line typed at the prompt is answered, up to the next prompt."""
        self.type(line + "\n")
        self.wait_for("\n")
        return self.wait_for("› ").removesuffix("› ").replace("\r", "")

    def end(self) -> int:
        """The exit status, once it has ended."""
        while self._read(0.5):
            pass
        return self.process.wait(60)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)

    def _plain(self) -> str:
        return _ESCAPES.sub("", self.raw)

    def _read(self, seconds: float) -> bool:
        ready, _w, _x = select.select([self._master], [], [], seconds)
        if not ready:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the other end is closed
            return False
        self.raw += data.decode("utf-8", "replace")
        return bool(data)


def _take_terminal() -> None:
    """Make the pseudo-terminal the session's own, so that Ctrl-C typed in it is a signal."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
