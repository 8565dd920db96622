"""Imposed forms: whatever the model would rather say, the answer has the form, or is cut by max_tokens."""

from __future__ import annotations

import contextlib
import json
import re
from typing import Any

import jsonschema
import pytest

from common.errors import ApiError
from gpt.engines.base import Constraint, ConstraintKind, GenerationRequest, LanguageEngine
from tests.gpt.generation import Generation

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "titre": {"type": "string", "maxLength": 12},
        "genre": {"enum": ["début", "fin"]},
        "pas": {"type": "array", "items": {"type": "string", "maxLength": 8}, "maxItems": 3},
    },
    "required": ["titre", "genre", "pas"],
    "additionalProperties": False,
}
TEXT = "Le client envoie la « demande » au service comptable, qui l'archive."


def run(
    engine: LanguageEngine, kind: ConstraintKind, value: Any, max_tokens: int = 200, **more: Any
) -> tuple[str, str, int]:
    constraint = Constraint(kind, value, "structured_outputs")
    request = GenerationRequest(engine.encode("Le client"), max_tokens, constraint=constraint, **more)
    deltas = list(Generation(engine, request))
    usage = deltas[-1].usage
    assert usage is not None
    assert usage.completion_tokens == sum(len(delta.token_ids) for delta in deltas)
    return "".join(delta.text for delta in deltas), str(deltas[-1].finish_reason), usage.completion_tokens


@pytest.mark.parametrize("seed", range(4))
def test_a_schema_is_followed_without_free_space(llama: LanguageEngine, seed: int) -> None:
    text, reason, _tokens = run(llama, "json_schema", SCHEMA, 240, seed=seed)
    assert reason == "stop"
    answer = json.loads(text)
    jsonschema.validate(answer, SCHEMA)
    assert text == json.dumps(answer, ensure_ascii=False, separators=(",", ":")) or "\\" in text


def test_what_can_only_come_next_is_not_asked_of_the_model(
    llama: LanguageEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    from gpt.engines.transformers.sampling import Sampler

    original = Sampler.shape
    monkeypatch.setattr(Sampler, "shape", lambda self, logits: asked.append(1) or original(self, logits))
    text, reason, tokens = run(llama, "regex", r'\{"nodes":\[\{"id":"n1","label":"[ab]"\}\]\}', seed=1)
    assert re.fullmatch(r'\{"nodes":\[\{"id":"n1","label":"[ab]"\}\]\}', text)
    assert reason == "stop"
    assert 0 < len(asked) < tokens / 2


@pytest.mark.parametrize("seed", range(3))
def test_a_grammar_can_force_words_of_a_text(llama: LanguageEngine, seed: int) -> None:
    words = json.dumps({"substring_words": TEXT}, ensure_ascii=False)
    grammar = f'start: "{{\\"label\\":\\"" w "\\"}}"\nw: %regex {words}'
    text, reason, _tokens = run(llama, "grammar", grammar, seed=seed)
    assert reason == "stop"
    assert json.loads(text)["label"] in TEXT


def test_a_choice_is_one_of_the_choices(llama: LanguageEngine) -> None:
    choices = ["oui", 'non "jamais"', "peut-être 🎉"]
    found = {run(llama, "choice", choices, seed=seed)[0] for seed in range(12)}
    assert found <= set(choices)
    assert len(found) > 1


def test_json_object_is_an_object_or_cut(llama: LanguageEngine) -> None:
    text, reason, tokens = run(llama, "json_object", None, 60, seed=2)
    assert text.startswith("{")
    assert (reason == "stop" and isinstance(json.loads(text), dict)) or (reason == "length" and tokens == 60)


@pytest.mark.parametrize("limit", [1, 3, 7])
def test_a_form_cut_by_max_tokens_says_length(llama: LanguageEngine, limit: int) -> None:
    _text, reason, tokens = run(llama, "json_schema", SCHEMA, limit, seed=0)
    assert (reason, tokens) == ("length", limit)


def test_a_form_wholly_forced_needs_no_token_of_the_model(llama: LanguageEngine) -> None:
    assert run(llama, "regex", "abc", temperature=0)[:2] == ("abc", "stop")


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("json_schema", {"type": "objec"}, "objec"),
        ("json_schema", {"type": "object", "properties": {"a": {"$ref": "#/nowhere"}}}, "nowhere"),
        ("json_schema", {"type": "string", "pattern": "("}, "unclosed"),
        ("json_schema", "{not json", ""),
        ("json_schema", "[1]", "object"),
        ("grammar", "start: nothing", "nothing"),
        ("grammar", "", ""),
        ("regex", "a(b", "unclosed"),
        ("regex", "(a{1000}){1000}", "too many"),
        ("grammar", "start: start", ""),
        ("choice", [], "choice"),
        ("choice", ["a", ""], "choice"),
    ],
)
def test_what_cannot_be_compiled_is_refused_with_the_reason(
    llama: LanguageEngine, kind: ConstraintKind, value: Any, said: str
) -> None:
    with pytest.raises(ApiError) as refused:
        run(llama, kind, value)
    assert (refused.value.status, refused.value.code, refused.value.param) == (
        400,
        "invalid_constraint",
        "structured_outputs",
    )
    assert said in str(refused.value.message)


def _chain(rules: int) -> str:
    return "start: r0\n" + "".join(f"r{i}:r{i + 1}\n" for i in range(rules)) + f'r{rules}: "a"\n'


def _references(count: int) -> dict[str, Any]:
    links = {f"a{i}": {"$ref": f"#/$defs/a{i + 1}"} for i in range(count)}
    return {"$defs": {**links, f"a{count}": {"const": 1}}, "$ref": "#/$defs/a0"}


@pytest.mark.parametrize(
    ("kind", "value"), [("grammar", _chain(14_000)), ("json_schema", _references(5_000)), ("regex", "(" * 90_000)]
)
def test_no_form_that_is_let_in_ends_the_process(llama: LanguageEngine, kind: ConstraintKind, value: Any) -> None:
    """Compiled in an ordinary thread, the first two overflow its stack."""
    with contextlib.suppress(ApiError):
        assert run(llama, kind, value, 30, temperature=0)[0] in ("a", "1")


def test_a_form_too_long_is_refused(llama: LanguageEngine) -> None:
    with pytest.raises(ApiError, match="invalid_constraint"):
        run(llama, "grammar", _chain(40_000))
