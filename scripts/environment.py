"""The variables of `.env` and of the environment, which wins. Standard library only: nothing is installed yet."""

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"

PORTS = {"app": 5000, "chat": 5001, "gpt": 5002, "asr": 5003, "diarize": 5004}
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class SetupError(Exception):
    """What keeps Frigo from starting, in one French sentence."""


def read_env_file(path: Path) -> dict[str, str]:
    """`NAME=value` lines; quotes, `export ` and comments are understood as in Compose's files."""
    values: dict[str, str] = {}
    if not path.is_file():
        return values
    for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        line = raw.strip().removeprefix("export ")
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not name.strip().isidentifier():
            raise SetupError(f"{path.name}, ligne {number} : « NOM=valeur » est attendu.")
        value = value.strip()
        if value[:1] in {"'", '"'} and value.find(value[0], 1) > 0:
            value = value[1 : value.find(value[0], 1)]
        else:
            value = value.split(" #")[0].strip()
        values[name.strip()] = value
    return values


def variables(given: Mapping[str, str] | None = None, env_file: Path = ROOT / ".env") -> dict[str, str]:
    """The environment over `.env`; an empty variable counts as unset."""
    given = os.environ if given is None else given
    merged = {name: value for name, value in read_env_file(env_file).items() if value}
    merged.update({name: value for name, value in given.items() if value})
    return merged


def service_url(name: str, env: Mapping[str, str]) -> str:
    """Where service `name` answers: PORT for app, its `…_API_URL` or the usual port for the others."""
    if name == "app":
        return f"http://127.0.0.1:{_port('PORT', env.get('PORT', str(PORTS['app'])))}"
    return env.get(f"{name.upper()}_API_URL", f"http://127.0.0.1:{PORTS[name]}").rstrip("/")


def local_port(name: str, env: Mapping[str, str]) -> int | None:
    """The port on which this machine must serve `name`; None when its URL says that it runs elsewhere."""
    url = service_url(name, env)
    parts = urlsplit(url)
    if "," in url or parts.hostname not in _LOOPBACK:
        return None
    try:
        return parts.port or 80
    except ValueError:
        raise SetupError(f"{name.upper()}_API_URL : « {url} » n'est pas une adresse http://hôte:port.") from None


def data_dir(env: Mapping[str, str]) -> Path:
    return (ROOT / env.get("DATA_DIR", "data")).resolve()


def log_dir(env: Mapping[str, str]) -> Path:
    return (ROOT / env.get("LOG_DIR", "logs")).resolve()


def bind_address(env: Mapping[str, str]) -> str:
    return env.get("HOST_BIND_ADDRESS", "127.0.0.1")


def _port(variable: str, value: str) -> int:
    if value.isdecimal() and 0 < int(value) < 65536:
        return int(value)
    raise SetupError(f"{variable} : « {value} » n'est pas un numéro de port.")
