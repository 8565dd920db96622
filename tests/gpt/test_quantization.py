"""IA_QUANTIZATION: smaller weights, nearly the same answers, and what cannot be is refused by name. Random models."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from common.errors import ApiError
from common.settings import SettingsError, load
from gpt.engines.base import GenerationRequest
from gpt.engines.options import EngineOptions, Quantization
from gpt.engines.transformers.engine import TransformersEngine
from gpt.engines.transformers.int8 import Int8Linear, usable
from gpt.engines.transformers.quantize import most_precise, resolve, weight_bytes
from gpt.engines.transformers.weights import load_weights
from gpt.settings import GptSettings
from tests.gpt.conftest import write_tokenizer
from tests.gpt.generation import Generation

CPU = torch.device("cpu")
MB = 2**20


def write(folder: Path, family: str, *, layers: int = 3, width: int = 256) -> Path:
    """A random model whose weights are mostly linear layers, in several files."""
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    size = write_tokenizer(folder, chat=True)
    torch.manual_seed(5)
    ends: dict[str, Any] = {"eos_token_id": 2, "bos_token_id": 0}
    if family == "gpt2":
        model: Any = GPT2LMHeadModel(GPT2Config(vocab_size=size, n_embd=width, n_layer=layers, n_head=4, **ends))
    else:
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=size,
                hidden_size=width,
                intermediate_size=3 * width,
                num_hidden_layers=layers,
                num_attention_heads=4,
                max_position_embeddings=256,
                **ends,
            )
        )
    model.save_pretrained(folder, max_shard_size="2MB" if width <= 256 else "20MB")
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("quantized")
    return {family: write(root / family, family) for family in ("llama", "gpt2")}


def opened(folder: Path, quantization: Quantization) -> Any:
    return load_weights(folder, EngineOptions(use_gpu=False, quantization=quantization))


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(torch.arange(3, 60)[None]).logits.float()
    return found


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize(("quantization", "close", "share"), [("int8", 0.995, 0.36), ("nf4", 0.9, 0.26)])
def test_weights_shrink_and_answers_stay_close(
    folders: dict[str, Path], family: str, quantization: Quantization, close: float, share: float
) -> None:
    whole, shrunk = opened(folders[family], "none"), opened(folders[family], quantization)
    assert (whole.quantization, shrunk.quantization) == ("none", quantization)
    assert len(list(folders[family].glob("*.safetensors"))) > 1
    likeness = torch.nn.functional.cosine_similarity(logits(whole.model), logits(shrunk.model), dim=-1)
    assert close < float(likeness.mean()) < 0.99999
    assert weight_bytes(shrunk.model) < share * weight_bytes(whole.model)


def test_eight_bits_on_a_cpu_are_the_same_alone_and_in_company() -> None:
    """To the last bit, and near to the exact product; a row of zeros is one too."""
    torch.manual_seed(1)
    weight, bias = torch.randn(96, 64), torch.randn(96)
    layer = Int8Linear(weight, bias)
    rows = torch.randn(33, 64) * torch.logspace(-2, 2, 33)[:, None]
    rows[5] = 0
    together = layer(rows)
    alone = torch.cat([layer(row[None]) for row in rows])
    assert torch.equal(together, alone)
    exact = rows @ weight.T
    assert float((together - bias - exact).norm() / exact.norm()) < 0.02
    assert torch.equal(together[5], bias)
    assert layer(rows.bfloat16()[None]).shape == (1, 33, 96)
    assert layer(rows.bfloat16()).dtype == torch.bfloat16


@pytest.mark.skipif(not usable(), reason="this CPU cannot multiply 8 bits exactly")
def test_eight_bits_on_a_cpu_are_our_own(folders: dict[str, Path]) -> None:
    for family, layers in (("llama", 21), ("gpt2", 12)):
        model = opened(folders[family], "int8").model
        assert sum(isinstance(module, Int8Linear) for module in model.modules()) == layers
        assert not isinstance(model.get_output_embeddings(), Int8Linear)


@pytest.mark.parametrize("quantization", ["int8", "nf4"])
def test_where_the_cpu_is_too_old_bitsandbytes_does_it(
    folders: dict[str, Path], quantization: Quantization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpt.engines.transformers.int8.usable", lambda: False)
    whole, shrunk = opened(folders["llama"], "none"), opened(folders["llama"], quantization)
    assert shrunk.quantization == quantization
    assert weight_bytes(shrunk.model) < 0.36 * weight_bytes(whole.model)


@pytest.mark.parametrize("quantization", ["int8", "nf4"])
def test_a_shrunk_model_answers_and_says_so(folders: dict[str, Path], quantization: Quantization) -> None:
    engine = TransformersEngine(folders["llama"], EngineOptions(use_gpu=False, quantization=quantization))
    request = GenerationRequest(engine.encode("Le client"), 5, temperature=0, logit_bias={2: -100.0})
    texts = ["".join(delta.text for delta in Generation(engine, request)) for _ in range(2)]
    assert texts[0] == texts[1]
    assert engine.quantization == quantization
    engine.close()


_PEAK = """
import sys, threading, time
from pathlib import Path
from gpt.engines.options import EngineOptions
from gpt.engines.transformers.weights import load_weights

def anonymous():
    for line in open("/proc/self/status"):
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024

load_weights(Path(sys.argv[2]), EngineOptions(use_gpu=False, quantization=sys.argv[3]))  # libraries warm
before, peak, done = anonymous(), 0, False
def watch():
    global peak
    while not done:
        peak = max(peak, anonymous())
        time.sleep(0.001)
thread = threading.Thread(target=watch)
thread.start()
held = load_weights(Path(sys.argv[1]), EngineOptions(use_gpu=False, quantization=sys.argv[3]))
done = True
thread.join()
print(peak - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_the_whole_precision_is_never_in_memory(folders: dict[str, Path], tmp_path: Path) -> None:
    big = write(tmp_path / "big", "llama", layers=8, width=768)
    stored = sum(file.stat().st_size for file in big.glob("*.safetensors"))
    assert stored > 200 * MB
    command = [sys.executable, "-c", _PEAK, str(big), str(folders["llama"]), "int8"]
    peak = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])
    assert peak < 0.5 * stored


def test_auto_takes_the_most_precise_that_fits() -> None:
    billion = 10**9
    assert most_precise(billion, 2, 3 * billion, cuda=False) == "none"
    assert most_precise(billion, 4, 3 * billion, cuda=False) == "int8"
    assert most_precise(billion, 2, 2 * billion, cuda=True) == "int8"
    assert most_precise(billion, 2, billion, cuda=True) == "nf4"
    assert most_precise(billion, 2, billion, cuda=False) == "int8"  # 4 bits are too slow on a CPU
    assert resolve("auto", {}, 1000, 4, CPU) == "none"
    assert resolve("nf4", {}, 1000, 4, CPU) == "nf4"


@pytest.mark.parametrize("method", ["gptq", "awq", "fp8", "compressed-tensors"])
@pytest.mark.parametrize("nested", [False, True])
def test_files_quantized_in_another_way_are_refused_by_name(
    folders: dict[str, Path], tmp_path: Path, method: str, nested: bool
) -> None:
    folder = shutil.copytree(folders["llama"], tmp_path / "m")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    said = {"quantization_config": {"quant_method": method, "bits": 4}}
    config |= {"text_config": said} if nested else said
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ApiError) as refused:
        opened(folder, "auto")
    assert refused.value.code == "model_unusable"
    assert method in str(refused.value.message)


def test_files_already_in_four_bits_stay_so(folders: dict[str, Path], tmp_path: Path) -> None:
    small = opened(folders["llama"], "nf4")
    small.model.save_pretrained(tmp_path)
    for file in folders["llama"].glob("tokenizer*"):
        shutil.copy(file, tmp_path)
    again = opened(tmp_path, "auto")
    assert again.quantization == "nf4"
    assert torch.equal(logits(again.model), logits(small.model))
    with pytest.raises(ApiError) as refused:
        opened(tmp_path, "int8")
    assert "IA_QUANTIZATION" in str(refused.value.message)


def test_a_wrong_value_is_refused_with_the_variables_name() -> None:
    with pytest.raises(SettingsError, match="IA_QUANTIZATION"):
        load(GptSettings, ia_quantization=cast(Quantization, "int3"))
    with pytest.raises(ApiError) as refused:
        resolve(cast(Quantization, "int3"), {}, 1000, 4, CPU)
    assert (refused.value.status, refused.value.param) == (400, "quantization")
