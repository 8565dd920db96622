"""Hugging Face's token as a person gave it in the supervision: a file of DATA_DIR (0600), in app and in each service.

Its first line is the token, or nothing once it was taken back; its second line says since when (Unix milliseconds).
The latest word wins wherever it comes from, so that app may repeat it to everybody, and several services may share one
folder. A file of one line is older than any other.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from common.errors import ApiError
from common.messages import _
from common.private_file import write_private

SAVED_TOKEN = "huggingface_token"  # noqa: S105  the file's name


@dataclass(frozen=True)
class GivenToken:
    """What was given last, and when; an empty `token`: it was taken back."""

    token: str = field(repr=False)
    since: int


def read_token(path: Path) -> GivenToken | None:
    """What the file holds; None when nothing was ever given here."""
    try:
        token, _end, since = path.read_text(encoding="utf-8").partition("\n")
    except (OSError, ValueError):
        return None
    return GivenToken(token.strip(), int(since) if since.strip().isascii() and since.strip().isdigit() else 0)


def keep_token(path: Path, given: GivenToken) -> GivenToken:
    """Keep `given`, unless a later word is kept; returns what is kept. Raises `ApiError` 500 `data_dir_unwritable`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path.parent):
            kept = read_token(path)
            if kept is None or kept.since < given.since:
                write_private(path.parent, f"{given.token}\n{given.since}\n").replace(path)
                return given
            return kept
    except OSError as error:
        message = _("Le dossier des données (DATA_DIR) ne peut pas être écrit : le jeton n'est pas gardé.")
        raise ApiError(500, "data_dir_unwritable", message) from error


def after(*others: GivenToken | None) -> int:
    """A moment later than `others`, and now if their clocks allow."""
    return max([int(time.time() * 1000), *(other.since + 1 for other in others if other is not None)])


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time, where the file system can tell."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
