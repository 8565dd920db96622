"""What to read: a text or the ids of its tokens, one or several."""

from __future__ import annotations

from collections.abc import Sequence

from common.errors import ApiError
from common.messages import _

Texts = str | list[int] | list[str] | list[list[int]]


def one_or_several(given: Texts, most: int, param: str) -> list[str | list[int]]:
    """`given` as a list. Raises 400 about `param` when there is nothing, or more than `most`."""
    many: Sequence[str | int | list[int]] = [given] if isinstance(given, str) else given
    found: list[str | list[int]] = [item for item in many if not isinstance(item, int)]
    if ids := [item for item in many if isinstance(item, int)]:
        found = [ids]
    if not 0 < len(found) <= most:
        raise ApiError(400, "invalid_value", _("Entre 1 et %(limit)s textes sont acceptés.", limit=most), param)
    return found
