"""The plain chat template, for models that bring none (gpt2, phi-2…).

A base model continues text, so the conversation is written as a dialogue that it can continue:

    Vous êtes un assistant utile.          ← system and developer messages, as they are

    Utilisateur : Bonjour
    Assistant : Bonjour ! Que puis-je faire ?
    Utilisateur : …
    Assistant :

and the answer ends where the model would make the user speak.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gpt.engines.base import Message, text_of

USER = "Utilisateur :"
ASSISTANT = "Assistant :"
PLAIN_STOPS = (f"\n{USER}", f"\n{ASSISTANT}")


def plain_chat(messages: Sequence[Message]) -> str:
    """The text to continue."""
    instructions = [text_of(m) for m in messages if m["role"] in {"system", "developer"}]
    turns = [
        f"{ASSISTANT if m['role'] == 'assistant' else USER} {m['content']}"
        for m in messages
        if m["role"] not in {"system", "developer"}
    ]
    head = "\n".join(instructions) + "\n\n" if instructions else ""
    return head + "\n".join([*turns, ASSISTANT])


# how the answer begins, whatever the template
ANSWER_OPTIONS = frozenset({"add_generation_prompt", "continue_final_message"})


def template_options(template: str | None) -> frozenset[str]:
    """The options that a chat template honours: its own that requests can set, and the two that begin the answer."""
    own = {name for name in ("reasoning_effort", "enable_thinking") if re.search(rf"\b{name}\b", template or "")}
    return ANSWER_OPTIONS | own if template else frozenset()
