"""A key on the wire and at rest.

A key is ``sk-frigo-<id>-<secret>``: the id finds its row, the secret holds 256 random bits. At rest there is only a
keyed BLAKE2b of the whole key, with a random salt of the row as its key: nothing gives the key back, and since the
secret cannot be guessed, a slow hash would only slow down each request.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

_FORM = re.compile(r"sk-frigo-([0-9a-f]{16})-[A-Za-z0-9_-]{43}", re.ASCII)
_NOBODY = (bytes(32), bytes(32))  # what a key whose id is unknown is compared with, in the same time


def new_key() -> tuple[str, str]:
    """A fresh (id, key)."""
    key_id = secrets.token_hex(8)
    return key_id, f"sk-frigo-{key_id}-{secrets.token_urlsafe(32)}"


def seal(key: str) -> tuple[bytes, bytes]:
    """(salt, digest) to keep."""
    salt = secrets.token_bytes(32)
    return salt, _digest(key, salt)


def opens(key: str, salt: bytes | None, digest: bytes | None) -> bool:
    """True when `key` is the one that was sealed; None when there is none. Takes the same time either way."""
    if salt is None or digest is None:
        hmac.compare_digest(_digest(key, _NOBODY[0]), _NOBODY[1])
        return False
    return hmac.compare_digest(_digest(key, salt), digest)


def id_of(key: str) -> str | None:
    """The id in a key of our form, else None."""
    match = _FORM.fullmatch(key)
    return match[1] if match else None


def prefix(key_id: str) -> str:
    """How a key is shown once it is made."""
    return f"sk-frigo-{key_id[:6]}…"


def _digest(key: str, salt: bytes) -> bytes:
    return hashlib.blake2b(key.encode(), key=salt, digest_size=32, person=b"frigo-api-key").digest()
