"""A page fetched from the public Internet, bounded in time, in size, in redirects; every step's address is checked.

No credentials, no cookies, no proxy. Nothing is sent but a GET.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from urllib.parse import SplitResult, quote, urljoin, urlsplit, urlunsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from chat.tools.page.addresses import public_addresses
from chat.tools.tool import Call, ToolError
from common.messages import _

SECONDS = 15.0
CONNECT_SECONDS = 5.0
MOST_REDIRECTS = 5
MAX_BYTES = 3 * 1024 * 1024
"""Of a page, unpacked. More than that is not read."""
MAX_URL = 2000
_REDIRECTS = {301, 302, 303, 307, 308}
_HEADERS = {
    "User-Agent": "Frigo/1 (lecture d'une page a la demande)",
    "Accept": "text/html,application/xhtml+xml,text/plain;q=0.9,application/json;q=0.9,*/*;q=0.1",
    "Accept-Language": "fr,en;q=0.5",
    "Accept-Encoding": "gzip",
    "Connection": "close",
}

Resolve = Callable[[str, int], Sequence[str]]
"""The addresses that a host and port may be reached at, checked; raises `ToolError`."""


@dataclass(frozen=True)
class Fetched:
    """`kind`: the media type, without its parameters; `whole`: whether all of the page was read."""

    url: str
    status: int
    kind: str
    charset: str | None
    data: bytes
    whole: bool


class _Socket(contextlib.AbstractContextManager["_Socket"]):
    """The connection at hand, which can be ended from another thread, even in the middle of a TLS handshake."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._copy: socket.socket | None = None
        self.ended = False

    def hold(self, sock: socket.socket) -> None:
        with self._lock:
            self._release()
            self._copy = sock.dup()  # TLS takes the socket itself over
            if self.ended:
                self._shut_down()

    def end(self) -> None:
        with self._lock:
            self.ended = True
            self._shut_down()

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            self._release()

    def _shut_down(self) -> None:
        if self._copy is not None:
            with contextlib.suppress(OSError):
                self._copy.shutdown(socket.SHUT_RDWR)

    def _release(self) -> None:
        if self._copy is not None:
            self._copy.close()
            self._copy = None


class _Checked(HTTPConnection):
    """Connects to the addresses that were checked; the name goes into Host, SNI and the certificate's check only."""

    addresses: Sequence[str] = ()
    held: _Socket

    def _new_conn(self) -> socket.socket:
        failure: OSError = OSError("no address")
        for address in self.addresses:
            try:
                made = socket.create_connection((address, self.port), CONNECT_SECONDS)
            except OSError as error:
                failure = error
                continue
            made.settimeout(self.timeout)
            self.held.hold(made)
            return made
        raise failure


class _CheckedTls(_Checked, HTTPSConnection):
    """The same over TLS."""


class Fetcher:
    """`resolve` and `trust` are given by tests, whose servers are on loopback with certificates of their own."""

    def __init__(
        self,
        resolve: Resolve = public_addresses,
        trust: ssl.SSLContext | None = None,
        *,
        redirects: int = MOST_REDIRECTS,
    ) -> None:
        self._resolve = resolve
        self._trust = trust
        self._redirects = redirects

    def fetch(self, url: str, call: Call) -> Fetched:
        """What is at `url`, whatever its status. Raises `ToolError` with why it cannot be had."""
        deadline = time.monotonic() + min(SECONDS, call.left)
        with _Socket() as held:
            timer = threading.Timer(max(0.0, deadline - time.monotonic()), held.end)
            timer.daemon = True
            timer.start()
            call.on_cancel(held.end)
            try:
                return self._follow(checked(url), held, deadline)
            except (HTTPError, HTTPException, OSError) as error:
                if held.ended or time.monotonic() >= deadline:
                    raise _too_slow() from error
                if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
                    raise ToolError(_("Le certificat du site n'est pas valable.")) from error
                raise ToolError(_("Le site n'a pas répondu.")) from error
            finally:
                timer.cancel()

    def _follow(self, url: SplitResult, held: _Socket, deadline: float) -> Fetched:
        for _step in range(self._redirects + 1):
            connection = self._connection(url, held, max(0.01, deadline - time.monotonic()))
            try:
                path = f"{url.path or '/'}{'?' if url.query else ''}{url.query}"
                connection.request("GET", path, headers=_HEADERS, preload_content=False, decode_content=False)
                answer = connection.getresponse()
                if answer.status not in _REDIRECTS:
                    return _read(urlunsplit(url), answer, deadline)
                target = answer.headers.get("Location")
            finally:
                connection.close()
            if not target:
                raise ToolError(_("Le site a répondu par une redirection sans adresse."))
            url = checked(urljoin(urlunsplit(url), target))
        raise ToolError(_("Plus de %(most)s redirections.", most=self._redirects))

    def _connection(self, url: SplitResult, held: _Socket, seconds: float) -> _Checked:
        host = str(url.hostname)
        port = url.port or (443 if url.scheme == "https" else 80)
        addresses = self._resolve(host, port)
        if held.ended:
            raise _too_slow()
        connection: _Checked
        if url.scheme == "https":
            connection = _CheckedTls(host, port, timeout=seconds, ssl_context=self._trust)
        else:
            connection = _Checked(host, port, timeout=seconds)
        connection.addresses, connection.held = addresses, held
        return connection


def checked(url: str) -> SplitResult:
    """`url` as it can be asked for. Raises `ToolError` unless it is a plain http or https one."""
    text = url.strip()
    try:
        if len(text) > MAX_URL or any(ord(sign) < 33 for sign in text):
            raise ValueError
        parts = urlsplit(text)
        host = (parts.hostname or "").encode("idna" if not (parts.hostname or "").isascii() else "ascii").decode()
        port = parts.port
    except (ValueError, UnicodeError) as error:
        raise ToolError(_("Adresse incomprise.")) from error
    if parts.scheme not in {"http", "https"} or not host:
        raise ToolError(_("Seules les adresses http:// et https:// sont lues."))
    if parts.username is not None or parts.password is not None:
        raise ToolError(_("Une adresse qui porte un nom ou un mot de passe est refusée."))
    place = f"[{host}]" if ":" in host else host
    netloc = place if port is None else f"{place}:{port}"
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~-._")
    query = quote(parts.query, safe="/?%:@!$&'()*+,;=~-._")
    return SplitResult(parts.scheme, netloc, path, query, "")


def _read(url: str, answer: BaseHTTPResponse, deadline: float) -> Fetched:
    kind, _semicolon, parameters = answer.headers.get("Content-Type", "").partition(";")
    kind = kind.strip().lower()
    if kind and not readable(kind):
        raise ToolError(_("Ce type de contenu n'est pas lu : %(kind)s.", kind=kind[:60]))
    encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"identity", "", "gzip"}:
        raise ToolError(_("Le site a répondu dans un codage inconnu : %(encoding)s.", encoding=encoding[:60]))
    data = b""
    whole = True
    for block in _unpacked(_blocks(answer, deadline), packed=encoding == "gzip"):
        data += block
        if len(data) > MAX_BYTES:
            data, whole = data[:MAX_BYTES], False
            break
    charset = next((p.partition("=")[2].strip(" \"'") for p in parameters.split(";") if "charset=" in p.lower()), None)
    return Fetched(url, answer.status, kind, charset, data, whole)


def readable(kind: str) -> bool:
    """Whether a media type is one of text."""
    return kind.startswith("text/") or kind.endswith(("json", "xml", "+yaml")) or kind in {"application/javascript"}


def _blocks(answer: BaseHTTPResponse, deadline: float) -> Iterator[bytes]:
    while block := answer.read1(64 * 1024):
        yield block
        if time.monotonic() >= deadline:
            raise _too_slow()


def _unpacked(blocks: Iterator[bytes], *, packed: bool) -> Iterator[bytes]:
    """Unpacked by pieces of a bounded size, so that a few packed bytes cannot fill the memory."""
    if not packed:
        yield from blocks
        return
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        for block in blocks:
            left = block
            while left and not unpacker.eof:
                yield unpacker.decompress(left, 256 * 1024)
                left = unpacker.unconsumed_tail
    except zlib.error as error:
        raise ToolError(_("Le site n'a pas répondu comme il l'annonce.")) from error


def _too_slow() -> ToolError:
    return ToolError(_("Le site est trop lent."))
