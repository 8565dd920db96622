"""Continuous batching: rows come and go, memory is bounded, and nobody's text depends on who else is there."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from common.errors import ApiError
from gpt.engines.base import Constraint, GenerationRequest
from gpt.engines.options import EngineOptions
from gpt.engines.transformers import scheduler
from gpt.engines.transformers.attention import runs_of
from gpt.engines.transformers.batch import BatchRunner
from gpt.engines.transformers.cache import SlotCache, Slots
from gpt.engines.transformers.engine import TransformersEngine
from gpt.engines.transformers.linear import PackedLinear, SharedLinear, pack, unpack
from gpt.engines.transformers.runner import Feed
from gpt.engines.transformers.solo import SoloRunner
from tests.gpt.conftest import wait_until, write_tokenizer
from tests.gpt.generation import Generation


@pytest.fixture(scope="module")
def teller(stories: Path) -> Iterator[TransformersEngine]:
    engine = TransformersEngine(stories, EngineOptions(use_gpu=False))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def expected(stories: Path) -> str:
    return (stories.parent / "expected_greedy_200.txt").read_text(encoding="utf-8")


def text_of(generation: Generation) -> str:
    return "".join(delta.text for delta in generation)


def greedy(engine: TransformersEngine, tokens: int = 200, **more: Any) -> Generation:
    return Generation(engine, GenerationRequest(engine.encode_ids([1]), tokens, temperature=0, **more))


def test_rows_join_and_leave_at_any_step(teller: TransformersEngine, expected: str) -> None:
    watched = iter(greedy(teller))
    text, others = "", []
    for step, delta in enumerate(watched):
        text += delta.text
        if step % 10 == 0:
            prompt = teller.encode("Tim and Lily went to the big park " * (step % 4 + 1))
            others.append(Generation(teller, GenerationRequest(prompt, 15 + step % 30, seed=step)))
        if step % 25 == 24:
            others.pop(0).close()
    assert text == expected
    for other in others:
        assert text_of(other)


def test_logits_are_the_same_alone_and_in_company_to_the_last_bit(teller: TransformersEngine) -> None:
    """In float32, where a difference shows at once. Prompts of many lengths, one row among one to eight."""
    alone, company = [], []
    prompts = [teller.encode("The dog saw a bird. " * n).ids for n in (1, 3, 8, 2, 20, 5, 1, 13)]

    def compute() -> None:
        runner = teller._runner
        row = runner.open()
        runner.step([Feed(row, prompts[0])])
        alone.extend(runner.step([Feed(row, [token])])[0] for token in range(20, 40))
        rows = [runner.open() for _prompt in prompts]
        for other, prompt in zip(rows, prompts, strict=True):
            runner.step([Feed(other, prompt)])
        for turn, token in enumerate(range(20, 40)):
            feeds = [Feed(other, [token]) for other in rows[: 1 + turn % 8]]
            company.append(runner.step(feeds)[0])
        for open_row in (row, *rows):
            runner.release(open_row)

    teller._scheduler.run(compute)
    assert [torch.equal(a, b) for a, b in zip(alone, company, strict=True)] == [True] * 20


def test_a_long_prompt_is_read_while_the_others_go_on(
    teller: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[list[int]] = []
    whole = teller._runner.step

    def step(feeds: Sequence[Feed]) -> torch.Tensor:
        steps.append([len(feed.ids) for feed in feeds])
        return whole(feeds)

    monkeypatch.setattr(scheduler, "PROMPT_SHARE", 16)
    monkeypatch.setattr(teller._runner, "slice", 16)
    monkeypatch.setattr(teller._runner, "step", step)
    short = iter(greedy(teller))
    next(short)
    long = Generation(teller, GenerationRequest(teller.encode("Once upon a time " * 40), 5, temperature=0))
    assert text_of(long)
    slices = [index for index, feeds in enumerate(steps) if feeds == [16]]
    between = [feeds for feeds in steps[slices[0] : slices[-1]] if feeds == [1]]
    assert len(slices) > 8
    assert len(between) >= len(slices) - 1
    list(short)


def test_answers_that_outgrow_the_cache_are_put_off_and_lose_nothing(
    teller: TransformersEngine, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teller._runner, "capacity", 480)
    longest = 0
    whole = teller._runner.step

    def step(feeds: Sequence[Feed]) -> torch.Tensor:
        nonlocal longest
        logits = whole(feeds)
        longest = max(longest, sum(row.length for row in teller._runner._open))  # type: ignore[attr-defined]
        return logits

    monkeypatch.setattr(teller._runner, "step", step)
    running = [greedy(teller) for _ in range(6)]
    assert [text_of(generation) for generation in running] == [expected] * 6
    assert 400 < longest <= 480


def test_slots_of_real_memory_grow_as_rows_come_and_lengthen(
    teller: TransformersEngine, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU, where there is no memory that costs nothing until it is used."""
    cache = SlotCache(1, 64)
    monkeypatch.setattr(teller._runner, "_real", True)
    monkeypatch.setattr(teller._runner, "_cache", cache)
    monkeypatch.setattr(teller._runner, "capacity", 1000)
    running = [greedy(teller) for _ in range(7)]
    assert [text_of(generation) for generation in running] == [expected] * 7
    slots, tokens = cache._shape
    assert slots * tokens <= 1000
    assert tokens >= 200


def test_a_full_queue_is_said_with_a_time_to_come_back(
    teller: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "MAX_WAITING", 2)
    monkeypatch.setattr(teller._runner, "rows", 1)
    running = [greedy(teller, 400)]
    wait_until(lambda: teller.load == (1, 0))
    running += [greedy(teller, 5), greedy(teller, 5)]
    with pytest.raises(ApiError) as refused:
        greedy(teller, 5)
    assert (refused.value.status, refused.value.code) == (503, "queue_full")
    assert refused.value.headers is not None
    assert int(refused.value.headers["Retry-After"]) > 0
    for generation in running:
        generation.close()
    wait_until(lambda: teller.load == (0, 0))


def test_who_leaves_while_another_is_let_go_gives_its_row_back(
    teller: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_until(lambda: teller.load == (0, 0))
    running = [greedy(teller, 400, ignore_eos=True) for _ in range(3)]
    wait_until(lambda: teller.load == (3, 0))
    release = teller._runner.release

    def another_leaves(row: Any) -> None:
        for generation in running:
            generation.close()
        release(row)

    monkeypatch.setattr(teller._runner, "release", another_leaves)
    running[0].close()
    wait_until(lambda: teller.load == (0, 0))
    assert teller._runner._open == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # it is meant to end so
def test_a_bug_in_its_thread_is_told_instead_of_waited_for(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = TransformersEngine(shutil.copytree(tiny_llama, tmp_path / "m"), EngineOptions(use_gpu=False))
    monkeypatch.setattr(engine._runner, "release", lambda _row: 1 // 0)
    list(greedy(engine, 2))  # its own last token comes, then the thread stops
    engine._scheduler._thread.join(60)
    with pytest.raises(ApiError, match="model_not_ready"):
        greedy(engine, 2)
    engine.close()


def test_who_left_the_queue_takes_no_place_in_it(teller: TransformersEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "MAX_WAITING", 2)
    busy, free = threading.Event(), threading.Event()

    def hold() -> None:
        busy.set()
        free.wait(60)

    holder = threading.Thread(target=teller._scheduler.run, args=(hold,))  # the model's thread looks at no queue
    holder.start()
    try:
        assert busy.wait(60)
        for gone in [greedy(teller, 5), greedy(teller, 5)]:
            gone.close()
        stays = greedy(teller, 5)
    finally:
        free.set()
        holder.join()
    assert list(stays)[-1].finish_reason == "length"


def test_what_cannot_fit_is_refused_with_both_numbers(teller: TransformersEngine) -> None:
    with pytest.raises(ApiError) as refused:
        greedy(teller, teller.context)
    assert refused.value.code == "context_length_exceeded"
    assert str(teller.context) in str(refused.value.message)


def test_a_cache_of_few_bytes_bounds_the_context(stories: Path) -> None:
    engine = TransformersEngine(stories, EngineOptions(use_gpu=False, cache_bytes=100 * 5 * 2 * 4 * 8 * 4))
    assert engine.context == 100  # 5 layers × 2 × 4 heads × 8 numbers × 4 bytes a token
    engine.close()


def test_the_same_seed_gives_the_same_tokens_in_company(teller: TransformersEngine) -> None:
    def drawn(seed: int) -> Generation:
        request = GenerationRequest(teller.encode("Once upon"), 60, temperature=0.9, top_p=0.95, seed=seed)
        return Generation(teller, request)

    alone = [text_of(drawn(seed)) for seed in range(4)]
    others = [Generation(teller, GenerationRequest(teller.encode("Ben " * i), 60)) for i in (1, 5, 9)]
    together = [drawn(seed) for seed in range(4)]
    assert [text_of(generation) for generation in together] == alone
    assert len(set(alone)) == 4
    for other in others:
        other.close()


def test_an_imposed_form_shares_the_steps_of_the_others(teller: TransformersEngine, expected: str) -> None:
    form = Constraint("regex", r"(Sam|Lily) saw the very big (cat|dog), and it was very (happy|sad)", "guided_regex")
    free = greedy(teller)
    bound = [greedy(teller, 80, constraint=form) for _ in range(3)]
    texts = {text_of(generation) for generation in bound}
    assert len(texts) == 1
    assert texts.pop() in {
        f"{a} saw the very big {b}, and it was very {c}"
        for a in ("Sam", "Lily")
        for b in ("cat", "dog")
        for c in ("happy", "sad")
    }
    assert text_of(free) == expected


def test_a_reader_that_left_costs_no_more_steps(teller: TransformersEngine) -> None:
    wait_until(lambda: teller.load == (0, 0))
    generations = [greedy(teller, 400) for _ in range(4)]
    wait_until(lambda: teller.load == (4, 0))
    for generation in generations[1:]:
        generation.close()
    wait_until(lambda: teller.load == (1, 0))
    generations[0].close()
    wait_until(lambda: teller.load == (0, 0))


def test_work_between_two_steps_is_done_by_the_models_thread(teller: TransformersEngine, expected: str) -> None:
    running = greedy(teller)
    assert teller._scheduler.run(threading.current_thread) is teller._scheduler._thread
    with pytest.raises(ZeroDivisionError):
        teller._scheduler.run(lambda: 1 // 0)
    assert text_of(running) == expected


def test_runs_are_few_for_like_rows_and_apart_for_unlike_ones() -> None:
    assert len(runs_of([(slot, 100 + slot, 1) for slot in range(8)])) == 1
    assert len(runs_of([(0, 8000, 1), *[(slot, 50, 1) for slot in range(1, 8)]])) == 2
    assert len(runs_of([(0, 50, 1), (2, 50, 1)])) == 2  # a slot between them is somebody else's
    assert [run.queries for run in runs_of([(0, 50, 1), (1, 50, 3), (2, 50, 1)])] == [1, 3, 1]


def test_slots_grow_move_and_are_forgotten() -> None:
    cache = SlotCache(2, 64)
    keys = torch.randn(1, 2, 3, 8)
    cache.begin([(0, 1, 0, 3)])
    held, _values = cache.update(keys, keys, 0)
    assert torch.equal(held[1, :, :3], keys[0])
    cache.fit(5, 500, 10_000)
    cache.move(1, 4, 3)
    cache.forget(1)
    cache.begin([(0, 4, 3, 1)])
    held, _values = cache.update(keys[:, :, :1], keys[:, :, :1], 0)
    assert held.shape[0] == 5
    assert held.shape[2] >= 500
    assert torch.equal(held[4, :, :4], torch.cat((keys[0], keys[0, :, :1]), dim=1))
    cache.fit(2, 900, 2000)
    assert cache._shape == (2, 900)  # not five slots any more: they would not fit


def test_a_forgotten_slot_gives_its_pages_back() -> None:
    slots = Slots(2, 4, 4096, 64, torch.zeros(1))
    slots.data.fill_(1.0)
    slots.forget(1)
    assert slots.data[0].all()
    assert not slots.data[1].any()


def _model(folder: Path, family: str, **fields: Any) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM

    size = write_tokenizer(folder, chat=True)
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, vocab_size=size, **fields)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4) if parameter.ndim == 2 else None
    model.save_pretrained(folder)
    return model


SOLO: dict[str, dict[str, Any]] = {
    "mamba": {"hidden_size": 32, "state_size": 8, "num_hidden_layers": 2, "eos_token_id": 2},
    "gemma2": {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "sliding_window": 16,
        "max_position_embeddings": 256,
        "eos_token_id": 2,
    },
}


@pytest.mark.parametrize("family", SOLO)
def test_models_with_another_memory_take_turns(family: str, tmp_path: Path) -> None:
    model = _model(tmp_path, family, **SOLO[family])
    engine = TransformersEngine(tmp_path, EngineOptions(use_gpu=False))
    assert isinstance(engine._runner, SoloRunner)
    prompts = [engine.encode(text) for text in ("Le client envoie la demande. " * 3, "The system")]
    running = [Generation(engine, GenerationRequest(p, 20, temperature=0, ignore_eos=True)) for p in prompts]
    for prompt, generation in zip(prompts, running, strict=True):
        whole = model.generate(torch.tensor([prompt.ids]), max_new_tokens=20, do_sample=False, eos_token_id=None)
        assert [i for delta in generation for i in delta.token_ids] == whole[0, len(prompt.ids) :].tolist()
    engine.close()


def test_packed_layers_compute_the_same_and_replace_the_plain_ones(tmp_path: Path) -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q_proj, self.k_proj, self.v_proj = (nn.Linear(1024, n) for n in (64, 32, 32))
            self.gate_proj, self.up_proj = nn.Linear(1024, 48, bias=False), nn.Linear(1024, 48, bias=True)
            self.out = nn.Linear(1024, 16)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            names = ("up_proj", "q_proj", "v_proj", "k_proj", "gate_proj", "out")
            return torch.cat([getattr(self, name)(x) for name in names], dim=-1)

    with torch.inference_mode():
        block = Block()
        x = torch.randn(5, 1024)
        before = block(x)
        assert pack(block, tmp_path) == 6
        assert {type(layer) for layer in block.children()} == {SharedLinear, PackedLinear}
        assert type(block.up_proj) is PackedLinear  # gate has no bias, up has one: they do not go together
        assert torch.allclose(block(x), before, atol=1e-5)
        assert torch.allclose(block(x[:1]), before[:1], atol=1e-5)
        assert torch.equal(block(x[:1]), block(x)[:1])
        assert torch.equal(block(x * 2), block(x * 2))
        unpack(block)
        assert {type(layer) for layer in block.children()} == {nn.Linear}
        assert torch.allclose(block(x), before, atol=1e-5)


def test_a_shared_embedding_is_read_from_the_file(tmp_path: Path) -> None:
    model = _model(
        tmp_path,
        "llama",
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        eos_token_id=2,
    )
    engine = TransformersEngine(tmp_path, EngineOptions(use_gpu=False))
    runner = engine._runner
    assert isinstance(runner, BatchRunner)
    assert type(runner.model.lm_head) is PackedLinear
    ids = torch.tensor([[5, 6, 7]])
    assert torch.equal(runner.model.get_input_embeddings()(ids), model.get_input_embeddings()(ids))
    engine.close()
