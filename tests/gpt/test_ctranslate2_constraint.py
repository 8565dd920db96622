"""Imposed forms without torch: the same answers as the transformers engine's, and always in the form."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chat.embedded_prompts import diagram_request, minutes_request
from common.errors import ApiError
from gpt.engines.base import Constraint, ConstraintKind, Delta, GenerationRequest, LanguageEngine, Prompt
from gpt.engines.ctranslate2.engine import CTranslate2Engine
from gpt.engines.ctranslate2.sampling import Sampler
from gpt.engines.options import EngineOptions
from gpt.engines.transformers.engine import TransformersEngine
from tests.gpt.generation import Generation

MINI = Path(__file__).resolve().parents[2] / "gpt" / "embedded" / "frigo-mini"
TEXTS = Path(__file__).resolve().parents[2] / "bench" / "mini"
SCHEMA = {
    "type": "object",
    "properties": {"nom": {"type": "string", "maxLength": 12}, "n": {"type": "integer"}, "ok": {"type": "boolean"}},
    "required": ["nom", "n", "ok"],
    "additionalProperties": False,
}
EXACT = EngineOptions(use_gpu=False, quantization="none")


@pytest.fixture(scope="module")
def llama(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CTranslate2Engine]:
    engine = CTranslate2Engine(shutil.copytree(tiny_llama, tmp_path_factory.mktemp("llama") / "m"), EXACT)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def reference(tiny_llama: Path) -> Iterator[TransformersEngine]:
    engine = TransformersEngine(tiny_llama, EngineOptions(use_gpu=False))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CTranslate2Engine]:
    engine = CTranslate2Engine(shutil.copytree(MINI, tmp_path_factory.mktemp("mini") / "m"), EXACT)
    yield engine
    engine.close()


def answer(
    engine: LanguageEngine, kind: ConstraintKind, value: Any, max_tokens: int = 120, **more: Any
) -> tuple[str, Delta]:
    prompt = engine.encode_chat([{"role": "user", "content": "Le client envoie la demande."}], {})
    request = GenerationRequest(prompt, max_tokens, constraint=Constraint(kind, value, "form"), **more)
    deltas = list(Generation(engine, request))
    return "".join(delta.text for delta in deltas), deltas[-1]


def drawn(engine: LanguageEngine, request: dict[str, Any]) -> str:
    """The answer to a request of `chat.embedded_prompts`."""
    prompt = engine.encode_chat(request["messages"], {})
    form = Constraint("grammar", request["structured_outputs"]["grammar"], "structured_outputs")
    room = min(request["max_tokens"], engine.context - len(prompt.ids))
    asked = GenerationRequest(prompt, room, temperature=request["temperature"], constraint=form)
    return "".join(delta.text for delta in Generation(engine, asked))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("json_schema", SCHEMA),
        ("regex", "[A-Z][a-z]{2,5} [0-9]{4}"),
        ("choice", ["oui", "non", "peut-être"]),
        ("grammar", 'start: ("a" | "b")~3 "." '),
        ("json_object", None),
    ],
)
def test_greedy_answers_are_those_of_transformers(
    kind: ConstraintKind, value: Any, llama: CTranslate2Engine, reference: TransformersEngine
) -> None:
    """A random model wants other tokens nearly always: the worst case for what is chosen outside the decoder."""
    here, last = answer(llama, kind, value, temperature=0)
    there, end = answer(reference, kind, value, temperature=0)
    assert here == there
    assert (last.finish_reason, last.usage) == (end.finish_reason, end.usage)


@pytest.mark.parametrize("more", [{}, {"seed": 4}, {"top_p": 0.8, "top_k": 20}, {"temperature": 0.5, "min_p": 0.05}])
def test_sampled_answers_keep_the_form(more: dict[str, Any], llama: CTranslate2Engine) -> None:
    for _ in range(3):
        text, last = answer(llama, "json_schema", SCHEMA, 200, **more)
        assert last.finish_reason == "stop"
        found = json.loads(text)
        assert set(found) == set(SCHEMA["required"])
        assert re.fullmatch(r"[A-Z][a-z]{2,5}", answer(llama, "regex", "[A-Z][a-z]{2,5}", **more)[0])


def test_a_seed_draws_the_same_again(llama: CTranslate2Engine) -> None:
    one, two, other = (answer(llama, "regex", "[a-z]{30}", seed=seed)[0] for seed in (1, 1, 2))
    assert one == two
    assert one != other


def test_many_forms_at_once_beside_free_text(llama: CTranslate2Engine) -> None:
    free = Generation(llama, GenerationRequest(llama.encode("Le client"), 100, temperature=0, ignore_eos=True))
    prompt = llama.encode("Le client")
    forms = [
        Generation(llama, GenerationRequest(prompt, 60, constraint=Constraint("regex", f"[a-z]{{{n}}}!", "form")))
        for n in range(3, 11)
    ]
    texts = ["".join(delta.text for delta in generation) for generation in forms]
    for n, text in zip(range(3, 11), texts, strict=True):
        assert re.fullmatch(f"[a-z]{{{n}}}!", text)
    assert sum(len(delta.token_ids) for delta in free) == 100


def test_what_is_drawn_is_distributed_as_what_is_imposed() -> None:
    """Accepting CTranslate2's proposals changes nothing: the token's distribution is the shaped one."""
    rng = np.random.default_rng(3)
    logits = rng.normal(size=12, scale=0.4).astype(np.float32)
    request = GenerationRequest(
        prompt=Prompt([1]), max_tokens=1, temperature=0.8, top_p=0.95, logit_bias={3: 1.5, 5: -4.0}, min_p=0.02
    )
    sampler = Sampler(request, None, frozenset())
    proposals = sampler._distribution(logits, 0.0)
    wanted = sampler._distribution(sampler.shape(logits.copy()), 0.02)
    assert np.abs(wanted - proposals).max() > 0.1  # the request does change something
    count = 20_000
    found = Counter(
        sampler.choose(logits.copy(), int(proposed))[0]
        for proposed in np.random.default_rng(4).choice(12, size=count, p=proposals)
    )
    for token in range(12):
        assert abs(found[token] / count - wanted[token]) < 0.015


def test_what_cannot_be_compiled_is_refused(llama: CTranslate2Engine) -> None:
    with pytest.raises(ApiError) as refused:
        answer(llama, "regex", "[a-")
    assert (refused.value.status, refused.value.code, refused.value.param) == (400, "invalid_constraint", "form")


def test_an_answer_cut_by_its_length_says_so(llama: CTranslate2Engine) -> None:
    text, last = answer(llama, "regex", "[a-z]{50}", 6, temperature=0)
    assert last.finish_reason == "length"
    assert last.usage is not None
    assert last.usage.completion_tokens == 6
    assert 0 < len(text) < 50


def test_log_probabilities_are_those_under_the_form(llama: CTranslate2Engine, reference: TransformersEngine) -> None:
    here = answer(llama, "choice", ["oui", "non"], temperature=0, logprobs=2)
    there = answer(reference, "choice", ["oui", "non"], temperature=0, logprobs=2)
    assert here[0] == there[0]


@pytest.mark.parametrize("row", [0, 9, 14, 27])
def test_frigo_mini_draws_what_it_draws_with_transformers(row: int, mini: CTranslate2Engine) -> None:
    rows = json.loads((TEXTS / "diagrams.json").read_text(encoding="utf-8"))
    request = diagram_request(rows[row]["text"])
    text = drawn(mini, request)
    assert json.loads(text)["nodes"]
    with_torch = TransformersEngine(MINI, EngineOptions(use_gpu=False))
    try:
        assert text == drawn(with_torch, request)
    finally:
        with_torch.close()


def test_frigo_mini_writes_minutes(mini: CTranslate2Engine) -> None:
    row = json.loads((TEXTS / "minutes.json").read_text(encoding="utf-8"))[0]
    assert isinstance(json.loads(drawn(mini, minutes_request(row["text"]))), dict)


@pytest.mark.slow
def test_every_diagram_of_the_test_set_is_whole_in_int8(tmp_path: Path) -> None:
    """A rounding may change a word, but not the form."""
    rows = json.loads((TEXTS / "diagrams.json").read_text(encoding="utf-8"))
    options = EngineOptions(use_gpu=False, quantization="int8")
    engine = CTranslate2Engine(shutil.copytree(MINI, tmp_path / "m"), options)
    try:
        for row in rows:
            assert json.loads(drawn(engine, diagram_request(row["text"])))["nodes"]
    finally:
        engine.close()
