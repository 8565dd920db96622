"""Recordings as they arrive: on disk, bounded, cut while they stream (by the real gunicorn)."""

from __future__ import annotations

import errno
import io
import os
import socket
from pathlib import Path
from typing import Any

import pytest
import urllib3

from app.meetings import uploads
from app.settings import AppSettings
from tests.app.fakes import tone
from tests.common.audio_files import encoded
from tests.common.audio_files import tone as samples

LIMIT = 8 * 2**20


def on_disk(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("uploads/*"))


def test_an_upload_over_the_limit_is_answered_even_to_a_sender_who_does_not_listen(
    gateway: str, gateway_data: Path
) -> None:
    file = ("long.wav", bytes(2 * LIMIT), "audio/wav")
    answer = urllib3.request("POST", f"{gateway}/api/meetings", fields={"file": file}, retries=False, timeout=30)
    assert (answer.status, answer.json()["error"]["code"]) == (413, "upload_too_large")
    assert on_disk(gateway_data) == 0


def test_an_upload_that_does_not_say_its_length_is_cut_while_it_streams(gateway: str, gateway_data: Path) -> None:
    host, port = gateway.removeprefix("http://").split(":")
    head = (
        "POST /api/meetings HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        "Content-Type: multipart/form-data; boundary=B\r\n\r\n"
    )
    part = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    sent, largest = 0, 0
    with socket.create_connection((host, int(port)), 10) as sock:
        sock.settimeout(10)
        sock.sendall(head.encode() + f"{len(part):x}\r\n".encode() + part + b"\r\n")
        try:
            while sent < 300 * 2**20:
                sock.sendall(b"100000\r\n" + bytes(2**20) + b"\r\n")
                sent += 2**20
                largest = max(largest, on_disk(gateway_data))
        except OSError:
            pass
    assert sent < 150 * 2**20, "the sender was cut"
    assert largest <= LIMIT + 2**20
    assert on_disk(gateway_data) == 0


def test_a_sender_who_leaves_half_way_leaves_nothing(gateway: str, gateway_data: Path) -> None:
    from tests.app.fakes import until

    host, port = gateway.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as sock:
        head = "Content-Length: 4000000\r\nContent-Type: multipart/form-data; boundary=B\r\n\r\n"
        part = '--B\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        sock.sendall(f"POST /api/meetings HTTP/1.1\r\nHost: x\r\n{head}{part}".encode() + bytes(2 * 2**20))
        until(lambda: on_disk(gateway_data) > 2**20)
    until(lambda: on_disk(gateway_data) == 0)


def test_a_recording_of_a_real_length_is_accepted_by_gunicorn(gateway: str) -> None:
    file = ("a.wav", tone(60), "audio/wav")
    answer = urllib3.request("POST", f"{gateway}/api/meetings", fields={"file": file}, retries=False, timeout=30)
    assert answer.status == 202


def test_bytes_that_look_like_a_boundary_are_kept(client: Any, settings: AppSettings) -> None:
    noise = (b"\r\n--\r\r\n-\r" + bytes(range(251))) * 4000
    whole = tone(2.0)[:44] + noise
    data = {"title": "t", "file": (io.BytesIO(whole), "a.wav"), "language": "fr"}
    assert client.post("/api/meetings", data=data).status_code == 202
    (stored,) = settings.uploads_dir.iterdir()
    assert stored.read_bytes() == whole


def test_a_truncated_mp3_is_accepted(client: Any) -> None:
    whole = encoded(samples(3.0), "mp3", "libmp3lame")
    data = {"file": (io.BytesIO(whole[: len(whole) // 2]), "a.mp3")}
    assert client.post("/api/meetings", data=data).status_code == 202


def test_a_recording_that_is_too_long_is_refused(settings: AppSettings, wav: bytes) -> None:
    from app.factory import create_app

    short = create_app(settings.model_copy(update={"meeting_max_hours": 0.0001})).test_client()
    answer = short.post("/api/meetings", data={"file": (io.BytesIO(wav), "a.wav")})
    assert (answer.status_code, answer.json["error"]["code"]) == (413, "audio_too_long")
    assert list(settings.uploads_dir.iterdir()) == []


def test_a_full_disk_is_said_and_leaves_nothing(
    client: Any, settings: AppSettings, wav: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(uploads, "_sync", full)
    answer = client.post("/api/meetings", data={"file": (io.BytesIO(wav), "a.wav")})
    assert (answer.status_code, answer.json["error"]["code"]) == (507, "disk_full")
    assert list(settings.uploads_dir.iterdir()) == []


def test_recordings_of_no_meeting_are_swept_after_a_day(tmp_path: Path) -> None:
    for name, age in (("known.wav", 90_000), ("lost.wav", 90_000), ("arriving.wav", 10)):
        (tmp_path / name).write_bytes(b"x")
        then = (tmp_path / name).stat().st_mtime - age
        os.utime(tmp_path / name, (then, then))
    assert uploads.sweep(tmp_path, {"known.wav"}) == ["lost.wav"]
    assert {path.name for path in tmp_path.iterdir()} == {"known.wav", "arriving.wav"}
