"""POST /v1/completions: texts to continue, as strings or token ids."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from flask_openapi import OpenAPI
from openai.types import Completion

from gpt.engines.base import LanguageEngine
from tests.gpt.test_chat_completions import unknown_fields

URL = "/v1/completions"


@pytest.fixture
def client(llama_app: OpenAPI) -> FlaskClient:
    return llama_app.test_client()


@pytest.mark.parametrize("prompt", ["", [1]])
def test_real_weights_give_the_exact_text(stories_app: OpenAPI, stories: Path, prompt: Any) -> None:
    """Greedy from the beginning-of-text token, 200 tokens, over HTTP."""
    expected = (stories.parent / "expected_greedy_200.txt").read_text(encoding="utf-8")
    body = {"prompt": prompt, "max_tokens": 200, "temperature": 0}
    answer = Completion.model_validate(stories_app.test_client().post(URL, json=body).json)
    assert answer.choices[0].text == expected
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (1, 200)


def test_real_weights_give_the_exact_text_as_a_stream(stories_app: OpenAPI, stories: Path) -> None:
    expected = (stories.parent / "expected_greedy_200.txt").read_text(encoding="utf-8")
    body = {
        "prompt": "",
        "max_tokens": 200,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    answer = stories_app.test_client().post(URL, json=body)
    *sent, last = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    assert last == "[DONE]"
    chunks = [json.loads(item) for item in sent]
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks if chunk["choices"]) == expected
    assert len(chunks) > 150
    for chunk in chunks[-1:] + chunks[:-2]:
        for choice in chunk["choices"]:
            choice["finish_reason"] = choice["finish_reason"] or "length"  # the package's type has no unfinished chunk
        assert unknown_fields(Completion.model_validate(chunk)) == []
    assert chunks[-1]["usage"] == {"prompt_tokens": 1, "completion_tokens": 200, "total_tokens": 201}


def test_a_continuation_begins_with_its_space(stories_app: OpenAPI) -> None:
    body = {"prompt": "Once upon a", "max_tokens": 1, "temperature": 0}
    answer = stories_app.test_client().post(URL, json=body).json
    assert answer is not None
    assert answer["choices"][0]["text"] == " time"


def test_sixteen_tokens_unless_told(client: FlaskClient) -> None:
    answer = client.post(URL, json={"prompt": "Le", "logit_bias": {"2": -100, "0": -100}}).json
    assert answer is not None
    assert answer["usage"]["completion_tokens"] == 16


def test_several_prompts_and_choices(client: FlaskClient, llama: LanguageEngine) -> None:
    prompts = ["Le client", "The customer sends"]
    body = {"prompt": prompts, "n": 2, "max_tokens": 4, "seed": 1, "echo": True}
    answer = Completion.model_validate(client.post(URL, json=body).json)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    starts = [prompts[0], prompts[0], prompts[1], prompts[1]]
    assert all(choice.text.startswith(start) for choice, start in zip(answer.choices, starts, strict=True))
    assert answer.choices[0].text != answer.choices[1].text
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == sum(len(llama.encode(prompt).ids) for prompt in prompts)


def test_token_ids_are_the_text_they_stand_for(client: FlaskClient, llama: LanguageEngine) -> None:
    ids = llama.encode("Le client").ids
    by_text, by_ids, by_lists = (
        client.post(URL, json={"prompt": prompt, "max_tokens": 6, "temperature": 0, "echo": True}).json
        for prompt in ("Le client", ids, [ids])
    )
    assert by_text is not None
    assert by_ids is not None
    assert by_lists is not None
    assert by_text["choices"] == by_ids["choices"] == by_lists["choices"]


def test_echo_alone_gives_the_prompt_back(client: FlaskClient) -> None:
    answer = client.post(URL, json={"prompt": "Été 🎉", "max_tokens": 0, "echo": True}).json
    assert answer is not None
    assert answer["choices"][0]["text"] == "Été 🎉"
    assert answer["usage"]["completion_tokens"] == 0


def test_log_probabilities_in_the_older_form(client: FlaskClient) -> None:
    answer = client.post(URL, json={"prompt": "Le", "max_tokens": 3, "temperature": 0, "logprobs": 2}).json
    assert answer is not None
    found = Completion.model_validate(answer).choices[0].logprobs
    assert found is not None
    assert found.tokens is not None
    assert found.token_logprobs is not None
    assert found.top_logprobs is not None
    assert len(found.tokens) == len(found.token_logprobs) == len(found.top_logprobs) == 3
    assert found.text_offset == [0, len(found.tokens[0]), len(found.tokens[0] + found.tokens[1])]


def test_the_best_of_several_is_kept(client: FlaskClient) -> None:
    """The likeliest per token, in order; all that was computed is counted; log-probabilities only when asked for."""
    body = {"prompt": ["Le", "The"], "max_tokens": 6, "seed": 1, "logit_bias": {"2": -100, "0": -100}}
    several = Completion.model_validate(client.post(URL, json={**body, "n": 5, "logprobs": 0}).json)
    likely = [sum(choice.logprobs.token_logprobs) for choice in several.choices]  # type: ignore[union-attr, arg-type]
    best = [max(range(5), key=lambda i: likely[i]), 5 + max(range(5), key=lambda i: likely[5 + i])]
    answer = Completion.model_validate(client.post(URL, json={**body, "best_of": 5, "echo": True}).json)
    texts = [start + several.choices[i].text for start, i in zip(("Le", "The"), best, strict=True)]
    assert [choice.text for choice in answer.choices] == texts
    assert [(choice.index, choice.logprobs) for choice in answer.choices] == [(0, None), (1, None)]
    assert answer.usage == several.usage
    two = Completion.model_validate(client.post(URL, json={**body, "best_of": 5, "n": 2, "logprobs": 0}).json)
    assert [choice.index for choice in two.choices] == [0, 1, 2, 3]
    assert two.choices[0].text == several.choices[best[0]].text
    assert two.choices[1].logprobs is not None


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": []}, "prompt"),
        ({"prompt": ["a"] * 65}, "prompt"),
        ({"prompt": [10**6]}, "prompt"),
        ({"prompt": [-1]}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": 10**9}, "max_tokens"),
        ({"temperature": -1}, "temperature"),
        ({"best_of": 1, "n": 2}, "best_of"),
        ({"best_of": 99}, "best_of"),
        ({"best_of": 3, "stream": True}, "best_of"),
        ({"prompt": [5], "suffix": "fin"}, "suffix"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"prompt": "zéro " * 300}, "prompt"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(client: FlaskClient, fields: dict[str, Any], param: str) -> None:
    answer = client.post(URL, json={"prompt": "Le", **fields})
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["error"]["param"].startswith(param)
