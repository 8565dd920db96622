"""The ctranslate2 engine: exact greedy text, many readers at once, every parameter it declares, and no torch."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from common.errors import ApiError
from gpt.engines.base import Delta, GenerationRequest, LanguageEngine, Prompt
from gpt.engines.ctranslate2 import runs as runs_module
from gpt.engines.ctranslate2 import scheduler as scheduler_module
from gpt.engines.ctranslate2.convert import converted
from gpt.engines.ctranslate2.engine import CTranslate2Engine
from gpt.engines.options import EngineOptions
from gpt.engines.transformers.engine import TransformersEngine
from tests.gpt.conftest import wait_until
from tests.gpt.generation import Generation

EXACT = EngineOptions(use_gpu=False, quantization="none")


def run(engine: LanguageEngine, prompt: Prompt | str, max_tokens: int = 20, **more: object) -> tuple[str, Delta]:
    ready = engine.encode(prompt) if isinstance(prompt, str) else prompt
    deltas = list(Generation(engine, GenerationRequest(ready, max_tokens, **more)))  # type: ignore[arg-type]
    return "".join(delta.text for delta in deltas), deltas[-1]


@pytest.fixture(scope="module")
def stories_copy(stories: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, because the converted model is written beside it."""
    return shutil.copytree(stories, tmp_path_factory.mktemp("stories") / "hf")


@pytest.fixture(scope="module")
def teller(stories_copy: Path) -> Iterator[CTranslate2Engine]:
    engine = CTranslate2Engine(stories_copy, EXACT)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def expected(stories: Path) -> str:
    return (stories.parent / "expected_greedy_200.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def llama(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CTranslate2Engine]:
    engine = CTranslate2Engine(shutil.copytree(tiny_llama, tmp_path_factory.mktemp("llama") / "m"), EXACT)
    yield engine
    engine.close()


def test_greedy_text_is_exact_and_streamed(teller: CTranslate2Engine, expected: str) -> None:
    deltas = list(Generation(teller, GenerationRequest(teller.encode_ids([1]), 200, temperature=0)))
    assert "".join(delta.text for delta in deltas) == expected
    assert len(deltas) == 200
    assert deltas[-1].finish_reason == "length"
    assert deltas[-1].usage is not None
    assert (deltas[-1].usage.prompt_tokens, deltas[-1].usage.completion_tokens) == (1, 200)


def test_greedy_text_is_the_same_among_seven_others(teller: CTranslate2Engine, expected: str) -> None:
    others = [
        Generation(teller, GenerationRequest(teller.encode("Tim " * (i + 1)), 120, temperature=0.9 * (i % 2)))
        for i in range(7)
    ]
    assert run(teller, teller.encode_ids([1]), 200, temperature=0)[0] == expected
    for other in others:
        other.close()


def test_eight_the_same_at_once_tell_the_same(teller: CTranslate2Engine, expected: str) -> None:
    request = GenerationRequest(teller.encode_ids([1]), 200, temperature=0)
    generations = [Generation(teller, request) for _ in range(8)]
    assert {"".join(delta.text for delta in generation) for generation in generations} == {expected}


def test_the_text_is_the_same_when_its_tokens_are_chosen_from_the_logits(
    teller: CTranslate2Engine, expected: str
) -> None:
    assert run(teller, teller.encode_ids([1]), 200, temperature=0, logprobs=1)[0] == expected


def test_a_batch_made_anew_loses_nothing(
    teller: CTranslate2Engine, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped for newcomers every other token, the story is still the same."""
    monkeypatch.setattr(runs_module, "QUANTUM", 2)
    monkeypatch.setattr(runs_module, "_READING", 10**6)
    request = GenerationRequest(teller.encode_ids([1]), 200, temperature=0)
    generations = [Generation(teller, request) for _ in range(4)]
    others = [
        Generation(teller, GenerationRequest(teller.encode("Tim " * 70 + "a " * i), 100, temperature=0.5 + i / 10))
        for i in range(6)
    ]
    assert {"".join(delta.text for delta in generation) for generation in generations} == {expected}
    for other in others:
        assert list(other)[-1].finish_reason is not None


def test_nobody_waits_for_a_whole_answer(llama: CTranslate2Engine) -> None:
    """More clients than places, each sampled in its own way: the last one has ended long before the first could."""
    long = [
        Generation(llama, GenerationRequest(llama.encode("Le client"), 240, temperature=1 + i / 10, ignore_eos=True))
        for i in range(4)
    ]
    short = list(Generation(llama, GenerationRequest(llama.encode("Le"), 5, temperature=0, ignore_eos=True)))
    assert short[-1].finish_reason == "length"
    for generation in long:
        assert sum(len(delta.token_ids) for delta in generation) == 240


@pytest.mark.parametrize(
    "more",
    [
        {"logit_bias": {260: 3.0, 300: -100.0}},
        {"presence_penalty": 1.5},
        {"frequency_penalty": 1.5},
        {"logprobs": 3},
        {"stop": ("a", "e")},
    ],
    ids=lambda more: next(iter(more)),
)
def test_each_parameter_means_what_it_means_with_transformers(
    more: dict[str, object], llama: CTranslate2Engine, tiny_llama: Path
) -> None:
    other = TransformersEngine(tiny_llama, EngineOptions(use_gpu=False))
    try:
        text, last = run(llama, "Le client envoie", 40, temperature=0, **more)
        there, end = run(other, "Le client envoie", 40, temperature=0, **more)
    finally:
        other.close()
    assert (text, last.usage, last.finish_reason) == (there, end.usage, end.finish_reason)
    for one, two in zip(last.logprobs, end.logprobs, strict=True):
        assert (one.token_id, one.raw, [i for i, *_rest in one.top]) == (
            two.token_id,
            two.raw,
            [i for i, *_rest in two.top],
        )
        assert one.logprob == pytest.approx(two.logprob, abs=1e-4)


def test_the_same_seed_gives_the_same_text(llama: CTranslate2Engine) -> None:
    one, two, other = (run(llama, "Le client", 30, seed=seed)[0] for seed in (5, 5, 6))
    assert one == two
    assert one != other


def test_top_k_one_and_a_tiny_top_p_are_greedy(llama: CTranslate2Engine) -> None:
    greedy = run(llama, "Le", 15, temperature=0)[0]
    assert run(llama, "Le", 15, top_k=1)[0] == greedy
    assert run(llama, "Le", 15, top_p=1e-7)[0] == greedy
    assert run(llama, "Le", 15, top_p=1e-7, seed=3)[0] == greedy
    assert run(llama, "Le", 15, min_p=1.0)[0] == greedy


def test_a_top_k_over_the_vocabulary_takes_every_token(llama: CTranslate2Engine) -> None:
    for top_k in (401, 10**9, 10**30):
        _text, last = run(llama, "Le client", 4, temperature=1.0, top_k=top_k)
        assert last.usage is not None
        assert last.usage.completion_tokens > 0


def test_sampling_follows_the_model_in_both_ways(teller: CTranslate2Engine) -> None:
    """The first token of many answers, sampled by CTranslate2 and from the logits, beside its true probabilities."""
    prompt = teller.encode("Once upon a time, there was a little")
    last = run(teller, prompt, 1, temperature=0, logprobs=5)[1]
    truth = {i: np.exp(value) for i, _text, _raw, value in last.logprobs[0].top}
    for more in ({}, {"logit_bias": {3: -1.0}}):
        generations = [Generation(teller, GenerationRequest(prompt, 1, **more)) for _ in range(100)]  # type: ignore[arg-type]
        found = Counter(delta.token_ids[0] for generation in generations for delta in generation if delta.token_ids)
        for token, probability in truth.items():
            assert abs(found[token] / 100 - probability) < 0.2


def test_repetition_is_penalised(teller: CTranslate2Engine) -> None:
    prompt = teller.encode_ids([1])
    free = run(teller, prompt, 120, temperature=0)[0]
    words = run(teller, prompt, 120, temperature=0, repetition_penalty=1.6)[0]
    assert words != free
    assert words.count("Lily") < free.count("Lily")


def test_an_end_may_be_put_off_and_added(teller: CTranslate2Engine) -> None:
    prompt = teller.encode("Once upon a time")
    token = run(teller, prompt, 6, temperature=0)[1].token_ids[-1]
    ended = run(teller, prompt, 100, temperature=0, stop_token_ids=(token,))[1]
    assert ended.finish_reason == "stop"
    assert ended.usage is not None
    assert ended.usage.completion_tokens <= 6
    later = run(teller, prompt, 100, temperature=0, stop_token_ids=(token,), min_tokens=30)[1]
    assert later.usage is not None
    assert later.usage.completion_tokens > 30 or later.finish_reason == "length"


def test_a_bad_word_never_comes(teller: CTranslate2Engine) -> None:
    prompt = teller.encode_ids([1])
    assert "Lily" in run(teller, prompt, 100, temperature=0)[0]
    assert "Lily" not in run(teller, prompt, 100, temperature=0, bad_words=("Lily",))[0]


def test_a_stop_string_is_cut_exactly(teller: CTranslate2Engine, expected: str) -> None:
    text, last = run(teller, teller.encode_ids([1]), 200, temperature=0, stop=("ball. She", "zzz"))
    assert text == expected[: expected.index("ball. She")]
    assert last.finish_reason == "stop"


def test_no_token_allowed_gives_empty_text_and_true_usage(llama: CTranslate2Engine) -> None:
    text, last = run(llama, "Le client envoie", 0)
    assert (text, last.finish_reason) == ("", "length")
    assert last.usage is not None
    assert last.usage.completion_tokens == 0


def test_a_reader_that_leaves_frees_its_place(llama: CTranslate2Engine) -> None:
    wait_until(lambda: llama.load == (0, 0))
    request = GenerationRequest(llama.encode("Le client"), 250, ignore_eos=True)
    generations = [Generation(llama, request) for _ in range(20)]  # more than run at once
    assert sum(llama.load) > 1
    for generation in generations:
        generation.close()
    wait_until(lambda: llama.load == (0, 0))
    for generation in generations:
        assert sum(len(delta.token_ids) for delta in generation) < 250


def test_too_many_waiting_are_told_to_come_back(llama: CTranslate2Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler_module, "MAX_WAITING", 3)
    request = GenerationRequest(llama.encode("Le client"), 240, ignore_eos=True)
    kept: list[Generation] = []
    with pytest.raises(ApiError) as refused:
        kept.extend(Generation(llama, request) for _ in range(40))
    assert (refused.value.status, refused.value.code) == (503, "queue_full")
    assert refused.value.headers["Retry-After"]
    for generation in kept:
        generation.close()
    wait_until(lambda: llama.load == (0, 0))


def test_it_serves_again_after_a_generation_failed(llama: CTranslate2Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object) -> None:
        raise RuntimeError("boom")

    for name, more in (("go_on", {}), ("feed", {"seed": 1})):
        with monkeypatch.context() as patch:
            patch.setattr(f"gpt.engines.ctranslate2.answer.CTranslate2Answer.{name}", broken)
            with pytest.raises(RuntimeError, match="boom"):
                run(llama, "Le", 5, **more)
    assert run(llama, "Le", 5, temperature=0)[1].finish_reason is not None


def test_ids_outside_the_vocabulary_are_refused(llama: CTranslate2Engine) -> None:
    for make in (
        lambda: llama.encode_ids([1, 10**6]),
        lambda: Generation(llama, GenerationRequest(llama.encode("Le"), 5, logit_bias={10**6: 1.0})),
    ):
        with pytest.raises(ApiError) as refused:
            make()
        assert refused.value.status == 400


def test_closing_ends_what_runs_and_refuses_what_comes(tiny_llama: Path, tmp_path: Path) -> None:
    engine = CTranslate2Engine(shutil.copytree(tiny_llama, tmp_path / "m"), EXACT)
    generations = [
        Generation(engine, GenerationRequest(engine.encode("Le"), 250, ignore_eos=True, temperature=1 + i / 10))
        for i in range(5)
    ]
    engine.close()
    for generation in generations:
        with pytest.raises(ApiError) as ended:
            list(generation)
        assert ended.value.code == "model_not_ready"
    with pytest.raises(ApiError):
        Generation(engine, GenerationRequest(engine.encode("Le"), 5))
    alive = {thread for thread in threading.enumerate() if thread in engine._scheduler._threads}
    assert not alive


def test_int8_is_what_a_small_machine_gets(tiny_llama: Path, tmp_path: Path) -> None:
    engine = CTranslate2Engine(
        shutil.copytree(tiny_llama, tmp_path / "m"), EngineOptions(use_gpu=False, quantization="int8")
    )
    try:
        assert engine.quantization == "int8"
        assert run(engine, "Le client", 20, temperature=0, ignore_eos=True)[1].finish_reason == "length"
    finally:
        engine.close()


OPEN = (
    "import sys; from pathlib import Path\n"
    "from gpt.engines.base import Constraint, GenerationRequest\n"
    "from gpt.engines.ctranslate2.engine import CTranslate2Engine\n"
    "from tests.gpt.generation import Generation\n"
    "from gpt.engines.options import EngineOptions\n"
    "engine = CTranslate2Engine(Path(sys.argv[1]), EngineOptions(use_gpu=False))\n"
)


def in_a_process(script: str, model: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run `script` where an engine has `model` open, and nothing else was imported."""
    folder = shutil.copytree(model, tmp_path / "m")
    command = [sys.executable, "-c", OPEN + script, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_neither_torch_nor_transformers_is_in_the_process(tiny_llama: Path, tmp_path: Path) -> None:
    """From the folder to a constrained answer."""
    script = (
        "prompt = engine.encode_chat([{'role': 'user', 'content': 'Le client'}], {})\n"
        "form = Constraint('choice', ['oui', 'non'], 'choice')\n"
        "text = ''.join(d.text for d in Generation(engine, GenerationRequest(prompt, 20, constraint=form)))\n"
        "assert text in {'oui', 'non'}, text\n"
        "engine.close()\n"
        "print(sorted({'torch', 'transformers', 'huggingface_hub', 'onnxruntime'} & set(sys.modules)))\n"
    )
    done = in_a_process(script, tiny_llama, tmp_path)
    done.check_returncode()
    assert done.stdout.strip() == "[]"


def test_what_is_seldom_needed_is_not_loaded_before(tiny_llama: Path, tmp_path: Path) -> None:
    """Free text takes neither numpy nor llguidance, nor the conversion any memory that stays."""
    script = (
        "assert list(Generation(engine, GenerationRequest(engine.encode('Le'), 5)))\n"
        "engine.close()\n"
        "print(sorted({'numpy', 'llguidance', 'pydantic', 'flask'} & set(sys.modules)))\n"
    )
    done = in_a_process(script, tiny_llama, tmp_path)
    done.check_returncode()
    assert done.stdout.strip() == "[]"


def test_a_process_that_forgets_to_close_ends_well(tiny_llama: Path, tmp_path: Path) -> None:
    script = (
        "request = GenerationRequest(engine.encode('Le'), 240, ignore_eos=True)\n"
        "answers = [Generation(engine, request) for _ in range(3)]\n"
        "next(iter(answers[0]))\n"
    )
    done = in_a_process(script, tiny_llama, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_four_bits_and_a_broken_conversion_are_refused(tiny_llama: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_llama, tmp_path / "m")
    with pytest.raises(ApiError) as refused:
        CTranslate2Engine(folder, EngineOptions(use_gpu=False, quantization="nf4"))
    assert "nf4" in str(refused.value.message)
    made = converted(folder, "float32")
    whole = (made / "model.bin").read_bytes()
    (made / "model.bin").write_bytes(whole[:-5000])
    with pytest.raises(ApiError) as refused:
        CTranslate2Engine(folder, EXACT)
    assert (refused.value.status, refused.value.code) == (422, "model_unusable")
    assert str(tmp_path) not in str(refused.value.message)


def test_a_prompt_and_answer_that_cannot_be_held_are_refused(llama: CTranslate2Engine) -> None:
    with pytest.raises(ApiError) as refused:
        Generation(llama, GenerationRequest(llama.encode("Le client"), llama.context))
    assert refused.value.code == "context_length_exceeded"


def test_the_cache_bounds_the_context_and_who_runs(tiny_llama: Path, tmp_path: Path) -> None:
    """Room for 100 tokens: a longer context is not promised, and answers take turns."""
    options = EngineOptions(use_gpu=False, quantization="none", cache_bytes=int(100 * 2 * 2 * 32 * 4 * 1.5))
    engine = CTranslate2Engine(shutil.copytree(tiny_llama, tmp_path / "m"), options)
    try:
        assert engine.context == 100
        request = GenerationRequest(engine.encode("Le client"), 60, ignore_eos=True)
        for generation in [Generation(engine, request) for _ in range(4)]:
            assert sum(len(delta.token_ids) for delta in generation) == 60
    finally:
        engine.close()


def test_padded_ids_have_no_text(llama: CTranslate2Engine) -> None:
    """The model's output is wider than the tokenizer; such an id may be likely in a random model."""
    prompt = llama.encode("Le client")
    padded = llama.encode_ids([404]).ids[0]
    text, last = run(llama, prompt, 3, temperature=0, logit_bias={padded: 100.0}, logprobs=2)
    assert text == ""
    assert [token.raw for token in last.logprobs] == [b""]
