"""OpenAI's `metadata`: at most 16 short labels."""

from __future__ import annotations

from typing import Any

from common.errors import ApiError
from common.messages import _

MOST = 16
NAME_CHARS = 64
VALUE_CHARS = 512


def checked(metadata: Any) -> dict[str, str] | None:
    """`metadata` as a request gives it. Raises ApiError 400."""
    if metadata is None:
        return None
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ApiError(400, "invalid_value", _("metadata est un objet dont les valeurs sont des textes."), "metadata")
    if len(metadata) > MOST:
        raise ApiError(400, "invalid_value", _("metadata a au plus %(limit)s entrées.", limit=MOST), "metadata")
    for name, value in metadata.items():
        if len(name) > NAME_CHARS or len(value) > VALUE_CHARS:
            message = _(
                "Dans metadata, un nom a au plus %(name)s caractères et une valeur %(value)s.",
                name=NAME_CHARS,
                value=VALUE_CHARS,
            )
            raise ApiError(400, "invalid_value", message, f"metadata.{name[:NAME_CHARS]}")
    return metadata
