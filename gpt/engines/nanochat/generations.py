"""The generations of nanochat's model, which share names of tensors and differ in arithmetic.

A checkpoint has no version number. What its tensors and its configuration say is compared with what each generation
saves; where two generations save the same things and compute differently, the checkpoint is refused as ambiguous until
someone says which one it is (`frigo.json` beside it: ``{"generation": "aba30cb"}``). A tensor or a setting that no
generation has is refused by its name: guessing would give wrong text without a word.

Source: nanochat/gpt.py in karpathy/nanochat (MIT), each generation named by the commit that begins it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from common.errors import ApiError
from common.messages import Text, _

Values = Literal["none", "every", "alternate"]  # which layers have a value embedding
_REQUIRED = ("sequence_len", "vocab_size", "n_layer", "n_head", "n_kv_head", "n_embd")
_LIMITS = {
    "sequence_len": 2**20,
    "vocab_size": 2**20,
    "n_layer": 1024,
    "n_head": 1024,
    "n_kv_head": 1024,
    "n_embd": 2**16,
}
_PADDING = 64  # the vocabulary is padded to a multiple of it, since f1bf69d
SMEAR_CHANNELS = 24


@dataclass(frozen=True)
class Generation:
    """One way of computing. `short_divisor` 0: no sliding windows; `tile` rounds a short window up."""

    commit: str
    date: str
    rope_base: float = 10_000.0
    rope_in_bf16: bool = True  # cosines and sines rounded to bfloat16, on every device
    softcap: float = 15.0
    qk_scale: float = 1.0
    values: Values = "none"
    gate_channels: int = 0
    gate_factor: float = 0.0
    short_divisor: int = 0
    tile: int = 1
    smear: bool = False  # and backout, which came with it

    def short_window(self, sequence_len: int) -> int:
        """Tokens before the current one that a short layer sees."""
        if self.tile == 1:
            return sequence_len // self.short_divisor
        return -(-sequence_len // self.short_divisor // self.tile) * self.tile


_GATED = {"values": "alternate", "short_divisor": 2, "gate_channels": 32, "gate_factor": 2.0}
_MARCH: dict[str, Any] = {
    **_GATED,
    **{"rope_base": 100_000.0, "rope_in_bf16": False, "gate_channels": 12, "gate_factor": 3.0, "tile": 128},
}
GENERATIONS = (
    Generation("3a5e0bc", "2025-10-13"),
    Generation("fbc1484", "2026-01-11", short_divisor=2),
    Generation("9a88194", "2026-01-16", short_divisor=2, values="every"),
    Generation("e85db6b", "2026-01-16", **_GATED),  # type: ignore[arg-type]
    Generation("aba30cb", "2026-03-02", softcap=20.0, **_GATED),  # type: ignore[arg-type]
    Generation("6ed7d1d", "2026-03-09", **{**_MARCH, "qk_scale": 1.15, "short_divisor": 3}),
    Generation("a825e63", "2026-03-14", **{**_MARCH, "qk_scale": 1.2, "short_divisor": 4, "smear": True}),
)
# commits that only changed what is saved beside the same arithmetic
_SAME_AS = {"f1bf69d": "3a5e0bc", "aa530cd": "fbc1484"}


@dataclass(frozen=True)
class Architecture:
    """A checkpoint's sizes and its generation. `windows`: for each layer, how many tokens before the current one it
    sees; None for all."""

    generation: Generation
    sequence_len: int
    vocab_size: int
    n_layer: int
    n_head: int
    n_kv_head: int
    n_embd: int
    windows: tuple[int | None, ...]
    value_layers: tuple[int, ...]

    @property
    def head_dim(self) -> int:
        return self.n_embd // self.n_head

    @property
    def arithmetic(self) -> Architecture:
        """What two architectures must share to be interchangeable: all but the generation's name and window rule."""
        nameless = replace(self.generation, commit="", date="", short_divisor=0, tile=1)
        return replace(self, generation=nameless)

    @property
    def kv_values_per_token(self) -> int:
        """Numbers that one token adds to the cache."""
        return 2 * self.n_layer * self.n_kv_head * self.head_dim


Shapes = Mapping[str, tuple[int, ...]]


def identify(config: Mapping[str, Any], shapes: Shapes, said: str | None = None) -> Architecture:
    """The architecture of a checkpoint whose meta says `config` and whose tensors have `shapes`.

    `said` is the generation that its owner declares (a commit of the table). Raises `ApiError` 422 by the name of
    what is unknown, missing, ambiguous or contradictory.
    """
    sizes = _sizes(config)
    pattern = _pattern(config)
    wanted = None if said is None else _declared(said)
    _refuse_strangers(sizes, shapes)
    candidates = [generation for generation in GENERATIONS if pattern is None or generation.short_divisor]
    fitting = [generation for generation in candidates if not _differences(generation, sizes, shapes)]
    plain = [generation for generation in candidates if _differences(generation, sizes, shapes) == ["v0_lambdas"]]
    if wanted is not None:
        if wanted not in fitting + plain:
            raise _refused(_("ses poids ne sont pas ceux de la génération déclarée, %(commit)s", commit=said))
        return _architecture(wanted, sizes, pattern)
    if plain:  # what its commit saves is not all there: it may have been added plainly, or been left behind
        raise _refused(_without_weights(plain[0]))
    if not fitting:
        raise _refused(_no_generation(sizes, shapes))
    found = [_architecture(generation, sizes, pattern) for generation in fitting]
    if any(architecture.arithmetic != found[0].arithmetic for architecture in found):
        raise _refused(_ambiguous(fitting))
    return found[0]


def _architecture(generation: Generation, sizes: dict[str, int], pattern: str | None) -> Architecture:
    layers = sizes["n_layer"]
    pattern = pattern or "L"
    short = generation.short_window(sizes["sequence_len"]) if generation.short_divisor else 0
    windows = [short if pattern[i % len(pattern)] == "S" else None for i in range(layers)]
    windows[-1] = None  # the last layer always sees everything
    return Architecture(
        generation=generation,
        windows=tuple(windows),
        value_layers=_value_layers(generation.values, layers),
        **sizes,
    )


def _value_layers(values: Values, layers: int) -> tuple[int, ...]:
    if values == "none":
        return ()
    return tuple(i for i in range(layers) if values == "every" or i % 2 == (layers - 1) % 2)


def _sizes(config: Mapping[str, Any]) -> dict[str, int]:
    for name in config:
        if name not in _REQUIRED and name != "window_pattern":
            raise _refused(_("réglage inconnu : %(name)s", name=name[:80]))
    sizes = {}
    for name in _REQUIRED:
        value = config.get(name)
        if type(value) is not int or not 0 < value <= _LIMITS[name]:
            raise _refused(_("réglage absent ou impossible : %(name)s", name=name))
        sizes[name] = value
    heads, kv_heads, width = sizes["n_head"], sizes["n_kv_head"], sizes["n_embd"]
    if width % heads or (width // heads) % 2 or kv_heads > heads or heads % kv_heads:
        raise _refused(_("réglage absent ou impossible : %(name)s", name="n_head, n_kv_head, n_embd"))
    return sizes


def _pattern(config: Mapping[str, Any]) -> str | None:
    if "window_pattern" not in config:
        return None
    pattern = config["window_pattern"]
    if type(pattern) is not str or not pattern or len(pattern) > 1024 or set(pattern.upper()) - set("SL"):
        raise _refused(_("réglage absent ou impossible : %(name)s", name="window_pattern"))
    return pattern.upper()


def _declared(said: str) -> Generation:
    commit = _SAME_AS.get(said, said)
    found = next((generation for generation in GENERATIONS if generation.commit == commit), None)
    if found is None:
        known = ", ".join([*(generation.commit for generation in GENERATIONS), *_SAME_AS])
        raise _refused(
            _("génération inconnue dans frigo.json : %(name)s (connues : %(known)s)", name=said, known=known)
        )
    return found


def _base_shapes(sizes: dict[str, int], rows: int) -> dict[str, tuple[int, ...]]:
    """The tensors that every generation saves."""
    width = sizes["n_embd"]
    kv_width = width // sizes["n_head"] * sizes["n_kv_head"]
    shapes: dict[str, tuple[int, ...]] = {"transformer.wte.weight": (rows, width), "lm_head.weight": (rows, width)}
    for i in range(sizes["n_layer"]):
        layer = f"transformer.h.{i}."
        shapes[f"{layer}attn.c_q.weight"] = (width, width)
        shapes[f"{layer}attn.c_k.weight"] = (kv_width, width)
        shapes[f"{layer}attn.c_v.weight"] = (kv_width, width)
        shapes[f"{layer}attn.c_proj.weight"] = (width, width)
        shapes[f"{layer}mlp.c_fc.weight"] = (4 * width, width)
        shapes[f"{layer}mlp.c_proj.weight"] = (width, 4 * width)
    return shapes


def _own_shapes(generation: Generation, sizes: dict[str, int], rows: int) -> dict[str, tuple[int, ...]]:
    """The tensors that tell `generation` from the others."""
    layers, kv_heads = sizes["n_layer"], sizes["n_kv_head"]
    kv_width = sizes["n_embd"] // sizes["n_head"] * kv_heads
    shapes: dict[str, tuple[int, ...]] = {}
    for i in _value_layers(generation.values, layers):
        shapes[f"value_embeds.{i}.weight"] = (rows, kv_width)
        if generation.gate_channels:
            shapes[f"transformer.h.{i}.attn.ve_gate.weight"] = (kv_heads, generation.gate_channels)
    if generation.values == "every":
        shapes["v0_lambdas"] = (layers,)
    if generation.smear:
        shapes |= {"smear_gate.weight": (1, SMEAR_CHANNELS), "smear_lambda": (1,), "backout_lambda": (1,)}
    return shapes


def _rows(sizes: dict[str, int], shapes: Shapes) -> int:
    """The vocabulary as it is stored: padded or not."""
    size = sizes["vocab_size"]
    padded = -(-size // _PADDING) * _PADDING
    return padded if shapes.get("transformer.wte.weight", ())[:1] == (padded,) else size


def _optional(sizes: dict[str, int]) -> dict[str, tuple[int, ...]]:
    """Ones and zeros when they are missing, in every generation."""
    return {"resid_lambdas": (sizes["n_layer"],), "x0_lambdas": (sizes["n_layer"],)}


def _differences(generation: Generation, sizes: dict[str, int], shapes: Shapes) -> list[str]:
    """Names of the tensors that `generation` would have otherwise."""
    rows = _rows(sizes, shapes)
    expected = _base_shapes(sizes, rows) | _own_shapes(generation, sizes, rows)
    names = [name for name, shape in expected.items() if shapes.get(name) != shape]
    return names + [name for name in shapes if name not in expected and name not in _optional(sizes)]


def _refuse_strangers(sizes: dict[str, int], shapes: Shapes) -> None:
    """Refuse tensors that no generation has, that are missing everywhere, or whose shape the settings contradict."""
    rows = _rows(sizes, shapes)
    base, optional = _base_shapes(sizes, rows), _optional(sizes)
    own: dict[str, set[tuple[int, ...]]] = {}
    for generation in GENERATIONS:
        for name, shape in _own_shapes(generation, sizes, rows).items():
            own.setdefault(name, set()).add(shape)
    if unknown := [name for name in shapes if name not in base and name not in optional and name not in own]:
        raise _refused(_("poids inconnu : %(name)s", name=unknown[0][:120]))
    if missing := [name for name in base if name not in shapes]:
        raise _refused(_("il manque %(names)s", names=", ".join(missing[:3])))
    for name, shape in shapes.items():
        allowed = own.get(name) or {(base | optional)[name]}
        if shape not in allowed:
            raise _refused(_("poids de forme inattendue : %(name)s %(shape)s", name=name, shape=str(shape)))


def _no_generation(sizes: dict[str, int], shapes: Shapes) -> Text:
    """Why no generation has these tensors: the closest one, and what differs."""
    closest = min(GENERATIONS, key=lambda generation: len(_differences(generation, sizes, shapes)))
    differing = _differences(closest, sizes, shapes)
    return _(
        "génération inconnue : la plus proche est %(commit)s, qui diffère par %(names)s",
        commit=_dated(closest),
        names=", ".join(differing[:4]) or "window_pattern",
    )


def _ambiguous(fitting: list[Generation]) -> Text:
    return _(
        "ambigu : les générations %(names)s enregistrent les mêmes poids et calculent autrement ; "
        'écrivez la bonne dans frigo.json, à côté du modèle : {"generation": "%(example)s"}',
        names=", ".join(_dated(generation) for generation in fitting),
        example=fitting[0].commit,
    )


def _without_weights(generation: Generation) -> Text:
    return _(
        "ambigu : ses poids sont ceux de la génération %(name)s, sans v0_lambdas ; si les valeurs s'y ajoutent telles "
        'quelles, écrivez dans frigo.json, à côté du modèle : {"generation": "%(example)s"}',
        name=_dated(generation),
        example=generation.commit,
    )


def _dated(generation: Generation) -> str:
    return f"{generation.commit} ({generation.date})"


def _refused(reason: Text) -> ApiError:
    message = _("Ce modèle nanochat ne peut pas être ouvert : %(reason)s.", reason=reason)
    return ApiError(422, "model_unusable", message, "model")
