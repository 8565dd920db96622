"""Parakeet: a FastConformer encoder under a CTC, RNN-T or TDT head. It needs no language and writes what it hears."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import ParakeetForCTC, ParakeetForRNNT, ParakeetForTDT

from asr.engines.base import Capabilities, Task
from asr.engines.letters import spelled
from asr.engines.process.spec import Facts, Opening, Said, Utterance
from asr.engines.transformers import transducer
from asr.engines.transformers.opening import Loaded, load
from asr.engines.transformers.shapes import encode
from asr.engines.transformers.transducer import Emission
from asr.engines.transformers.words import Piece, said

_CLASSES = {"parakeet_ctc": ParakeetForCTC, "parakeet_rnnt": ParakeetForRNNT, "parakeet_tdt": ParakeetForTDT}
_LEAST_SECONDS = 0.1  # shorter, the features have no variance
_MAX_CHUNK_SECONDS = 40.0


class Parakeet:
    """`SpeechModel` of one Parakeet folder."""

    def __init__(self, folder: Path, opening: Opening, kind: str) -> None:
        self._loaded: Loaded = load(folder, opening, _CLASSES[kind])
        model = self._loaded.model
        self._is_ctc = kind == "parakeet_ctc"
        if not self._is_ctc:  # small, run a token at a time: in float32, faster on a CPU and exact
            for part in (model.encoder_projector, model.decoder, model.joint):
                part.float()
        features = self._loaded.features
        self._frame = features.hop_length / features.sampling_rate * model.config.encoder_config.subsampling_factor
        vocabulary = self._loaded.tokenizer.get_vocab()
        self._written = {index: token for token, index in vocabulary.items()}
        self._unsaid = set(self._loaded.tokenizer.all_special_ids) | {model.config.pad_token_id}
        self._unsaid |= {
            index for token, index in vocabulary.items() if token.startswith("<|") and token.endswith("|>")
        }
        spoken = [token for index, token in self._written.items() if index not in self._unsaid]
        self.facts = Facts(
            name="transformers",
            capabilities=Capabilities(
                languages=spelled(spoken),
                detects_language=True,
                punctuates=any("." in token for token in spoken) and any(token != token.lower() for token in spoken),
            ),
            max_chunk_seconds=_MAX_CHUNK_SECONDS,
            batch_seconds=self._loaded.batch_seconds,
        )

    @torch.inference_mode()
    def transcribe(self, batch: list[Utterance], task: Task) -> list[Said]:  # noqa: ARG002  it takes no wishes
        """See `SpeechModel`."""
        states, mask = encode(self._loaded.model.encoder, self._loaded, batch, _LEAST_SECONDS)
        emissions = self._ctc(states, mask) if self._is_ctc else self._transducer(states, mask)
        return [
            said([self._piece(one) for one in found if one.id not in self._unsaid], self._loaded.text, uttered.seconds)
            for found, uttered in zip(emissions, batch, strict=True)
        ]

    def close(self) -> None:
        """See `SpeechModel`."""

    def _piece(self, emission: Emission) -> Piece:
        start, end = emission.frame, emission.frame + emission.frames
        written = self._written.get(emission.id, "")
        return Piece(emission.id, written, start * self._frame, end * self._frame, emission.probability)

    def _transducer(self, states: torch.Tensor, mask: torch.Tensor) -> list[list[Emission]]:
        model = self._loaded.model
        return transducer.decode(model, model.encoder_projector(states.float()), mask.sum(-1))

    def _ctc(self, states: torch.Tensor, mask: torch.Tensor) -> list[list[Emission]]:
        model = self._loaded.model
        scores = model.ctc_head(states).float().log_softmax(-1)
        best, tokens = (part.tolist() for part in scores.max(-1))
        lengths = mask.sum(-1).tolist()
        blank = model.config.pad_token_id
        return [
            _collapsed(tokens[row][: lengths[row]], torch.tensor(best[row]).exp().tolist(), blank)
            for row in range(len(lengths))
        ]


def _collapsed(tokens: list[int], probabilities: list[float], blank: int) -> list[Emission]:
    """CTC's rule: a run of one token is that token once; blanks are nothing."""
    found: list[Emission] = []
    before = blank
    for frame, token in enumerate(tokens):
        if token != blank and token == before:
            last = found[-1]
            sure = max(last.probability, probabilities[frame])
            found[-1] = Emission(token, last.frame, frame + 1 - last.frame, sure)
        elif token != blank:
            found.append(Emission(token, frame, 1, probabilities[frame]))
        before = token
    return found
