"""nanochat's conversations as ids: marks are ids and never text, so that no text can fake one.

    <|bos|><|user_start|>…<|user_end|><|assistant_start|>…<|assistant_end|>…

Source: RustBPETokenizer.render_conversation of nanochat/tokenizer.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from common.errors import ApiError
from common.messages import Text, _
from gpt.engines.base import Message, text_of
from gpt.engines.nanochat.tokenizer import (
    ASSISTANT_END,
    ASSISTANT_START,
    BOS,
    USER_END,
    USER_START,
    NanochatTokenizer,
)
from gpt.engines.nanochat.tools import with_marks

_SYSTEM = frozenset({"system", "developer"})
_ROLES = ("user", "assistant")


def chat_ids(messages: Sequence[Message], options: Mapping[str, Any], tokenizer: NanochatTokenizer) -> list[int]:
    """A conversation up to where the assistant speaks. Raises 400 when roles do not alternate.

    The model has no system turn: instructions join the first user's turn. With ``continue_final_message`` the last
    turn is an assistant's, to be continued; without ``add_generation_prompt`` the assistant is not given the floor.
    """
    special = tokenizer.special
    turns = _merged(messages)
    continued = bool(options.get("continue_final_message"))
    speaks = not continued and bool(options.get("add_generation_prompt", True))
    for index, (role, _text) in enumerate(turns):
        if role != _ROLES[index % 2]:
            raise _refused(_("« %(role)s » est là où « %(due)s » est attendu", role=role, due=_ROLES[index % 2]))
    if turns[-1][0] != _ROLES[continued] and (continued or speaks):
        raise _refused(_("le dernier message doit être de « %(role)s »", role=_ROLES[continued]))
    ids = [special[BOS]]
    for role, text in turns:
        if role == "user":
            ids += [special[USER_START], *tokenizer.encode(text), special[USER_END]]
        else:
            ids += [special[ASSISTANT_START], *with_marks(text, tokenizer), special[ASSISTANT_END]]
    if continued:
        return ids[:-1]
    return [*ids, special[ASSISTANT_START]] if speaks else ids


def _merged(messages: Sequence[Message]) -> list[tuple[str, str]]:
    """Roles and texts, the instructions that begin the conversation put before the first user's text."""
    texts = [(message["role"], text_of(message)) for message in messages]
    count = next((i for i, (role, _text) in enumerate(texts) if role not in _SYSTEM), len(texts))
    instructions, turns = texts[:count], texts[count:]
    if not turns:
        raise _refused(_("il n'y a pas de message de « user »"))
    if instructions and turns[0][0] == "user":
        turns[0] = ("user", "\n\n".join([*(text for _role, text in instructions), turns[0][1]]))
    return turns


def _refused(reason: Text) -> ApiError:
    message = _("Le gabarit de conversation de ce modèle refuse ces messages : %(reason)s", reason=reason)
    return ApiError(400, "invalid_messages", message, "messages")
