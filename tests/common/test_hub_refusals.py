"""Every refusal of a hub and every failure of a network has its own sentence, with the remedy."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from time import monotonic, time
from typing import Any

import pytest

from common.errors import ApiError
from common.hub import errors as hub_errors
from common.hub.errors import Asked
from common.hub.hub import Hub, Patience
from tests.hub_server import Fault, HubServer

REPO = "frigo-tests/small"
QUICK = Patience(connect_s=20, stall_s=20, attempts=3, first_wait_s=0.01, most_wait_s=0.02, retry_after_s=1.5)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    folder = tmp_path / "repo"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (folder / name).write_text("{}", encoding="utf-8")
    server = HubServer({REPO: folder}).start()
    yield server
    server.stop()


def refusal(here: Hub, revision: str = "main", repo: str = REPO) -> ApiError:
    with pytest.raises(ApiError) as refused:
        here.download(repo, revision, lambda _done, _total: None)
    assert here.find(repo, revision) is None
    return refused.value


WITH, WITHOUT = "hf_token_of_the_test", None


@pytest.mark.parametrize(
    ("token", "fault", "code", "said"),
    [
        (WITHOUT, Fault("", 401, "RepoNotFound"), (401, "hub_unauthorized"), ["privé ou n'existe pas", f"/{REPO}"]),
        (WITH, Fault("", 401), (401, "hub_unauthorized"), ["ne reconnaît pas", "/settings/tokens"]),
        (WITHOUT, Fault("", 401, "GatedRepo"), (403, "hub_gated"), [f"/{REPO}, puis donnez", "/settings/tokens"]),
        (WITH, Fault("", 403, "GatedRepo"), (403, "hub_gated"), ["acceptez-les sur", f"/{REPO} avec le compte"]),
        (
            WITH,
            Fault("", 403, "GatedRepo", {"X-Error-Message": "Your request is awaiting a review from the authors"}),
            (403, "hub_gated"),
            ["attend encore l'accord"],
        ),
        (WITH, Fault("", 403), (403, "hub_forbidden"), ["n'a pas le droit", f"/{REPO}"]),
        (WITHOUT, Fault("", 403), (403, "hub_forbidden"), ["sans jeton", "HUGGINGFACE_TOKEN"]),
        (
            WITHOUT,
            Fault("", 403, "", {"X-Error-Message": "Access to this resource is disabled."}),
            (403, "hub_forbidden"),
            ["a fermé l'accès"],
        ),
        (WITHOUT, Fault("", 404, "RepoNotFound"), (404, "hub_not_found"), ["n'existe pas sur le hub", f"/{REPO}"]),
        (WITHOUT, Fault("", 404, "RevisionNotFound"), (404, "hub_not_found"), ["révision « main »"]),
        (WITHOUT, Fault("", 404, "EntryNotFound"), (404, "hub_not_found"), ["a disparu"]),
        (WITHOUT, Fault("", 429), (429, "hub_rate_limited"), ["ralentir", "quelques minutes"]),
        (WITHOUT, Fault("", 500), (502, "hub_error"), ["en panne", "500"]),
        (WITHOUT, Fault("", 503), (502, "hub_error"), ["en panne", "503"]),
        (WITHOUT, Fault("", 418), (502, "hub_error"), ["418"]),
    ],
)
@pytest.mark.parametrize("where", ["/api/models/", "/resolve/"])
def test_each_refusal_has_its_own_sentence(
    hub: HubServer,
    tmp_path: Path,
    where: str,
    token: str | None,
    fault: Fault,
    code: tuple[int, str],
    said: list[str],
) -> None:
    hub.faults = [Fault(where, fault.status, fault.error_code, fault.headers)]
    error = refusal(Hub(tmp_path / "cache", hub.url, token or "", patience=QUICK))
    assert (error.status, error.code) == code
    for part in said:
        assert part in str(error.message)
    assert "hf_token" not in str(error.message)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("where", ["/api/models/", "/resolve/"])
def test_a_short_wait_asked_by_the_hub_is_granted(hub: HubServer, tmp_path: Path, where: str, status: int) -> None:
    hub.faults = [Fault(where, status, headers={"Retry-After": "1"}, times=1)]
    here = Hub(tmp_path / "cache", hub.url, "", patience=QUICK)
    started = monotonic()
    here.download(REPO, "main", lambda _done, _total: None)
    assert here.find(REPO, "main") is not None
    assert monotonic() - started >= 0.99  # not a measure: what was asked


@pytest.mark.parametrize(
    ("header", "value"), [("Retry-After", "300"), ("RateLimit", '"api";r=0;t=300'), ("Retry-After", "a date")]
)
def test_a_long_wait_asked_by_the_hub_is_said_at_once(hub: HubServer, tmp_path: Path, header: str, value: str) -> None:
    told = formatdate(time() + 300, usegmt=True) if value == "a date" else value
    hub.faults = [Fault("/api/models/", 429, headers={header: told})]
    error = refusal(Hub(tmp_path / "cache", hub.url, "", patience=QUICK))
    assert error.code == "hub_rate_limited"
    assert 60 < int(error.headers["Retry-After"]) <= 300
    assert f"dans {error.headers['Retry-After']} secondes" in str(error.message)
    assert len(hub.seen) == 1


def test_a_hub_that_keeps_asking_for_short_waits_is_given_up(hub: HubServer, tmp_path: Path) -> None:
    hub.faults = [Fault("/resolve/", 429, headers={"Retry-After": "1"})]
    assert refusal(Hub(tmp_path / "cache", hub.url, "", patience=QUICK)).code == "hub_rate_limited"
    assert sum("/resolve/" in path for _method, path, _span in hub.seen) == 2  # 1 s, then 2 s would pass the bound


def test_a_passing_outage_is_waited_for(hub: HubServer, tmp_path: Path) -> None:
    hub.faults = [Fault("/api/models/", 502, times=2)]
    Hub(tmp_path / "cache", hub.url, "", patience=QUICK).download(REPO, "main", lambda _done, _total: None)


def test_nobody_listens(hub: HubServer, tmp_path: Path) -> None:
    here = Hub(tmp_path / "cache", hub.url, "", patience=QUICK)
    hub.stop()
    error = refusal(here)
    assert (error.status, error.code) == (503, "hub_unreachable")
    assert "refuse la connexion" in str(error.message)
    assert hub.url in str(error.message)


def test_a_probe_tells_a_hub_that_answers_from_one_that_does_not(hub: HubServer, tmp_path: Path) -> None:
    client = Hub(tmp_path / "cache", hub.url, "").client(REPO, "main")
    once = Patience(attempts=1)
    client.probe(once)
    assert [method for method, _path, _span in hub.seen] == ["HEAD"]
    hub.faults = [Fault("", 429)]
    with pytest.raises(ApiError, match="hub_rate_limited"):
        client.probe(once)
    hub.stop()
    with pytest.raises(ApiError, match="hub_unreachable"):
        client.probe(once)


def test_the_name_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_asked: Any, **_more: Any) -> Any:  # whatever this machine's name server answers, and when
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = refusal(Hub(tmp_path / "cache", "http://hub.invalid", "", patience=QUICK))
    assert (error.status, error.code) == (503, "hub_unreachable")
    assert "DNS" in str(error.message)


def test_nobody_answers(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        error = refusal(Hub(tmp_path / "cache", address, "", patience=replace(QUICK, stall_s=0.4)))
    assert (error.status, error.code) == (503, "hub_unreachable")
    assert "ne répond pas" in str(error.message)


def test_a_certificate_and_a_proxy_have_their_sentences() -> None:
    import httpx2

    asked = Asked("https://huggingface.co", REPO, "main", with_token=False)
    certificate = httpx2.ConnectError("handshake")
    certificate.__cause__ = ssl.SSLCertVerificationError("self-signed certificate in certificate chain")
    assert "SSL_CERT_FILE" in str(hub_errors.unreachable(asked, certificate).message)
    assert "HTTPS_PROXY" in str(hub_errors.unreachable(asked, httpx2.ProxyError("407")).message)


def test_a_signed_address_that_expires_is_asked_for_again(hub: HubServer, tmp_path: Path) -> None:
    hub.stop()
    hub.cdn = True
    hub.start()
    hub.faults = [Fault("/model.safetensors", 403, cdn=True, times=1)]
    here = Hub(tmp_path / "cache", hub.url, "", patience=QUICK)
    here.download(REPO, "main", lambda _done, _total: None)
    assert len(hub.ranges_of("/model.safetensors")) == 4  # hub, other host, and both again


def test_an_other_host_that_gives_nothing_is_said(hub: HubServer, tmp_path: Path) -> None:
    hub.stop()
    hub.cdn = True
    hub.start()
    hub.faults = [Fault("/model.safetensors", 403, cdn=True)]
    error = refusal(Hub(tmp_path / "cache", hub.url, "", patience=QUICK))
    assert (error.status, error.code) == (502, "hub_error")
    assert "403" in str(error.message)


def test_a_token_no_header_can_carry_is_refused_without_being_quoted(hub: HubServer, tmp_path: Path) -> None:
    error = refusal(Hub(tmp_path / "cache", hub.url, "hf_bad\nX-Evil: 1", patience=QUICK))
    assert error.code == "hub_unauthorized"
    assert "hf_bad" not in str(error)
    assert hub.seen == []


@pytest.mark.parametrize("repo", ["../../etc", "a/b/c", "a/../b", "", "a b/c"])
def test_a_name_that_is_no_model_is_not_asked_for(hub: HubServer, tmp_path: Path, repo: str) -> None:
    assert refusal(Hub(tmp_path / "cache", hub.url, "", patience=QUICK), repo=repo).code == "hub_not_found"
    assert hub.seen == []


@pytest.mark.parametrize("revision", ["../../../x", "a b", ""])
def test_a_revision_that_is_a_path_is_not_asked_for(hub: HubServer, tmp_path: Path, revision: str) -> None:
    assert refusal(Hub(tmp_path / "cache", hub.url, "", patience=QUICK), revision).code == "hub_not_found"
    assert hub.seen == []


def test_offline_asks_nothing(hub: HubServer, tmp_path: Path) -> None:
    error = refusal(Hub(tmp_path / "cache", hub.url, offline=True))
    assert (error.status, error.code) == (503, "hub_offline")
    assert hub.seen == []


def test_a_folder_that_cannot_be_written_is_said(hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file, not a folder", encoding="utf-8")
    error = refusal(Hub(tmp_path / "cache", hub.url, "", patience=QUICK))
    assert (error.status, error.code) == (500, "cache_unwritable")
    assert "MODEL_CACHE_DIR" in str(error.message)
    assert str(tmp_path) not in str(error.message)
