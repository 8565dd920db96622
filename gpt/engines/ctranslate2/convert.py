"""Turns a Hugging Face folder into a CTranslate2 model, once: numpy only, a few megabytes of memory, kept on disk.

The result lies beside the model, or under MODEL_CACHE_DIR when that folder cannot be written. It is made under another
name and renamed when it is whole, so that one that was killed halfway is never used, and its name carries a digest of
what it was made from: another model, another recipe or another CTranslate2 makes another one.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from common.errors import ApiError
from common.messages import Text, _
from gpt.engines.cpu import SMALL_PARAMETERS
from gpt.engines.ctranslate2.weight_files import BadWeightsError, UnsupportedError, header_bytes, weight_files
from gpt.engines.options import Quantization

if TYPE_CHECKING:
    from gpt.engines.ctranslate2.families import Plan

Compute = Literal["int8", "float32"]
_ROOT = Path(__file__).resolve().parents[3]
_RECIPE = 1  # counts up when the same files would be converted differently
_MARGIN_BYTES = 32 * 2**20  # left free on the disk
_SAMPLE_BYTES, _SAMPLES = 4096, 64
_log = logging.getLogger("frigo.gpt")


def compute_type(parameters: int, quantization: Quantization) -> Compute:
    """The precision of the weights: int8, unless it is refused or the model is so small that nothing is gained.

    Raises 422 on four bits, which CTranslate2 does not compute with on a CPU.
    """
    if quantization == "nf4":
        reason = _(
            "Le moteur ctranslate2 ne sait pas calculer en nf4 : IA_QUANTIZATION=int8 ou IA_ENGINE=transformers."
        )
        raise ApiError(422, "model_unusable", reason)
    if quantization == "int8":
        return "int8"
    if quantization == "auto" and parameters >= SMALL_PARAMETERS:
        return "int8"
    return "float32"


def converted(folder: Path, compute: Compute, *, states: bool = False) -> Path:
    """The CTranslate2 folder of the model in `folder`, converted now if it was not yet. With `states`, of one that
    gives its last hidden states in the place of logits (see `families.with_states`).

    Raises 422 for a model that cannot be converted (by the name of what is in the way), 507 when the disk is full.
    """
    if not any(folder.glob("*.safetensors")):
        reason = _("Ce modèle n'a pas de poids au format safetensors, seul format accepté.")
        raise ApiError(422, "no_safetensors", reason)
    try:
        found = _found(folder, compute, states)
        if found is not None:
            return found
        name = _name(folder, compute, states)
        base = next((base for base in _places(folder) if _writable(base)), None)
        if base is None:
            raise ApiError(507, "disk_full", _("Aucun dossier où écrire le modèle converti : MODEL_CACHE_DIR."))
        with _alone(base / f"{name}.lock"):
            if not (base / name / "model.bin").is_file():  # another process may have made it meanwhile
                _convert(folder, base / name, compute, states)
        return base / name
    except UnsupportedError as error:
        raise ApiError(422, "model_unusable", unsupported(str(error))) from error
    except (BadWeightsError, ValueError, OSError) as error:
        reason = _("Ce modèle n'a pas pu être converti : %(reason)s", reason=_without_path(str(error), folder))
        raise ApiError(422, "model_unusable", reason) from error


def converted_apart(folder: Path, compute: Compute, *, states: bool = False) -> Path:
    """As `converted`, in a process of its own: its memory comes back whole, and numpy stays out of this one.

    Raises 507 as well when that process is killed, by the system short of memory most often.
    """
    found = _found(folder, compute, states)
    if found is not None:
        return found
    command = [sys.executable, "-m", "gpt.engines.ctranslate2.convert", str(folder.absolute()), compute]
    command += ["states"] if states else []
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    try:
        said = json.loads(done.stdout)
    except ValueError as error:
        _log.error("conversion died", extra={"status": done.returncode, "stderr": done.stderr[-2000:]})
        reason = _("La conversion du modèle a été interrompue, sans doute faute de mémoire.")
        raise ApiError(507, "out_of_memory", reason) from error
    if "path" in said:
        return Path(said["path"])
    raise ApiError(said["status"], said["code"], Text(said["message"], said["params"]))


def _found(folder: Path, compute: Compute, states: bool = False) -> Path | None:
    """The converted model when it is there already, and nothing is wrong with the folder."""
    try:
        name = _name(folder, compute, states)
    except (BadWeightsError, OSError):
        return None
    return next((base / name for base in _places(folder) if (base / name / "model.bin").is_file()), None)


def _name(folder: Path, compute: Compute, states: bool = False) -> str:
    return f"ctranslate2-{'states-' if states else ''}{compute}-{_digest(folder)}"


def unsupported(what: str) -> Text:
    """The sentence for what this converter does not know, with what to do."""
    return _(
        "Le moteur ctranslate2 ne sait pas convertir ce modèle (%(what)s) ; essayez IA_ENGINE=transformers.", what=what
    )


def _convert(folder: Path, target: Path, compute: Compute, states: bool) -> None:
    # numpy and what uses it, only for a model that is not converted yet: they take 15 MB
    from gpt.engines.ctranslate2.families import plan, with_states
    from gpt.engines.ctranslate2.model_file import file_bytes, write_model
    from gpt.engines.ctranslate2.tensors import TensorFolder

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    tensors = TensorFolder(folder)
    planned = plan(config, tensors)
    if states:
        planned = with_states(planned)
    need, free = file_bytes(planned.variables, compute) + _MARGIN_BYTES, shutil.disk_usage(target.parent).free
    if need > free:
        message = _(
            "Place insuffisante pour convertir le modèle : il faut %(need)s Mo, il en reste %(free)s.",
            need=need // 10**6,
            free=free // 10**6,
        )
        raise ApiError(507, "disk_full", message)
    for stale in target.parent.glob(f"{target.name}.part*"):  # the lock is ours: nobody is writing it
        shutil.rmtree(stale, ignore_errors=True)
    part = target.with_name(f"{target.name}.part")
    part.mkdir(parents=True)
    try:
        with (part / "model.bin").open("wb") as file:
            write_model(file, planned.variables, compute)
            file.flush()
            os.fsync(file.fileno())
        if not states and (left := tensors.unused()):
            raise BadWeightsError(f"unknown tensors: {', '.join(left[:3])}")
        _write_settings(part, config, planned)
        shutil.rmtree(target, ignore_errors=True)  # one without its weights: somebody copied half of it
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    _forget_older(target, target.name.rpartition("-")[0])
    _log.info("model converted", extra={"compute": compute, "bytes": (target / "model.bin").stat().st_size})


def _write_settings(part: Path, config: dict[str, Any], planned: Plan) -> None:
    """CTranslate2 wants names for its tokens: their numbers do, and take the least memory."""
    heads = config.get("num_attention_heads")
    settings = {
        "layer_norm_epsilon": planned.epsilon,
        "unk_token": "0",
        "bos_token": "0",
        "eos_token": "0",
        "multi_query_attention": config.get("num_key_value_heads", heads) != heads,
    }
    (part / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    names = json.dumps([str(i) for i in range(planned.vocabulary)])
    (part / "vocabulary.json").write_text(names, encoding="utf-8")


def _digest(folder: Path) -> str:
    """Names the model's content. Weights are sampled: reading gigabytes at every start would be slow, and dates
    change when an image is built."""
    found = hashlib.sha256(f"{_RECIPE} {version('ctranslate2')}".encode())
    found.update((folder / "config.json").read_bytes())
    for path in weight_files(folder):
        size = path.stat().st_size
        found.update(f"{path.name} {size}".encode() + header_bytes(path))
        with path.open("rb") as file:
            for i in range(_SAMPLES + 1):
                file.seek(max(0, size - _SAMPLE_BYTES) * i // _SAMPLES)
                found.update(file.read(_SAMPLE_BYTES))
    return found.hexdigest()[:16]


def _places(folder: Path) -> Iterator[Path]:
    yield folder
    home = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
    cache = Path(os.environ.get("MODEL_CACHE_DIR") or home / "hub")
    yield cache.expanduser() / "converted"
    if data := os.environ.get("DATA_DIR"):  # in an image that carries its models, the rest is read-only
        yield Path(data).expanduser() / "converted"


def _writable(base: Path) -> bool:
    try:
        base.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(base, os.W_OK | os.X_OK)


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One converter at a time, in this process and any other. The file stays: removed, it could be locked twice."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _forget_older(target: Path, kind: str) -> None:
    """Conversions of what the folder held before; those in the shared cache may be other models'."""
    for other in target.parent.glob(f"{kind}-*"):
        if other != target and other.is_dir() and (target.parent / "config.json").is_file():
            shutil.rmtree(other, ignore_errors=True)


def _without_path(text: str, folder: Path) -> str:
    return text.replace(str(folder), folder.name)[:300]


def _main(folder: str, compute: str, states: str = "") -> dict[str, Any]:
    """What `converted_apart` reads."""
    try:
        precision: Compute = "int8" if compute == "int8" else "float32"
        return {"path": str(converted(Path(folder), precision, states=states == "states"))}
    except ApiError as error:
        said = error.message if isinstance(error.message, Text) else Text(error.message)
        params = {name: str(value) for name, value in said.params.items()}
        return {"status": error.status, "code": error.code, "message": said.msgid, "params": params}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_main(*sys.argv[1:4])))
