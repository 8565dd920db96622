"""DATABASE_URL: the same store, leases and migrations on a real PostgreSQL."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.database import Database
from app.meetings.leases import Leases
from app.meetings.record import LostError, Record
from app.meetings.store import MeetingStore, NewMeeting
from app.settings import AppSettings
from common.settings import load
from tests.app.processes import ROOT
from tests.ports import free_port


def programs() -> Path | None:
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists() and (place / "postgres").exists()), None)


def answers(port: int) -> bool:
    try:
        psycopg.connect(f"postgresql://frigo@127.0.0.1:{port}/postgres", connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    place = programs()
    if place is None:
        pytest.skip("PostgreSQL is not installed on this machine")
    folder = Path(tempfile.mkdtemp(prefix="frigo-pg-"))
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(folder, "nobody")
        as_user = {"user": "nobody"}
    port = free_port()
    options = ["-D", str(folder / "data"), "-A", "trust", "-U", "frigo", "-E", "UTF8", "--no-sync"]
    subprocess.run([place / "initdb", *options], check=True, capture_output=True, cwd=folder, **as_user)
    command = [place / "postgres", "-D", folder / "data", "-p", str(port), "-k", folder, "-c", "fsync=off"]
    server = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL, **as_user)
    try:
        limit = time.monotonic() + 60
        while not answers(port):  # its socket is there before it is ready
            assert time.monotonic() < limit
            assert server.poll() is None
            time.sleep(0.05)
        yield f"postgres://frigo@127.0.0.1:{port}/postgres"
    finally:
        server.terminate()
        server.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def settings(url: str, tmp_path_factory: pytest.TempPathFactory) -> AppSettings:
    """Three processes bring the database up to date at once."""
    found = load(AppSettings, database_url=url, data_dir=tmp_path_factory.mktemp("data"))
    script = "from app.database import migrate; import pathlib, sys; migrate(sys.argv[1], pathlib.Path(sys.argv[2]))"
    command = [sys.executable, "-c", script, found.database, str(found.data_dir)]
    started = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate(timeout=60)[1] for process in started] == [""] * 3
    return found


@pytest.fixture
def postgresql(settings: AppSettings) -> Iterator[Database]:
    opened = Database(settings.database)
    yield opened
    opened.close()


def test_a_meeting_is_made_worked_on_and_forgotten(postgresql: Database, settings: AppSettings) -> None:
    store = MeetingStore(postgresql, settings.uploads_dir)
    new = NewMeeting(stored_name="a.wav", file_name="é.wav", size=5 * 2**31)
    meeting_id = store.create(new)
    first, second = Leases(postgresql, settings.uploads_dir), Leases(postgresql, settings.uploads_dir)
    job = first.take(meeting_id)
    assert job is not None
    assert second.take(meeting_id) is None
    record = Record(postgresql, meeting_id, job.owner)
    record.running("asr")
    record.done("asr", {"text": "é" * 100_000}, seconds=1.5, warnings=["attention"])
    first.renew()
    assert second.orphans() == []
    record.release()
    again = second.take(meeting_id)
    assert again is not None
    assert again.done["asr"]["text"] == "é" * 100_000
    with pytest.raises(LostError):
        record.progress("diarize", 0.5)
    Record(postgresql, meeting_id, again.owner).finish()
    meeting = store.get(meeting_id, "fr")
    assert (meeting["state"], meeting["warnings"], meeting["created_at"][-6:]) == ("done", ["attention"], "+00:00")
    store.delete(meeting_id)
    assert store.version(meeting_id) is None


def test_the_database_is_ready(postgresql: Database) -> None:
    assert postgresql.check() == "ready"
