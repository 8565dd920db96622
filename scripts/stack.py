"""The processes of Frigo on one machine: what is started, with which variables, and where each answers.

One definition for `make run` and for the end-to-end tests.
"""

import os
import secrets
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scripts.environment import PORTS, VENV, SetupError, bind_address, data_dir, local_port, service_url

# On one's own machine everything works at once and offline; a server that sets nothing gets `auto`.
EMBEDDED = {"IA_MODEL": "frigo-mini", "ASR_MODEL": "pocketsphinx", "DIARIZE_MODEL": "resemblyzer"}
GRACE_SECONDS = 3  # who presses Ctrl-C wants it now: streams may end for this long
STOP_SECONDS = 6


@dataclass(frozen=True)
class Process:
    """One process of the stack; the working folder is the repository's root."""

    name: str
    command: tuple[str, ...]
    url: str | None = None
    env: dict[str, str] = field(default_factory=dict)


def shared_variables(env: Mapping[str, str]) -> dict[str, str]:
    """The variables that every process gets: `env`, the embedded models unless it says otherwise, the addresses."""
    shared = {**_embedded(env), "OMP_WAIT_POLICY": "passive", "PYTHONUNBUFFERED": "1", **env}
    shared["DATA_DIR"] = str(data_dir(env))
    shared["PATH"] = (
        f"{VENV / 'bin'}{os.pathsep}{env.get('PATH', os.defpath)}" if not shutil.which("node") else env["PATH"]
    )
    if not (env.get("SERVICE_TOKEN") or env.get("SERVICE_TOKEN_FILE")):
        shared["SERVICE_TOKEN_FILE"] = str(service_token_file(data_dir(env)))
    for name in PORTS:
        if name != "app":
            shared[f"{name.upper()}_API_URL"] = service_url(name, env)
    # Standard output goes to LOG_DIR/<name>.log, tracebacks included: a second file would say the same.
    for name in ("LOG_DIR", "PORT", "HOST_BIND_ADDRESS", "PROMETHEUS_MULTIPROC_DIR"):
        shared.pop(name, None)
    return shared


def _embedded(env: Mapping[str, str]) -> dict[str, str]:
    """The embedded models, but where another engine is asked for, which does not open them: `auto` chooses of its."""
    own = {"ASR_MODEL": "ASR_ENGINE", "DIARIZE_MODEL": "DIARIZE_ENGINE"}
    return {
        variable: key
        for variable, key in EMBEDDED.items()
        if variable not in own or env.get(own[variable], "auto").lower() in {"auto", "embedded"}
    }


def processes(env: Mapping[str, str]) -> list[Process]:
    """What this machine runs: the services whose address is here, and app's worker."""
    here: list[Process] = []
    for name in PORTS:
        port = local_port(name, env)
        if port is None:
            continue
        settings = ("-c", "python:common.web.gunicorn_conf", "--graceful-timeout", str(GRACE_SECONDS))
        command = (_bin("gunicorn"), *settings, f"{name}.wsgi:app")
        own = {"PORT": str(port), "HOST_BIND_ADDRESS": bind_address(env) if name == "app" else "127.0.0.1"}
        if name in {"app", "chat"}:
            own["PROMETHEUS_MULTIPROC_DIR"] = str(_metrics_folder(data_dir(env), name))
        here.append(Process(name, command, service_url(name, env), own))
    here.insert(1, Process("worker", (_bin("python"), "-m", "app.worker")))
    return here


def prepare(env: Mapping[str, str]) -> None:
    """The folders that must be there, empty of what a former run counted."""
    for name in ("app", "chat"):
        folder = _metrics_folder(data_dir(env), name)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)


def service_token_file(folder: Path) -> Path:
    """The secret the services share, made at the first start and readable by its owner only."""
    path = folder / "service_token"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
    except FileExistsError:
        return path
    except OSError as error:
        raise SetupError(f"DATA_DIR : {folder} ne peut pas être écrit.") from error
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_urlsafe(32))
    return path


def _metrics_folder(data: Path, name: str) -> Path:
    return data / "run" / "metrics" / name


def _bin(name: str) -> str:
    return str(VENV / "bin" / name)
