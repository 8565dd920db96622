"""What OpenAI's own tests send at once, on the embedded model as it ships; and what honours the rarer parameters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask_openapi import OpenAPI
from openai.types import Completion
from openai.types.chat import ChatCompletion

from gpt.engines.base import LanguageEngine, Prompt
from gpt.engines.ctranslate2.engine import CTranslate2Engine
from gpt.engines.options import EngineOptions
from gpt.engines.prompter import Prompter
from gpt.factory import create_app
from tests.gpt.conftest import ready_registry, settings_for
from tests.gpt.test_chat_completions import events, unknown_fields

CHAT: dict[str, Any] = {
    "messages": [{"content": "string", "role": "developer", "name": "name"}],
    "model": "default",
    "audio": {"format": "wav", "voice": "alloy"},
    "frequency_penalty": -2,
    "function_call": "none",
    "functions": [{"name": "name", "description": "description", "parameters": {"foo": "bar"}}],
    "logit_bias": {"foo": 0},
    "logprobs": True,
    "max_completion_tokens": 0,
    "max_tokens": 0,
    "metadata": {"foo": "string"},
    "modalities": ["text"],
    "moderation": {"model": "model", "policy": {"input": {"mode": "score"}, "output": {"mode": "score"}}},
    "n": 1,
    "parallel_tool_calls": True,
    "prediction": {"content": "string", "type": "content"},
    "presence_penalty": -2,
    "prompt_cache_key": "prompt-cache-key-1234",
    "prompt_cache_options": {"mode": "implicit", "ttl": "30m"},
    "prompt_cache_retention": "in_memory",
    "reasoning_effort": "none",
    "response_format": {"type": "text"},
    "safety_identifier": "safety-identifier-1234",
    "seed": -9007199254740991,
    "service_tier": "auto",
    "stop": "\n",
    "store": True,
    "stream_options": {"include_obfuscation": True, "include_usage": True},
    "temperature": 1,
    "tool_choice": "none",
    "tools": [
        {
            "function": {
                "name": "name",
                "description": "description",
                "parameters": {"foo": "bar"},
                "strict": True,
            },
            "type": "function",
        }
    ],
    "top_logprobs": 0,
    "top_p": 1,
    "user": "user-1234",
    "verbosity": "low",
    "web_search_options": {
        "search_context_size": "low",
        "user_location": {"approximate": {"city": "city", "country": "country"}, "type": "approximate"},
    },
}
COMPLETION: dict[str, Any] = {
    "model": "default",
    "prompt": "This is a test.",
    "best_of": 0,
    "echo": True,
    "frequency_penalty": -2,
    "logit_bias": {"foo": 0},
    "logprobs": 0,
    "max_tokens": 16,
    "n": 1,
    "presence_penalty": -2,
    "seed": 0,
    "stop": "\n",
    "stream_options": {"include_obfuscation": True, "include_usage": True},
    "suffix": "test.",
    "temperature": 1,
    "top_p": 1,
    "user": "user-1234",
}


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAPI]:
    cache = tmp_path_factory.mktemp("cache")
    registry = ready_registry(settings_for("frigo-mini", cache, ia_engine="ctranslate2"))
    yield create_app(settings_for("auto", cache), registry)
    registry.close()


@pytest.mark.parametrize("length", [0, 8])
def test_a_chat_takes_every_parameter_at_once(length: int, mini: OpenAPI) -> None:
    body = {**CHAT, "max_completion_tokens": length}
    answer = mini.test_client().post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    whole = ChatCompletion.model_validate(answer.json, strict=True)
    assert unknown_fields(whole) == []
    assert whole.usage is not None
    assert whole.usage.completion_tokens <= length
    streamed = mini.test_client().post("/v1/chat/completions", json={**body, "stream": True})
    assert streamed.status_code == 200
    assert list(events(streamed.text))[-1] == "[DONE]"


def test_a_completion_takes_every_parameter_at_once(mini: OpenAPI) -> None:
    answer = mini.test_client().post("/v1/completions", json=COMPLETION)
    assert answer.status_code == 200, answer.text
    whole = Completion.model_validate(answer.json, strict=True)
    assert unknown_fields(whole) == []
    assert whole.choices[0].text.startswith("This is a test.")
    told = whole.choices[0].logprobs
    assert told is not None
    assert "".join(told.tokens or []).startswith("This is a test.")
    assert told.text_offset == [len("".join((told.tokens or [])[:at])) for at in range(len(told.tokens or []))]
    streamed = mini.test_client().post("/v1/completions", json={**COMPLETION, "stream": True})
    assert streamed.status_code == 200
    assert list(events(streamed.text))[-1] == "[DONE]"


def test_a_bias_of_zero_is_none_whatever_its_token(mini: OpenAPI) -> None:
    body = {**CHAT, "logit_bias": {"foo": 1}}
    answer = mini.test_client().post("/v1/chat/completions", json=body)
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["error"]["param"] == "logit_bias"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"tool_choice": "auto"}, "web_search_options"),
        ({"reasoning_effort": "high"}, "reasoning_effort"),
        ({"messages": [{"role": "assistant", "content": "", "audio": {"id": "a"}}]}, "messages[0].audio"),
    ],
)
def test_what_would_change_the_answer_is_refused(fields: dict[str, Any], param: str, mini: OpenAPI) -> None:
    answer = mini.test_client().post("/v1/chat/completions", json={**CHAT, **fields})
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["error"]["param"] == param


def test_the_echo_is_scored_as_the_model_would(llama: LanguageEngine, tiny_llama: Path) -> None:
    """The log-probabilities of the prompt's own tokens: transformers' own numbers, by both engines."""
    import torch
    from transformers import AutoModelForCausalLM

    prompt = llama.encode("Le client envoie la demande. " * 6)
    begin = 0  # this tokenizer's beginning of text
    ids = [begin, *prompt.ids] if prompt.ids[0] != begin else prompt.ids
    with torch.inference_mode():
        logits = AutoModelForCausalLM.from_pretrained(tiny_llama)(torch.tensor([ids])).logits[0].double()
    expected = torch.log_softmax(logits, dim=-1)
    light = CTranslate2Engine(tiny_llama, EngineOptions(quantization="none"))
    for engine in (llama, light):
        scored = engine.score(prompt, 2)  # type: ignore[attr-defined]
        assert [token.token_id for token in scored] == ids[1:]
        for at, token in enumerate(scored):
            assert token.logprob == pytest.approx(float(expected[at][token.token_id]), abs=1e-4)
            best = expected[at].topk(2)
            assert [one[3] for one in token.top] == pytest.approx(best.values.tolist(), abs=1e-4)
    light.close()


def test_a_text_can_be_scored_without_being_continued(llama_app: OpenAPI) -> None:
    """What evaluation harnesses ask for: echo, logprobs, nothing more."""
    body = {"prompt": ["Le client", "The system"], "echo": True, "logprobs": 1, "max_tokens": 0}
    answer = Completion.model_validate(llama_app.test_client().post("/v1/completions", json=body).json)
    for choice, text in zip(answer.choices, ("Le client", "The system"), strict=True):
        assert choice.text == text
        assert choice.logprobs is not None
        assert "".join(choice.logprobs.tokens or []) == text
        assert all(value < 0 for value in choice.logprobs.token_logprobs or [])
    best = {**body, "n": 1, "best_of": 3, "max_tokens": 3, "logprobs": None, "seed": 1}
    assert llama_app.test_client().post("/v1/completions", json=best).status_code == 200


def test_a_suffix_is_read_before_and_ends_the_text(llama_app: OpenAPI) -> None:
    """By a model that knows no holes: what comes after weighs on the answer, and is not written again."""
    body = {"prompt": "Le client", "temperature": 0, "max_tokens": 30}
    client = llama_app.test_client()
    plain = client.post("/v1/completions", json=body).json
    filled = client.post("/v1/completions", json={**body, "suffix": "the invoice."}).json
    assert plain is not None
    assert filled is not None
    assert filled["usage"]["prompt_tokens"] > plain["usage"]["prompt_tokens"]
    assert filled["choices"][0]["text"] != plain["choices"][0]["text"]
    exact = {"structured_outputs": {"regex": " envoie the invoice\\. Puis"}, "suffix": " the invoice.\nPuis"}
    cut = client.post("/v1/completions", json={**body, **exact}).json
    assert cut is not None
    assert cut["choices"][0]["text"] == " envoie "
    assert cut["choices"][0]["finish_reason"] == "stop"


def test_a_model_that_knows_holes_is_given_one() -> None:
    marks = {"<|fim_prefix|>": 1, "<|fim_suffix|>": 2, "<|fim_middle|>": 3}
    prompter = Prompter(
        tokenize=lambda text, begin: [0] * begin + [ord(c) for c in text],
        vocabulary=300,
        context=100,
        longest=1,
        beginnings=[0],
        marks=(),
        turns=None,
        token_id=marks.get,
    )
    assert prompter.infill("ab", "c") == Prompt([0, 1, 97, 98, 2, 99, 3], given=(2, 4))
    assert prompter.infill("ab", " ") == prompter.text("ab")
    assert prompter.scored(prompter.infill("ab", "c")) == ([0, 1, 97, 98], 2, 4)
    assert prompter.scored(prompter.text("ab")) == ([0, 97, 98], 1, 3)
