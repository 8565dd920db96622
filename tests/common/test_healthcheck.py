"""The images' own probe."""

from __future__ import annotations

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from common.healthcheck import answers
from tests.ports import free_port


class _Service(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 503)
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        pass


def test_it_says_whether_the_service_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    assert not answers(port)
    with ThreadingHTTPServer(("127.0.0.1", port), _Service) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            assert answers(port)
            assert not answers(port, "/ready")
            monkeypatch.setenv("PORT", str(port))
            command = [sys.executable, "-S", "-m", "common.healthcheck"]
            assert subprocess.run(command, check=False).returncode == 0
        finally:
            server.shutdown()
