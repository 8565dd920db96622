"""The transformers engine: exact greedy text, reproducible sampling, limits, fairness, cancellation."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from common.errors import ApiError
from gpt.engines.base import Delta, GenerationRequest, LanguageEngine, Message, Prompt, SamplingDefaults
from gpt.engines.options import EngineOptions
from gpt.engines.transformers.engine import TransformersEngine
from gpt.engines.transformers.runner import Feed
from gpt.engines.transformers.sampling import Sampler
from gpt.engines.transformers.weights import _defaults
from tests.gpt.conftest import wait_until
from tests.gpt.generation import Generation


def run(engine: LanguageEngine, prompt: Prompt | str, max_tokens: int = 20, **more: object) -> tuple[str, Delta]:
    ready = engine.encode(prompt) if isinstance(prompt, str) else prompt
    deltas = list(Generation(engine, GenerationRequest(ready, max_tokens, **more)))  # type: ignore[arg-type]
    return "".join(delta.text for delta in deltas), deltas[-1]


@pytest.fixture(scope="module")
def story_teller(stories: Path) -> TransformersEngine:
    return TransformersEngine(stories, EngineOptions(use_gpu=False))


@pytest.fixture(scope="module")
def expected(stories: Path) -> str:
    return (stories.parent / "expected_greedy_200.txt").read_text(encoding="utf-8")


def test_greedy_text_is_exact(story_teller: TransformersEngine, expected: str) -> None:
    text, last = run(story_teller, story_teller.encode_ids([1]), 200, temperature=0)
    assert text == expected
    assert last.finish_reason == "length"
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (1, 200)


def test_greedy_text_is_the_same_among_seven_others(story_teller: TransformersEngine, expected: str) -> None:
    request = GenerationRequest(story_teller.encode_ids([1]), 200, temperature=0)
    others = [
        Generation(story_teller, GenerationRequest(story_teller.encode("Tim " * (i + 1)), 120, seed=i))
        for i in range(7)
    ]
    assert "".join(delta.text for delta in Generation(story_teller, request)) == expected
    for other in others:
        other.close()


def test_a_prompt_longer_than_a_slice_is_read_whole(
    story_teller: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = "Once upon a time there was a little dog. " * 5
    at_once = run(story_teller, prompt, 30, temperature=0)[0]
    monkeypatch.setattr(story_teller._runner, "slice", 7)
    assert run(story_teller, prompt, 30, temperature=0)[0] == at_once


def test_nobody_waits_for_a_whole_answer(llama: LanguageEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two generations advance together: the second ends long before the first could."""
    assert isinstance(llama, TransformersEngine)
    prompt, step = llama.encode("Le client"), llama._runner.step

    def slow(feeds: Sequence[Feed]) -> torch.Tensor:  # the long one takes ten seconds
        time.sleep(0.05)
        return step(feeds)

    with monkeypatch.context() as patched:
        patched.setattr(llama._runner, "step", slow)
        long = iter(Generation(llama, GenerationRequest(prompt, 200, temperature=0, logit_bias={2: -100, 0: -100})))
        next(long)
        short = list(Generation(llama, GenerationRequest(prompt, 5, temperature=0, logit_bias={2: -100, 0: -100})))
        assert short[-1].finish_reason == "length"
        assert llama.load[0] >= 1  # the long one still runs
    assert sum(len(delta.token_ids) for delta in long) > 0


def test_the_same_seed_gives_the_same_text(llama: LanguageEngine) -> None:
    one, two, other = (run(llama, "Le client", 30, seed=seed)[0] for seed in (5, 5, 6))
    assert one == two
    assert one != other


def test_a_tiny_top_p_is_greedy(llama: LanguageEngine) -> None:
    assert run(llama, "Le", 15, top_p=1e-6, seed=1)[0] == run(llama, "Le", 15, temperature=0)[0]


def test_top_k_one_is_greedy(llama: LanguageEngine) -> None:
    assert run(llama, "Le", 15, top_k=1, seed=1)[0] == run(llama, "Le", 15, temperature=0)[0]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ('{"do_sample": false}', SamplingDefaults(temperature=0)),
        ('{"do_sample": true, "temperature": 0.7, "top_p": 0.8, "top_k": 20}', SamplingDefaults(0.7, 0.8, 20)),
        ("{}", SamplingDefaults()),
        ("nonsense", SamplingDefaults()),
    ],
)
def test_a_model_is_sampled_as_its_authors_say(
    tiny_llama: Path, tmp_path: Path, said: str, expected: SamplingDefaults
) -> None:
    folder = shutil.copytree(tiny_llama, tmp_path / "m")
    (folder / "generation_config.json").write_text(said, encoding="utf-8")
    assert _defaults(folder) == expected


def test_no_token_allowed_gives_empty_text_and_true_usage(llama: LanguageEngine) -> None:
    text, last = run(llama, "Le client envoie", 0)
    assert (text, last.finish_reason) == ("", "length")
    assert last.usage is not None
    assert last.usage.prompt_tokens == len(llama.encode("Le client envoie").ids)
    assert last.usage.completion_tokens == 0


def test_a_stop_string_is_cut_exactly(story_teller: TransformersEngine, expected: str) -> None:
    text, last = run(story_teller, story_teller.encode_ids([1]), 200, temperature=0, stop=("ball. She", "zzz"))
    assert text == expected[: expected.index("ball. She")]
    assert last.finish_reason == "stop"


def test_bias_and_penalties_change_what_is_drawn(story_teller: TransformersEngine) -> None:
    prompt = story_teller.encode("Once upon a")
    banned = story_teller.encode_ids(story_teller.encode("x time").ids[-1:]).ids[0]
    assert run(story_teller, prompt, 1, temperature=0)[0] == " time"
    assert run(story_teller, prompt, 1, temperature=0, logit_bias={banned: -100.0})[0] != " time"
    free = run(story_teller, prompt, 100, temperature=0)[0]
    assert run(story_teller, prompt, 100, temperature=0, frequency_penalty=2.0)[0] != free


def test_logprobs_are_those_of_the_model(story_teller: TransformersEngine) -> None:
    prompt = story_teller.encode_ids([1])
    deltas = list(Generation(story_teller, GenerationRequest(prompt, 3, temperature=0, logprobs=2)))
    tokens = [token for delta in deltas for token in delta.logprobs]
    assert b"".join(token.raw for token in tokens) == b" Once upon a"
    for token in tokens:
        assert token.logprob == token.top[0][3] > token.top[1][3]
        assert token.logprob < 0


def test_a_reader_that_leaves_frees_its_place_within_a_token(llama: LanguageEngine) -> None:
    wait_until(lambda: llama.load == (0, 0))
    request = GenerationRequest(llama.encode("Le client"), 250, logit_bias={2: -100.0, 0: -100.0})
    generations = [Generation(llama, request) for _ in range(20)]  # more than run at once
    assert sum(llama.load) > 1
    for generation in generations:
        generation.close()
    wait_until(lambda: llama.load == (0, 0))
    for generation in generations:
        assert sum(len(delta.token_ids) for delta in generation) < 250


def test_one_row_that_fails_does_not_hurt_the_others(
    story_teller: TransformersEngine, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model breaks on any step that the broken row takes part in; shaping and drawing break for it alone."""
    request = GenerationRequest(story_teller.encode_ids([1]), 200, temperature=0)
    fine = Generation(story_teller, request)
    whole = story_teller._runner.step

    def step(feeds: list[Feed]) -> torch.Tensor:
        if any(3 in feed.ids for feed in feeds):
            raise RuntimeError("boom")
        return whole(feeds)

    def shape(sampler: Sampler, logits: torch.Tensor) -> None:
        if sampler.request.seed == 666:
            raise RuntimeError("boom")

    with monkeypatch.context() as patch:
        patch.setattr(story_teller._runner, "step", step)
        patch.setattr(Sampler, "shape", shape)
        for broken, seed in ((story_teller.encode_ids([1, 3]), 1), (story_teller.encode("Once upon"), 666)):
            with pytest.raises(RuntimeError, match="boom"):
                run(story_teller, broken, 50, seed=seed)
        assert "".join(delta.text for delta in fine) == expected
    wait_until(lambda: story_teller.load == (0, 0))


def test_ids_outside_the_vocabulary_are_refused(llama: LanguageEngine) -> None:
    with pytest.raises(ApiError) as refused:
        llama.encode_ids([1, 10**6])
    assert (refused.value.status, refused.value.param) == (400, "prompt")


def test_closing_ends_what_runs_and_refuses_what_comes(tiny_llama: Path) -> None:
    engine = TransformersEngine(tiny_llama, EngineOptions(use_gpu=False))
    generation = Generation(engine, GenerationRequest(engine.encode("Le"), 250, logit_bias={2: -100.0, 0: -100.0}))
    engine.close()
    with pytest.raises(ApiError) as ended:
        list(generation)
    assert ended.value.code == "model_not_ready"
    with pytest.raises(ApiError):
        Generation(engine, GenerationRequest(engine.encode("Le"), 5))
    assert "gpt-decode" not in {t.name for t in threading.enumerate() if t is engine._scheduler._thread}


def test_a_pickle_is_never_opened(tiny_llama: Path, tmp_path: Path) -> None:
    folder = tmp_path / "old"
    shutil.copytree(tiny_llama, folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ApiError) as refused:
        TransformersEngine(folder, EngineOptions(use_gpu=False))
    assert refused.value.code == "no_safetensors"


def test_remote_code_is_never_run(tiny_llama: Path, tmp_path: Path) -> None:
    folder = tmp_path / "remote"
    shutil.copytree(tiny_llama, folder)
    config = (folder / "config.json").read_text(encoding="utf-8")
    trap = '"model_type": "mystery", "auto_map": {"AutoConfig": "trap.Config", "AutoModelForCausalLM": "trap.Model"}'
    (folder / "config.json").write_text(config.replace('"model_type": "llama"', trap), encoding="utf-8")
    (folder / "trap.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n", encoding="utf-8")
    with pytest.raises(ApiError) as refused:
        TransformersEngine(folder, EngineOptions(use_gpu=False))
    assert refused.value.code == "model_unusable"
    assert str(tmp_path) not in str(refused.value.message)
    assert not (tmp_path / "ran").exists()


def test_broken_weights_are_refused_with_a_reason(tiny_llama: Path, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(tiny_llama, folder)
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ApiError) as refused:
        TransformersEngine(folder, EngineOptions(use_gpu=False))
    assert refused.value.code == "model_unusable"


def test_missing_weights_are_refused_rather_than_made_up(tiny_llama: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "missing"
    shutil.copytree(tiny_llama, folder)
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ApiError) as refused:
        TransformersEngine(folder, EngineOptions(use_gpu=False))
    assert "up_proj" in str(refused.value.message)


@pytest.mark.parametrize("option", ["", "add_generation_prompt", "continue_final_message"])
def test_conversations_are_written_as_transformers_writes_them(llama: LanguageEngine, option: str) -> None:
    assert isinstance(llama, TransformersEngine)
    talk: list[Message] = [
        {"role": "system", "content": "Répondez en français. "},
        {"role": "user", "content": "  Où est <b>l'hôtel</b> ? 🎉\n"},
        {"role": "assistant", "content": "Là-bas, "},
    ]
    options = {option: option == "continue_final_message"} if option else {}
    theirs = {"add_generation_prompt": not option, "continue_final_message": option == "continue_final_message"}
    text = llama._tokenizer.apply_chat_template(talk, tokenize=False, **theirs)
    prompt = llama.encode_chat(talk, options)
    assert prompt.ids == llama._tokenizer.encode(text, add_special_tokens=False)
    assert prompt.context_ids == (prompt.ids if option == "continue_final_message" else [])


def test_a_template_is_bounded(tiny_llama: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_llama, tmp_path / "m")
    (folder / "chat_template.jinja").write_text("{{ 'a' * 10 ** 9 }}")
    engine = TransformersEngine(folder, EngineOptions(use_gpu=False))
    try:
        with pytest.raises(ApiError) as refused:
            engine.encode_chat([{"role": "user", "content": "Bonjour"}], {})
        assert refused.value.code == "invalid_messages"
    finally:
        engine.close()
    (folder / "chat_template.jinja").write_text("{% if %}")
    with pytest.raises(ApiError) as refused:
        TransformersEngine(folder, EngineOptions(use_gpu=False))
    assert (refused.value.status, refused.value.code) == (422, "model_unusable")
