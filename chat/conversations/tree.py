"""The branches of a conversation. Messages are given in the order in which they were made."""

from __future__ import annotations

from collections.abc import Iterable

from chat.conversations.models import ConversationMessage


def branch(messages: Iterable[ConversationMessage], leaf: str | None) -> list[ConversationMessage]:
    """From the first message to `leaf`."""
    known = {message.id: message for message in messages}
    found: list[ConversationMessage] = []
    while leaf is not None and (message := known.pop(leaf, None)) is not None:
        found.append(message)
        leaf = message.parent_id
    return found[::-1]


def latest_leaf(messages: Iterable[ConversationMessage], message_id: str) -> str:
    """The end of the branch that goes on from a message, by its latest child each time."""
    latest = {message.parent_id: message.id for message in messages}
    while (child := latest.pop(message_id, None)) is not None:
        message_id = child
    return message_id
