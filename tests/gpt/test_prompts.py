"""The plain template: a dialogue that a base model can continue, and that ends where the user would speak."""

from __future__ import annotations

import pytest
from flask_openapi import OpenAPI

from gpt.engines.base import Message
from gpt.prompts import PLAIN_STOPS, plain_chat


def test_a_conversation_is_a_dialogue() -> None:
    messages: list[Message] = [
        {"role": "system", "content": "Vous êtes bref."},
        {"role": "user", "content": "Bonjour"},
        {"role": "assistant", "content": "Oui ?"},
        {"role": "user", "content": "Rien."},
    ]
    expected = "Vous êtes bref.\n\nUtilisateur : Bonjour\nAssistant : Oui ?\nUtilisateur : Rien.\nAssistant :"
    assert plain_chat(messages) == expected


def test_without_instructions_it_begins_with_the_user() -> None:
    assert plain_chat([{"role": "user", "content": "Bonjour"}]) == "Utilisateur : Bonjour\nAssistant :"


@pytest.mark.parametrize("stop", PLAIN_STOPS)
def test_the_answer_ends_where_another_turn_would_begin(gpt2_app: OpenAPI, stop: str) -> None:
    """A random model, made to write the next turn's mark by a grammar."""
    body = {
        "messages": [{"role": "user", "content": "Bonjour"}],
        "structured_outputs": {"choice": [f"Oui.{stop} encore"]},
        "max_tokens": 60,
    }
    answer = gpt2_app.test_client().post("/v1/chat/completions", json=body).json
    assert answer is not None
    assert answer["choices"][0]["message"]["content"] == "Oui."
    assert answer["choices"][0]["finish_reason"] == "stop"
