"""What `make docker-test` says and writes, without an engine: its parts themselves need one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from scripts import docker_test
from scripts.docker_engine import Compose
from scripts.environment import ROOT


def test_without_an_engine_nothing_is_tried_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("sys.argv", ["docker_test", "scale"])
    assert docker_test.main() == docker_test.NO_ENGINE
    assert "pas de Docker ici" in capsys.readouterr().out


def test_a_part_that_does_not_exist_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["docker_test", "scales"])
    with pytest.raises(SystemExit):
        docker_test.main()
    assert "partie inconnue : scales" in capsys.readouterr().err


def test_figures_take_the_place_of_their_own_and_leave_the_others(tmp_path: Path) -> None:
    file = tmp_path / "docker.json"
    file.write_text(json.dumps({"light": {"old": 1}, "production": {"gpt": {"megabytes": 2}}}), encoding="utf-8")
    docker_test.add(file, "light", {"up_seconds": 3.0})
    docker_test.add(file, "production", {"diarize": {"megabytes": 4}})
    found = json.loads(file.read_text(encoding="utf-8"))
    assert found["light"].keys() == {"load", "up_seconds"}
    assert found["production"].keys() == {"load", "gpt", "diarize"}


def test_what_the_parts_compose_is_there() -> None:
    projects = [project for _key, _try, project, _absent in docker_test.parts().values() if project is not None]
    assert len({project.project for project in projects}) == len(projects) == 3
    for file in {file for project in projects for file in project.files} - {"docker-compose.scale.yml"}:
        assert yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))["services"]


def test_a_log_is_its_json_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Compose, "container", lambda _compose, service: f"id of {service}")
    said = {("logs", "id of app"): 'booting\n{"message": "ready"}\n'}
    monkeypatch.setattr("scripts.docker_engine.docker", lambda *words: said[words])
    assert Compose("x").logs("app") == [{"message": "ready"}]
