"""How each family of models maps onto CTranslate2's decoder. Names and meanings are those of its own converters
(ctranslate2/converters/transformers.py); every tensor of the folder must find its place, and every place its tensor.

Rotary scalings all go by one road: CTranslate2 takes a factor per frequency ("Su" scaling), which says any of them
exactly, and the multiplied sines and cosines of YaRN are a matter of the queries' scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpt.engines.ctranslate2.model_file import Alias, Fixed, Matrix, Variable
from gpt.engines.ctranslate2.rope import Rope, UnknownScalingError, rope_of
from gpt.engines.ctranslate2.tensors import BLOCK_BYTES, Floats, TensorFolder
from gpt.engines.ctranslate2.weight_files import BadWeightsError, UnsupportedError

Config = Mapping[str, Any]
_ACTIVATIONS = {  # ctranslate2.specs.Activation
    "relu": 0,
    "gelu_new": 1,
    "gelu_fast": 1,
    "gelu_pytorch_tanh": 1,
    "silu": 2,
    "swish": 2,
    "gelu": 3,
    "quick_gelu": 4,
}
_SU_SCALING = 1  # ctranslate2.specs.RotaryScalingType
_LEFTOVERS = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")  # buffers that old versions saved


@dataclass(frozen=True)
class Plan:
    """What to write: the variables in order, and the epsilon of the norms."""

    variables: list[Variable]
    epsilon: float
    vocabulary: int


class _Builder:
    """Collects variables from tensors, in the order of the model."""

    def __init__(self, config: Config, tensors: TensorFolder) -> None:
        self.config = config
        self.tensors = tensors
        self.variables: list[Variable] = []

    def put(self, name: str, value: float, dtype: str) -> None:
        self.variables.append(Fixed(f"decoder/{name}", np.array(value, dtype=dtype)))

    def vector(self, name: str, source: str, length: int | None = None) -> None:
        """A norm's weight or a bias."""
        shape = self.tensors.shape(source)
        if len(shape) != 1 or (length is not None and shape[0] != length):
            raise BadWeightsError(f"{source} has the shape {list(shape)}")
        self.variables.append(Fixed(f"decoder/{name}", self.tensors.whole(source)))

    def norm(self, name: str, source: str, width: int) -> None:
        """A norm, with its shift when the family has one."""
        self.vector(f"{name}/gamma", f"{source}.weight", width)
        if f"{source}.bias" in self.tensors:
            self.vector(f"{name}/beta", f"{source}.bias", width)

    def matrix(self, name: str, sources: list[str], shape: tuple[int, int]) -> None:
        """The rows of one or several matrices, one under the other. Checks every shape before anything is read."""
        rows = 0
        for source in sources:
            found = self.tensors.shape(source)
            if len(found) != 2 or found[1] != shape[1]:
                raise BadWeightsError(f"{source} has the shape {list(found)}")
            rows += found[0]
        if rows != shape[0]:
            raise BadWeightsError(f"{sources[0]} has {rows} rows, not {shape[0]}")
        self.variables.append(Matrix(f"decoder/{name}", shape, _rows(self.tensors, sources)))

    def linear(self, name: str, sources: list[str], shape: tuple[int, int]) -> None:
        """Linear layers, their rows together, with their biases when they have any."""
        self.matrix(f"{name}/weight", [f"{source}.weight" for source in sources], shape)
        biases = [f"{source}.bias" for source in sources]
        if any(bias in self.tensors for bias in biases):
            parts = []
            for source, bias in zip(sources, biases, strict=True):
                rows = self.tensors.shape(f"{source}.weight")[0]
                part = self.tensors.whole(bias) if bias in self.tensors else np.zeros(rows, np.float32)
                if part.shape != (rows,):
                    raise BadWeightsError(f"{bias} has the shape {list(part.shape)}")
                parts.append(part)
            self.variables.append(Fixed(f"decoder/{name}/bias", np.concatenate(parts)))

    def turned(self, name: str, source: str, shape: tuple[int, int]) -> None:
        """GPT-2's linear layers, stored the other way round, with a bias."""
        found = self.tensors.shape(f"{source}.weight")
        if found != (shape[1], shape[0]):
            raise BadWeightsError(f"{source}.weight has the shape {list(found)}")
        self.variables.append(Matrix(f"decoder/{name}/weight", shape, _columns(self.tensors, f"{source}.weight")))
        self.vector(f"{name}/bias", f"{source}.bias", shape[0])

    def head(self, embedding: str, shape: tuple[int, int], *, tied: bool) -> None:
        """The embedding and the output layer, one and the same when the model ties them."""
        self.matrix("embeddings/weight", [embedding], shape)
        if tied or "lm_head.weight" not in self.tensors:
            if not tied:
                raise BadWeightsError("lm_head.weight is missing")
            self.tensors.ignore("lm_head.weight")
            self.variables.append(Alias("decoder/projection/weight", "decoder/embeddings/weight"))
        else:
            self.linear("projection", ["lm_head"], shape)

    def shape_of_decoder(self, heads: int, activation: str) -> None:
        """The attributes that every family sets."""
        if activation not in _ACTIVATIONS:
            raise UnsupportedError(f"activation {activation}")
        self.put("num_heads", heads, "int16")
        self.put("pre_norm", 1, "int8")
        self.put("activation", _ACTIVATIONS[activation], "int8")
        self.put("alignment_layer", -1, "int16")
        self.put("alignment_heads", 1, "int16")
        self.put("scale_embeddings", 0, "int8")
        self.put("alibi", 0, "int8")
        self.put("start_from_zero_embedding", 0, "int8")

    def attention(self, name: str, heads: int, kv_heads: int, head_dim: int, rope: Rope) -> None:
        """The attributes of a rotary attention."""
        if kv_heads != heads:
            self.put(f"{name}/num_heads_kv", kv_heads, "int32")
        self.put(f"{name}/head_dim", head_dim, "int32")
        self.put(f"{name}/rotary_dim", rope.dim, "int32")
        self.put(f"{name}/rotary_interleave", 0, "int8")
        self.put(f"{name}/rotary_base", rope.base, "float32")
        if rope.factors is not None:
            self.put(f"{name}/rotary_scaling_type", _SU_SCALING, "int8")
            for which in ("long", "short"):
                self.variables.append(Fixed(f"decoder/{name}/rotary_scaling_{which}_factor", rope.factors))
        if rope.attention != 1.0:
            if rope.dim != head_dim:
                raise UnsupportedError("yarn on a part of the head")
            self.put(f"{name}/queries_scale", rope.attention**2 / math.sqrt(head_dim), "float32")


def plan(config: Config, tensors: TensorFolder) -> Plan:
    """What to write for a model.

    Raises UnsupportedError by name, BadWeightsError on a tensor that is missing, unknown or misshapen.
    """
    family = str(config.get("model_type", ""))
    build = _FAMILIES.get(family)
    if build is None:
        raise UnsupportedError(f"model_type {family or '?'}")
    if config.get("quantization_config"):
        raise UnsupportedError("quantization_config")
    tensors.ignore(*_LEFTOVERS)
    try:
        planned = build(_Builder(config, tensors))
    except UnknownScalingError as error:
        raise UnsupportedError(f"rope_scaling {error}") from error
    except (KeyError, TypeError, ZeroDivisionError) as error:
        raise BadWeightsError(f"the configuration lacks {error}") from error
    return planned


def _gpt2(build: _Builder) -> Plan:
    config = build.config
    layers, heads, width = int(config["n_layer"]), int(config["n_head"]), int(config["n_embd"])
    inner = int(config.get("n_inner") or 4 * width)
    if config.get("scale_attn_by_inverse_layer_idx") or config.get("add_cross_attention"):
        raise UnsupportedError("scale_attn_by_inverse_layer_idx or add_cross_attention")
    top = "transformer." if "transformer.wte.weight" in build.tensors else ""
    size = (int(config["vocab_size"]), width)
    build.shape_of_decoder(heads, str(config.get("activation_function") or "gelu_new"))
    build.head(f"{top}wte.weight", size, tied=bool(config.get("tie_word_embeddings", True)))
    positions = build.tensors.shape(f"{top}wpe.weight")
    if len(positions) != 2 or positions[1] != width:
        raise BadWeightsError(f"wpe.weight has the shape {list(positions)}")
    build.variables.append(Fixed("decoder/position_encodings/encodings", build.tensors.whole(f"{top}wpe.weight")))
    build.norm("layer_norm", f"{top}ln_f", width)
    for i in range(layers):
        here, there = f"{top}h.{i}", f"layer_{i}"
        if not config.get("scale_attn_weights", True):
            build.put(f"{there}/self_attention/queries_scale", 1.0, "float32")
        build.norm(f"{there}/self_attention/layer_norm", f"{here}.ln_1", width)
        build.turned(f"{there}/self_attention/linear_0", f"{here}.attn.c_attn", (3 * width, width))
        build.turned(f"{there}/self_attention/linear_1", f"{here}.attn.c_proj", (width, width))
        build.norm(f"{there}/ffn/layer_norm", f"{here}.ln_2", width)
        build.turned(f"{there}/ffn/linear_0", f"{here}.mlp.c_fc", (inner, width))
        build.turned(f"{there}/ffn/linear_1", f"{here}.mlp.c_proj", (width, inner))
    return Plan(build.variables, float(config.get("layer_norm_epsilon", 1e-5)), size[0])


def _sizes(config: Config) -> tuple[int, int, int, int, int, int]:
    """Layers, heads, key-value heads, head size, width, inner width."""
    heads, width = int(config["num_attention_heads"]), int(config["hidden_size"])
    kv_heads = int(config.get("num_key_value_heads") or heads)
    default = 128 if config.get("model_type") == "qwen3" else width // heads
    head_dim = int(config.get("head_dim") or default)
    return int(config["num_hidden_layers"]), heads, kv_heads, head_dim, width, int(config["intermediate_size"])


def _llama(build: _Builder) -> Plan:
    """Llama, Mistral, Qwen2 (biases on the queries, keys and values) and Qwen3 (norms on the queries and keys)."""
    config = build.config
    layers, heads, kv_heads, head_dim, width, inner = _sizes(config)
    if kv_heads == 1 and heads * head_dim != width:
        raise UnsupportedError("one key-value head of another size")
    rope = rope_of(config, head_dim)
    top = "model." if "model.embed_tokens.weight" in build.tensors else ""
    size = (int(config["vocab_size"]), width)
    build.shape_of_decoder(heads, str(config.get("hidden_act") or "silu"))
    build.head(f"{top}embed_tokens.weight", size, tied=bool(config.get("tie_word_embeddings", False)))
    build.norm("layer_norm", f"{top}norm", width)
    for i in range(layers):
        here, attention, ffn = f"{top}layers.{i}", f"layer_{i}/self_attention", f"layer_{i}/ffn"
        build.attention(attention, heads, kv_heads, head_dim, rope)
        build.norm(f"{attention}/layer_norm", f"{here}.input_layernorm", width)
        if config.get("model_type") == "qwen3":
            build.norm(f"{attention}/q_norm", f"{here}.self_attn.q_norm", head_dim)
            build.norm(f"{attention}/k_norm", f"{here}.self_attn.k_norm", head_dim)
        _queries_keys_values(build, attention, here, (heads + 2 * kv_heads) * head_dim, width)
        build.linear(f"{attention}/linear_1", [f"{here}.self_attn.o_proj"], (width, heads * head_dim))
        build.norm(f"{ffn}/layer_norm", f"{here}.post_attention_layernorm", width)
        build.linear(f"{ffn}/linear_0", [f"{here}.mlp.gate_proj"], (inner, width))
        build.linear(f"{ffn}/linear_0_noact", [f"{here}.mlp.up_proj"], (inner, width))
        build.linear(f"{ffn}/linear_1", [f"{here}.mlp.down_proj"], (width, inner))
    return Plan(build.variables, float(config.get("rms_norm_eps", 1e-6)), size[0])


def _phi(build: _Builder) -> Plan:
    """phi-1, 1.5 and 2: attention and feed-forward beside each other under one norm, rotary on a part of the head."""
    config = build.config
    layers, heads, kv_heads, head_dim, width, inner = _sizes(config)
    if config.get("qk_layernorm"):
        raise UnsupportedError("qk_layernorm")
    rope = rope_of(config, head_dim, default_partial=0.5)
    size = (int(config["vocab_size"]), width)
    build.shape_of_decoder(heads, str(config.get("hidden_act") or "gelu_new"))
    build.head("model.embed_tokens.weight", size, tied=bool(config.get("tie_word_embeddings", False)))
    build.norm("layer_norm", "model.final_layernorm", width)
    for i in range(layers):
        here, attention, ffn = f"model.layers.{i}", f"layer_{i}/self_attention", f"layer_{i}/ffn"
        build.attention(attention, heads, kv_heads, head_dim, rope)
        build.norm(f"layer_{i}/shared_layer_norm", f"{here}.input_layernorm", width)
        _queries_keys_values(build, attention, here, (heads + 2 * kv_heads) * head_dim, width)
        build.linear(f"{attention}/linear_1", [f"{here}.self_attn.dense"], (width, heads * head_dim))
        build.linear(f"{ffn}/linear_0", [f"{here}.mlp.fc1"], (inner, width))
        build.linear(f"{ffn}/linear_1", [f"{here}.mlp.fc2"], (width, inner))
    return Plan(build.variables, float(config.get("layer_norm_eps", 1e-5)), size[0])


def with_states(planned: Plan) -> Plan:
    """The same model, whose output layer changes nothing: what it gives are its last hidden states.

    CTranslate2's decoder gives out nothing but what its output layer makes of them.
    """
    projection = "decoder/projection/"
    kept = [variable for variable in planned.variables if not variable.name.startswith(projection)]
    width = next(v.shape[1] for v in kept if isinstance(v, Matrix) and v.name == "decoder/embeddings/weight")
    same = Matrix(f"{projection}weight", (width, width), [np.eye(width, dtype=np.float32)])
    return replace(planned, variables=[*kept, same])


def _queries_keys_values(build: _Builder, name: str, layer: str, rows: int, width: int) -> None:
    build.linear(f"{name}/linear_0", [f"{layer}.self_attn.{which}_proj" for which in "qkv"], (rows, width))


_FAMILIES: dict[str, Callable[[_Builder], Plan]] = {
    "gpt2": _gpt2,
    "llama": _llama,
    "mistral": _llama,
    "qwen2": _llama,
    "qwen3": _llama,
    "phi": _phi,
}
FAMILIES = frozenset(_FAMILIES)


def _rows(tensors: TensorFolder, sources: list[str]) -> Iterator[Floats]:
    for source in sources:
        yield from tensors.row_blocks(source)


def _columns(tensors: TensorFolder, source: str) -> Iterator[Floats]:
    """The columns of a matrix as rows. It is held whole meanwhile, in float32."""
    turned: NDArray[np.float32] = tensors.whole(source).T
    step = max(1, BLOCK_BYTES // (4 * turned.shape[1]))
    for first in range(0, turned.shape[0], step):
        yield np.ascontiguousarray(turned[first : first + step])
