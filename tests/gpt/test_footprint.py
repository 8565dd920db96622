"""How much memory each engine takes for a model, and where and how a machine would run it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from common.hub.hub import Hub
from common.machine.gpus import Gpu
from common.machine.resources import Resources
from common.messages import Text, _
from common.models.catalogue import ModelEntry
from common.models.footprint import ModelFacts
from common.models.selector import too_big
from gpt import fit
from gpt.choose import load_models
from gpt.engines.options import Quantization
from gpt.fit import GptMachine, Plan
from gpt.footprint import CACHE_TOKENS, catalogue_facts, need
from tests.common.test_footprint import CONFIG, write_model
from tests.hub_server import HubServer

GB = 10**9


@pytest.fixture(autouse=True)
def _a_cpu_with_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpt.engines.cpu.has_fast_bf16", lambda: True)
    monkeypatch.setattr("common.machine.disk.free_bytes", lambda _folder: 10**15)


def facts(key: str) -> ModelFacts:
    found = catalogue_facts(load_models().resolve(key))
    assert found is not None
    return found


# --- one model, one engine ---------------------------------------------------------------------------------------


def test_the_light_engine_takes_what_was_measured_for_gpt2() -> None:
    """Measured with a 124M GPT-2 in its own process: 394 MB at most, a prompt of 984 tokens computed."""
    one = need(facts("gpt2"), "ctranslate2")
    assert one.quantization == "int8"
    assert 0.394 * GB < one.total < 0.45 * GB
    assert 0.124 * GB < one.weights < 0.128 * GB


def test_the_light_engine_repeats_grouped_heads_in_its_cache() -> None:
    """Measured with a 135M Llama of 9 heads in 3 groups: 138 kB a token, not 46; 810 MB at 2008 tokens."""
    smol = facts("smollm2-135m")
    one = need(smol, "ctranslate2", context=2048)
    assert 0.78 * GB < one.total < 0.92 * GB
    single = replace(smol, kv_heads=1, kv_values=smol.kv_values // 3)
    assert need(single, "ctranslate2", context=2048).cache < one.cache / 2


def test_the_light_engine_at_full_precision_and_for_tiny_models() -> None:
    gpt2 = facts("gpt2")
    assert need(gpt2, "ctranslate2", "none").weights == 4 * gpt2.parameters
    tiny = replace(gpt2, parameters=5_000_000)
    assert need(tiny, "ctranslate2").quantization == "none"
    assert need(tiny, "ctranslate2", "int8").quantization == "int8"


def test_transformers_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    mistral = facts("mistral-7b")
    half = need(mistral, "transformers")
    assert (half.precision, half.weights) == ("16 bits", 2 * mistral.parameters)
    assert half.cache == 2 * 2 * 32 * 8 * 128 * CACHE_TOKENS
    assert half.host == half.total
    monkeypatch.setattr("gpt.engines.cpu.has_fast_bf16", lambda: False)
    assert need(mistral, "transformers").weights == 4 * mistral.parameters


def test_transformers_holds_the_weights_twice_while_it_packs_them() -> None:
    """Measured with a 135M Llama in bfloat16: 1078 MB while opening, 915 MB at most after a prompt of 4056 tokens."""
    one = need(facts("smollm2-135m"), "transformers")
    assert 0.97 * GB < one.loading < 1.1 * GB
    assert 0.82 * GB < one.weights + one.cache + one.runtime < 0.95 * GB
    assert one.total == one.loading


def test_quantized_weights_keep_tables_experts_and_integers_as_they_are() -> None:
    mistral, moe = facts("mistral-7b"), facts("qwen3-vl-30b")
    sizes = [need(mistral, "transformers", kind, cuda=True).weights for kind in ("none", "int8", "nf4")]
    assert sizes[0] > 1.8 * sizes[1] > 3 * sizes[2] > 0.5 * sizes[0]
    assert sizes[2] > 2 * mistral.embeddings + mistral.linear // 2
    assert need(moe, "transformers", "nf4", cuda=True).weights > 2 * moe.others
    packed = ModelFacts("llama", 1_000_100, 4_000_000, vectors=100, packed_bytes=4_000_000)
    for kind in ("none", "nf4"):
        assert need(packed, "transformers", kind, cuda=True).weights == 4_000_000 + 200


def test_opening_a_quantized_model_takes_more_than_keeping_it() -> None:
    wide = replace(facts("qwen2.5-0.5b"), largest=400_000_000)
    one = need(wide, "transformers", "int8")
    assert one.total == one.loading > one.weights + one.cache + one.runtime


def test_on_gpus_the_machine_holds_little() -> None:
    one = need(facts("mistral-7b"), "vllm", cuda=True, gpus=2)
    assert one.total > 14 * GB
    assert one.host < 4 * GB
    assert one.runtime == 2 * need(facts("mistral-7b"), "vllm", cuda=True).runtime


def test_the_cache_is_bounded_and_follows_a_short_context() -> None:
    long, short = facts("qwen3-4b"), facts("gpt2")
    assert need(long, "transformers").context == CACHE_TOKENS
    assert need(short, "transformers").context == 1024
    assert need(long, "transformers", context=1024).cache * 4 == need(long, "transformers").cache


def test_another_server_takes_nothing_here() -> None:
    assert need(facts("gpt2"), "remote").total == 0


def test_the_catalogue_knows_the_shape_of_all_it_offers() -> None:
    for entry in load_models():
        known = catalogue_facts(entry)
        assert known is not None
        if not entry.embedded:
            assert entry.rank is not None
            assert min(known.kv_values, known.linear, known.heads) > 0, entry.key
            assert known.linear + known.embeddings + known.others == known.parameters, entry.key
    ranks = [entry.rank for entry in load_models() if entry.rank is not None]
    assert sorted(ranks) == list(range(1, len(ranks) + 1))


def test_auto_prefers_french_then_conversation() -> None:
    ordered = sorted((entry for entry in load_models() if entry.rank), key=lambda entry: entry.rank or 0)
    french = ["fr" in entry.languages for entry in ordered]
    assert french == sorted(french, reverse=True)
    base = ["Modèle de base" in entry.note or "modèles de base" in entry.note for entry in ordered]
    assert base == sorted(base)
    assert sum(base) == 5


# --- one model, one machine --------------------------------------------------------------------------------------


def light(entry: ModelEntry, cuda: bool, _quantization: Quantization) -> str | Text:
    return "transformers" if cuda or entry.vision else "ctranslate2"


def machine(tmp_path: Path, resources: Resources, engine_of: fit.EngineOf = light, **more: object) -> GptMachine:
    return GptMachine(Hub(cache_dir=tmp_path), lambda: resources, engine_of, **more)  # type: ignore[arg-type]


def cpu(gigabytes: float) -> Resources:
    have = int(gigabytes * GB)
    return Resources(have, have, 2.0)


def gpus(*free: float, host: float = 64) -> Resources:
    cards = tuple(Gpu(i, "GPU", int(80 * GB), int(each * GB)) for i, each in enumerate(free))
    return replace(cpu(host), gpus=cards)


def plan_of(found: Plan | Text | None) -> Plan:
    assert isinstance(found, Plan)
    return found


def test_with_little_memory_the_conversation_is_shorter(tmp_path: Path) -> None:
    known = load_models().resolve("qwen2.5-1.5b")
    contexts = [plan_of(machine(tmp_path, cpu(have)).plan(known)).need.context for have in (64, 3.6, 2.6, 2.2)]
    assert contexts == [4096, 2048, 1024, 512]
    assert machine(tmp_path, cpu(3.6)).judge(known).cramped is None
    short = machine(tmp_path, cpu(2.6)).judge(known)
    assert short.cramped is not None  # for who asks for it, not for auto
    assert "1024" in str(short.cramped)
    assert "1024" in str(short.how)


def test_with_less_memory_weights_shrink_before_the_conversation_does(tmp_path: Path) -> None:
    known = load_models().resolve("qwen3-4b")
    found = [plan_of(machine(tmp_path, gpus(have)).plan(known)).need for have in (80, 8.6, 4.8)]
    assert [one.quantization for one in found] == ["none", "int8", "nf4"]
    assert {one.cuda for one in found} == {True}
    asked = plan_of(machine(tmp_path, gpus(80), quantization="nf4").plan(known))
    assert asked.need.quantization == "nf4"


def test_the_best_gpu_alone_counts_for_transformers_and_several_for_vllm(tmp_path: Path) -> None:
    known = load_models().resolve("qwen3-vl-30b")
    two = gpus(40, 40, host=200)
    assert not plan_of(machine(tmp_path, two).plan(known, "none")).need.cuda
    spread = plan_of(machine(tmp_path, two, lambda _e, cuda, _q: "vllm" if cuda else "transformers").plan(known))
    assert (spread.need.cuda, spread.need.gpus) == (True, 2)
    uneven = machine(tmp_path, gpus(70, 5), lambda *_asked: "vllm")
    assert plan_of(uneven.plan(known)).need.gpus == 1


def test_a_ray_cluster_may_hold_what_this_machine_cannot_for_who_names_it(tmp_path: Path) -> None:
    known = load_models().resolve("qwen3-vl-30b")
    one = gpus(24, host=30)
    alone = machine(tmp_path, one, lambda *_asked: "vllm")
    assert too_big(known.key, alone.judge(known)) is not None
    spread = machine(tmp_path, one, lambda *_asked: "vllm", spread=True)
    verdict = spread.judge(known)
    assert too_big(known.key, verdict) is None
    assert "Ray" in str(verdict.cramped)  # `auto` leaves it aside
    assert plan_of(spread.plan(known)).need.context == 4096
    small = load_models().resolve("qwen3-4b")  # what fits here is judged as ever
    assert (judged := spread.judge(small)).available_bytes == alone.judge(small).available_bytes is not None
    assert judged.cramped is None


def test_what_does_not_fit_the_gpu_may_run_beside_it_when_asked_for(tmp_path: Path) -> None:
    known = load_models().resolve("qwen3-4b")
    verdict = machine(tmp_path, gpus(2)).judge(known)
    assert verdict.reason is None
    assert "ctranslate2" in str(verdict.how)
    assert "qwen3-4b" in str(verdict.fallback)
    small = machine(tmp_path, gpus(2, host=1)).judge(known)
    assert too_big("qwen3-4b", small) is not None


def test_a_gpu_needs_some_memory_beside_it(tmp_path: Path) -> None:
    verdict = machine(tmp_path, gpus(80, host=1.5)).judge(load_models().resolve("qwen3-4b"))
    assert "à côté du GPU" in str(verdict.reason)


def test_freed_memory_counts(tmp_path: Path) -> None:
    known = load_models().resolve("qwen2.5-1.5b")
    where = machine(tmp_path, cpu(1))
    assert too_big(known.key, where.judge(known)) is not None
    assert too_big(known.key, where.judge(known, freed=10 * GB)) is None


def test_a_full_disk_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.machine.disk.free_bytes", lambda _folder: GB)
    verdict = machine(tmp_path, cpu(64)).judge(load_models().resolve("qwen2.5-1.5b"))
    assert "de disque" in str(verdict.reason)
    assert machine(tmp_path, cpu(64)).judge(load_models().resolve("frigo-mini")).reason is None


def test_no_engine_is_a_reason(tmp_path: Path) -> None:
    absent = _("moteur absent")
    verdict = machine(tmp_path, cpu(64), lambda *_asked: absent).judge(load_models().resolve("gpt2"))
    assert verdict.reason is absent


def test_an_unknown_model_is_not_judged(tmp_path: Path) -> None:
    unknown = ModelEntry(key="a/b", hub_id="a/b", family="", parameters=0, licence="")
    verdict = machine(tmp_path, cpu(4)).judge(unknown)
    assert (verdict.need_bytes, verdict.reason, verdict.estimated) == (None, None, True)


def test_another_server_always_fits(tmp_path: Path) -> None:
    far = ModelEntry(key="x", family="", parameters=0, licence="", engine="remote", url="http://far:1/v1#x")
    where = machine(tmp_path, cpu(0), lambda *_asked: "remote")
    assert where.here(far)
    assert where.judge(far).reason is None
    assert too_big("x", where.judge(far)) is None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HubServer]:
    config = {**CONFIG, "max_position_embeddings": 8192}
    hub = HubServer({"a/b": write_model(tmp_path / "served" / "b", config)}).start()
    yield hub
    hub.stop()


def test_the_hubs_word_replaces_the_catalogues_and_the_disks_the_hubs(server: HubServer, tmp_path: Path) -> None:
    hub = Hub(cache_dir=tmp_path / "cache", endpoint=server.url)
    where = GptMachine(hub, lambda: cpu(64), light)
    known = ModelEntry(key="b", hub_id="a/b", family="llama", parameters=10**9, licence="")
    before = where.judge(known)
    assert before.estimated
    assert "catalogue" in str(before.how)
    where.learn(known)
    after = where.judge(known)
    assert not after.estimated
    assert "catalogue" not in str(after.how)
    assert (after.need_bytes or 0) < (before.need_bytes or 0) / 4
    hub.download("a/b", "main", lambda _done, _total: None)
    seen = len(server.seen)
    assert where.here(known)
    where.learn(known)
    assert len(server.seen) == seen
    assert where.judge(known).need_bytes == after.need_bytes
