"""Where a nanochat folder keeps its model, and what it says of it without a weight being read. No torch here.

A base folder (`$NANOCHAT_BASE_DIR`) holds `<source>_checkpoints/<tag>/model_<step>.pt` with `meta_<step>.json`, and
`tokenizer/tokenizer.pkl`. A folder may be given at any of the three levels; the base folder, or that of a source, may
be followed by `#` and a choice: `#sft`, `#sft/d20`, `#sft/d20/1500`. Without one: the last stage of training wins, then
the deepest model, then the last step.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from common.errors import ApiError
from common.messages import Text, _
from common.models.footprint import ModelFacts
from gpt.engines.nanochat.archive import ArchiveError, Stored, stored_tensors
from gpt.engines.nanochat.generations import Architecture, identify

NANOCHAT = "nanochat"  # the family, and the engine that alone opens it
SIDECAR = "frigo.json"
SOURCES = {  # the last stage of training first
    "rl": "chatrl_checkpoints",
    "sft": "chatsft_checkpoints",
    "mid": "mid_checkpoints",
    "base": "base_checkpoints",
}
_MODEL = re.compile(r"model_(\d+)\.pt", re.ASCII)
_DEPTH = re.compile(r"d(\d+)", re.ASCII)
_TOKENIZER = Path("tokenizer") / "tokenizer.pkl"
_TABLES = ("transformer.wte.", "lm_head.", "value_embeds.")
_MAX_JSON = 2**20  # bytes


@dataclass(frozen=True)
class Checkpoint:
    """The files of one model. `source` is rl, sft, mid or base."""

    model: Path
    meta: Path
    tokenizer: Path
    source: str
    tag: str
    step: int

    @property
    def sidecar(self) -> Path | None:
        """What the model's owner says of it, if anything."""
        path = self.model.with_name(SIDECAR)
        return path if path.is_file() else None

    @property
    def chats(self) -> bool:
        """True when it was trained on conversations."""
        return self.source != "base"


def is_nanochat(path: Path) -> bool:
    """True when `path` (with its choice) leads to one of nanochat's models, whole or not."""
    return _model_of(path) is not None


def find_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint that `path` means. Raises `ApiError` 422 when there is none, or when a file of its is missing."""
    found = _model_of(path)
    if found is None:
        raise _unusable(_("aucun modèle nanochat dans ce dossier (%(name)s)", name=path.name))
    return _checkpoint(*found)


def describe(path: Path) -> ModelFacts | None:
    """The facts of the checkpoint that `path` means; None when it cannot be opened (`refusal` says why)."""
    try:
        checkpoint = find_checkpoint(path)
        stamps = tuple(
            file.stat().st_mtime_ns for file in (checkpoint.model, checkpoint.meta, checkpoint.sidecar) if file
        )
        tensors, architecture = _remembered(checkpoint, stamps)
    except (ApiError, OSError):
        return None
    tables = sum(tensor.count for name, tensor in tensors.items() if name.startswith(_TABLES))
    vectors = sum(tensor.count for tensor in tensors.values() if len(tensor.shape) < 2)
    parameters = sum(tensor.count for tensor in tensors.values())
    return ModelFacts(
        family=NANOCHAT,
        parameters=parameters,
        stored_bytes=sum(tensor.bytes for tensor in tensors.values()),
        context=architecture.sequence_len,
        vocabulary=architecture.vocab_size,
        hidden=architecture.n_embd,
        layers=architecture.n_layer,
        kv_values=architecture.kv_values_per_token,
        linear=parameters - tables - vectors,
        embeddings=tables,
        vectors=vectors,
        largest=max(tensor.count for tensor in tensors.values()),
    )


@lru_cache(maxsize=32)
def _remembered(checkpoint: Checkpoint, _stamps: tuple[int, ...]) -> tuple[dict[str, Stored], Architecture]:
    return read_architecture(checkpoint)


def refusal(path: Path) -> Text | None:
    """Why the checkpoint that `path` means cannot be opened, found without opening it; None when it can."""
    try:
        read_architecture(find_checkpoint(path))
    except ApiError as error:
        return error.message if isinstance(error.message, Text) else None
    return None


def read_architecture(checkpoint: Checkpoint) -> tuple[dict[str, Stored], Architecture]:
    """What is stored, and how it computes. Raises `ApiError` 422 with the reason."""
    config = _read_json(checkpoint.meta).get("model_config")
    if not isinstance(config, dict):
        raise _unusable(_("%(name)s ne décrit pas le modèle", name=checkpoint.meta.name))
    try:
        tensors = stored_tensors(checkpoint.model)
    except (ArchiveError, OSError) as error:
        reason = str(error) if isinstance(error, ArchiveError) else type(error).__name__
        raise _unusable(_("%(name)s est illisible : %(reason)s", name=checkpoint.model.name, reason=reason)) from error
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    return tensors, identify(config, shapes, _declared_generation(checkpoint.sidecar))


def _declared_generation(sidecar: Path | None) -> str | None:
    """What the model's owner wrote in the sidecar."""
    if sidecar is None:
        return None
    said = _read_json(sidecar).get("generation")
    if not isinstance(said, str):
        raise _unusable(_("%(name)s ne dit pas de génération", name=SIDECAR))
    return said[:40]


def _model_of(path: Path) -> tuple[Path, Path, int] | None:
    """The folder, the file and the step of the model that `path` means."""
    folder, choice = _split(path)
    source, tag, step = [*choice, "", "", ""][:3]
    for candidate in _tags(folder, source, tag):
        steps = _steps(candidate)
        number = (int(step) if step.isdecimal() else -1) if step else max(steps, default=-1)
        if number in steps:
            return candidate, steps[number], number
    return None


def _split(path: Path) -> tuple[Path, list[str]]:
    """The folder, and the choice written after it."""
    if path.is_dir():
        return path, []
    folder, _hash, choice = str(path).rpartition("#")
    return (Path(folder), choice.split("/")) if folder and choice else (path, [])


def _tags(folder: Path, source: str, tag: str) -> list[Path]:
    """The checkpoint folders that are meant, best first. `source` may be missing when `folder` is already inside."""
    if _steps(folder):
        return [folder]
    inside = next((name for name, directory in SOURCES.items() if directory == folder.name), None)
    if inside is not None:
        return _ranked(folder, source if source != inside else tag)
    found: list[Path] = []
    for name, directory in SOURCES.items():
        if source in {"", name}:
            found += _ranked(folder / directory, tag)
    return found


def _ranked(folder: Path, tag: str) -> list[Path]:
    """The tags of one source: the deepest d<N> first, then the newest of the other ones."""
    try:
        tags = [path for path in folder.iterdir() if path.is_dir() and tag in {"", path.name} and _steps(path)]
    except OSError:
        return []

    def rank(path: Path) -> tuple[int, bool, float]:
        depth = _DEPTH.match(path.name)
        return (int(depth[1]) if depth else -1, bool(_DEPTH.fullmatch(path.name)), path.stat().st_mtime)

    return sorted(tags, key=rank, reverse=True)


def _steps(folder: Path) -> dict[int, Path]:
    """The models in `folder`, by step."""
    try:
        named = [(match, path) for path in folder.iterdir() if (match := _MODEL.fullmatch(path.name))]
    except OSError:
        return {}
    return {int(match[1]): path for match, path in named}


def _checkpoint(folder: Path, model: Path, step: int) -> Checkpoint:
    """Raises 422 with the name of the file that is missing."""
    folder, model = folder.absolute(), model.absolute()
    meta = folder / f"meta_{model.stem.removeprefix('model_')}.json"
    places = (folder.parent.parent / _TOKENIZER, folder / _TOKENIZER, folder / _TOKENIZER.name)
    tokenizer = next((place for place in places if place.is_file()), None)
    if not meta.is_file() or tokenizer is None:
        missing = meta.name if tokenizer is not None else str(_TOKENIZER)
        raise _unusable(_("il manque %(names)s", names=missing))
    source = next((name for name, directory in SOURCES.items() if directory == folder.parent.name), "")
    if not source:  # a folder on its own: what pretraining writes beside a model tells it from what follows
        source = "base" if "device_batch_size" in _read_json(meta) else "sft"
    return Checkpoint(model, meta, tokenizer, source, folder.name, step)


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > _MAX_JSON:
            raise ValueError("too big")
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _unusable(
            _("%(name)s est illisible : %(reason)s", name=path.name, reason=type(error).__name__)
        ) from error
    if not isinstance(value, dict):
        raise _unusable(_("%(name)s est illisible : %(reason)s", name=path.name, reason="JSON"))
    return value


def _unusable(reason: Text) -> ApiError:
    message = _("Ce modèle nanochat ne peut pas être ouvert : %(reason)s.", reason=reason)
    return ApiError(422, "model_unusable", message, "model")
