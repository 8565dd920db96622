"""Where people reach the page, said in the log when a container starts.

A container only knows its own addresses, which lead nowhere from outside: what is announced comes from MAIN_APP_URL,
ADVERTISED_HOSTS, and the address and the port that the host publishes.
"""

from __future__ import annotations

import ipaddress
import logging

from app.settings import AppSettings

# What container engines give to the networks they make; nobody reaches these from another machine.
_INTERNAL = tuple(ipaddress.ip_network(block) for block in ("172.16.0.0/12", "10.88.0.0/16", "169.254.0.0/16"))
_ANY = {"0.0.0.0", "::", ""}  # noqa: S104  what "every address" is written as
_log = logging.getLogger("frigo.app")


def addresses(settings: AppSettings) -> list[str]:
    """The page's addresses, the public one first; none twice."""
    port = settings.host_port or settings.port
    hosts = settings.advertised_hosts or [settings.published_address or "127.0.0.1"]
    found = [settings.main_app_url.rstrip("/")] if settings.main_app_url else []
    for host in hosts:
        name = "localhost" if host in _ANY else host
        if not _internal(name):
            found.append(name.rstrip("/") if "://" in name else f"http://{_bracketed(name)}:{port}")
    return list(dict.fromkeys(found))


def announce(settings: AppSettings) -> None:
    """Say them in the log."""
    _log.info("the page is at %s", " ".join(addresses(settings)), extra={"addresses": addresses(settings)})


def _internal(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "host.docker.internal"
    return any(address in block for block in _INTERNAL if block.version == address.version)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
