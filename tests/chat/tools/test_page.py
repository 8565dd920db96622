"""The tool `page`: nothing but public addresses, bounded in every way, and the text that a person would read."""

from __future__ import annotations

import gzip
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, redirect, request

from chat.tools.page import addresses, fetch
from chat.tools.page.addresses import is_public, public_addresses
from chat.tools.page.fetch import Fetched, Fetcher
from chat.tools.page.text import readable_text
from chat.tools.page.tool import make_page_tool
from chat.tools.tool import Call, ToolError

PRIVATE = """0.0.0.0 10.1.2.3 100.64.1.1 100.100.100.200 127.0.0.1 127.9.9.9 168.63.129.16 169.254.169.254 172.16.0.1
192.0.0.1 192.88.99.1 192.168.1.1 198.18.0.1 203.0.113.1 224.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1 ::ffff:127.0.0.1
::ffff:8.8.8.8 64:ff9b::7f00:1 2001:0:1::1 2001:db8::1 2002:7f00:1:: fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1
ff02::1 localhost"""


@pytest.mark.parametrize("address", PRIVATE.split())
def test_what_is_near_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "193.252.19.3", "2001:4860:4860::8888", "2606:4700::1111"])
def test_the_rest_is(address: str) -> None:
    assert is_public(address)


def resolves_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: found)


def test_one_private_address_among_public_ones_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    resolves_to(monkeypatch, "8.8.8.8", "1.1.1.1")
    assert public_addresses("exemple.fr", 80) == ["8.8.8.8", "1.1.1.1"]
    resolves_to(monkeypatch, "8.8.8.8", "10.0.0.1")
    with pytest.raises(ToolError):
        public_addresses("exemple.fr", 80)


@pytest.mark.parametrize(
    "url",
    [
        *("http://localhost/", "http://127.0.0.1/", "http://2130706433/", "http://0x7f.1/", "http://0177.0.0.1/"),
        *("http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://①②⑦.0.0.1/", "http://169.254.169.254/latest/"),
        *("http://127.0.0.1:5001/", "http://8.8.8.8:22/", "ftp://8.8.8.8/", "file:///etc/passwd", "gopher://8.8.8.8"),
        *(
            "http://a:b@8.8.8.8/",
            "http://8.8.8.8/a b",
            "http://8.8.8.8/\r\nX: y",
            "http://",
            "8.8.8.8",
            "http://[fe80::1%25lo]/",
        ),
    ],
)
def test_addresses_that_are_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connected: list[Any] = []
    monkeypatch.setattr(socket, "create_connection", lambda *given: connected.append(given))
    with pytest.raises(ToolError):
        Fetcher().fetch(url, Call())
    assert connected == []


class Site:
    """A real server, and a resolver that sends every name of `exemple.test` to it."""

    def __init__(self, serve: Callable[..., str]) -> None:
        self.seen: list[dict[str, str]] = []
        app = Flask("site")

        @app.before_request
        def see() -> None:
            self.seen.append({**request.headers, "path": request.full_path})

        @app.get("/page")
        def page() -> str:
            return "<title>Titre</title><p>Bonjour.</p>"

        @app.get("/loin")
        def far() -> Any:
            return redirect(request.args["vers"])

        @app.get("/boucle")
        def loop() -> Any:
            return redirect("/boucle")

        @app.get("/grand")
        def large() -> Response:
            return Response((b"a" * 65536 for _ in range(100)), content_type="text/plain")

        @app.get("/bombe")
        def bomb() -> Response:
            packed = gzip.compress(bytes(8 * 1024 * 1024))
            return Response(packed, headers={"Content-Encoding": "gzip", "Content-Type": "text/plain"})

        @app.get("/comprime")
        def packed() -> Response:
            return Response(
                gzip.compress("é".encode()), headers={"Content-Encoding": "gzip", "Content-Type": "text/plain"}
            )

        @app.get("/entetes")
        def headers() -> Response:
            return Response("x", headers=[(f"X-{number}", "y") for number in range(120)], content_type="text/plain")

        @app.get("/image")
        def image() -> Response:
            return Response(b"\x89PNG", content_type="image/png")

        self.port = int(serve(app).rpartition(":")[2])

    def resolve(self, host: str, port: int) -> Sequence[str]:
        if host.endswith("exemple.test"):
            assert port == self.port
            return ["127.0.0.1"]
        return public_addresses(host, port)

    def url(self, path: str) -> str:
        return f"http://exemple.test:{self.port}{path}"


@pytest.fixture
def site(serve: Callable[..., str]) -> Site:
    return Site(serve)


def read(site: Site, path: str, **more: Any) -> str:
    tool = make_page_tool(Fetcher(site.resolve), allowed=True)
    return tool(json.dumps({"url": site.url(path), **more}), Call(room=1000))


def test_a_page_is_read_under_its_own_name_and_nothing_else_is_told(site: Site) -> None:
    assert read(site, "/page?q=été") == f"{site.url('/page?q=%C3%A9t%C3%A9')}\n\nTitre\n\nBonjour."
    (seen,) = site.seen
    assert seen["Host"] == f"exemple.test:{site.port}"
    assert not {"Cookie", "Authorization", "Referer"} & set(seen)


def test_redirects_are_followed_and_each_is_checked(site: Site) -> None:
    assert "Bonjour." in read(site, "/loin?vers=/page")
    for target in (
        "http://127.0.0.1/",
        "http://localhost:8080/",
        "file:///etc/passwd",
        "//169.254.169.254/",
        "http://a:b@x/",
    ):
        with pytest.raises(ToolError):
            read(site, f"/loin?vers={target}")
    site.seen.clear()
    with pytest.raises(ToolError) as refused:
        read(site, "/boucle")
    assert "5 redirections" in str(refused.value)
    assert len(site.seen) == 6


def test_a_name_that_changes_its_mind_leads_nowhere_else(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection goes to the address that was checked, whatever the name means by then."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host: Any, *given: Any, **more: Any) -> Any:
        asked.append(str(host))
        return real("127.0.0.2" if host == "exemple.test" else host, *given, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    assert "Bonjour." in read(site, "/page")
    assert "exemple.test" not in asked


def test_what_is_too_large_is_read_in_part(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "MAX_BYTES", 100_000)
    for path in ("/grand", "/bombe"):
        got = Fetcher(site.resolve).fetch(site.url(path), Call())
        assert (len(got.data), got.whole) == (100_000, False)


def test_a_bomb_is_unpacked_by_pieces() -> None:
    packed = gzip.compress(bytes(8 * 1024 * 1024))
    assert next(fetch._unpacked(iter([packed]), packed=True)) == bytes(256 * 1024)


def test_a_packed_page_is_unpacked(site: Site) -> None:
    assert read(site, "/comprime").endswith("\n\né")


@pytest.mark.parametrize(("path", "reason"), [("/image", "image/png"), ("/absent", "404"), ("/entetes", "pas répondu")])
def test_what_cannot_be_read_is_said(site: Site, path: str, reason: str) -> None:
    with pytest.raises(ToolError) as refused:
        read(site, path)
    assert reason in str(refused.value)


def test_a_long_page_is_read_part_after_part(site: Site) -> None:
    first = read(site, "/grand")
    assert f"[caractères 0 à {first.count('a', first.index(']'))} sur 3145728]" in first
    assert len(first) <= 1000
    assert "[caractères 3145700 à 3145728 sur 3145728]" in read(site, "/grand", debut=3_145_700)
    with pytest.raises(ToolError):
        read(site, "/grand", debut=5_000_000)


@pytest.fixture
def dripping() -> Iterator[tuple[int, threading.Event]]:
    """A server that accepts and never says anything; the event: its caller has left."""
    left = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            connection, _address = server.accept()
            with connection:
                while connection.recv(4096):
                    pass
                left.set()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1], left


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_site_that_says_nothing_is_left(scheme: str, dripping: tuple[int, threading.Event]) -> None:
    port, left = dripping
    with pytest.raises(ToolError) as refused:
        Fetcher(lambda _host, _port: ["127.0.0.1"]).fetch(f"{scheme}://exemple.test:{port}/", Call(seconds=0.2))
    assert "lent" in str(refused.value)
    assert left.wait(30)


def test_a_call_that_nobody_waits_for_ends(dripping: tuple[int, threading.Event]) -> None:
    port, _left = dripping
    call = Call()
    fetcher = Fetcher(lambda _host, _port: ["127.0.0.1"])

    def run() -> None:
        with pytest.raises(ToolError):
            fetcher.fetch(f"http://exemple.test:{port}/", call)

    thread = threading.Thread(target=run)
    thread.start()
    call.cancel()
    thread.join(30)
    assert not thread.is_alive()


def test_a_certificate_is_checked_for_the_name(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here, to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=exemple.test",
        "-addext",
    ]
    names = ["subjectAltName=DNS:exemple.test", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*made, *names], check=True, capture_output=True)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate, key)
    named: list[str | None] = []
    server_side.sni_callback = lambda _sock, name, _context: named.append(name)
    trust = ssl.create_default_context(cafile=certificate)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def accept() -> None:
            for _turn in range(3):
                connection, _address = server.accept()
                try:
                    with server_side.wrap_socket(connection, server_side=True) as tls:
                        tls.recv(4096)
                        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok")
                except OSError:
                    continue

        threading.Thread(target=accept, daemon=True).start()
        trusting = Fetcher(lambda _host, _port: ["127.0.0.1"], trust)
        assert trusting.fetch(f"https://exemple.test:{port}/", Call()).data == b"ok"
        assert named == ["exemple.test"]
        for fetcher, host in ((trusting, "autre.test"), (Fetcher(lambda _host, _port: ["127.0.0.1"]), "exemple.test")):
            with pytest.raises(ToolError) as refused:
                fetcher.fetch(f"https://{host}:{port}/", Call())
            assert "certificat" in str(refused.value)


def page(data: str | bytes, kind: str = "text/html", charset: str | None = None) -> str:
    data = data.encode() if isinstance(data, str) else data
    return readable_text(Fetched("http://x/", 200, kind, charset, data, whole=True))


def test_a_page_as_a_person_reads_it() -> None:
    text = page(
        """<!doctype html><html><head><title>Le titre &amp; co</title><style>p{}</style><script>"<p>non"</script></head>
        <body><nav>Menu</nav><main><h1>Grand
        titre</h1><p>Un <b>para</b>graphe&nbsp;ici.<br>Suite.</p><ul><li>un<li>deux</ul>
        <table><tr><th>A<th>B</tr><tr><td>1<td>2</tr></table><p hidden>caché</p><aside>pub</aside>"""
        + f"<p>{'mot ' * 60}</p></main><footer>pied</footer></body></html>"
    )
    assert text.startswith(
        "Le titre & co\n\n# Grand titre\n\nUn paragraphe ici.\nSuite.\n\n- un\n- deux\n\n| A | B\n| 1 | 2\n\nmot"
    )
    assert not {"Menu", "caché", "pub", "pied", "non"} & set(text.split())


@pytest.mark.parametrize(
    ("data", "kind", "charset", "text"),
    [
        ("<p>é</p>".encode("latin-1"), "text/html", "iso-8859-1", "é"),
        ('<meta charset="windows-1252"><p>€</p>'.encode("cp1252"), "text/html", None, "€"),
        ("é".encode("cp1252"), "text/plain", None, "é"),
        ("é".encode(), "text/plain", "punycode", "é"),
        ('{"a": "é"}'.encode(), "application/json", None, '{"a": "é"}'),
        (b"<html><p>x", "", None, "x"),
        (b"", "text/html", None, ""),
        (b"\x00<p>a\x00b", "text/html", None, "ab"),
    ],
)
def test_charsets_and_kinds(data: bytes, kind: str, charset: str | None, text: str) -> None:
    assert page(data, kind, charset) == text


@pytest.mark.parametrize(
    "hostile",
    [
        "<div>" * 20_000,
        "<p" + "".join(f" a{n}=1" for n in range(50_000)) + ">",
        "<a><b>" * 10_000,
        "<" * 300_000,
        "<!--" * 100_000,
        "</p>" * 20_000,
    ],
    ids=lambda text: str(text)[:8],
)
def test_hostile_pages_take_no_time_of_their_own(hostile: str) -> None:
    assert "fin" in page(f"{hostile}<p>fin</p>") or "<!--" in hostile or "<<" in hostile


def test_json_takes_no_more_room_read_than_sent() -> None:
    data = b"[" * 500 + b"1," * 50_000 + b"1" + b"]" * 500  # indented, each number would bring 500 spaces
    page = Fetched("http://exemple.test/", 200, "application/json", "utf-8", data, whole=True)
    assert len(readable_text(page)) < 2 * len(data)


def test_few_names_are_looked_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    answer = threading.Event()

    def look(host: str, *_a: Any, **_k: Any) -> Any:
        asked.append(host)
        answer.wait(60)
        raise OSError

    def read(host: str) -> None:
        with pytest.raises(ToolError):
            public_addresses(host, 80)

    monkeypatch.setattr(socket, "getaddrinfo", look)
    readers = [threading.Thread(target=read, args=(f"lent{n}.test",)) for n in range(4)]
    for reader in readers:
        reader.start()
    until = time.monotonic() + 20
    while len(asked) < 4 and time.monotonic() < until:
        time.sleep(0.01)
    monkeypatch.setattr(addresses, "LOOKUP_SECONDS", 0.05)
    read("cinquieme.test")
    answer.set()
    for reader in readers:
        reader.join()
    assert len(asked) == 4
    read("sixieme.test")
    assert asked[4:] == ["sixieme.test"]
