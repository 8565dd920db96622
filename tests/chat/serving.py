"""chat under gunicorn, one worker, as the images start it; and a service that reads and says nothing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.conftest import ROOT
from tests.ports import free_port


class SilentServer:
    """Reads one request up to `until`, answers nothing, and knows when its caller leaves."""

    def __init__(self, until: bytes) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.read, self.left = threading.Event(), threading.Event()
        self._until = until
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        connection, _address = self.socket.accept()
        with connection:
            received = b""
            while self._until not in received:
                received += connection.recv(65536)
            self.read.set()
            if connection.recv(1) == b"":
                self.left.set()


def start_chat(gpt_url: str, data_dir: Path, **variables: str) -> tuple[int, subprocess.Popen[bytes]]:
    """Its port, once it answers, and its process, which the caller ends."""
    port = free_port()
    environ = {
        "PATH": os.environ["PATH"],
        "PORT": str(port),
        "WEB_CONCURRENCY": "1",
        "GPT_API_URL": gpt_url,
        "DATA_DIR": str(data_dir),
        **variables,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-c", "python:common.web.gunicorn_conf", "chat.wsgi:app"],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not _answers(port):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return port, process


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
