"""Parakeet and other NeMo models that write what they hear, in the language they hear: CTC, RNN-T and TDT."""

from __future__ import annotations

from typing import Any

import torch
from omegaconf import OmegaConf, open_dict

from asr.engines.base import Capabilities, Task
from asr.engines.letters import spelled
from asr.engines.nemo.canary import Read
from asr.engines.nemo.words import Spelled


class Acoustic:
    """A restored model of connectionist or transducer kind.

    It says neither which language it heard, nor which it was taught: those whose letters it can all write, of Europe's.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self.frame_seconds = float(model.cfg.preprocessor.window_stride) * model.encoder.subsampling_factor
        self.capabilities = Capabilities(
            languages=spelled(model.tokenizer.vocab),
            detects_language=True,
            punctuates=any(piece in (".", "▁.") for piece in model.tokenizer.vocab),
        )
        decoding = OmegaConf.create(OmegaConf.to_container(model.cfg.decoding))
        with open_dict(decoding):
            decoding.compute_timestamps = True
            decoding.confidence_cfg = {"preserve_word_confidence": True, "method_cfg": {"name": "max_prob", "alpha": 1}}
        model.change_decoding_strategy(decoding, verbose=False)

    def read(self, sounds: list[torch.Tensor], task: Task) -> list[Read]:  # noqa: ARG002
        """See `Canary.read`. The language is heard, not told."""
        found = self._model.transcribe(
            audio=list(sounds),
            batch_size=len(sounds),
            return_hypotheses=True,
            timestamps=True,
            num_workers=0,
            verbose=False,
        )
        return [self._read(hypothesis) for hypothesis in (found[0] if isinstance(found, tuple) else found)]

    def _read(self, hypothesis: Any) -> Read:
        times = hypothesis.timestamp["word"]
        confidences = hypothesis.word_confidence or []
        if len(confidences) != len(times):
            confidences = [None] * len(times)
        words = [
            Spelled(time["word"], float(time["start_offset"]), float(time["end_offset"]), confidence)
            for time, confidence in zip(times, map(_float, confidences), strict=True)
            if time["word"].strip()
        ]
        return Read(words, hypothesis.text)


def _float(value: Any) -> float | None:
    return None if value is None else float(value)
