"""How much memory a language model takes, told before it is loaded or even downloaded: weights, cache, runtime.

    need = weights at the loading precision + key-value cache and what a prompt takes + the engine's own process

The cache counted is that of one conversation of `context` tokens, 4096 at most. Where that does not fit, shorter ones
are tried (`CONTEXTS`): engines size their caches to the memory there is, and say how long a conversation may be.
Runtimes and factors were measured as resident memory of engines' own processes, at its highest, on Linux.
"""

from __future__ import annotations

from dataclasses import dataclass

from common.models.catalogue import ModelEntry
from common.models.footprint import ModelFacts
from gpt.engines.cpu import weight_bytes
from gpt.engines.nanochat.layout import NANOCHAT
from gpt.engines.options import Quantization

MIB = 2**20
CONTEXTS = (4096, 2048, 1024, 512)  # the last two are for a model that was asked for: too short to choose unasked
CACHE_TOKENS = CONTEXTS[0]
TINY_PARAMETERS = 30_000_000  # ctranslate2 keeps float32 below, unless it is asked for int8
# Resident memory of an engine's process once it has answered, beside weights and cache.
_RUNTIME_BYTES = {"ctranslate2": 72 * MIB, "transformers": 430 * MIB, "nanochat": 230 * MIB, "vllm": 1200 * MIB}
_LIGHT_CACHE = 1.5  # CTranslate2 copies a layer's cache at each step, and malloc keeps some of the holes
_ROTARY_POSITIONS = 2048  # CTranslate2 makes tables of that many positions for every layer
_TOKENIZER_BYTES = 900  # per token of vocabulary: the tokenizer's tables and CTranslate2's
_VRAM_RUNTIME_BYTES = {"transformers": 1024 * MIB, "nanochat": 1024 * MIB, "vllm": 2048 * MIB}  # an allowance
_HOST_OF_A_GPU_BYTES = 2048 * MIB  # an allowance: the libraries of CUDA in the process, pinned buffers
_NF4_BYTES = 0.5 + 4 / 64  # four bits, and a float32 scale per block of 64
_INT8_BYTES = 1.01  # eight bits, and a float32 scale per row
VLLM_SHARE = 0.9  # of each GPU's memory, vLLM's own default


@dataclass(frozen=True)
class Need:
    """Bytes. With CUDA, `weights`, `cache` and `runtime` are the GPUs' (`gpus` of them, all together) and `host` the
    machine's; otherwise `host` is everything. `loading` is the peak while the model is being opened. `cache` has room
    for a conversation of `context` tokens."""

    weights: int
    cache: int
    runtime: int
    engine: str
    quantization: Quantization
    width: int = 0  # bytes of a number that is not quantized
    cuda: bool = False
    gpus: int = 1
    host: int = 0
    loading: int = 0
    context: int = 0

    @property
    def total(self) -> int:
        """On the device that computes."""
        return max(self.weights + self.cache + self.runtime, self.loading)

    @property
    def precision(self) -> str:
        """int8, nf4, or the bits of a number."""
        return f"{8 * self.width} bits" if self.quantization == "none" else self.quantization


def need(
    facts: ModelFacts,
    engine: str,
    quantization: Quantization = "auto",
    *,
    cuda: bool = False,
    gpus: int = 1,
    context: int = CACHE_TOKENS,
) -> Need:
    """What `engine` needs for the model. "auto" is the engine's usual precision: int8 for ctranslate2, else none."""
    if engine == "remote":
        return Need(0, 0, 0, engine, "none")
    tokens = min(facts.context or CACHE_TOKENS, context)
    if engine == "ctranslate2":
        return _light(facts, quantization, tokens)
    kind: Quantization = "none"
    if engine == "transformers" and quantization != "auto":
        kind = quantization
    width = _width(facts, engine, cuda=cuda)
    weights = _at(facts, kind, width)
    cache = facts.kv_values * width * tokens
    tokenizer = facts.vocabulary * _TOKENIZER_BYTES
    if cuda:
        runtime = _VRAM_RUNTIME_BYTES.get(engine, 1024 * MIB) * gpus
        host = _HOST_OF_A_GPU_BYTES + tokenizer
        return Need(weights, cache, runtime, engine, kind, width, True, gpus, host, context=tokens)
    runtime = _RUNTIME_BYTES.get(engine, 430 * MIB) + tokenizer
    # A quantized model is read at full precision, a tensor at a time. A plain one is there twice while its layers are
    # packed for the CPU (measured: 1,078 MB at most for 269 MB of weights, 817 MB afterwards).
    loading = runtime + 2 * weights if kind == "none" else runtime + weights + 2 * width * facts.largest
    host = max(weights + cache + runtime, loading)
    return Need(weights, cache, runtime, engine, kind, width, host=host, loading=loading, context=tokens)


def _light(facts: ModelFacts, quantization: Quantization, tokens: int) -> Need:
    """CTranslate2: float32 beside its int8 weights, grouped heads repeated in the cache, whole attention scores."""
    shrunk = quantization == "int8" or (quantization == "auto" and facts.parameters >= TINY_PARAMETERS)
    # Every matrix becomes int8, tables included, with a scale per row; norms and biases stay float32.
    weights = int((facts.parameters - facts.vectors) * _INT8_BYTES) + 4 * facts.vectors
    repeated = facts.heads // facts.kv_heads if facts.kv_heads > 1 else 1
    cache = int(_LIGHT_CACHE * 4 * facts.kv_values * repeated * tokens) + 4 * facts.heads * tokens**2
    rotary = 0
    if facts.family != "gpt2" and facts.kv_heads:
        rotary = 4 * _ROTARY_POSITIONS * facts.kv_values // facts.kv_heads  # two tables per layer
    runtime = _RUNTIME_BYTES["ctranslate2"] + facts.vocabulary * _TOKENIZER_BYTES + rotary
    return Need(
        weights if shrunk else 4 * facts.parameters,
        cache,
        runtime,
        "ctranslate2",
        "int8" if shrunk else "none",
        4,
        host=(weights if shrunk else 4 * facts.parameters) + cache + runtime,
        context=tokens,
    )


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
        heads=shape.heads,
        kv_heads=shape.kv_heads,
        kv_values=2 * shape.layers * shape.kv_heads * shape.head_dim,
        vision=entry.vision,
        linear=entry.parameters - embeddings - shape.experts,
        embeddings=embeddings,
        others=shape.experts,
        largest=max(tables, shape.experts // shape.layers * 2 // 3),
    )
