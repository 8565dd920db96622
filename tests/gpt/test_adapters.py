"""LoRA adapters inside the transformers engine, against peft's own arithmetic. Random weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from common.errors import ApiError
from gpt.engines.base import Delta, GenerationRequest
from gpt.engines.options import EngineOptions
from gpt.engines.transformers.engine import TransformersEngine
from tests.gpt.conftest import wait_until, write_gpt2, write_llama
from tests.gpt.generation import Generation
from tests.gpt.test_quantization import write as write_wider


def write_adapter(base: Path, folder: Path, seed: int, **options: Any) -> Path:
    """An adapter made by peft, strong enough to change what is said."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

    sees = hasattr(AutoConfig.from_pretrained(base), "vision_config")
    model = (AutoModelForImageTextToText if sees else AutoModelForCausalLM).from_pretrained(base)
    options = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", **options}
    torch.manual_seed(seed)
    tuned: Any = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **options))
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            if "lora_" in name:
                parameter.normal_(0, 0.3)
    tuned.save_pretrained(str(folder))
    return folder


def peft_greedy(base: Path, adapter: Path, ids: list[int], tokens: int) -> list[int]:
    """What peft's model says."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model: Any = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter).eval()
    found = model.generate(
        input_ids=torch.tensor([ids]), max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False, pad_token_id=0
    )
    return list(found[0, len(ids) :].tolist())


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("bases")
    return {"llama": write_llama(root / "llama"), "gpt2": write_gpt2(root / "gpt2")}


@pytest.fixture(scope="module")
def adapters(bases: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("adapters")
    base = bases["llama"]
    return {
        "poésie": write_adapter(base, root / "a", 1),
        "droit": write_adapter(base, root / "b", 2, r=8, use_rslora=True, target_modules=["q_proj", "v_proj"]),
        "motifs": write_adapter(
            base,
            root / "c",
            3,
            target_modules=["q_proj", "up_proj", "down_proj"],
            alpha_pattern={"up_proj": 32},
            rank_pattern={"q_proj": 2},
            layers_to_transform=[1],
        ),
        "gpt2": write_adapter(bases["gpt2"], root / "d", 4, fan_in_fan_out=True),
    }


@pytest.fixture(scope="module")
def opened(bases: dict[str, Path]) -> Iterator[TransformersEngine]:
    found = TransformersEngine(bases["llama"], EngineOptions(use_gpu=False))
    yield found
    found.close()


@pytest.fixture
def engine(opened: TransformersEngine, adapters: dict[str, Path]) -> Iterator[TransformersEngine]:
    """With three adapters, freshly loaded."""
    for key in ("poésie", "droit", "motifs"):
        opened.load_adapter(key, adapters[key])
    yield opened
    for key in opened.adapters():
        opened.unload_adapter(key)


def ids_of(deltas: list[Delta]) -> list[int]:
    return [i for delta in deltas for i in delta.token_ids]


def greedy(engine: TransformersEngine, text: str, adapter: str | None, tokens: int = 24) -> Generation:
    asked = GenerationRequest(engine.encode(text), tokens, temperature=0, min_tokens=tokens, adapter=adapter)
    return Generation(engine, asked)


@pytest.mark.parametrize("key", ["poésie", "droit", "motifs"])
def test_an_adapter_says_what_peft_says(
    engine: TransformersEngine, bases: dict[str, Path], adapters: dict[str, Path], key: str
) -> None:
    prompt = engine.encode("Le client envoie la demande. Le service")
    request = GenerationRequest(prompt, 24, temperature=0, min_tokens=24, adapter=key)
    assert ids_of(list(Generation(engine, request))) == peft_greedy(bases["llama"], adapters[key], prompt.ids, 24)


def test_a_model_of_transposed_layers_too(bases: dict[str, Path], adapters: dict[str, Path]) -> None:
    engine = TransformersEngine(bases["gpt2"], EngineOptions(use_gpu=False, adapters=(("gpt2", adapters["gpt2"]),)))
    assert engine.adapters() == ("gpt2",)
    prompt = engine.encode("Le client envoie")
    request = GenerationRequest(prompt, 24, temperature=0, min_tokens=24, adapter="gpt2")
    assert ids_of(list(Generation(engine, request))) == peft_greedy(bases["gpt2"], adapters["gpt2"], prompt.ids, 24)
    engine.close()


def test_several_in_one_batch_each_say_their_own(engine: TransformersEngine) -> None:
    """With the model itself among them, prompts of several lengths, exactly as alone."""
    asked = [
        (text, key)
        for text in ("Le client", "The customer sends the request to the", "Été")
        for key in (None, "poésie", "droit", "motifs")
    ]
    alone = [ids_of(list(greedy(engine, text, key))) for text, key in asked]
    together = [greedy(engine, text, key) for text, key in asked]
    assert [ids_of(list(generation)) for generation in together] == alone
    assert len({tuple(ids) for ids in alone}) > 9  # a random model may fall into the same words twice


@pytest.mark.parametrize("quantization", ["int8", "nf4"])
def test_over_a_shrunk_model(tmp_path: Path, quantization: Any) -> None:
    base = write_wider(tmp_path / "base", "llama", layers=2, width=128)
    engine = TransformersEngine(base, EngineOptions(use_gpu=False, quantization=quantization))
    plain = ids_of(list(greedy(engine, "Le client", None)))
    engine.load_adapter("poésie", write_adapter(base, tmp_path / "a", 1))
    assert ids_of(list(greedy(engine, "Le client", "poésie"))) != plain
    assert ids_of(list(greedy(engine, "Le client", None))) == plain
    engine.close()


def test_loading_and_unloading_while_others_write(engine: TransformersEngine, adapters: dict[str, Path]) -> None:
    before = ids_of(list(greedy(engine, "Le client", None, 200)))
    running = greedy(engine, "Le client", None, 200)
    for _turn in range(5):
        engine.load_adapter("encore", adapters["poésie"])
        assert ids_of(list(greedy(engine, "Le", "encore", 3))) == ids_of(list(greedy(engine, "Le", "poésie", 3)))
        engine.unload_adapter("encore")
    assert ids_of(list(running)) == before
    for key in engine.adapters():
        engine.unload_adapter(key)
    assert engine.adapters() == ()
    assert not engine._adapters._hooks
    assert ids_of(list(greedy(engine, "Le client", None, 200))) == before


def test_an_adapter_in_use_leaves_when_its_answers_have_ended(engine: TransformersEngine) -> None:
    import threading

    whole = ids_of(list(greedy(engine, "Le client", "poésie", 200)))
    running, left = greedy(engine, "Le client", "poésie", 200), greedy(engine, "Le", "poésie", 200)
    thread = threading.Thread(target=engine.unload_adapter, args=("poésie",))
    thread.start()
    wait_until(lambda: "poésie" not in engine.adapters())
    with pytest.raises(ApiError) as refused:
        greedy(engine, "Le", "poésie")
    assert (refused.value.status, refused.value.code) == (404, "adapter_not_found")
    left.close()
    assert ids_of(list(running)) == whole
    thread.join(30)
    assert not thread.is_alive()


def edited(adapter: Path, folder: Path, **fields: Any) -> Path:
    shutil.copytree(adapter, folder)
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    (folder / "adapter_config.json").write_text(json.dumps({**config, **fields}), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"peft_type": "IA3"}, "IA3"),
        ({"use_dora": True}, "use_dora"),
        ({"bias": "all"}, "bias"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"target_parameters": ["experts.w1"]}, "target_parameters"),
    ],
)
def test_what_would_be_computed_wrongly_is_refused_by_name(
    engine: TransformersEngine, adapters: dict[str, Path], tmp_path: Path, fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(ApiError) as refused:
        engine.load_adapter("x", edited(adapters["poésie"], tmp_path / "x", **fields))
    assert (refused.value.status, refused.value.code) == (422, "adapter_unusable")
    assert said in str(refused.value.message)


def test_an_adapter_of_another_model_is_refused(
    engine: TransformersEngine, adapters: dict[str, Path], tmp_path: Path
) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    wide = LlamaForCausalLM(
        LlamaConfig(vocab_size=50, hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4)
    )
    wide.save_pretrained(tmp_path / "wide")
    shape = write_adapter(tmp_path / "wide", tmp_path / "shape", 5, target_modules=["q_proj"])
    for folder, said in ((adapters["gpt2"], "c_attn"), (shape, "q_proj")):
        with pytest.raises(ApiError) as refused:
            engine.load_adapter("x", folder)
        assert said in str(refused.value.message)
        assert "autre" in str(refused.value.message)
    assert "x" not in engine.adapters()


def test_broken_or_pickled_files_are_refused(
    engine: TransformersEngine, adapters: dict[str, Path], tmp_path: Path
) -> None:
    pickled = shutil.copytree(adapters["poésie"], tmp_path / "pickled")
    (pickled / "adapter_model.safetensors").rename(pickled / "adapter_model.bin")
    cut = shutil.copytree(adapters["poésie"], tmp_path / "cut")
    whole = (cut / "adapter_model.safetensors").read_bytes()
    (cut / "adapter_model.safetensors").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty").mkdir()
    for folder, said in ((pickled, "safetensors"), (cut, "lisible"), (tmp_path / "empty", "adapter_config.json")):
        with pytest.raises(ApiError) as refused:
            engine.load_adapter("x", folder)
        assert said in str(refused.value.message)
        assert str(tmp_path) not in str(refused.value.message)
