"""The pipeline and what it is asked for. Runs in the model's process, where torch and pyannote are."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from pyannote.audio.core.task import Resolution
from pyannote.core import Annotation

from common.audio.decode import SPEECH_RATE
from common.machine.heap import give_memory_back
from common.messages import _
from diarize.engines.pyannote.checkpoint import (
    EMBEDDINGS,
    SEGMENTATIONS,
    NoPlda,
    fingerprint,
    fuse,
    open_model,
    open_plda,
)
from diarize.engines.pyannote.pipeline import FairDiarization
from diarize.engines.pyannote.recipe import unusable
from diarize.engines.pyannote.spec import Facts, Job, Recording, Said, Span, Spec, Step
from diarize.engines.pyannote.turns import one_at_a_time

_CPU_BATCH = 4  # windows at once: a cancel waits for one batch, memory grows with it, and speed does not
_CUDA_BATCH = 32
_TRIM_EVERY = 16  # batches: the allocator keeps more after each
_MAX_WINDOW_S, _MAX_LOCAL_SPEAKERS = 60, 10
_SHARES = {"segmentation": (0.0, 0.2), "embeddings": (0.2, 0.97)}  # of the work, on a CPU
Tell = Callable[[Step], None]


class PyannoteModel:
    """A pipeline opened from the folders of `spec`. Raises `ApiError` 422 `model_unusable`."""

    def __init__(self, spec: Spec) -> None:
        warnings.filterwarnings("ignore", module=r"pyannote\..*|torch\..*|lightning\..*")
        segmentation = open_model(spec.segmentation, SEGMENTATIONS)
        embedding = open_model(spec.embedding, EMBEDDINGS)
        _check(segmentation.specifications)
        space = fingerprint(embedding)
        fuse(embedding)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        batch = _CPU_BATCH if device.type == "cpu" else _CUDA_BATCH
        recipe = spec.recipe
        self._pipeline = FairDiarization(
            segmentation=segmentation,
            embedding=embedding,
            plda=open_plda(spec.plda) if spec.plda is not None else NoPlda(),
            clustering=recipe.clustering,
            segmentation_step=recipe.step,
            embedding_exclude_overlap=recipe.exclude_overlap,
            segmentation_batch_size=batch,
            embedding_batch_size=batch,
        )
        try:
            self._pipeline.instantiate(recipe.params or self._pipeline.default_parameters())
        except (ValueError, TypeError, KeyError) as error:
            raise unusable(_("ses réglages (params) ne sont pas ceux de pyannote")) from error
        self._pipeline.to(device)
        if device.type == "cpu":
            embedding.to(memory_format=torch.channels_last)
        self.facts = Facts(space=space, device=device.type)

    def diarize(self, job: Job, tell: Tell) -> Said:
        """Who speaks when. `tell` is called after each batch, and stops the work by raising."""
        if job.recording.samples == 0:
            return Said((), ())
        try:
            return self._diarize(job, tell)
        finally:
            give_memory_back(collect=True)

    def _diarize(self, job: Job, tell: Tell) -> Said:
        file = {"waveform": _mapped(job.recording), "sample_rate": SPEECH_RATE, "uri": "recording"}
        exact = job.most is not None and job.least == job.most
        found = self._pipeline(
            file,
            num_speakers=job.least if exact else None,
            min_speakers=job.least,
            max_speakers=job.most,
            hook=_Hook(tell),
        )
        overlapping = found if isinstance(found, Annotation) else found.speaker_diarization
        exclusive = None if isinstance(found, Annotation) else found.exclusive_speaker_diarization
        vectors = None if isinstance(found, Annotation) else found.speaker_embeddings
        numbers = {label: number for number, label in enumerate(overlapping.labels())}
        turns = _turns(overlapping, numbers)
        return Said(
            turns=turns,
            exclusive=_turns(exclusive, numbers) if exclusive is not None else one_at_a_time(turns),
            voices=_unit_vectors(vectors),
        )

    def embed(self, recording: Recording) -> bytes | None:
        """The vector of the only voice of a recording, of length one, as float32 bytes; None when nobody is heard."""
        if recording.samples == 0:
            return None
        file = {"waveform": _mapped(recording), "sample_rate": SPEECH_RATE, "uri": "sample"}
        windows = self._pipeline.get_segmentations(file)
        spoken = np.nan_to_num(windows.data).max(axis=2, keepdims=True)  # whoever the window took for another
        windows.data = spoken.astype(np.float32)
        vectors = self._pipeline.get_embeddings(file, windows)[:, 0]
        weights = spoken.sum(axis=(1, 2))
        heard = (weights > 0) & np.isfinite(vectors).all(axis=1)
        if not heard.any():
            return None
        mean = np.average(vectors[heard], axis=0, weights=weights[heard])
        return _unit_vectors(mean[None]).get(0)

    def close(self) -> None:
        """Nothing: the process ends."""


def _check(specifications: Any) -> None:
    """Refuse a segmentation that does not say who speaks in each frame of a window. Raises `ApiError`."""
    duration, classes = specifications.duration, specifications.classes
    sized = isinstance(duration, int | float) and 0 < duration <= _MAX_WINDOW_S
    named = isinstance(classes, list) and 1 <= len(classes) <= _MAX_LOCAL_SPEAKERS
    if not sized or not named or specifications.resolution != Resolution.FRAME:
        raise unusable(_("sa segmentation n'est pas celle d'une diarisation"))


class _Hook:
    """What pyannote calls as it works, in shares of the work."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._share = 0.0
        self._calls = 0

    def __call__(self, name: str, _found: object = None, *, total: int = 0, completed: int = 0, **_more: Any) -> None:
        if name in _SHARES and total:
            low, high = _SHARES[name]
            self._share = max(self._share, low + (high - low) * min(completed / total, 1.0))
        self._calls += 1
        if self._calls % _TRIM_EVERY == 0:
            give_memory_back()
        self._tell(Step(self._share))


def _mapped(recording: Recording) -> torch.Tensor:
    """The recording as (1, samples), read from the disk as it is used; its file has no name any more."""
    samples = np.memmap(recording.path, np.float32, mode="c", shape=(recording.samples,))
    recording.path.unlink(missing_ok=True)
    return torch.from_numpy(samples)[None]


def _turns(found: Annotation, numbers: dict[Any, int]) -> tuple[Span, ...]:
    tracks = found.itertracks(yield_label=True)
    return tuple((numbers[label], float(part.start), float(part.end)) for part, _track, label in tracks)


def _unit_vectors(vectors: Any) -> dict[int, bytes]:
    """A vector of length one for each row that has a direction, by the row's number."""
    found = {}
    for number, vector in enumerate(vectors if vectors is not None else ()):
        length = float(np.linalg.norm(vector))
        if math.isfinite(length) and length > 0:
            found[number] = np.asarray(vector / length, np.float32).tobytes()
    return found
