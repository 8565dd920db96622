"""How app starts: light, on a database brought up to date, with settings that are checked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from app.database import Base, Database, migrate
from app.meetings.models import Meeting
from app.settings import AppSettings
from common.settings import SettingsError, load
from tests.app.processes import ROOT, environment


def test_importing_the_application_does_not_import_torch(tmp_path: Path) -> None:
    script = (
        "import sys, app.wsgi, app.worker\n"
        "heavy = {'torch', 'transformers', 'onnxruntime', 'pocketsphinx', 'sklearn'} & sys.modules.keys()\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    env = environment(data_dir=tmp_path)
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr


def test_the_tables_are_those_of_the_models(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_a_database_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    from alembic import command
    from alembic.config import Config

    url = f"sqlite:///{tmp_path / 'frigo.db'}"
    config = Config()
    config.set_main_option("script_location", str(ROOT / "app" / "migrations"))
    old = Database(url)
    with old.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.exec_driver_sql(
            "INSERT INTO meetings (id, title, state, created_at, updated_at, version, file_name, stored_name, size,"
            " synthetic, messages_language, speakers, num_speakers) VALUES ('m', 'Comité', 'failed',"
            " '2026-01-01 00:00:00', '2026-01-01 00:00:00', 1, 'a.wav', 'b.wav', 1, 0, 'fr', '{}', 2)"
        )
        connection.exec_driver_sql(
            "INSERT INTO meeting_steps (meeting_id, name, position, state, progress, warnings)"
            " VALUES ('m', 'asr', 0, 'failed', 0.5, '[]')"
        )
        connection.commit()
    old.close()
    migrate(url, tmp_path)
    database = Database(url)
    with database.read() as session:
        meeting = session.get(Meeting, "m")
        assert meeting is not None
        assert (meeting.title, meeting.num_speakers, meeting.min_speakers) == ("Comité", 2, None)
        assert (meeting.step("asr").progress, meeting.step("asr").seconds_done) == (0.5, None)
    with database.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
        assert connection.exec_driver_sql("SELECT title FROM meetings").scalar() == "Comité"
    database.close()


def test_several_processes_migrate_at_once(tmp_path: Path) -> None:
    script = "from app.database import migrate; import pathlib, sys; migrate(sys.argv[1], pathlib.Path(sys.argv[2]))"
    url = f"sqlite:///{tmp_path / 'frigo.db'}"
    command = [sys.executable, "-c", script, url, str(tmp_path)]
    started = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate(timeout=60)[1] for process in started] == [""] * 3
    assert Database(url).check() == "ready"


def test_sqlite_writes_ahead(database: Database) -> None:
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CHAT_API_URL", "ftp://chat:5001"),
        ("ASR_API_URL", "http://"),
        ("MEETING_WORKERS", "0"),
        ("MEETING_PEER_WAIT_S", "soon"),
    ],
)
def test_a_wrong_variable_is_named(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=variable):
        load(AppSettings)


def test_postgresql_s_short_names_are_understood() -> None:
    settings = load(AppSettings, database_url="postgres://u:p@host/frigo")
    assert settings.database == "postgresql+psycopg://u:p@host/frigo"


def test_replicas_are_separated_by_commas() -> None:
    assert load(AppSettings, gpt_api_url="http://a:1, http://b:2").gpt_api_url == "http://a:1,http://b:2"
