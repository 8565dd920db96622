"""A real gunicorn: an upload over MAX_UPLOAD_MB is cut while it comes, whether or not it announces its length."""

from __future__ import annotations

import http.client
import json
import os
import select
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
MIB = 1024 * 1024
HEAD = (
    b'--frontier\r\nContent-Disposition: form-data; name="file"; filename="long.wav"\r\nContent-Type: audio/wav\r\n\r\n'
)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    free = free_port()
    environment = {
        **os.environ,
        "PORT": str(free),
        "MAX_UPLOAD_MB": "1",
        "ASR_MODEL": "embedded",
        "DATA_DIR": str(tmp_path_factory.mktemp("data")),
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "python:common.web.gunicorn_conf", "asr.wsgi:app"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{free}/health", timeout=5):
                    break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield free
        process.terminate()


def send(port: int, framing: bytes, pieces: Iterator[bytes]) -> tuple[int, int, dict[str, dict[str, str]]]:
    """Send until the server answers; gives the bytes sent, the status and the body."""
    with socket.create_connection(("127.0.0.1", port), 60) as sock:
        sock.sendall(
            b"POST /api/audio/transcribe HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Type: multipart/form-data; boundary=frontier\r\n" + framing + b"\r\n\r\n"
        )
        sent = 0
        for piece in pieces:
            if select.select([sock], [], [], 0)[0]:
                break
            try:
                sock.sendall(piece)
            except OSError:
                break
            sent += len(piece)
        response = http.client.HTTPResponse(sock, method="POST")
        response.begin()
        return sent, response.status, json.loads(response.read())


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def test_without_a_length_the_upload_is_cut_while_it_comes(port: int) -> None:
    def pieces() -> Iterator[bytes]:
        yield chunk(HEAD)
        for _number in range(100):
            yield chunk(bytes(MIB))

    sent, status, body = send(port, b"Transfer-Encoding: chunked", pieces())
    assert (status, body["error"]["code"]) == (413, "upload_too_large")
    assert sent < 40 * MIB


def test_an_announced_length_is_refused_before_it_comes(port: int) -> None:
    def pieces() -> Iterator[bytes]:
        yield HEAD
        for _number in range(100):
            yield bytes(MIB)

    sent, status, body = send(port, f"Content-Length: {100 * MIB}".encode(), pieces())
    assert (status, body["error"]["code"]) == (413, "upload_too_large")
    assert sent < 40 * MIB


def test_a_small_upload_without_a_length_is_read(port: int) -> None:
    body = HEAD + b"ceci n'est pas du son\r\n--frontier--\r\n"
    sent, status, answer = send(port, b"Transfer-Encoding: chunked", iter([chunk(body), b"0\r\n\r\n"]))
    assert sent > len(body)
    assert (status, answer["error"]["code"]) == (400, "invalid_audio")
