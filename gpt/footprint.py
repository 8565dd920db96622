"""How much memory a language model takes, told before it is loaded or even downloaded: weights, cache, runtime.

    need = weights at the loading precision + key-value cache + the engine's process with nothing loaded

The cache counted is one conversation as long as the context allows, bounded by `CACHE_TOKENS`: engines share that
much among their conversations, and make longer ones wait for room. Runtimes are measured (`docs/modeles.md`).
"""

from __future__ import annotations

from dataclasses import dataclass

from common.models.catalogue import ModelEntry
from common.models.footprint import NANOCHAT, ModelFacts
from gpt.engines.cpu import weight_bytes
from gpt.engines.options import Quantization

MIB = 2**20
CACHE_TOKENS = 4096
TINY_PARAMETERS = 30_000_000  # ctranslate2 keeps float32 below, unless it is asked for int8
# Resident memory of an engine's process once it has answered, beside weights and cache.
_RUNTIME_BYTES = {"ctranslate2": 72 * MIB, "transformers": 430 * MIB, "nanochat": 430 * MIB, "vllm": 1200 * MIB}
_TOKENIZER_BYTES = 900  # per token of vocabulary: the tokenizer's tables and CTranslate2's
_VRAM_RUNTIME_BYTES = {"transformers": 1024 * MIB, "nanochat": 1024 * MIB, "vllm": 2048 * MIB}  # an allowance
_HOST_OF_A_GPU_BYTES = 2048 * MIB  # an allowance: the libraries of CUDA in the process, pinned buffers
_NF4_BYTES = 0.5 + 4 / 64  # four bits, and a float32 scale per block of 64
_INT8_BYTES = 1.01  # eight bits, and a float32 scale per row
VLLM_SHARE = 0.9  # of each GPU's memory, vLLM's own default


@dataclass(frozen=True)
class Need:
    """Bytes. With CUDA, `weights`, `cache` and `runtime` are the GPUs' (`gpus` of them, all together) and `host` the
    machine's; otherwise `host` is everything. `loading` is the peak while the model is being opened."""

    weights: int
    cache: int
    runtime: int
    engine: str
    quantization: str
    width: int = 0  # bytes of a number that is not quantized
    cuda: bool = False
    gpus: int = 1
    host: int = 0
    loading: int = 0

    @property
    def total(self) -> int:
        """On the device that computes."""
        return max(self.weights + self.cache + self.runtime, self.loading)

    @property
    def precision(self) -> str:
        """int8, nf4, or the bits of a number."""
        return f"{8 * self.width} bits" if self.quantization == "none" else self.quantization


def need(
    facts: ModelFacts, engine: str, quantization: Quantization = "auto", *, cuda: bool = False, gpus: int = 1
) -> Need:
    """What `engine` needs for the model. "auto" is the engine's usual precision: int8 for ctranslate2, else none."""
    if engine == "remote":
        return Need(0, 0, 0, engine, "none")
    if engine == "ctranslate2":
        cuda = False
        shrunk = quantization == "int8" or (quantization == "auto" and facts.parameters >= TINY_PARAMETERS)
        kind = "int8" if shrunk else "none"
        width = 4
        weights = 4 * facts.parameters if kind == "none" else _int8_everywhere(facts)
    else:
        kind = quantization if engine == "transformers" and quantization in {"int8", "nf4"} else "none"
        width = _width(facts, engine, cuda=cuda)
        weights = _at(facts, kind, width)
    cache = facts.kv_values * width * min(facts.context or CACHE_TOKENS, CACHE_TOKENS)
    tokenizer = facts.vocabulary * _TOKENIZER_BYTES
    if cuda:
        runtime = _VRAM_RUNTIME_BYTES.get(engine, 1024 * MIB) * gpus
        return Need(weights, cache, runtime, engine, kind, width, True, gpus, _HOST_OF_A_GPU_BYTES + tokenizer)
    runtime = _RUNTIME_BYTES.get(engine, 430 * MIB) + tokenizer
    # A quantized model is read at full precision, a tensor at a time.
    loading = weights + runtime + 2 * width * facts.largest if kind != "none" and engine == "transformers" else 0
    host = max(weights + cache + runtime, loading)
    return Need(weights, cache, runtime, engine, kind, width, host=host, loading=loading)


def _width(facts: ModelFacts, engine: str, *, cuda: bool) -> int:
    """Bytes per number: 16 bits on a GPU, what `weight_bytes` says on a CPU; nanochat computes in float32 there."""
    if cuda:
        return 2
    return 4 if engine == NANOCHAT else weight_bytes(facts.parameters)


def _at(facts: ModelFacts, kind: str, width: int) -> int:
    floats = facts.parameters - _packed_numbers(facts)
    if kind == "none":
        return floats * width + facts.packed_bytes
    each = _NF4_BYTES if kind == "nf4" else _INT8_BYTES
    return int(facts.linear * each) + (floats - facts.linear) * width + facts.packed_bytes


def _packed_numbers(facts: ModelFacts) -> int:
    """Numbers stored as integers keep their bytes whatever the precision."""
    return max(0, facts.parameters - facts.linear - facts.embeddings - facts.vectors - facts.others)


def _int8_everywhere(facts: ModelFacts) -> int:
    """CTranslate2 turns every matrix to int8, tables included; norms and biases stay float32."""
    return int((facts.parameters - facts.vectors) * _INT8_BYTES) + 4 * facts.vectors


def catalogue_facts(entry: ModelEntry) -> ModelFacts | None:
    """What models.toml says, for when neither the files nor the hub do; None when it says nothing."""
    if not entry.parameters:
        return None
    shape, stored = entry.shape, 2 * entry.parameters
    if shape is None:
        values = entry.parameters // 60_000  # generous for a decoder: Mistral 7B caches 65,536 numbers a token
        return ModelFacts(
            entry.family,
            entry.parameters,
            stored,
            context=entry.context,
            kv_values=values,
            vision=entry.vision,
            linear=entry.parameters,
        )
    tables = shape.vocabulary * shape.hidden
    embeddings = tables if shape.tied else 2 * tables
    return ModelFacts(
        entry.family,
        entry.parameters,
        stored,
        context=entry.context,
        vocabulary=shape.vocabulary,
        hidden=shape.hidden,
        layers=shape.layers,
        kv_values=2 * shape.layers * shape.kv_heads * shape.head_dim,
        vision=entry.vision,
        linear=entry.parameters - embeddings - shape.experts,
        embeddings=embeddings,
        others=shape.experts,
        largest=max(tables, shape.experts // shape.layers * 2 // 3),
    )
