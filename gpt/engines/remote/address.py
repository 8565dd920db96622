"""Where a model is that another server holds: ``http://host:port/v1#name``."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from common.messages import Text, _

DEFAULT_PATH = "/v1"
_MAX_LENGTH = 2000


class AddressError(ValueError):
    """An address that cannot be used; `reason` says why, and repeats no secret that it may hold."""

    def __init__(self, reason: Text) -> None:
        super().__init__(str(reason))
        self.reason = reason


@dataclass(frozen=True)
class RemoteAddress:
    """`base` is what stands before ``/chat/completions``; `model` the server's name of the model, or None for the
    first that it lists."""

    base: str
    model: str | None = None

    @property
    def key(self) -> str:
        """What the model is called here: its name there, else the server's host."""
        return self.model or urlsplit(self.base).netloc

    @property
    def host(self) -> str:
        """For messages: the host, and the port when there is one."""
        return urlsplit(self.base).netloc

    def __str__(self) -> str:
        return f"{self.base}#{self.model}" if self.model else self.base


def is_address(value: str) -> bool:
    """True when `value` is meant as a URL (and not as a key, a folder or a hub id)."""
    return "://" in value


def parse_address(value: str) -> RemoteAddress:
    """Read ``http(s)://host[:port][/path][#name]``; without a path, ``/v1``. Raises `AddressError`."""
    if len(value) > _MAX_LENGTH or any(char.isspace() or not char.isprintable() for char in value):
        raise AddressError(_("une adresse sans espace ni caractère invisible est attendue."))
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise AddressError(_("ce n'est pas une adresse http://hôte:port/v1#modèle.")) from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise AddressError(_("ce n'est pas une adresse http://hôte:port/v1#modèle."))
    if parts.username is not None or parts.password is not None:
        raise AddressError(_("la clé se met dans IA_REMOTE_API_KEY, pas dans l'adresse."))
    if parts.query or "?" in value.partition("#")[0]:
        raise AddressError(_("l'adresse ne peut pas avoir de paramètres (« ? »)."))
    if any(char in parts.netloc + parts.path for char in ",\\") or any(
        part in {".", ".."} for part in unquote(parts.path).split("/")
    ):
        raise AddressError(_("l'adresse ne peut contenir ni « , », ni « \\ », ni « .. »."))
    model = unquote(parts.fragment).strip()
    if any(not char.isprintable() for char in model):
        raise AddressError(_("le nom du modèle (après « # ») a un caractère invisible."))
    path = parts.path.rstrip("/") or DEFAULT_PATH
    return RemoteAddress(f"{parts.scheme}://{parts.netloc}{path}", model or None)
