"""pyannote's diarization pipeline, made fit for a service. Runs in the model's process.

Three things differ from pyannote's, and no result does: requests take turns batch by batch; one that asks for more
voices than there can be gets those there are; and a window's voices are taken from one pass of the speaker encoder
instead of one pass for each (that is most of the work: three local speakers a window, windows ten times overlapped).
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  its usual name
from pyannote.audio.pipelines.clustering import VBxClustering
from pyannote.audio.pipelines.speaker_diarization import SpeakerDiarization
from pyannote.core import SlidingWindowFeature


class Turnstile:
    """A lock that is given in the order in which it was asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._taken = False

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for one's turn, and have it."""
        mine: threading.Event | None = None
        with self._lock:
            if self._taken:
                mine = threading.Event()
                self._waiting.append(mine)
            self._taken = True
        if mine is not None:
            mine.wait()
        try:
            yield
        finally:
            with self._lock:
                if self._waiting:
                    self._waiting.popleft().set()
                else:
                    self._taken = False


class BoundedVBx(VBxClustering):  # type: ignore[misc]  # pyannote has no types
    """VBx that gives the voices there are when more are asked for than windows of speech, where pyannote's fails."""

    def __call__(
        self,
        embeddings: Any,
        segmentations: Any = None,
        num_clusters: int | None = None,
        min_clusters: int | None = None,
        max_clusters: int | None = None,
        **more: Any,
    ) -> Any:
        """See `VBxClustering`."""
        most = max(1, len(self.filter_embeddings(embeddings, segmentations=segmentations)[0]))
        return super().__call__(
            embeddings,
            segmentations=segmentations,
            num_clusters=num_clusters and min(num_clusters, most),
            min_clusters=min(min_clusters or 1, most),
            max_clusters=max_clusters,
            **more,
        )


class FairDiarization(SpeakerDiarization):  # type: ignore[misc]  # pyannote has no types
    """SpeakerDiarization whose models compute one batch of one request at a time, in turn."""

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        if self.klustering == "VBxClustering":
            self.clustering: Any = BoundedVBx(self._plda, metric=self._embedding.metric)
        self.turnstile = Turnstile()
        infer = self._segmentation.infer

        def infer_in_turn(chunks: torch.Tensor) -> Any:
            with self.turnstile.turn():
                return infer(chunks)

        self._segmentation.infer = infer_in_turn
        self._silence: torch.Tensor | None = None

    def get_embeddings(
        self,
        file: Any,
        binary_segmentations: SlidingWindowFeature,
        exclude_overlap: bool = False,
        hook: Callable[..., None] | None = None,
    ) -> np.ndarray[Any, np.dtype[np.float32]]:
        """See `SpeakerDiarization`: (windows, local speakers, dimension). The same, in fewer passes."""
        windows, _frames, speakers = binary_segmentations.data.shape
        least = self._least_frames(binary_segmentations) if exclude_overlap else -1
        total = math.ceil(windows / self.embedding_batch_size)
        found = np.empty((windows, speakers, self._embedding.dimension), np.float32)
        tell = hook or (lambda *_args, **_named: None)
        tell("embeddings", None, total=total, completed=0)
        for turn, start in enumerate(range(0, windows, self.embedding_batch_size), 1):
            span = slice(start, start + self.embedding_batch_size)
            masks = np.nan_to_num(binary_segmentations.data[span], nan=0.0).astype(np.float32)
            if exclude_overlap:
                clean = masks * (masks.sum(axis=2, keepdims=True) < 2)
                masks = np.where(clean.sum(axis=1, keepdims=True) > least, clean, masks)
            chunks = [binary_segmentations.sliding_window[start + index] for index in range(len(masks))]
            found[span] = self._voices(file, chunks, masks)
            tell("embeddings", None, total=total, completed=turn)
        return found

    def _voices(self, file: Any, chunks: list[Any], masks: np.ndarray[Any, np.dtype[np.float32]]) -> Any:
        """The vectors of each local speaker of some windows; `masks` is (windows, frames, local speakers)."""
        model, device = self._embedding.model_, self._embedding.device
        heard = [index for index, mask in enumerate(masks) if mask.any()]
        with self.turnstile.turn(), torch.inference_mode():
            found = self._of_silence().repeat(len(chunks), masks.shape[2], 1)
            if heard:
                waveforms = torch.stack([self._waveform(file, chunks[index]) for index in heard])
                weights = torch.from_numpy(masks[heard]).transpose(1, 2).contiguous()
                features = model.forward_frames(waveforms.to(device))
                found[heard] = model.forward_embedding(features, weights=weights.to(device)).cpu()
        return found.numpy()

    def _waveform(self, file: Any, chunk: Any) -> torch.Tensor:
        """The window's sound, (1, samples): rounding makes some windows longer by one sample."""
        sound = self._audio.crop(file, chunk, mode="pad")[0]
        return F.pad(sound, (0, self._audio.get_num_samples(chunk.duration) - sound.shape[1]))

    def _of_silence(self) -> torch.Tensor:
        """What the encoder gives for a speaker who says nothing in a window: always the same."""
        if self._silence is None:
            device = self._embedding.device
            features = self._embedding.model_.forward_frames(torch.zeros(1, 1, 16_000, device=device))
            weights = torch.zeros(1, 1, 10, device=device)
            self._silence = self._embedding.model_.forward_embedding(features, weights=weights).cpu()
        return self._silence

    def _least_frames(self, segmentations: SlidingWindowFeature) -> int:
        """Frames of speech without overlap from which an overlap is left out of a voice."""
        with self.turnstile.turn():
            least = self._embedding.min_num_samples
        samples: float = segmentations.sliding_window.duration * self._embedding.sample_rate
        frames: int = segmentations.data.shape[1]
        wanted: float = frames * least / samples
        return math.ceil(wanted)
