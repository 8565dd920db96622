"""POST /v1/embeddings: the same vectors from both engines, in OpenAI's forms."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from flask_openapi import OpenAPI
from openai.types import CreateEmbeddingResponse

from gpt.engines.base import Capabilities, LanguageEngine
from gpt.engines.options import EngineOptions
from gpt.factory import create_app
from gpt.wire.embeddings import EmbeddingBody
from tests.gpt.conftest import ready_registry, settings_for
from tests.gpt.test_chat_completions import unknown_fields
from tests.gpt.test_requests import Recorder, never, service

URL = "/v1/embeddings"
TEXTS = ["Le client envoie une demande.", "The system checks the invoice, then files it. " * 6]


@pytest.fixture(scope="module")
def light(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAPI]:
    """The same model in the light engine."""
    cache = tmp_path_factory.mktemp("cache")
    registry = ready_registry(settings_for(tiny_llama, cache, ia_engine="ctranslate2"))
    yield create_app(settings_for("auto", cache), registry)
    registry.close()


def vectors(app: OpenAPI, **fields: Any) -> list[list[float]]:
    answer = app.test_client().post(URL, json=fields)
    assert answer.status_code == 200, answer.text
    found = CreateEmbeddingResponse.model_validate(answer.json)
    assert unknown_fields(found) == []
    assert [one.index for one in found.data] == list(range(len(found.data)))
    return [one.embedding for one in found.data]


def likeness(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_a_vector_is_the_mean_of_the_last_hidden_states(
    llama_app: OpenAPI, light: OpenAPI, llama: LanguageEngine, tiny_llama: Path
) -> None:
    """transformers' own, by both engines, whatever the slices."""
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(tiny_llama)
    theirs = []
    for text in TEXTS:
        with torch.inference_mode():
            states = model(input_ids=torch.tensor([llama.encode(text).ids])).last_hidden_state[0]
        theirs.append(torch.nn.functional.normalize(states.double().mean(dim=0), dim=0).tolist())
    for app in (llama_app, light):
        ours = vectors(app, input=TEXTS)
        for one, other in zip(ours, theirs, strict=True):
            assert math.hypot(*one) == pytest.approx(1)
            assert likeness(one, other) == pytest.approx(1, abs=1e-4)
        assert likeness(ours[0], ours[1]) < 0.999


def test_texts_and_their_tokens_have_the_same_vector(light: OpenAPI, llama: LanguageEngine) -> None:
    ids = [llama.encode(text).ids for text in TEXTS]
    together = vectors(light, input=TEXTS)
    assert vectors(light, input=ids) == together
    assert vectors(light, input=ids[0]) == vectors(light, input=TEXTS[0]) == together[:1]


def test_usage_counts_the_tokens(light: OpenAPI, llama: LanguageEngine) -> None:
    usage = light.test_client().post(URL, json={"input": TEXTS, "user": "moi"}).json["usage"]  # type: ignore[index]
    total = sum(len(llama.encode(text).ids) for text in TEXTS)
    assert usage == {"prompt_tokens": total, "total_tokens": total}


def test_dimensions_are_the_first_ones_at_length_one(light: OpenAPI) -> None:
    (whole,), (short,) = vectors(light, input="Oui"), vectors(light, input="Oui", dimensions=5)
    assert len(short) == 5
    assert math.hypot(*short) == pytest.approx(1)
    assert short == pytest.approx([value / math.hypot(*whole[:5]) for value in whole[:5]])


def test_the_openai_client_reads_both_forms(light: OpenAPI, serve: Callable[..., str]) -> None:
    """The client asks for base64 on its own, and decodes it."""
    client = openai.OpenAI(base_url=f"{serve(light)}/v1", api_key="none", max_retries=0)
    (plain,) = vectors(light, input="Oui")
    assert client.embeddings.create(model="default", input="Oui").data[0].embedding == pytest.approx(plain, abs=1e-6)
    answer = light.test_client().post(URL, json={"input": "Oui", "encoding_format": "base64"}).json
    assert answer is not None
    raw = base64.b64decode(answer["data"][0]["embedding"])
    assert list(struct.unpack(f"<{len(raw) // 4}f", raw)) == pytest.approx(plain, abs=1e-6)


def test_generations_go_on_as_before(llama_app: OpenAPI, llama: LanguageEngine) -> None:
    chat = {"messages": [{"role": "user", "content": "Oui"}], "max_tokens": 5, "temperature": 0}
    before = llama_app.test_client().post("/v1/chat/completions", json=chat).json
    vectors(llama_app, input=TEXTS * 3)
    after = llama_app.test_client().post("/v1/chat/completions", json=chat).json
    assert before is not None
    assert after is not None
    assert before["choices"] == after["choices"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "input"),
        ({"input": []}, "input"),
        ({"input": ""}, "input[0]"),
        ({"input": ["a", ""]}, "input[1]"),
        ({"input": [[1], []]}, "input[1]"),
        ({"input": [10**6]}, "input[0]"),
        ({"input": "zéro " * 300}, "input[0]"),
        ({"input": ["a"] * 2049}, "input"),
        ({"input": "a", "dimensions": 33}, "dimensions"),
        ({"input": "a", "dimensions": 0}, "dimensions"),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format"),
    ],
)
def test_what_has_no_vector_is_refused_by_name(fields: dict[str, Any], param: str, light: OpenAPI) -> None:
    answer = light.test_client().post(URL, json=fields)
    assert answer.status_code == 400, answer.text
    assert answer.json is not None
    assert answer.json["error"]["param"] == param


def test_a_model_that_gives_none_says_so() -> None:
    from common.errors import ApiError

    with pytest.raises(ApiError) as refused:
        service(Recorder(Capabilities())).embeddings(EmbeddingBody(input="a"), never, {})
    assert (refused.value.status, refused.value.code, refused.value.param) == (400, "unsupported_model", "model")


def test_the_copy_is_opened_when_asked_for(tiny_llama: Path) -> None:
    from gpt.engines.ctranslate2.engine import CTranslate2Engine

    engine = CTranslate2Engine(tiny_llama, EngineOptions())
    assert engine._states._model is None
    engine.embed([1, 2, 3])
    assert engine._states._model is not None
    engine.close()
    assert engine._states._model is None
