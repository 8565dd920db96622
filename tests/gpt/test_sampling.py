"""Sampling: each parameter does what its documentation says, for each row of a batch by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from common.errors import ApiError
from gpt.engines.base import Delta, GenerationRequest, Prompt
from gpt.engines.options import EngineOptions
from gpt.engines.transformers.engine import TransformersEngine
from gpt.engines.transformers.sampling import Sampler, draw
from tests.gpt.generation import Generation

VOCABULARY = 1000
DRAWS = 4000


def sampler(**fields: Any) -> Sampler:
    return Sampler(GenerationRequest(Prompt(fields.pop("ids", [1])), 10, **fields), None)


def logits_of(*best: float, rest: float = -20.0) -> torch.Tensor:
    logits = torch.full((VOCABULARY,), rest)
    logits[: len(best)] = torch.tensor(best)
    return logits


def shares(logits: torch.Tensor, **fields: Any) -> dict[int, float]:
    """How often each token is drawn, rounded."""
    one = sampler(seed=0, **fields)
    drawn = Counter(token for _ in range(DRAWS // 50) for token in draw([one] * 50, logits.repeat(50, 1)))
    return {token: times / DRAWS for token, times in drawn.items()}


def test_tokens_are_drawn_by_their_probability() -> None:
    found = shares(logits_of(*torch.tensor([0.5, 0.3, 0.2]).log().tolist(), rest=-1e9))
    assert found == pytest.approx({0: 0.5, 1: 0.3, 2: 0.2}, abs=0.03)


def test_temperature_sharpens_and_flattens() -> None:
    logits = logits_of(1.0, 0.0, rest=-1e9)
    assert shares(logits, temperature=0.5)[0] == pytest.approx(1 / (1 + 2.718**-2), abs=0.03)
    assert shares(logits, temperature=2.0)[0] == pytest.approx(1 / (1 + 2.718**-0.5), abs=0.03)
    assert shares(logits, temperature=0.0) == {0: 1.0}


def test_top_k_keeps_the_likeliest() -> None:
    found = shares(logits_of(3.0, 2.9, 2.8, 2.7), top_k=2)
    assert set(found) == {0, 1}


def test_top_p_keeps_the_smallest_set_that_reaches_it() -> None:
    logits = logits_of(*torch.tensor([0.5, 0.3, 0.15, 0.05]).log().tolist(), rest=-1e9)
    assert set(shares(logits, top_p=0.49)) == {0}
    assert set(shares(logits, top_p=0.51)) == {0, 1}
    assert set(shares(logits, top_p=0.9)) == {0, 1, 2}


@pytest.mark.parametrize("top_p", [0.15, 0.5, 0.9])
def test_a_flat_nucleus_is_as_wide_as_its_mass(top_p: float) -> None:
    """3,000 tokens, each a little less likely than the one before: wider than the candidates that are looked at."""
    logits = torch.arange(3000) * -1e-3
    mass = torch.softmax(logits, dim=-1).cumsum(0)
    last = int((mass < top_p).sum())
    one = sampler(seed=3, top_p=top_p)
    drawn = {token for _ in range(100) for token in draw([one] * 100, logits.repeat(100, 1))}
    assert 0.95 * last < max(drawn) <= last
    assert len(drawn) > 0.9 * last


def test_min_p_is_relative_to_the_likeliest() -> None:
    logits = logits_of(*torch.tensor([0.5, 0.3, 0.15, 0.05]).log().tolist(), rest=-1e9)
    assert set(shares(logits, min_p=0.2)) == {0, 1, 2}
    assert set(shares(logits, min_p=0.5)) == {0, 1}


def test_each_row_draws_as_if_it_were_alone() -> None:
    kinds: list[dict[str, Any]] = [
        {"temperature": 0.0},
        {"seed": 1},
        {"seed": 2, "top_p": 0.9},
        {"seed": 3, "top_k": 5},
        {"seed": 4, "top_k": 300, "top_p": 0.8},
        {"seed": 5, "min_p": 0.1, "temperature": 1.5},
        {"seed": 6, "top_p": 0.99999},
    ]
    torch.manual_seed(0)
    logits = torch.randn(len(kinds), VOCABULARY) * 2
    alone = [draw([sampler(**kind)], logits[i : i + 1])[0] for i, kind in enumerate(kinds)]
    assert draw([sampler(**kind) for kind in kinds], logits) == alone
    back = list(range(len(kinds)))[::-1]
    assert draw([sampler(**kinds[i]) for i in back], logits[back]) == [alone[i] for i in back]


def test_repetition_penalty_is_that_of_transformers() -> None:
    from transformers import RepetitionPenaltyLogitsProcessor

    torch.manual_seed(0)
    logits = torch.randn(VOCABULARY) * 3
    one = sampler(ids=[5, 6, 5, 900], repetition_penalty=1.7)
    first = logits.clone()
    one.shape(first)
    process = RepetitionPenaltyLogitsProcessor(1.7)
    assert torch.allclose(first, process(torch.tensor([[5, 6, 5, 900]]), logits[None].clone())[0])
    one.count([7, 8])
    second = logits.clone()
    one.shape(second)
    assert torch.allclose(second, process(torch.tensor([[5, 6, 5, 900, 7, 8]]), logits[None].clone())[0])


def test_presence_and_frequency_count_what_was_sampled_only() -> None:
    one = sampler(ids=[5, 6], presence_penalty=0.5, frequency_penalty=0.25)
    one.count([7, 8, 7])
    logits = torch.zeros(VOCABULARY)
    one.shape(logits)
    assert (logits[7], logits[8], logits[5]) == (-1.0, -0.75, 0.0)
    one.count([7])
    logits = torch.zeros(VOCABULARY)
    one.shape(logits)
    assert logits[7] == -1.25


def test_bias_is_added_once_to_each() -> None:
    logits = torch.zeros(VOCABULARY)
    sampler(logit_bias={3: 5.0, 9: -100.0}).shape(logits)
    assert (logits[3], logits[9], float(logits.sum())) == (5.0, -100.0, -95.0)


@pytest.fixture(scope="module")
def teller(stories: Path) -> Iterator[TransformersEngine]:
    engine = TransformersEngine(stories, EngineOptions(use_gpu=False))
    yield engine
    engine.close()


def run(engine: TransformersEngine, prompt: str, tokens: int, **fields: Any) -> tuple[str, list[int], Delta]:
    fields = {"temperature": 0, **fields}
    deltas = list(Generation(engine, GenerationRequest(engine.encode(prompt), tokens, **fields)))
    return "".join(d.text for d in deltas), [i for d in deltas for i in d.token_ids], deltas[-1]


def test_a_stop_token_ends_the_answer_and_is_not_in_the_text(teller: TransformersEngine) -> None:
    text, ids, _last = run(teller, "Once upon a", 20)
    cut, fewer, last = run(teller, "Once upon a", 20, stop_token_ids=(ids[5],))
    assert fewer == ids[: ids.index(ids[5]) + 1]
    assert text.startswith(cut)
    assert last.finish_reason == "stop"


def test_no_end_before_min_tokens(teller: TransformersEngine) -> None:
    _text, ids, _last = run(teller, "Once upon a", 20)
    _text, more, _last = run(teller, "Once upon a", 20, stop_token_ids=(ids[2],), min_tokens=10)
    assert ids[2] not in more[:10]
    assert len(more) >= 10


def test_ignore_eos_goes_on_to_the_last_token(teller: TransformersEngine) -> None:
    bias = {2: 100.0}  # the end is all that the model wants
    assert run(teller, "Once", 8, logit_bias=bias)[1] == [2]
    _text, ids, last = run(teller, "Once", 8, logit_bias=bias, ignore_eos=True)
    assert ids == [2] * 8
    assert last.finish_reason == "length"


@pytest.mark.parametrize("word", ["time", "there was", "girl"])
def test_bad_words_do_not_come(teller: TransformersEngine, word: str) -> None:
    assert word in run(teller, "Once upon a", 60)[0]
    assert word not in run(teller, "Once upon a", 60, bad_words=(word,))[0]


def test_ids_that_do_not_exist_are_refused_by_name(teller: TransformersEngine) -> None:
    for field in ({"logit_bias": {10**6: 1.0}}, {"stop_token_ids": (10**6,)}):
        with pytest.raises(ApiError) as refused:
            run(teller, "Once", 5, **field)
        assert refused.value.param == next(iter(field))


def test_nothing_left_to_sample_is_an_error_of_the_request(teller: TransformersEngine) -> None:
    every = tuple(teller.decode([i]) for i in range(3, 512))
    with pytest.raises(ApiError) as refused:
        run(
            teller,
            "Once",
            5,
            bad_words=tuple(word for word in every if word.strip()),
            min_tokens=5,
            logit_bias=dict.fromkeys(range(512), float("-inf")),
        )
    assert refused.value.status == 400


def test_logprobs_in_company_are_those_alone(teller: TransformersEngine) -> None:
    def told() -> list[float]:
        deltas = list(Generation(teller, GenerationRequest(teller.encode("Once"), 20, temperature=0, logprobs=3)))
        return [token.logprob for delta in deltas for token in delta.logprobs]

    alone = told()
    others = [Generation(teller, GenerationRequest(teller.encode("Tim " * i), 100)) for i in range(1, 6)]
    assert told() == alone
    for other in others:
        other.close()
