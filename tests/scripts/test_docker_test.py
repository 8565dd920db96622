"""What `make docker-test` says and writes, without an engine: its parts themselves need one."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from scripts import docker_baked, docker_test
from scripts.docker_engine import Compose, FailedError
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


@pytest.mark.parametrize("service", docker_baked.BAKED)
def test_what_is_baked_is_in_the_catalogue_and_can_be_made(service: str) -> None:
    baked = docker_baked.BAKED[service]
    catalogue = tomllib.loads((ROOT / service / "models.toml").read_text(encoding="utf-8"))
    hub_ids = {model["key"]: model.get("hub_id") for model in catalogue["model"]}
    made = " ".join((ROOT / file).read_text(encoding="utf-8") for file in baked.of) + baked.makes
    for key in baked.models:
        assert hub_ids[key].rpartition("/")[2] in made
    assert baked.absent not in baked.models
    compile(baked.makes, service, "exec")


def test_a_refusal_must_name_what_the_image_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[tuple[int, Any]] = []
    monkeypatch.setattr(docker_baked, "ask", lambda *_words: answers.pop())
    baked = docker_baked.BAKED["gpt"]
    answers.append((409, {"error": {"code": "model_not_baked", "message": "Modèles présents : gpt2, gpt2-medium."}}))
    assert docker_baked._refused("gpt", baked) == {"model": "distilgpt2", "code": "model_not_baked"}
    for status, code, message in (
        (409, "model_not_baked", "Modèles présents : gpt2."),
        (202, None, ""),
        (500, "internal", "gpt2, gpt2-medium"),
    ):
        answers.append((status, {"error": {"code": code, "message": message}}))
        with pytest.raises(FailedError):
            docker_baked._refused("gpt", baked)


def test_a_token_that_stayed_in_an_image_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    said: dict[str, str] = {"history": "RUN …", "image": "{}", "run": ""}
    monkeypatch.setattr(docker_baked, "docker", lambda command, *_words: said[command])
    docker_baked._no_trace("one", "hf_123")
    said["history"] = "ARG TOKEN=hf_123"
    with pytest.raises(FailedError):
        docker_baked._no_trace("one", "hf_123")


def test_a_container_is_asked_with_a_form_or_with_json(tmp_path: Path) -> None:
    seen: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append((self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(409 if self.path == "/no" else 200)
            self.end_headers()
            self.wfile.write(b'{"said": true}')

        def log_message(self, *_words: object) -> None:
            pass

    (tmp_path / "a.ogg").write_bytes(b"\x00sound")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"

    def asked(*words: str) -> str:
        command = [sys.executable, str(ROOT / "scripts" / "docker_ask.py"), "POST", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()

    try:
        assert asked(f"{url}/yes", '{"a": 1}') == '200 {"said": true}'
        assert asked(f"{url}/no", '{"language": "fr"}', str(tmp_path / "a.ogg")) == '409 {"said": true}'
    finally:
        server.shutdown()
        server.server_close()
    assert seen[0] == ("application/json", b'{"a": 1}')
    kind, form = seen[1]
    assert kind == "multipart/form-data; boundary=frigo"
    for part in (b'name="file"; filename="a.ogg"\r\n\r\n\x00sound\r\n', b'name="language"\r\n\r\nfr\r\n'):
        assert part in form
    assert asked("http://127.0.0.1:1/nobody", "{}").startswith("0 ")
