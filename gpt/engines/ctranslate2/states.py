"""The last hidden states of a model, which CTranslate2 keeps to itself: read from a second copy of the model, whose
output layer changes nothing. It is opened when a vector is first asked for, and stays."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ctranslate2

from common.errors import ApiError
from common.machine.resources import read_resources
from common.messages import _
from gpt.engines.ctranslate2.convert import Compute, converted_apart

_ROOM = 1.3  # times its file, that the copy takes with what it computes with


class States:
    """The copy of the model of `folder`, and what it gives."""

    def __init__(self, folder: Path, compute: Compute, threads: int) -> None:
        self._folder = folder
        self._compute = compute
        self._threads = threads
        self._opening = threading.Lock()
        self._model: Any = None

    def mean(self, ids: Sequence[int]) -> list[float]:
        """The mean of the states over `ids`, of length 1. Raises 507 when the copy does not fit beside the model."""
        import numpy as np

        states = np.array(self._opened().forward_batch([list(ids)]), dtype=np.float32)[0].astype(np.float64)
        vector = states.mean(axis=0)
        length = float(np.linalg.norm(vector))
        return [float(value) for value in (vector / length if length > 0 else vector)]

    def close(self) -> None:
        """Free the copy."""
        with self._opening:
            if self._model is not None:
                self._model.unload_model()
            self._model = None

    def _opened(self) -> Any:
        with self._opening:
            if self._model is None:
                path = converted_apart(self._folder, self._compute, states=True)
                need = int((path / "model.bin").stat().st_size * _ROOM)
                free = read_resources(use_gpu=False).memory_available
                if need > free:
                    message = _(
                        "Des vecteurs demandent une seconde copie du modèle : %(need)s Mo, il en reste %(free)s.",
                        need=need // 10**6,
                        free=free // 10**6,
                    )
                    raise ApiError(507, "out_of_memory", message, "model")
                self._model = ctranslate2.Generator(
                    str(path),
                    device="cpu",
                    compute_type="int8_float32" if self._compute == "int8" else "float32",
                    intra_threads=self._threads,
                )
            return self._model
