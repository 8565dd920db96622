"""A pipeline's config.yaml, read as data: what it is made of and its figures, within what this program knows.

pyannote's own loader imports the class that the file names, and those of its `preprocessors`: a file could have any
code run. Here the file chooses nothing but among what is listed below; the rest is refused by its name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from common.errors import ApiError
from common.messages import Text, _

CONFIG = "config.yaml"
WEIGHTS = "pytorch_model.bin"
PLDA_FILES = ("xvec_transform.npz", "plda.npz")
MAX_BYTES = 64 * 1024
SEGMENTATION = "pyannote/segmentation-3.0"
EMBEDDING = "pyannote/wespeaker-voxceleb-resnet34-LM"
REPOSITORIES = (SEGMENTATION, EMBEDDING)
"""The other repositories that a config may name, those of speaker-diarization-3.1."""

_MAJOR = 4  # of pyannote.audio, the one that runs here
_CLASSES = ("pyannote.audio.pipelines.SpeakerDiarization",
            "pyannote.audio.pipelines.speaker_diarization.SpeakerDiarization")  # fmt: skip
_CLUSTERINGS = ("VBxClustering", "AgglomerativeClustering")
_SECTIONS = ("version", "dependencies", "pipeline", "params")
_PARTS = ("segmentation", "embedding", "plda")
_OTHERS = ("clustering", "segmentation_step", "embedding_exclude_overlap")
_IGNORED = ("segmentation_batch_size", "embedding_batch_size")  # they depend on the machine, not on the model
_FOLDER = re.compile(r"(?!.*\.\.)[A-Za-z0-9_][\w.-]{0,99}(/[A-Za-z0-9_][\w.-]{0,99})?", re.ASCII)


@dataclass(frozen=True)
class Part:
    """A model that the pipeline is made of: in a folder beside the config, or in a repository of its own."""

    folder: str = ""
    repository: str = ""


@dataclass(frozen=True)
class Recipe:
    """A pipeline as its config describes it. `params` are pyannote's hyper-parameters, by group."""

    segmentation: Part
    embedding: Part
    plda: Part | None
    clustering: str
    step: float = 0.1
    exclude_overlap: bool = False
    params: dict[str, dict[str, float | str]] = field(default_factory=dict)

    @property
    def repositories(self) -> list[str]:
        """The other repositories that it needs."""
        parts = (self.segmentation, self.embedding, self.plda)
        return [part.repository for part in parts if part is not None and part.repository]


def unusable(reason: Text) -> ApiError:
    """A model that is not opened, and why."""
    return ApiError(
        422, "model_unusable", _("Ce modèle pyannote n'est pas accepté : %(reason)s.", reason=reason), "model"
    )


def read_recipe(folder: Path) -> Recipe:
    """The recipe of the pipeline in `folder`. Raises `ApiError` 422 `model_unusable`."""
    try:
        with (folder / CONFIG).open("rb") as file:
            return parse_recipe(file.read(MAX_BYTES + 1))
    except OSError as error:
        raise unusable(_("son config.yaml manque ou ne se lit pas")) from error


def parse_recipe(data: bytes) -> Recipe:
    """The recipe that a config.yaml says. Raises `ApiError` 422 `model_unusable`."""
    if len(data) > MAX_BYTES:
        raise unusable(_("son config.yaml dépasse %(most)s Kio", most=MAX_BYTES // 1024))
    try:
        said = yaml.safe_load(data.decode("utf-8"))
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise unusable(_("son config.yaml ne se lit pas")) from error
    config = _section(said, CONFIG)
    _only(config, _SECTIONS, "")
    _check_version(config)
    pipeline = _section(config.get("pipeline"), "pipeline")
    _only(pipeline, ("name", "params"), "pipeline.")
    if pipeline.get("name") not in _CLASSES:
        raise unusable(_("pipeline.name %(name)s n'est pas SpeakerDiarization", name=_short(pipeline.get("name"))))
    asked = _section(pipeline.get("params"), "pipeline.params")
    _only(asked, (*_PARTS, *_OTHERS, *_IGNORED), "pipeline.params.")
    clustering = asked.get("clustering", "VBxClustering")
    if clustering not in _CLUSTERINGS:
        raise unusable(_("clustering %(name)s n'est pas connu", name=_short(clustering)))
    exclude = asked.get("embedding_exclude_overlap", False)
    if not isinstance(exclude, bool):
        raise _wrong("pipeline.params.embedding_exclude_overlap", exclude)
    return Recipe(
        segmentation=_part(asked, "segmentation"),
        embedding=_part(asked, "embedding"),
        plda=_part(asked, "plda") if clustering == "VBxClustering" else None,
        clustering=clustering,
        step=_step(asked.get("segmentation_step", 0.1)),
        exclude_overlap=exclude,
        params=_params(config.get("params", {})),
    )


def _check_version(config: Mapping[str, Any]) -> None:
    """Refuse what a later pyannote.audio wrote."""
    needs = _section(config.get("dependencies", {}), "dependencies")
    for name, version in {**needs, **({"pyannote.audio": config["version"]} if "version" in config else {})}.items():
        major = re.match(r"(\d{1,4})(\.|$)", str(version))
        if name != "pyannote.audio" or major is None or int(major[1]) > _MAJOR:
            raise unusable(_("il demande %(name)s %(version)s", name=_short(name), version=_short(version)))


def _part(asked: Mapping[str, Any], name: str) -> Part:
    place = asked.get(name)
    if isinstance(place, str):
        if place in REPOSITORIES and name != "plda":
            return Part(repository=place)
        folder = place.removeprefix("$model/").removesuffix(f"/{WEIGHTS}")
        # without "$model/", a name with a slash would be a repository's
        if _FOLDER.fullmatch(folder) and ("/" not in folder or place.startswith("$model/")):
            return Part(folder=folder)
    raise unusable(
        _(
            "pipeline.params.%(name)s nomme %(place)s, qui n'est ni un de ses dossiers ni %(known)s",
            name=name,
            place=_short(place),
            known=", ".join(REPOSITORIES),
        )
    )


def _step(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0.01 <= value <= 1:
        return float(value)
    raise _wrong("pipeline.params.segmentation_step", value)


def _params(said: object) -> dict[str, dict[str, float | str]]:
    params: dict[str, dict[str, float | str]] = {}
    for group, values in _section(said, "params").items():
        if group not in ("segmentation", "clustering"):
            raise _wrong(f"params.{_short(group)}", values)
        params[group] = {}
        for name, value in _section(values, f"params.{group}").items():
            plain = isinstance(value, str | int | float) and not isinstance(value, bool)
            if not isinstance(name, str) or not plain or (isinstance(value, float) and not math.isfinite(value)):
                raise _wrong(f"params.{group}.{_short(name)}", value)
            params[group][name] = value
    return params


def _section(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(name, value)
    return value


def _only(section: Mapping[Any, Any], known: tuple[str, ...], where: str) -> None:
    for name in section:
        if name not in known:
            raise unusable(_("son config.yaml demande %(name)s, qui n'est pas permis", name=f"{where}{_short(name)}"))


def _wrong(name: str, value: object) -> ApiError:
    return unusable(_("%(name)s ne peut pas valoir %(value)s", name=name, value=_short(value)))


def _short(value: object) -> str:
    """A stranger's value in a sentence: a name or a number as it is, never more than a line."""
    text = str(value) if isinstance(value, str | int | float | None) else type(value).__name__
    return re.sub(r"[^\w.,:/$@+ -]", "?", text[:80], flags=re.ASCII)
