"""Settings: typed, refused with the variable's name, secrets also from files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.settings import ServiceSettings, SettingsError, load


def test_defaults_need_nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "SERVICE_TOKEN", "OPENAI_API_KEYS", "MAX_UPLOAD_MB", "LOG_LEVEL", "DATA_DIR", "LOG_DIR"):
        monkeypatch.delenv(name, raising=False)
    settings = load(ServiceSettings)
    assert settings.service_token is None
    assert settings.openai_api_keys == []
    assert settings.max_upload_bytes == 512 * 1024 * 1024


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "70000"), ("MAX_UPLOAD_MB", "beaucoup"), ("LOG_LEVEL", "BRUYANT"), ("MAX_UPLOAD_MB", "0")],
)
def test_a_wrong_value_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        load(ServiceSettings)


def test_a_folder_of_logs_must_take_writing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOG_DIR", str(tmp_path / "logs"))
    assert load(ServiceSettings).log_dir == tmp_path / "logs"
    (tmp_path / "file").write_text("")
    for wrong in (tmp_path / "file" / "logs", tmp_path / "file", Path("/proc/frigo")):
        monkeypatch.setenv("LOG_DIR", str(wrong))
        with pytest.raises(SettingsError, match="LOG_DIR"):
            load(ServiceSettings)


def test_a_refusal_is_in_french_and_says_what_is_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value, expected in (
        ("PORT", "70000", "PORT : doit être au plus 65535"),
        ("MAX_UPLOAD_MB", "beaucoup", "MAX_UPLOAD_MB : un nombre entier est attendu"),
    ):
        monkeypatch.setenv(name, value)
        with pytest.raises(SettingsError) as refused:
            load(ServiceSettings)
        assert expected in str(refused.value)


@pytest.mark.parametrize(("name", "value"), [("PORT", "abc"), ("PORT", "99999"), ("WEB_CONCURRENCY", "0")])
def test_gunicorn_stops_with_one_sentence_too(name: str, value: str) -> None:
    command = [sys.executable, "-m", "gunicorn", "-c", "python:common.web.gunicorn_conf", "chat.wsgi:app"]
    done = subprocess.run(command, env={**os.environ, name: value}, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert name in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_empty_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_UPLOAD_MB", "")
    assert load(ServiceSettings).max_upload_mb == 512


def test_keys_are_a_comma_separated_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEYS", " k1, k2 ,")
    assert [key.get_secret_value() for key in load(ServiceSettings).openai_api_keys] == ["k1", "k2"]


def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("tres-secret\n")
    monkeypatch.delenv("SERVICE_TOKEN", raising=False)
    monkeypatch.setenv("SERVICE_TOKEN_FILE", str(secret))
    token = load(ServiceSettings).service_token
    assert token is not None
    assert token.get_secret_value() == "tres-secret"
    assert "tres-secret" not in repr(load(ServiceSettings))


def test_a_missing_secret_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SERVICE_TOKEN_FILE", str(tmp_path / "absent"))
    with pytest.raises(SettingsError, match="SERVICE_TOKEN_FILE"):
        load(ServiceSettings)


def test_a_process_stops_with_one_sentence() -> None:
    code = "from common.settings import *; load_or_exit(ServiceSettings)"
    done = subprocess.run([sys.executable, "-c", code], env={"PORT": "x"}, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "PORT" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
