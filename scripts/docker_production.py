"""The production images: built, bare of what they do not need, started without a network, then with models inside.

`make docker-test PARTS=production`. TORCH_INDEX_URL says where torch is taken from when PyTorch's own index cannot be
reached. The models are `scripts.docker_baked`'s.
"""

import subprocess
import time
from typing import Any

from scripts import docker_baked
from scripts.console import say
from scripts.docker_engine import FailedError, docker, megabytes, timed, until
from scripts.docker_light import no_secret
from scripts.environment import PORTS, ROOT

SERVICES = tuple(PORTS)
_NAME = "frigo-docker-test-production"
_TOOLS = "gcc cc g++ clang ld as make pip pip3 npm apt apt-get perl curl wget"
_LEFT = r"-name \*.whl -o -name \*.deb -o -path \*/pip/_vendor -o -path \*/.cache/\* -o -path \*/.npm/\*"
_LABELS = ("title", "description", "licenses", "revision")


def try_it(services: tuple[str, ...] = SERVICES) -> dict[str, Any]:
    """Size, and seconds to build and to answer, of each."""
    return {service: _one(service) for service in services}


def _one(service: str) -> dict[str, Any]:
    image = f"frigo-{service}:production"
    begun = time.monotonic()
    revision = f"REVISION={_revision()}"
    arguments = (*docker_baked.torch_index(), "--build-arg", revision)
    docker("build", "-f", f"{service}/Dockerfile.production", *arguments, "-t", image, ".", seconds=3600)
    report: dict[str, Any] = {"megabytes": megabytes(image), "build_seconds": timed(begun)}
    no_secret(image)
    bare(image)
    begun = time.monotonic()
    docker("run", "-d", "--name", _NAME, *docker_baked.run_options(), "--memory", "2g", image)
    try:
        until(lambda: docker("inspect", "-f", "{{.State.Health.Status}}", _NAME) == "healthy", service, 300)
        report["up_seconds"] = timed(begun)
        if docker("exec", _NAME, "id", "-u") != "1000":
            raise FailedError(f"{image} : uid 1000 est attendu.")
        begun = time.monotonic()
        docker("stop", _NAME)
        report["stop_seconds"] = timed(begun)
        report["exit_code"] = int(docker("inspect", "-f", "{{.State.ExitCode}}", _NAME))
        if report["exit_code"]:
            raise FailedError(f"{image} est sorti par {report['exit_code']}.")
    finally:
        docker("rm", "--force", "--volumes", _NAME)
    say(f"  {service:<8} {report['megabytes']} Mo, prêt en {report['up_seconds']:.0f} s")
    if service in docker_baked.BAKED:
        report["baked"] = docker_baked.try_it(service, image)
    return report


def bare(image: str) -> None:
    """Raises `FailedError` when an image has something that installs or compiles, a cache, or lacks an OCI label."""
    look = f"for tool in {_TOOLS}; do command -v $tool; done; find / -xdev {_LEFT}; true"
    if found := docker("run", "--rm", "--network", "none", "--user", "0", image, "sh", "-c", look):
        raise FailedError(f"{image} n'est pas nue : {found[:500]}")
    for label in _LABELS:
        name = f"org.opencontainers.image.{label}"
        if not docker("image", "inspect", "-f", f'{{{{index .Config.Labels "{name}"}}}}', image):
            raise FailedError(f"{image} n'a pas d'étiquette {name}.")


def _revision() -> str:
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "inconnue"
