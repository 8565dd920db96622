"""How much is kept."""

from __future__ import annotations

from common.errors import ApiError
from common.messages import _

MAX_TITLE = 200
MAX_CONTENT = 200_000
"""Characters of a message that is given."""
MAX_ANSWER = 1_000_000
"""Characters of an answer, or of its reasoning; what goes beyond is shown but not kept."""
MAX_DIAGRAM = 400_000
"""Bytes of a drawing, as JSON."""
MAX_RUN_TEXT = 20_000
"""Characters of what a tool was given, or gave."""
MAX_RUNS = 100
MAX_MESSAGES = 2_000
"""Of a conversation, all branches together."""
MAX_CHARACTERS = 8_000_000
"""Of a conversation's messages."""
MAX_CONVERSATIONS = 5_000
"""Of one owner."""


def too_many_conversations() -> ApiError:
    message = _("Vous gardez déjà %(limit)s discussions : supprimez-en pour en commencer.", limit=MAX_CONVERSATIONS)
    return ApiError(409, "too_many_conversations", message)


def conversation_full() -> ApiError:
    message = _("Cette discussion est pleine (%(limit)s messages) : commencez-en une autre.", limit=MAX_MESSAGES)
    return ApiError(409, "conversation_full", message)


def conversation_too_long() -> ApiError:
    message = _(
        "Cette discussion est pleine (%(limit)s millions de caractères) : commencez-en une autre.",
        limit=MAX_CHARACTERS // 1_000_000,
    )
    return ApiError(409, "conversation_full", message)
