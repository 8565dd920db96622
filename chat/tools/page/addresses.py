"""Which addresses a page may be read from: those of the public Internet, and nothing that is nearer.

A name may mean several addresses: all of them are checked, and the connection is made to one that was, so that a name
that changes its mind meanwhile (DNS rebinding) leads nowhere else.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network

from chat.tools.tool import ToolError
from common.messages import _

LOOKUP_SECONDS = 5.0
_LOOKUPS = threading.BoundedSemaphore(4)
"""Names looked for at once. A slow name server holds a thread of the few that gevent has for all look-ups: without a
bound, pages of such names would keep chat from finding its own services."""
PORTS = frozenset({80, 443, 8000, 8080, 8443})
_NOT_V4 = [
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # CGNAT; the metadata of Alibaba Cloud
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's own services
        "169.254.0.0/16",  # link-local; metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # relays to 6to4
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
]
_V6 = IPv6Network("2000::/3")
_NOT_V6 = [
    IPv6Network(text)
    for text in (
        "2001::/23",  # Teredo, ORCHID, benchmarks: they mean an IPv4 address or none
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "3fff::/20",
        "3ffe::/16",
    )
]


def is_public(address: str) -> bool:
    """Whether `address` is on the public Internet. IPv6 addresses that hold an IPv4 one are refused, whatever it is."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:  # as with a zone: fe80::1%eth0
        return False
    if isinstance(ip, IPv4Address):
        return ip.is_global and not any(ip in network for network in _NOT_V4)
    return _is_public_v6(ip)


def _is_public_v6(ip: IPv6Address) -> bool:
    """Outside 2000::/3 are loopback, link-local, private, multicast, IPv4-mapped, IPv4-compatible and NAT64."""
    return ip in _V6 and ip.is_global and not any(ip in network for network in _NOT_V6)


def public_addresses(host: str, port: int) -> list[str]:
    """The addresses of `host`, all of them public. Raises `ToolError` otherwise, or on a port that pages do not use."""
    if port not in PORTS:
        raise ToolError(_("Port refusé : %(port)s.", port=port))
    unknown = ToolError(_("Le site « %(host)s » est introuvable.", host=host))
    if not _LOOKUPS.acquire(timeout=LOOKUP_SECONDS):
        raise unknown
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise unknown from error
    finally:
        _LOOKUPS.release()
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not addresses or not all(is_public(address) for address in addresses):
        raise ToolError(_("Adresse refusée : « %(host)s » n'est pas sur l'Internet public.", host=host))
    return addresses
