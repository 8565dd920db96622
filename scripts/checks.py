"""What can be known before the long work: enough disk, free ports. Each failure is one sentence."""

import json
import shutil
import socket
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from scripts.environment import PORTS, SetupError, bind_address, local_port

# Measured on a fresh clone: .venv, node_modules, pip's and npm's caches, and temporary files.
_LIGHT_BYTES = 2_000_000_000
_TORCH_BYTES = 4_000_000_000
_CUDA_BYTES = 12_000_000_000  # the CUDA build of torch brings its libraries


def install_bytes(*, torch: bool, nvidia: bool) -> int:
    """Free disk that an installation wants, with torch or without."""
    if not torch:
        return _LIGHT_BYTES
    return _CUDA_BYTES if nvidia else _TORCH_BYTES


def check_disk(folder: Path, needed: int) -> None:
    """Refuse when `folder`'s disk has fewer than `needed` bytes left."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SetupError(
            f"Il faut {needed / 1e9:.1f} Go libres dans {folder} pour l'installation ; il en reste {free / 1e9:.1f}."
        )


def check_ports(env: Mapping[str, str]) -> None:
    """Refuse when a port of the stack is taken, or asked for twice."""
    seen: dict[int, str] = {}
    for name in PORTS:
        port = local_port(name, env)
        if port is None:
            continue
        if port in seen:
            raise SetupError(f"{seen[port]} et {name} demandent le même port {port} : voyez PORT et les …_API_URL.")
        seen[port] = name
        host = bind_address(env) if name == "app" else "127.0.0.1"
        if not _is_free(host, port):
            variable = "PORT" if name == "app" else f"{name.upper()}_API_URL"
            if _frigo_answers(port):
                raise SetupError(f"Frigo tourne déjà (port {port}) : arrêtez-le d'abord, ou changez {variable}.")
            raise SetupError(f"Le port {port} ({name}) est déjà pris : libérez-le, ou changez {variable}.")


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gunicorn does: TIME_WAIT is not "taken"
        try:
            probe.bind((host, port))
        except PermissionError:
            raise SetupError(
                f"Le port {port} est réservé à l'administrateur : choisissez-en un au-dessus de 1023."
            ) from None
        except socket.gaierror:
            raise SetupError(f"HOST_BIND_ADDRESS : « {host} » n'est pas une adresse de cette machine.") from None
        except OSError as error:
            if "assign" in str(error):
                raise SetupError(f"HOST_BIND_ADDRESS : « {host} » n'est pas une adresse de cette machine.") from None
            return False
    return True


def _frigo_answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1) as answer:
            return json.load(answer).get("service") in PORTS
    except (OSError, ValueError, AttributeError):
        return False
