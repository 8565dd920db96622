"""The production images: built without a model, started without a network: `make docker-test PARTS=production`.

TORCH_INDEX_URL says where torch is taken from when PyTorch's own index cannot be reached.
"""

import os
import time
from typing import Any

from scripts.console import say
from scripts.docker_engine import FailedError, docker, megabytes, timed, until
from scripts.docker_light import no_secret
from scripts.environment import PORTS

SERVICES = tuple(PORTS)
_NAME = "frigo-docker-test-production"


def try_it(services: tuple[str, ...] = SERVICES) -> dict[str, Any]:
    """Size, and seconds to build and to answer, of each."""
    return {service: _one(service) for service in services}


def _one(service: str) -> dict[str, Any]:
    image = f"frigo-{service}:production"
    index = os.environ.get("TORCH_INDEX_URL")
    arguments = ("--build-arg", f"TORCH_INDEX_URL={index}") if index else ()
    begun = time.monotonic()
    docker("build", "-f", f"{service}/Dockerfile.production", *arguments, "-t", image, ".", seconds=3600)
    report: dict[str, Any] = {"megabytes": megabytes(image), "build_seconds": timed(begun)}
    no_secret(image)
    begun = time.monotonic()
    temporary = "/tmp:size=64m"  # noqa: S108  the container's
    options = ("--read-only", "--tmpfs", temporary, "--cap-drop", "ALL", "--network", "none", "--memory", "2g")
    docker("run", "-d", "--name", _NAME, *options, "-v", "/data", "-v", "/models", image)
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
    return report
