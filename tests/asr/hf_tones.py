"""A language of tones, and tiny models trained on it in seconds: each word is a pair of tones of its own.

Random weights write noise, so no test on them can tell a wrong time stride from a right one. Here what is written,
and when, can be compared with what was played.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    CanaryForConditionalGeneration,
    CanaryProcessor,
    ParakeetCTCConfig,
    ParakeetForCTC,
    ParakeetProcessor,
    ParakeetTokenizer,
)

from tests.asr.hf_models import CANARY_PROMPT, canary_config, canary_tokenizer, encoder, features, trained_tokenizer

RATE = 16_000
Timed = tuple[str, float, float]
Samples = np.ndarray[Any, np.dtype[np.float32]]
# Beside a-z and the French letters, so that the vocabulary is one of French.
WORDS = ("oui", "non", "peut-être", "jamais", "toujours", "déjà")
_TONES = ((400, 900), (600, 2400), (900, 3600), (1300, 5000), (1900, 3000), (2700, 6000))
LETTERS = "a b c d e f g h i j k l m n o p q r s t u v w x y z à â ç è é ê î ô ù û ä ö ü ß"


def play(words: list[str], rng: np.random.Generator, *, lead: float = 0.0) -> tuple[Samples, list[Timed]]:
    """The sound of `words` after `lead` seconds of quiet, with random pauses, and when each is played."""
    parts, spans, at = [_quiet(lead, rng)], [], lead
    for word in words:
        pause, length = rng.uniform(0.15, 0.8), rng.uniform(0.3, 0.6)
        time = np.arange(int(length * RATE)) / RATE
        tone = sum(np.sin(2 * np.pi * pitch * time) for pitch in _TONES[WORDS.index(word)])
        edge = np.minimum(1, np.minimum(time, length - time) / 0.02)
        parts += [_quiet(pause, rng), tone * edge * 0.15 * rng.uniform(0.5, 1.5)]
        spans.append((word, at + pause, at + pause + length))
        at += pause + length
    parts.append(_quiet(rng.uniform(0.1, 0.6), rng))
    sound = np.concatenate(parts)
    return (sound + 0.002 * rng.standard_normal(sound.size)).astype(np.float32), spans


def some(rng: np.random.Generator, most: int = 5) -> list[str]:
    return [WORDS[index] for index in rng.integers(0, len(WORDS), rng.integers(1, most + 1))]


def _quiet(seconds: float, rng: np.random.Generator) -> Any:
    return 0.002 * rng.standard_normal(int(seconds * RATE))


def _encoder() -> Any:
    still = dict.fromkeys(("dropout", "layerdrop", "activation_dropout", "attention_dropout"), 0.0)
    return encoder(hidden_size=64, intermediate_size=128, scale_input=False, initializer_range=0.12, **still)


def trained_parakeet_ctc(folder: Path, *, steps: int = 150) -> Path:
    """A Parakeet CTC that reads the tones. It is shown at every frame what is played, so that it learns in seconds."""
    torch.manual_seed(3)
    tokenizer = ParakeetTokenizer(
        tokenizer_object=trained_tokenizer((" ".join(WORDS), LETTERS), ("<unk>", "<pad>"), size=62),
        unk_token="<unk>",
        pad_token="<pad>",
        clean_up_tokenization_spaces=False,
    )
    blank = tokenizer.convert_tokens_to_ids("<pad>")
    model = ParakeetForCTC(ParakeetCTCConfig(encoder_config=_encoder(), vocab_size=len(tokenizer), pad_token_id=blank))
    processor = ParakeetProcessor(features(), tokenizer, decoder_type="ctc")
    inputs, played = _pool(processor.feature_extractor)
    labels = _frame_labels(model, tokenizer, inputs["attention_mask"], played, blank)

    def loss(rows: torch.Tensor) -> torch.Tensor:
        logits = model(inputs["input_features"][rows], attention_mask=inputs["attention_mask"][rows]).logits
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels[rows].flatten(), ignore_index=-100)

    _train(model, loss, steps)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def trained_canary(folder: Path, *, steps: int = 300) -> Path:
    """A Canary that reads the tones as French, trained on the words alone: where it looks is its own doing."""
    torch.manual_seed(5)
    tokenizer = canary_tokenizer((" ".join(WORDS), LETTERS))
    model = CanaryForConditionalGeneration(canary_config(len(tokenizer), encoder_config=_encoder(), hidden=64))
    processor = CanaryProcessor(features(), tokenizer)
    prompt = "".join(CANARY_PROMPT)
    asked = len(CANARY_PROMPT)
    inputs, played = _pool(processor.feature_extractor)
    texts = [f"{prompt}{' '.join(word for word, _start, _end in words)}<|endoftext|>" for words in played]
    ids = tokenizer(texts, add_special_tokens=False, padding=True, return_tensors="pt")["input_ids"]
    labels = ids[:, 1:].masked_fill(ids[:, 1:] == tokenizer.pad_token_id, -100)
    labels[:, : asked - 1] = -100

    def loss(rows: torch.Tensor) -> torch.Tensor:
        logits = model(
            inputs["input_features"][rows],
            attention_mask=inputs["attention_mask"][rows],
            decoder_input_ids=ids[rows, :-1],
        ).logits
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels[rows].flatten(), ignore_index=-100)

    _train(model, loss, steps)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _pool(extractor: Any, count: int = 256) -> tuple[Any, list[list[Timed]]]:
    """The features of `count` recordings of one to three words, and what is played in each."""
    rng = np.random.default_rng(1)
    pool = [play(some(rng, 3), rng, lead=rng.uniform(0, 0.5)) for _one in range(count)]
    inputs = extractor([sound for sound, _words in pool], sampling_rate=RATE, return_tensors="pt")
    return inputs, [words for _sound, words in pool]


def _frame_labels(model: Any, tokenizer: Any, mask: Any, played: list[list[Timed]], blank: int) -> torch.Tensor:
    """The token at each of the encoder's frames of 80 ms: a word's tokens share its span evenly."""
    lengths = model._get_subsampling_output_length(mask.sum(-1)).tolist()
    longest = int(model._get_subsampling_output_length(torch.tensor([mask.shape[1]])))
    labels = torch.full((len(played), longest), -100)
    for row, words in enumerate(played):
        labels[row, : lengths[row]] = blank
        for word, start, end in words:
            pieces = tokenizer(word, add_special_tokens=False)["input_ids"]
            for frame in range(round(start / 0.08), round(end / 0.08)):
                part = (frame + 0.5 - start / 0.08) / ((end - start) / 0.08)
                labels[row, frame] = pieces[min(len(pieces) - 1, max(0, int(part * len(pieces))))]
    return labels


def _train(model: Any, loss_of: Any, steps: int, rows: int = 24) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small that a second thread costs more than it computes
    chooser = torch.Generator().manual_seed(2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps, pct_start=0.2)
    model.train()
    for _step in range(steps):
        loss = loss_of(torch.randint(0, 256, (rows,), generator=chooser))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    model.eval()
    torch.set_num_threads(threads)
