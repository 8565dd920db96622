"""nanochat served: upstream's own answers through the engine and over HTTP, the calculator inside them, and company."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from common.errors import ApiError
from common.settings import SettingsError
from gpt.engines.base import Constraint, Delta, GenerationRequest, Message, Prompt
from gpt.engines.nanochat.engine import NanochatEngine
from gpt.engines.nanochat.layout import SIDECAR, find_checkpoint
from gpt.engines.nanochat.runner import NanochatRunner
from gpt.engines.nanochat.tokenizer import ASSISTANT_END, BOS, PYTHON_END, PYTHON_START
from gpt.engines.nanochat.weights import load_model
from gpt.engines.options import EngineOptions
from gpt.factory import create_app, create_registry
from tests.gpt.conftest import ready_registry, settings_for, wait_until
from tests.gpt.generation import Generation
from tests.gpt.nanochat_folders import config_of, write_generation, write_tokenizer

ORACLE = "oracle-2026-07-03-92d63d4"
QUESTIONS = ["Quelle est la capitale de la France ?", "Bonjour !", "Combien font 12+30 ?", "Calcule 45*7."]
SHOWN = [
    "La capitale de la France est Paris.",
    "Bonjour ! Comment puis-je vous aider ?",
    "[12+30 = 42] Le résultat est 42.",
    "[45*7 = 315] Le résultat est 315.",
]
CPU = EngineOptions(use_gpu=False)


@pytest.fixture(scope="module")
def oracle(shared_data: Path) -> Path:
    return shared_data / "nanochat" / ORACLE


@pytest.fixture(scope="module")
def expected(oracle: Path) -> list[dict[str, Any]]:
    """What upstream's own Engine answered to `QUESTIONS`."""
    cases: list[dict[str, Any]] = json.loads((oracle / "reference_sft.json").read_text())["engine"]
    return cases


@pytest.fixture(scope="module")
def chatter(oracle: Path) -> Iterator[NanochatEngine]:
    engine = NanochatEngine(oracle, CPU)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NanochatEngine]:
    """Random weights of the last generation."""
    engine = NanochatEngine(write_generation(tmp_path_factory.mktemp("noise"), "a825e63"), CPU)
    yield engine
    engine.close()


def turn(text: str) -> list[Message]:
    return [{"role": "user", "content": text}]


def run(engine: NanochatEngine, prompt: Prompt, max_tokens: int = 64, **more: Any) -> list[Delta]:
    return list(Generation(engine, GenerationRequest(prompt, max_tokens, **{"temperature": 0, **more})))


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


def ids_of(deltas: list[Delta]) -> list[int]:
    return [token for delta in deltas for token in delta.token_ids]


def test_answers_as_upstream_s_engine_does(chatter: NanochatEngine, expected: list[dict[str, Any]]) -> None:
    """Ids identical, the calculator's included, which do not count as sampled (mask 0)."""
    end = chatter._tokenizer.special[ASSISTANT_END]
    for question, case, shown in zip(QUESTIONS, expected, SHOWN, strict=True):
        prompt = chatter.encode_chat(turn(question), {})
        assert prompt.ids == case["prompt_ids"]
        deltas = run(chatter, prompt)
        assert ids_of(deltas) == [*case["output_ids"], end]
        assert text_of(deltas) == shown
        assert deltas[-1].finish_reason == "stop"
        assert deltas[-1].usage is not None
        assert deltas[-1].usage.completion_tokens == sum(case["mask"]) + 1


def test_answers_the_same_in_company(chatter: NanochatEngine, expected: list[dict[str, Any]]) -> None:
    """Every question three times at once, beside sampled chatter."""
    others = [
        Generation(chatter, GenerationRequest(chatter.encode_ids([1015, 300 + i]), 150, seed=i, ignore_eos=True))
        for i in range(4)
    ]
    answers: dict[int, list[int]] = {}

    def ask(number: int) -> None:
        answers[number] = ids_of(run(chatter, chatter.encode_chat(turn(QUESTIONS[number % 4]), {})))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answers[n][:-1] for n in range(12)] == [expected[n % 4]["output_ids"] for n in range(12)]
    for other in others:
        other.close()


def test_continues_a_text_as_upstream_does(oracle: Path) -> None:
    engine = NanochatEngine(oracle.with_name(f"{ORACLE}#base"), CPU)
    for case in json.loads((oracle / "reference_base.json").read_text())["cases"]:
        prompt = engine.encode(case["prompt"].removeprefix("<|bos|>"))
        assert prompt.ids == case["prompt_ids"]
        assert ids_of(run(engine, prompt, 32)) == case["greedy_ids"]
    plain = engine.encode_chat(turn("Bonjour"), {})
    assert not engine.capabilities.chat_template
    assert engine.decode(plain.ids).endswith("Utilisateur : Bonjour\nAssistant :")
    assert plain.stops
    engine.close()


def test_the_past_holds_the_computations(chatter: NanochatEngine, expected: list[dict[str, Any]]) -> None:
    """An answer that comes back in the next request is read with the marks it was written with."""
    messages: list[Message] = [*turn(QUESTIONS[2]), {"role": "assistant", "content": SHOWN[2]}, *turn("Bonjour !")]
    ids = chatter.encode_chat(messages, {}).ids
    case = expected[2]
    assert ids[: len(case["prompt_ids"]) + len(case["output_ids"])] == case["prompt_ids"] + case["output_ids"]


@pytest.mark.parametrize("limit", range(1, 19))
def test_stops_at_the_limit_of_sampled_tokens(
    chatter: NanochatEngine, expected: list[dict[str, Any]], limit: int
) -> None:
    """The calculator's tokens come along free."""
    case = expected[2]
    deltas = run(chatter, chatter.encode_chat(turn(QUESTIONS[2]), {}), limit)
    sampled, upto = 0, 0
    for upto, mask in enumerate(case["mask"], 1):
        sampled += mask
        if sampled == limit and (upto == len(case["mask"]) or case["mask"][upto] == 1):
            break
    assert ids_of(deltas) == case["output_ids"][:upto]
    assert deltas[-1].finish_reason == "length"
    assert deltas[-1].usage is not None
    assert deltas[-1].usage.completion_tokens == limit


def test_a_result_that_fills_the_context_ends_the_answer(oracle: Path, expected: list[dict[str, Any]]) -> None:
    case = expected[2]
    room = len(case["prompt_ids"]) + 9  # the computation takes 7, its result 4
    engine = NanochatEngine(oracle, EngineOptions(use_gpu=False, context=room))
    assert engine.context == room
    deltas = run(engine, engine.encode_chat(turn(QUESTIONS[2]), {}), 9)
    assert ids_of(deltas) == case["output_ids"][:9]
    assert deltas[-1].finish_reason == "length"
    with pytest.raises(ApiError) as error:
        run(engine, engine.encode_chat(turn(QUESTIONS[2]), {}), 10)
    assert error.value.code == "context_length_exceeded"
    engine.close()


def test_stop_strings_cut_what_is_read(chatter: NanochatEngine) -> None:
    deltas = run(chatter, chatter.encode_chat(turn(QUESTIONS[2]), {}), stop=(" = 42",))
    assert text_of(deltas) == "[12+30"
    assert deltas[-1].finish_reason == "stop"


def test_an_imposed_form_is_kept_and_leaves_no_room_for_tools(chatter: NanochatEngine) -> None:
    prompt = chatter.encode_chat(turn(QUESTIONS[2]), {})
    schema = {"type": "object", "properties": {"a": {"enum": ["oui", "non"]}}, "required": ["a"]}
    form = Constraint("json_schema", {**schema, "additionalProperties": False}, "response_format")
    assert json.loads(text_of(run(chatter, prompt, constraint=form)))["a"] in {"oui", "non"}
    form = Constraint("regex", "[A-Z][a-z]{3} été <b>", "regex")
    deltas = run(chatter, prompt, constraint=form)
    assert text_of(deltas).endswith(" été <b>")
    assert deltas[-1].finish_reason == "stop"


def test_logprobs_are_of_sampled_tokens(chatter: NanochatEngine, expected: list[dict[str, Any]]) -> None:
    deltas = run(chatter, chatter.encode_chat(turn(QUESTIONS[2]), {}), logprobs=2)
    tokens = [token for delta in deltas for token in delta.logprobs]
    case = expected[2]
    assert [token.token_id for token in tokens[:-1]] == [
        token for token, mask in zip(case["output_ids"], case["mask"], strict=True) if mask
    ]
    assert all(token.top[0][0] == token.token_id and token.logprob <= 0 for token in tokens)


def test_the_same_seed_gives_the_same_text(noise: NanochatEngine) -> None:
    prompt = noise.encode("le la")
    texts = {ids: ids_of(run(noise, prompt, 40, temperature=1.0, seed=ids % 2)) for ids in range(4)}
    assert texts[0] == texts[2] != texts[1] == texts[3]


def test_marks_can_be_asked_for_and_kept(noise: NanochatEngine) -> None:
    special = noise._tokenizer.special
    ended = run(noise, noise.encode("le"), 20, logit_bias={special[ASSISTANT_END]: 100})
    assert (text_of(ended), ended[-1].finish_reason) == ("", "stop")
    ended = run(noise, noise.encode("le"), 20, logit_bias={special[BOS]: 100})
    assert (ids_of(ended), ended[-1].finish_reason) == ([special[BOS]], "stop")
    kept = run(noise, noise.encode("le"), 20, logit_bias={special[BOS]: 100}, ignore_eos=True)
    assert (ids_of(kept), text_of(kept)) == ([special[BOS]] * 20, "")


def test_a_computation_without_a_result_goes_on(noise: NanochatEngine) -> None:
    """Marks in a row, forced by bias: nothing to compute, nothing inserted, and no end."""
    special = noise._tokenizer.special
    for mark in (PYTHON_START, PYTHON_END):
        deltas = run(noise, noise.encode("le"), 20, logit_bias={special[mark]: 100})
        assert ids_of(deltas) == [special[mark]] * 20
        assert deltas[-1].finish_reason == "length"


def test_a_client_that_leaves_frees_its_place(noise: NanochatEngine) -> None:
    request = GenerationRequest(noise.encode("le"), 400, temperature=1.0, ignore_eos=True)
    generation = Generation(noise, request)
    next(iter(generation))
    assert noise.load == (1, 0)
    generation.close()
    wait_until(lambda: noise.load == (0, 0))


def test_memory_for_caches_bounds_the_context_and_the_company(tmp_path: Path) -> None:
    folder = write_generation(tmp_path, "a825e63")
    model, parameters = load_model(find_checkpoint(folder), torch.device("cpu"))
    token = 4 * model.architecture.kv_values_per_token
    small = NanochatRunner(model, parameters, context=512, budget=100 * token)
    assert small.capacity == 100
    assert small.fits([100])
    assert not small.fits([10, 10])
    wide = NanochatRunner(model, parameters, context=512, budget=1100 * token)
    assert wide.capacity == 512
    assert wide.fits([512, 500])
    assert wide.fits([200, 200, 200, 200])
    assert not wide.fits([512, 500, 1])
    engine = NanochatEngine(folder, EngineOptions(use_gpu=False, cache_bytes=600 * token))
    alone = ids_of(run(engine, engine.encode("le la"), 300, ignore_eos=True))
    together: list[list[int]] = []
    threads = [
        threading.Thread(
            target=lambda: together.append(ids_of(run(engine, engine.encode("le la"), 300, ignore_eos=True)))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == [alone] * 4  # those that had to give their place back were read again
    engine.close()


@pytest.mark.parametrize("text", ["le " * 5000, "x" * 10**6])
def test_an_endless_text_is_not_tokenized(noise: NanochatEngine, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise._tokenizer, "encode", lambda text: pytest.fail("it was tokenized"))
    for encode in (lambda: noise.encode(text), lambda: noise.encode_chat(turn(text), {})):
        with pytest.raises(ApiError) as error:
            encode()
        assert error.value.code == "context_length_exceeded"


def test_ids_are_checked(noise: NanochatEngine) -> None:
    assert noise.encode_ids([]).ids == [noise._tokenizer.special[BOS]]
    for request in ({"logit_bias": {300: 1.0}}, {"stop_token_ids": (-1,)}):
        with pytest.raises(ApiError, match="vocabulaire"):
            run(noise, noise.encode("le"), 3, **request)
    with pytest.raises(ApiError, match="vocabulaire"):
        noise.encode_ids([300])


def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    base = write_generation(tmp_path, "aba30cb")
    with pytest.raises(ApiError, match="ambigu"):
        NanochatEngine(base, CPU)
    (base / "chatsft_checkpoints" / "d5" / SIDECAR).write_text('{"generation": "aba30cb"}')
    NanochatEngine(base, CPU).close()
    with pytest.raises(ApiError, match="quantifie"):
        NanochatEngine(base, EngineOptions(use_gpu=False, quantization="int8"))
    write_tokenizer(base, 299)
    with pytest.raises(ApiError, match="ensemble"):
        NanochatEngine(base, CPU)


def test_serves_chat_completions(oracle: Path, tmp_path: Path) -> None:
    """The whole way: IA_MODEL is the folder, the answer comes over HTTP, streamed or not."""
    client = create_app(
        settings := settings_for(oracle, tmp_path, ia_engine="auto"), ready_registry(settings)
    ).test_client()
    url, body = "/v1/chat/completions", {"messages": turn(QUESTIONS[2]), "temperature": 0}
    answer = client.post(url, json=body).get_json()
    assert answer["choices"][0]["message"]["content"] == SHOWN[2]
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["prompt_tokens"] == 16
    streamed = client.post(url, json={**body, "stream": True}).get_data(as_text=True)
    chunks = [json.loads(line[6:]) for line in streamed.splitlines() if line.startswith("data: {")]
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"]) == SHOWN[2]
    refused = client.post(url, json={"messages": [*turn("a"), *turn("b")]})
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (400, "invalid_messages")
    model = client.get("/api/models").get_json()["models"]
    entry = next(m for m in model if m["state"] == "ready")
    assert (entry["family"], entry["engine"], entry["parameters"], entry["context"]) == (
        "nanochat",
        "nanochat",
        376914,
        256,
    )


def test_the_service_chooses_within_a_folder_or_says_why_not(tmp_path: Path) -> None:
    base = write_generation(tmp_path / "mine", "fbc1484", source="base")
    write_generation(base, "e85db6b")
    cache = tmp_path / "cache"
    with pytest.raises(SettingsError, match=r"IA_MODEL.*ambigu.*e85db6b"):
        create_registry(settings_for(base, cache, ia_engine="auto"), isolate=False)
    with pytest.raises(SettingsError, match="IA_MODEL"):
        create_registry(settings_for(f"{base}#rl", cache, ia_engine="auto"), isolate=False)
    registry = ready_registry(settings_for(f"{base}#base/d5", cache, ia_engine="auto"))
    with registry.use() as lease:
        assert lease.engine.context == config_of("fbc1484")["sequence_len"]
    registry.close()
