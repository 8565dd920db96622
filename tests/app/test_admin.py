"""The supervision: its token, what it shows, what it passes on."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request

from app.admin import system
from app.admin.token import admin_token
from app.factory import create_app
from app.settings import AppSettings
from common.settings import load
from tests.app.fakes import ADMIN, SERVICE

BEARER = {"Authorization": f"Bearer {ADMIN}"}


def service(name: str, keys: dict[str, list[str]], calls: list[str]) -> Flask:
    app = Flask(name)

    @app.get("/health")
    @app.get("/ready")
    def up() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/api/models")
    def models() -> dict[str, Any]:
        assert request.headers["X-Service-Token"] == SERVICE
        return {
            "models": [{"key": key, "aliases": aliases} for key, aliases in keys.items()],
            "selection": {"chosen": name},
            "engines": [{"name": "embedded", "installed": True, "reason": None}],
        }

    @app.post("/api/models/<path:key>/<action>")
    def act(key: str, action: str) -> tuple[dict[str, Any], int]:
        calls.append(f"{name} {action} {key}")
        if request.data:
            calls.append(request.get_data(as_text=True))
        return {"key": key, "state": "loading"}, 202

    @app.route("/api/adapters", methods=["GET", "POST"])
    @app.delete("/api/adapters/<name>")
    def adapters(name: str = "") -> tuple[dict[str, Any], int]:
        assert request.headers["X-Service-Token"] == SERVICE
        assert "Authorization" not in request.headers
        calls.append(f"{name or 'all'} {request.method} {request.get_data(as_text=True)}".strip())
        if name == "fixe":
            return {"error": {"message": "Retirez-le de IA_ADAPTERS.", "code": "adapter_declared"}}, 409
        return {"adapters": []}, 202 if request.method == "DELETE" else 200

    return app


@pytest.fixture
def calls() -> list[str]:
    return []


@pytest.fixture
def admin(serve: Callable[..., str], tmp_path: Path, calls: list[str], free_port: int) -> Any:
    settings = load(
        AppSettings,
        data_dir=tmp_path,
        admin_token=ADMIN,
        service_token=SERVICE,
        chat_api_url=serve(service("chat", {}, calls)),
        gpt_api_url=serve(service("gpt", {"qwen2.5-1.5b": ["qwen"], "org/model": []}, calls)),
        asr_api_url=serve(service("asr", {"canary-1b-v2": []}, calls)),
        diarize_api_url=f"http://127.0.0.1:{free_port}",
    )
    return create_app(settings).test_client()


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer nope"}, {"X-Admin-Token": ""}, {"Authorization": f"Basic {ADMIN}"}]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("get", "/api/admin/status"), ("post", "/api/admin/models/x/load"), ("post", "/api/admin/huggingface/token"),
     ("get", "/api/admin/anything"), ("get", "/api/admin/adapters"), ("post", "/api/admin/adapters"),
     ("delete", "/api/admin/adapters/x")],
)  # fmt: skip
def test_nothing_is_shown_or_done_without_the_token(
    method: str, path: str, headers: dict[str, str], admin: Any
) -> None:
    answer = getattr(admin, method)(path, headers=headers)
    assert (answer.status_code, answer.json["error"]["code"]) == (401, "admin_token_required")


@pytest.mark.parametrize("headers", [BEARER, {"X-Admin-Token": ADMIN}])
def test_the_status_tells_services_models_and_machine(headers: dict[str, str], admin: Any) -> None:
    shown = admin.get("/api/admin/status", headers=headers).json
    services = {item["name"]: item for item in shown["services"]}
    assert {name: item["state"] for name, item in services.items()} == {
        "chat": "up", "gpt": "up", "asr": "up", "diarize": "down",
    }  # fmt: skip
    assert services["diarize"]["error"] == "peer_unavailable"
    assert services["gpt"]["latency_ms"] > 0
    assert [model["key"] for model in services["gpt"]["models"]] == ["qwen2.5-1.5b", "org/model"]
    assert services["asr"]["selection"] == {"chosen": "asr"}
    assert [engine["name"] for engine in services["asr"]["engines"]] == ["embedded"]
    memory = shown["system"]["memory"]
    assert 0 < memory["used"] < memory["total"]
    assert shown["system"]["disk"]["total"] > 0
    assert {"method", "path", "description"} == shown["endpoints"][0].keys()


def test_the_public_status_tells_states_and_nothing_else(admin: Any) -> None:
    shown = admin.get("/api/status").json
    assert {"name": "diarize", "state": "down"} in shown["services"]
    assert {key for item in shown["services"] for key in item} == {"name", "state"}


def test_ready_names_what_is_missing(admin: Any) -> None:
    answer = admin.get("/ready")
    assert answer.status_code == 503
    assert answer.json["components"] == {
        "database": "ready", "chat": "ready", "gpt": "ready", "asr": "ready", "diarize": "peer_unavailable",
    }  # fmt: skip
    assert admin.get("/health").status_code == 200


@pytest.mark.parametrize(
    ("path", "call"),
    [
        ("qwen/load", "gpt load qwen"),
        ("qwen2.5-1.5b/unload", "gpt unload qwen2.5-1.5b"),
        ("canary-1b-v2/download", "asr download canary-1b-v2"),
        ("org/model/load", "gpt load org/model"),
        ("org/model/cancel", "gpt cancel org/model"),
    ],
)
def test_an_action_goes_to_the_service_that_has_the_model(path: str, call: str, admin: Any, calls: list[str]) -> None:
    answer = admin.post(f"/api/admin/models/{path}", headers=BEARER)
    assert (answer.status_code, calls) == (202, [call])
    assert answer.json["model"]["state"] == "loading"


def test_the_options_of_a_load_are_passed_on(admin: Any, calls: list[str]) -> None:
    options = {"gpu_device_ids": [0, 1], "quantization": "int8"}
    answer = admin.post("/api/admin/models/qwen/load", json=options, headers=BEARER)
    assert answer.status_code == 202
    assert calls[0] == "gpt load qwen"
    assert json.loads(calls[1]) == options


def test_adapters_are_those_of_gpt(admin: Any, calls: list[str]) -> None:
    assert admin.get("/api/admin/adapters", headers=BEARER).json == {"adapters": []}
    body = {"name": "poésie", "source": "moi/poesie"}
    assert admin.post("/api/admin/adapters", json=body, headers=BEARER).status_code == 200
    assert admin.delete("/api/admin/adapters/poésie", headers=BEARER).status_code == 202
    assert (calls[0], calls[2]) == ("all GET", "poésie DELETE")
    assert json.loads(calls[1].removeprefix("all POST ")) == body
    refused = admin.delete("/api/admin/adapters/fixe", headers=BEARER)
    assert (refused.status_code, refused.json["error"]["code"]) == (409, "adapter_declared")


@pytest.mark.parametrize(
    ("action", "body", "param"),
    [
        ("load", {"gpus": [0]}, "gpus"),
        ("load", {"quantization": "int3"}, "quantization"),
        ("unload", {"quantization": "int8"}, "quantization"),
    ],
)
def test_options_that_mean_nothing_go_nowhere(
    action: str, body: dict[str, Any], param: str, admin: Any, calls: list[str]
) -> None:
    answer = admin.post(f"/api/admin/models/qwen/{action}", json=body, headers=BEARER)
    assert (answer.status_code, answer.json["error"]["param"]) == (400, param)
    assert calls == []


def test_a_model_that_nobody_has_may_be_that_of_a_service_that_is_down(admin: Any) -> None:
    answer = admin.post("/api/admin/models/pyannote/load", headers=BEARER)
    assert (answer.status_code, answer.json["error"]["service"]) == (503, "diarize")
    answer = admin.post("/api/admin/models/nothing/load?service=gpt", headers=BEARER)
    assert answer.status_code in (202, 404)
    assert admin.post("/api/admin/models/qwen/explode", headers=BEARER).status_code == 400


def test_the_token_is_made_once_kept_private_and_written_once_in_the_log(tmp_path: Path) -> None:
    """Three processes start at once, as gunicorn's workers do."""
    script = (
        "import logging, sys, pathlib; logging.basicConfig(format='%(message)s', level='INFO', stream=sys.stderr)\n"
        "from app.admin.token import admin_token; from app.settings import AppSettings\n"
        f"sys.stdout.write(admin_token(AppSettings(data_dir=pathlib.Path({str(tmp_path)!r}))))"
    )
    env = {key: value for key, value in os.environ.items() if not key.startswith("ADMIN_TOKEN")}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    results = [process.communicate(timeout=60) for process in started]
    assert len({out for out, _log in results}) == 1
    token = results[0][0]
    assert len(token) >= 32
    assert sum(log.count(token) for _out, log in results) == 1
    assert stat.S_IMODE((tmp_path / "admin_token").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["admin_token"]


def test_a_token_given_by_the_environment_is_used_and_not_kept(tmp_path: Path) -> None:
    settings = load(AppSettings, data_dir=tmp_path, admin_token="given")
    assert admin_token(settings) == "given"
    assert list(tmp_path.iterdir()) == []


def test_cards_are_read_from_nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "nvidia-smi"
    fake.write_text("#!/bin/sh\necho 'NVIDIA H200, 1024, 143771, 37, 41'\necho 'NVIDIA A2, 0, 15356, [N/A], 40'\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    first, second = system.gpus()
    assert first == {
        "name": "NVIDIA H200",
        "memory_used": 2**30,
        "memory_total": 143771 * 2**20,
        "utilization": 37.0,
        "temperature": 41.0,
    }
    assert second["utilization"] is None
    fake.write_text("#!/bin/sh\nexit 9\n")
    assert system.gpus() == []
    assert json.dumps(system.load(tmp_path))
