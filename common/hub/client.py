"""Asks a hub: lists a model, reads a file or a part of it, tells passing failures from final ones.

Sent with huggingface_hub's own session and headers (its proxies, its user agent). The token goes to the hub's host
only: a redirect to another host (where big files are) loses it. huggingface_hub is imported at the first request.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urljoin, urlsplit

from common.errors import ApiError
from common.hub import errors as hub_errors
from common.hub.errors import TRANSIENT_STATUSES, Asked, TransientError
from common.hub.listing import Listing, RemoteFile, is_digest, read_listing
from common.messages import _

if TYPE_CHECKING:
    import httpx2

HUB = "https://huggingface.co"
_MAX_ANSWER = 32 * 2**20  # bytes of JSON
_MAX_REDIRECTS = 5
_ENOUGH = 256 * 1024  # bytes received after which the line is said to be good again
_TOKEN = re.compile(r"[\x21-\x7e]{1,512}")
T = TypeVar("T")


def never() -> bool:
    """Nobody cancels."""
    return False


@dataclass(frozen=True)
class Patience:
    """How long the hub is waited for: seconds of silence, attempts in a row without bytes, waits between them.

    `retry_after_s` bounds the sum of the waits that the hub asks for itself (429, 503) before the refusal is said.
    """

    connect_s: float = 10.0
    stall_s: float = 10.0
    attempts: int = 6
    first_wait_s: float = 1.0
    most_wait_s: float = 20.0
    retry_after_s: float = 60.0


PATIENCE = Patience()
# At a start nothing waits long for a hub; a person who asks for a model waits a little.
HASTY = Patience(connect_s=1.5, stall_s=2.0, attempts=1)
WAITED = Patience(connect_s=3.0, stall_s=5.0, attempts=2, retry_after_s=5.0)


class Attempts:
    """Counts failures in a row, waits longer after each, gives up with the last one's sentence."""

    def __init__(self, patience: Patience, watch: Callable[[], None]) -> None:
        self._patience = patience
        self._watch = watch  # raises when the download is cancelled
        self._in_a_row = 0
        self._received = 0
        self._asked_s = 0.0

    def received(self, count: int) -> None:
        """`count` bytes came."""
        self._received += count
        if self._received >= _ENOUGH:
            self._in_a_row, self._asked_s = 0, 0.0

    def failed(self, problem: TransientError) -> None:
        """Wait before another attempt. Raises the `ApiError` of `problem` when there were enough."""
        self._in_a_row += 1
        self._received = 0
        self._asked_s += problem.wait_s or 0.0
        if self._in_a_row >= self._patience.attempts or self._asked_s > self._patience.retry_after_s:
            raise problem.error from problem
        wait_s = min(self._patience.first_wait_s * 2 ** (self._in_a_row - 1), self._patience.most_wait_s)
        self._pause(wait_s if problem.wait_s is None else problem.wait_s)

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._watch()
            time.sleep(min(left, 0.2))


class RangeRefusedError(Exception):
    """416: the file is shorter than what was asked for."""


@dataclass(frozen=True)
class HubClient:
    """One model's files on one hub. `token` None: whatever `hf auth login` left on this machine; "": none."""

    hub: str
    repo_id: str
    revision: str
    token: str | None = None
    patience: Patience = PATIENCE
    cancelled: Callable[[], bool] = never

    def watch(self) -> None:
        """Raises `ApiError` 499 `download_cancelled` when somebody cancelled."""
        if self.cancelled():
            raise hub_errors.cancelled(self.repo_id)

    def probe(self, patience: Patience) -> None:
        """Ask the hub for next to nothing. Raises `ApiError`: hub_unreachable when it does not answer at all."""
        client = replace(self, patience=patience)
        client.patiently(client._touch)

    def _touch(self) -> None:
        with self.open("HEAD", f"{self.hub}/api/models/{self.repo_id}"):
            pass

    def listing(self) -> Listing:
        """What the revision holds. Raises `ApiError`."""
        address = f"{self.hub}/api/models/{self.repo_id}/revision/{quote(self.revision, safe='')}?blobs=true"
        return read_listing(self.repo_id, self.patiently(lambda: self._json(address)))

    def identified(self, listing: Listing, file: RemoteFile) -> RemoteFile:
        """`file` with its size and hash, asked of the hub when its list lacks them. Raises `ApiError`."""
        if file.size is not None and file.digest is not None:
            return file
        return self.patiently(lambda: self._head(listing, file))

    def read(self, listing: Listing, name: str, start: int, length: int) -> bytes:
        """`length` bytes of a file from `start` (fewer at its end). Raises `ApiError`."""
        return self.patiently(lambda: self._part(listing, name, start, length))

    def patiently(self, ask: Callable[[], T]) -> T:
        """`ask`, again after a failure that may pass. Raises `ApiError` once patience is over."""
        attempts = Attempts(replace(self.patience, attempts=min(self.patience.attempts, 3)), self.watch)
        while True:
            self.watch()
            try:
                return ask()
            except TransientError as problem:
                attempts.failed(problem)

    def address(self, commit: str, name: str) -> str:
        """Where a file is."""
        return f"{self.hub}/{self.repo_id}/resolve/{commit}/{quote(name)}"

    @contextmanager
    def open(
        self, method: str, url: str, headers: dict[str, str] | None = None, *, follow: bool = True
    ) -> Iterator[httpx2.Response]:
        """One request, its answer's body not read yet.

        Raises `TransientError`, `RangeRefusedError` or `ApiError`, also for what goes wrong while the body is read.
        """
        import httpx2
        from huggingface_hub import get_session
        from huggingface_hub.errors import OfflineModeIsEnabled

        sent = self._headers() | {"Accept-Encoding": "identity"} | (headers or {})
        asked = Asked(self.hub, self.repo_id, self.revision, "authorization" in sent)
        times = httpx2.Timeout(self.patience.stall_s, connect=self.patience.connect_s)
        try:
            with get_session().stream(method, url, headers=sent, timeout=times, follow_redirects=follow) as answer:
                self._check(asked, answer)
                yield answer
        except OfflineModeIsEnabled as error:
            raise offline(self.repo_id) from error
        except httpx2.TransportError as error:
            raise TransientError(hub_errors.unreachable(asked, error)) from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise hub_errors.storage(asked, type(error).__name__) from error

    def _headers(self) -> dict[str, str]:
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # re-exported lazily

        if self.token and not _TOKEN.fullmatch(self.token):  # httpx2 would quote it in its error
            asked = Asked(self.hub, self.repo_id, self.revision, with_token=True)
            raise hub_errors.refused(asked, 401, {"x-error-message": "invalid credentials"})
        return dict(build_hf_headers(token=False if self.token == "" else self.token, library_name="frigo"))

    def _check(self, asked: Asked, answer: httpx2.Response) -> None:
        status = answer.status_code
        if status < 400:
            return
        if status == 416:
            raise RangeRefusedError
        error = hub_errors.refused(asked, status, answer.headers)
        if status in TRANSIENT_STATUSES:
            raise TransientError(error, hub_errors.retry_after_s(answer.headers))
        if status in (400, 401, 403) and _origin(str(answer.url)) != _origin(self.hub):  # a signed address that expired
            raise TransientError(hub_errors.storage(asked, status))
        raise error

    def _json(self, address: str) -> Any:
        with self.open("GET", address) as answer:
            data = b""
            for piece in answer.iter_bytes():
                data += piece
                if len(data) > _MAX_ANSWER:
                    raise hub_errors.untrusted(self.repo_id, _("sa liste de fichiers est illisible"))
        try:
            return json.loads(data)
        except ValueError:
            return None  # read_listing says so

    def _head(self, listing: Listing, file: RemoteFile) -> RemoteFile:
        address = self.address(listing.commit, file.name)
        for _turn in range(_MAX_REDIRECTS):
            with self.open("HEAD", address, follow=False) as answer:
                headers = answer.headers
            digest = (headers.get("x-linked-etag") or headers.get("etag") or "").removeprefix("W/").strip('"')
            size = headers.get("x-linked-size") or (headers.get("content-length") if not _moved(answer) else None)
            if is_digest(digest) and size is not None and size.isdigit():
                return RemoteFile(file.name, int(size), digest)
            target = urljoin(address, headers.get("location", ""))
            if not _moved(answer) or _origin(target) != _origin(address):
                break
            address = target
        raise hub_errors.untrusted(self.repo_id, _("%(file)s n'a pas d'empreinte", file=file.name))

    def _part(self, listing: Listing, name: str, start: int, length: int) -> bytes:
        span = {"Range": f"bytes={start}-{start + length - 1}"}
        data = b""
        try:
            with self.open("GET", self.address(listing.commit, name), span) as answer:
                skip = start if answer.status_code == 200 else 0  # a server that ignores ranges sends it all
                for piece in answer.iter_bytes():
                    data += piece[skip:]
                    skip = max(skip - len(piece), 0)
                    if len(data) >= length:
                        break
        except RangeRefusedError:
            return b""
        return data[:length]


def offline(repo_id: str) -> ApiError:
    """The hub must not be asked."""
    message = _("%(model)s n'est pas sur ce disque et le hub ne doit pas être joint (HF_HUB_OFFLINE).", model=repo_id)
    return ApiError(503, "hub_offline", message, "model")


def _moved(answer: httpx2.Response) -> bool:
    return 300 <= answer.status_code < 400


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port
