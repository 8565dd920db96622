"""Canary: a FastConformer encoder and a Transformer decoder that is told what to write by its first tokens.

The prompt is Canary 2's, as transformers' own processor writes it (tests compare them), built from tokens instead of
the folder's template, which is code. It gives a text without times: NVIDIA aligns it with another model, which the
converted checkpoints do not carry, and where the decoder looks is not where the word is said (a small Canary trained
on tones wrote them without a fault, looking at the pauses between them).
"""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import CanaryForConditionalGeneration

from asr.engines.base import Capabilities, Task
from asr.engines.canary import told, translations
from asr.engines.letters import EUROPEAN, spelled
from asr.engines.process.spec import Facts, Opening, Said, Utterance
from asr.engines.transformers.decode import Encoded, Rules, write
from asr.engines.transformers.opening import Loaded, load, unusable
from asr.engines.transformers.shapes import encode
from common.messages import _

_LEAST_SECONDS = 1.0  # NeMo pads shorter sound for Canary: it reads a lone syllable badly
_MAX_CHUNK_SECONDS = 40.0  # it was trained on up to 40 s
_TOKENS_PER_SECOND = 12.5  # one per frame of the encoder: nobody speaks as fast
_SPARE_TOKENS = 30
_BEFORE = ("<|startofcontext|>", "<|startoftranscript|>", "<|emo:undefined|>")
_AFTER = ("<|pnc|>", "<|noitn|>", "<|notimestamp|>", "<|nodiarize|>")


class Canary:
    """`SpeechModel` of one Canary folder."""

    def __init__(self, folder: Path, opening: Opening) -> None:
        self._loaded: Loaded = load(folder, opening, CanaryForConditionalGeneration)
        vocabulary = self._loaded.tokenizer.get_vocab()
        self._end = self._loaded.token("<|endoftext|>")
        special = {index for token, index in vocabulary.items() if token.startswith("<|") and token.endswith("|>")}
        special |= {index for token in ("<pad>", "<unk>") if (index := vocabulary.get(token)) is not None}
        self._never = sorted(special - {self._end})
        self._before = [self._loaded.token(token) for token in _BEFORE]
        self._after = [self._loaded.token(token) for token in _AFTER]
        words = [token for token, index in vocabulary.items() if index not in special]
        self._codes = frozenset(code for code in EUROPEAN if f"<|{code}|>" in vocabulary)
        languages = spelled(words) & self._codes
        if not languages:
            raise unusable(_("son vocabulaire n'écrit aucune langue connue"))
        self.facts = Facts(
            name="transformers",
            capabilities=Capabilities(
                languages=languages,
                translations=translations(languages),
                temperature=True,
                word_times=False,
                punctuates=True,
            ),
            max_chunk_seconds=_MAX_CHUNK_SECONDS,
            batch_seconds=self._loaded.batch_seconds,
        )

    @torch.inference_mode()
    def transcribe(self, batch: list[Utterance], task: Task) -> list[Said]:
        """See `SpeechModel`. Raises what `prompt` raises."""
        prompt = self.prompt(task)
        model = self._loaded.model
        encoded = Encoded(*encode(model.model.encoder, self._loaded, batch, _LEAST_SECONDS))
        room = model.config.decoder_config.max_position_embeddings - len(prompt) - 1
        limits = [min(room, int(one.seconds * _TOKENS_PER_SECOND) + _SPARE_TOKENS) for one in batch]
        ids = torch.tensor([prompt] * len(batch), device=self._loaded.device)
        rules = Rules(self._end, limits, task.temperature, self._never)
        written = write(model.model.decoder, model.proj_out, ids, encoded, rules)
        return [Said(text=self._loaded.text(one.ids).strip()) for one in written]

    def close(self) -> None:
        """See `SpeechModel`."""

    def prompt(self, task: Task) -> list[int]:
        """The decoder's first tokens for `task`: languages, with punctuation, without times nor speakers.

        Raises what `told` raises.
        """
        pair = [
            self._loaded.token(f"<|{code}|>") for code in told(task, self._codes, self.facts.capabilities.languages)
        ]
        return [*self._before, *pair, *self._after]
