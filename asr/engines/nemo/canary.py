"""Canary (`EncDecMultiTaskModel`): transcribes in the language it is told, or translates to and from English.

Three generations, told apart by what their archives hold (NeMo 3.0 `aed_multitask_models`, `prompts/canary*.py`):
Canary-1b, prompt "canary", gives no times; Canary-flash, prompt "canary2" and one tokenizer for each language, writes
times among its words when the prompt asks; Canary-1b-v2, prompt "canary2" and one tokenizer for all languages, brings
a second model, whose alignment with the text gives the times.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import torch

from asr.engines.base import Capabilities, Task
from asr.engines.canary import told, translations
from asr.engines.letters import EUROPEAN, spelled
from asr.engines.nemo.remembered import remember_sounds
from asr.engines.nemo.words import Spelled, Token, spell

_SPECIAL_TOKENIZER = "spl_tokens"
_log = logging.getLogger("frigo.asr")


@dataclass(frozen=True)
class Read:
    """What was read in one sound: its words, with times in frames of `frame_seconds`."""

    words: list[Spelled]
    text: str


class Canary:
    """A restored Canary, with the model that gives its times, if any. `device` is where both are."""

    def __init__(self, model: Any, times: Any | None) -> None:
        _forbid_unused(model)
        self._remembered = remember_sounds(model.transf_decoder.decoder)
        self._model = model
        self._times = times
        self._second = model.prompt_format == "canary2"
        self._writes_times = self._second and times is None and self._has("<|0|>", "<|timestamp|>")
        self.frame_seconds = float(model.cfg.preprocessor.window_stride) * model.encoder.subsampling_factor
        languages = _languages(model.tokenizer)
        self.capabilities = Capabilities(
            languages=languages,
            translations=translations(languages),
            temperature=True,
            word_times=self._writes_times or times is not None,
            punctuates=True,
        )

    def read(self, sounds: list[torch.Tensor], task: Task) -> list[Read]:
        """What each of `sounds` (float32 at 16 kHz, at least a second) says. Raises ApiError 400."""
        from nemo.collections.asr.models.aed_multitask_models import MultiTaskTranscriptionConfig

        languages = self.capabilities.languages
        source, target = told(task, languages, languages)
        prompt = {"role": "user", "slots": self._prompt(source, target)}
        self._model.decoding.decoding.greedy_search.temperature = task.temperature or None
        config = MultiTaskTranscriptionConfig(
            batch_size=len(sounds),
            return_hypotheses=True,
            num_workers=0,
            verbose=False,
            prompt=dict(prompt),
            enable_chunking=False,
        )
        try:
            found = self._model.transcribe(audio=list(sounds), override_config=config)
        finally:
            for layer in self._remembered:
                layer.forget()
        most = [self._most_tokens(sound.numel(), prompt) for sound in sounds]
        read = [self._spell(hypothesis, count) for hypothesis, count in zip(found, most, strict=True)]
        return self._align(sounds, read) if self._times is not None and source == target else read

    def _prompt(self, source: str, target: str) -> dict[str, str]:
        """The slots of the prompt. What is not said here is the model's own default, if it has one."""
        slots = {"source_lang": source, "target_lang": target, "pnc": "yes"}
        if not self._second:
            return slots | {"task": "asr" if source == target else "ast"}
        own = self._model.prompt.get_default_dialog_slots()[0]["slots"]
        usual = {"decodercontext": "", "emotion": "<|emo:undefined|>", "itn": "no", "diarize": "no"}
        defaults = {slot: own.get(slot) if own.get(slot) is not None else value for slot, value in usual.items()}
        return defaults | slots | {"timestamp": "yes" if self._writes_times else "no"}

    def _most_tokens(self, samples: int, prompt: dict[str, Any]) -> int:
        """How many tokens NeMo lets a sound have when it is alone: in a batch it allows all what the longest gets."""
        from nemo.collections.asr.parts.submodules.subsampling import calc_length

        allowed = self._model.decoding.cfg.greedy.max_generation_delta
        longest: int = self._model.transf_decoder.max_sequence_length
        if allowed >= 0:
            spectrum = torch.tensor([samples // self._model.preprocessor.featurizer.hop_length + 1.0])
            pre = self._model.encoder.pre_encode
            padding, kernel = pre._left_padding + pre._right_padding, pre._kernel_size
            frames = calc_length(spectrum, padding, kernel, pre._stride, pre._ceil_mode, pre._sampling_num)
            longest = min(longest, int(frames) + allowed)
        return max(longest - len(self._model.prompt.encode_dialog(turns=[dict(prompt)])["context_ids"]), 0)

    def _spell(self, hypothesis: Any, most: int) -> Read:
        tokenizer = self._model.tokenizer
        numbers = [int(number) for number in hypothesis.y_sequence][:most]
        pieces = tokenizer.ids_to_tokens(numbers)
        confidences = _floats(hypothesis.token_confidence, len(numbers))
        tokens = [Token(*one) for one in zip(numbers, pieces, confidences, strict=True)]
        words = spell(tokens, tokenizer.ids_to_text)
        return Read(words, " ".join(word.word for word in words))

    def _align(self, sounds: list[torch.Tensor], read: list[Read]) -> list[Read]:
        """The words with the times that the second model gives them; without, where it cannot."""
        from nemo.collections.asr.parts.utils.rnnt_utils import Hypothesis
        from nemo.collections.asr.parts.utils.timestamp_utils import get_forced_aligned_timestamps_with_external_model

        spoken = [index for index, one in enumerate(read) if one.words]
        if not spoken:
            return read
        aligned = get_forced_aligned_timestamps_with_external_model(
            audio=[sounds[index] for index in spoken],
            external_ctc_model=self._times,
            main_model_predictions=[Hypothesis(0.0, [], text=read[index].text) for index in spoken],
            batch_size=len(spoken),
            timestamp_type=["word"],
            verbose=False,
        )
        placed = list(read)
        for index, hypothesis in zip(spoken, aligned, strict=True):
            placed[index] = Read(self._placed(read[index].words, hypothesis.timestamp["word"]), read[index].text)
        return placed

    def _placed(self, words: list[Spelled], times: list[dict[str, Any]]) -> list[Spelled]:
        if len(times) != len(words):
            _log.warning("times of another number of words", extra={"words": len(words), "times": len(times)})
            return words
        frame = self.frame_seconds
        return [
            Spelled(word.word, time["start"] / frame, time["end"] / frame, word.confidence)
            if time["start"] >= 0 and time["end"] >= 0
            else word
            for word, time in zip(words, times, strict=True)
        ]

    def _has(self, *tokens: str) -> bool:
        special = getattr(self._model.tokenizer, "special_tokens", None)
        return special is not None and all(token in special for token in tokens)


def _languages(tokenizer: Any) -> frozenset[str]:
    """Those of the tokenizers, when there is one for each ("en-US" is "en"); else those that have a token and all of
    whose letters are known (the tokenizer of Canary-1b-v2 has tokens for 180 languages, and was taught 25)."""
    named = getattr(tokenizer, "langs", None)
    if named is not None:
        return frozenset(name[:2].lower() for name in named if name != _SPECIAL_TOKENIZER)
    pieces = frozenset(tokenizer.vocab)
    letters = (piece for piece in pieces if not piece.startswith("<|"))
    return frozenset(code for code in spelled(letters) & EUROPEAN if f"<|{code}|>" in pieces)


def _forbid_unused(model: Any) -> None:
    """Let no token be written beyond the vocabulary: the last layer is rounded up to a multiple of eight."""
    last = getattr(model.log_softmax.mlp, f"layer{model.log_softmax.mlp.layers - 1}")
    if last.bias is not None:
        last.bias.data[model.tokenizer.vocab_size :] = torch.finfo(last.bias.dtype).min / 4


def _floats(values: Any, count: int) -> list[float | None]:
    if values is None or len(values) < count:
        return [None] * count
    return [float(value) for value in values[:count]]
