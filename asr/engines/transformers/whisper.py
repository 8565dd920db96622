"""Whisper (OpenAI's, distilled ones, fine-tuned ones): windows of 30 s, language found, words aligned.

Written without time tokens, as batched decoding does: the sound comes cut at pauses already. Word times come from the
attention heads that the checkpoint names; for one that names none, from the upper half of its decoder, as OpenAI does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import WhisperForConditionalGeneration

from asr.engines.base import Capabilities, Task
from asr.engines.process.spec import Facts, Opening, Said, Utterance
from asr.engines.transformers.align import attention, spans
from asr.engines.transformers.decode import Encoded, Rules, Written, write
from asr.engines.transformers.opening import RATE, Loaded, load, samples_of
from asr.engines.transformers.words import Piece, said
from asr.languages import CODES
from common.errors import ApiError
from common.messages import _

_MULTILINGUAL_TOKENS = 51_865  # OpenAI's English vocabularies have one less
_FRAMES_PER_SECOND = 50
_TOKENS_PER_SECOND = 15.0
_SPARE_TOKENS = 30
_NO_SPEECH = 0.6  # OpenAI's bounds: said to be no speech, and written without conviction
_LEAST_LOG_PROBABILITY = -1.0
_MOST_HEADS = 24  # of a checkpoint that names none: a large model's would take gigabytes
_UNSPACED = frozenset({"zh", "ja", "th", "lo", "my", "bo", "km"})


class Whisper:
    """`SpeechModel` of one Whisper folder."""

    def __init__(self, folder: Path, opening: Opening) -> None:
        self._loaded: Loaded = load(folder, opening, WhisperForConditionalGeneration)
        config, generation = self._loaded.model.config, self._loaded.model.generation_config
        vocabulary = self._loaded.tokenizer.get_vocab()
        self._written = {index: token for token, index in vocabulary.items()}
        self._start = self._loaded.token("<|startoftranscript|>")
        self._end = self._loaded.token("<|endoftext|>")
        self._before = vocabulary.get("<|startofprev|>")
        self._no_speech = vocabulary.get("<|nospeech|>", vocabulary.get("<|nocaptions|>"))
        special = {index for token, index in vocabulary.items() if token.startswith("<|") and token.endswith("|>")}
        self._never = sorted((special - {self._end}) | set(generation.suppress_tokens or ()))
        self._not_first = list(generation.begin_suppress_tokens or ())
        several = getattr(generation, "is_multilingual", None)
        several = config.vocab_size >= _MULTILINGUAL_TOKENS if several is None else several
        self._languages = {code: index for code in CODES if (index := vocabulary.get(f"<|{code}|>")) is not None}
        if not several:
            self._languages = {}
        self._heads = _alignment_heads(generation, config)
        # Those with a shortened decoder (distil-whisper, turbo) were trained to transcribe only.
        translates = several and "<|translate|>" in vocabulary and config.decoder_layers == config.encoder_layers
        languages = frozenset(self._languages) if several else frozenset({"en"})
        self.facts = Facts(
            name="transformers",
            capabilities=Capabilities(
                languages=languages,
                detects_language=True,
                translations=frozenset((code, "en") for code in languages - {"en"}) if translates else frozenset(),
                prompt=self._before is not None,
                temperature=True,
                punctuates=True,
            ),
            max_chunk_seconds=float(self._loaded.features.chunk_length),
            batch_seconds=self._loaded.batch_seconds,
        )

    def transcribe(self, batch: list[Utterance], task: Task) -> list[Said]:
        """See `SpeechModel`. Raises `ApiError` 400 `unsupported_language`.

        A sound of one second costs a whole window: as many are read at once as windows fill a batch.
        """
        rows = max(1, int(self.facts.batch_seconds // self.facts.max_chunk_seconds))
        return [said for at in range(0, len(batch), rows) for said in self._read(batch[at : at + rows], task)]

    @torch.inference_mode()
    def _read(self, batch: list[Utterance], task: Task) -> list[Said]:
        model, device = self._loaded.model, self._loaded.device
        sounds = [samples_of(utterance) for utterance in batch]
        inputs = self._loaded.features(sounds, sampling_rate=RATE, return_tensors="pt")
        states = model.model.encoder(inputs["input_features"].to(device, self._loaded.dtype)).last_hidden_state
        encoded = Encoded(states)
        languages, silence = self._listen(encoded, task)
        prompts = [self._prompt(language, task) for language in languages]
        room = model.config.max_target_positions - len(prompts[0]) - 1
        limits = [min(room, int(one.seconds * _TOKENS_PER_SECOND) + _SPARE_TOKENS) for one in batch]
        rules = Rules(self._end, limits, task.temperature, self._never, self._not_first)
        written = write(model.model.decoder, model.proj_out, torch.tensor(prompts, device=device), encoded, rules)
        written = [
            Written() if _is_made_up(one, nothing) else one for one, nothing in zip(written, silence, strict=True)
        ]
        timed = self._timed(prompts, written, encoded, batch)
        detected = [None if task.language else language for language in languages]
        return [
            said(pieces, self._loaded.text, one.seconds, spaced=spoken not in _UNSPACED, language=found)
            if pieces
            else Said()
            for pieces, one, spoken, found in zip(timed, batch, languages, detected, strict=True)
        ]

    def close(self) -> None:
        """See `SpeechModel`."""

    def _listen(self, encoded: Encoded, task: Task) -> tuple[list[str | None], list[float]]:
        """The language of each row (None for a model of one), and how sure the model is that nobody speaks."""
        model, rows = self._loaded.model, encoded.states.shape[0]
        first = torch.full((rows, 1), self._start, device=self._loaded.device)
        read = model.model.decoder(input_ids=first, use_cache=False, **encoded.arguments()).last_hidden_state
        scores = model.proj_out(read[:, -1]).float()
        silence = [0.0] * rows if self._no_speech is None else scores.softmax(-1)[:, self._no_speech].tolist()
        if task.language is not None and task.language not in self.facts.capabilities.languages:
            message = _("Ce modèle ne comprend pas « %(language)s ».", language=task.language)
            raise ApiError(400, "unsupported_language", message, "language")
        if task.language is not None or not self._languages:
            return [task.language if self._languages else None] * rows, silence
        codes = list(self._languages)
        best = scores[:, [self._languages[code] for code in codes]].argmax(-1).tolist()
        return [codes[index] for index in best], silence

    def _prompt(self, language: str | None, task: Task) -> list[int]:
        """What the decoder is given first: words that help to spell, then language and task."""
        ids: list[int] = []
        if task.prompt.strip() and self._before is not None:
            most = self._loaded.model.config.max_target_positions // 2 - 1
            spelled = self._loaded.tokenizer.encode(f" {task.prompt.strip()}", add_special_tokens=False)
            ids = [self._before, *spelled[-most:]]
        ids.append(self._start)
        if language is not None:
            ids += [
                self._languages[language],
                self._loaded.token(f"<|{'translate' if task.target else 'transcribe'}|>"),
            ]
        return [*ids, self._loaded.token("<|notimestamps|>")]

    def _timed(
        self, prompts: list[list[int]], written: list[Written], encoded: Encoded, batch: list[Utterance]
    ) -> list[list[Piece]]:
        """The tokens of each row with their times, from one more reading of what was written."""
        longest = max(len(one.ids) for one in written)
        if not longest:
            return [[] for _one in written]
        rows = [
            prompt + one.ids + [self._end] * (longest + 1 - len(one.ids))
            for prompt, one in zip(prompts, written, strict=True)
        ]
        ids = torch.tensor(rows, device=self._loaded.device)
        looked = attention(self._loaded.model.model.decoder, ids, encoded, self._heads)
        since = len(prompts[0]) - 1  # a token is chosen where the one before is read
        timed = []
        for row, (one, uttered) in enumerate(zip(written, batch, strict=True)):
            frames = max(1, min(encoded.states.shape[1], int(np.ceil(uttered.seconds * _FRAMES_PER_SECOND))))
            heads = looked[row, :, since : since + len(one.ids) + 1, :frames]
            tokens = zip(one.ids, spans(heads), one.probabilities, strict=True)
            timed.append([self._piece(*token) for token in tokens])
        return timed

    def _piece(self, token: int, span: tuple[float, float], probability: float) -> Piece:
        start, end = span
        written = self._written.get(token, "")
        return Piece(token, written, start / _FRAMES_PER_SECOND, end / _FRAMES_PER_SECOND, probability)


def _alignment_heads(generation: Any, config: Any) -> list[tuple[int, int]]:
    """(layer, head) of the heads that follow the sound."""
    named = getattr(generation, "alignment_heads", None) or ()
    found = [
        (int(layer), int(head))
        for layer, head in named
        if 0 <= layer < config.decoder_layers and 0 <= head < config.decoder_attention_heads
    ]
    upper = range(config.decoder_layers // 2, config.decoder_layers)
    every = [(layer, head) for layer in upper for head in range(config.decoder_attention_heads)]
    return found or every[:: -(-len(every) // _MOST_HEADS)]


def _is_made_up(written: Written, no_speech: float) -> bool:
    """True for what was written about nothing: a credit line, a thank you for watching."""
    if not written.ids:
        return True
    sure = float(np.mean(np.log(np.maximum(written.probabilities, 1e-12))))
    return no_speech > _NO_SPEECH and sure < _LEAST_LOG_PROBABILITY
