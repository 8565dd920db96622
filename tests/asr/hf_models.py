"""Tiny speech models in transformers' format, built from configurations: RANDOM weights, real tokenizers trained here.

What they write is noise; how they are opened, fed, batched, decoded and timed is what happens to the real ones. One
family can be trained on tones (`tests.asr.hf_tones`): then what it writes, and when, means something.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import Metaspace as MetaspaceDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Metaspace
from tokenizers.trainers import BpeTrainer
from transformers import (
    CanaryConfig,
    CanaryDecoderConfig,
    CanaryForConditionalGeneration,
    CanaryProcessor,
    ParakeetCTCConfig,
    ParakeetEncoderConfig,
    ParakeetFeatureExtractor,
    ParakeetForCTC,
    ParakeetForRNNT,
    ParakeetForTDT,
    ParakeetProcessor,
    ParakeetRNNTConfig,
    ParakeetTDTConfig,
    ParakeetTokenizer,
    TokenizersBackend,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
)

TEXT = (
    "Le conseil a voté le budget de la commune, et la séance est levée à dix heures.",
    "Où êtes-vous allés cet été ? Nous étions à la mer, près d'une forêt, où l'on s'ennuyait ça et là.",
    "The council will meet again on Friday; ask what you can do for your country!",
    "Der Rat hat für die Straße gestimmt, und die Bürger wünschen größere Häuser. Ärger über Öl und Übel.",
    "naïve Noël, aiguë, où, dû, île, abîme, bœuf, ça, quiz, jazz, wok, fax, kayak, âge, côte, hôte",
)
ENGLISH = ("the council will meet again on friday ask what you can do for your country", "jazz quiz vex boxing lamp")
# The order of the first tokens is that of NVIDIA's multilingual vocabularies (transformers' defaults point into it).
CANARY_TOKENS = (
    "<unk>",
    "<|nospeech|>",
    "<pad>",
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|pnc|>",
    "<|nopnc|>",
    "<|startofcontext|>",
    "<|itn|>",
    "<|noitn|>",
    "<|timestamp|>",
    "<|notimestamp|>",
    "<|diarize|>",
    "<|nodiarize|>",
    "<|spkchange|>",
    "<|audioseparator|>",
    "<|emo:undefined|>",
    *(f"<|{language}|>" for language in ("de", "en", "fr", "ru", "zh")),
)
CANARY_PROMPT = (
    "<|startofcontext|>",
    "<|startoftranscript|>",
    "<|emo:undefined|>",
    "<|fr|>",
    "<|fr|>",
    "<|pnc|>",
    "<|noitn|>",
    "<|notimestamp|>",
    "<|nodiarize|>",
)
# What transformers' own processor writes for a Canary: our prompt must be the same.
CANARY_TEMPLATE = (
    "{%- for message in messages -%}{%- for part in message.content if part.type == 'text' -%}"
    "<|startofcontext|><|startoftranscript|><|emo:undefined|><|{{ part.source_language }}|>"
    "<|{{ part.target_language }}|>{{ '<|pnc|>' if part.punctuation else '<|nopnc|>' }}"
    "<|noitn|><|notimestamp|><|nodiarize|>{%- endfor -%}{%- endfor -%}"
)


def encoder(**changes: Any) -> ParakeetEncoderConfig:
    """A FastConformer of two small layers, with the real strides."""
    shape: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "num_mel_bins": 16,
        "subsampling_conv_channels": 8,
        "initializer_range": 0.2,  # so that random outputs differ from frame to frame
    }
    return ParakeetEncoderConfig(**(shape | changes))


def trained_tokenizer(text: tuple[str, ...], special: tuple[str, ...], size: int = 160) -> Tokenizer:
    """Byte-pair pieces as SentencePiece writes them, `special` first."""
    tokenizer = Tokenizer(BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = Metaspace()
    tokenizer.decoder = MetaspaceDecoder()
    trainer = BpeTrainer(
        vocab_size=size, special_tokens=[AddedToken(token, special=True, normalized=False) for token in special]
    )
    tokenizer.train_from_iterator(text, trainer)
    return tokenizer


def features() -> ParakeetFeatureExtractor:
    return ParakeetFeatureExtractor(feature_size=16)


def random_parakeet(folder: Path, kind: str, *, text: tuple[str, ...] = TEXT, **changes: Any) -> Path:
    """A random Parakeet; `kind` is ctc, rnnt or tdt, `changes` go to its configuration."""
    torch.manual_seed(7)
    special = ("<unk>", "<pad>") if kind == "ctc" else ("<unk>", "<pad>", "<blank>")
    tokenizer = ParakeetTokenizer(
        tokenizer_object=trained_tokenizer(text, special),
        unk_token="<unk>",
        pad_token="<pad>",
        clean_up_tokenization_spaces=False,
    )
    size, pad = len(tokenizer), tokenizer.convert_tokens_to_ids("<pad>")
    model: Any
    if kind == "ctc":
        config = ParakeetCTCConfig(**({"encoder_config": encoder(), "vocab_size": size, "pad_token_id": pad} | changes))
        model = ParakeetForCTC(config)
    else:
        settings: dict[str, Any] = {
            "encoder_config": encoder(),
            "vocab_size": size,
            "pad_token_id": pad,
            "blank_token_id": tokenizer.convert_tokens_to_ids("<blank>"),
            "decoder_hidden_size": 24,
            "num_decoder_layers": 1,
        }
        if kind == "tdt":
            model = ParakeetForTDT(ParakeetTDTConfig(**(settings | changes)))
        else:
            model = ParakeetForRNNT(ParakeetRNNTConfig(**(settings | changes)))
        with torch.no_grad():  # a transducer is mostly silent between tokens: so is this one
            model.joint.head.weight.mul_(3)
            model.joint.head.bias[model.config.blank_token_id] += 2.5
            if kind == "tdt":  # nor does it stay at a frame
                model.joint.head.bias[size] -= 5
    model.save_pretrained(folder)
    ParakeetProcessor(features(), tokenizer, decoder_type=kind).save_pretrained(folder)
    return folder


def canary_tokenizer(text: tuple[str, ...] = TEXT) -> TokenizersBackend:
    return TokenizersBackend(
        tokenizer_object=trained_tokenizer(text, CANARY_TOKENS),
        bos_token="<|startoftranscript|>",
        eos_token="<|endoftext|>",
        pad_token="<pad>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
    )


def canary_config(vocabulary: int, *, hidden: int = 32, **changes: Any) -> CanaryConfig:
    decoder = CanaryDecoderConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=hidden // 2,
        max_position_embeddings=1024,
        initializer_range=0.2,
    )
    settings: dict[str, Any] = {
        "encoder_config": encoder(scale_input=False),
        "decoder_config": decoder,
        "vocab_size": vocabulary,
        "initializer_range": 0.2,
    }
    return CanaryConfig(**(settings | changes))


def random_canary(folder: Path, text: tuple[str, ...] = TEXT) -> Path:
    """A random Canary that knows German, English and French, and has tokens for two more languages."""
    torch.manual_seed(11)
    tokenizer = canary_tokenizer(text)
    model = CanaryForConditionalGeneration(canary_config(len(tokenizer)))
    _listen(model.model.decoder)
    model.save_pretrained(folder)
    CanaryProcessor(features(), tokenizer, chat_template=CANARY_TEMPLATE).save_pretrained(folder)
    return folder


def _listen(decoder: Any) -> None:
    """Let what a random decoder writes depend on the sound more than on the token before, which it would repeat."""
    with torch.no_grad():
        decoder.embed_tokens.weight.mul_(0.5)
        if hasattr(decoder, "embed_positions"):
            decoder.embed_positions.weight.mul_(5)
            decoder.embed_tokens.weight.mul_(0.2)
        for layer in decoder.layers:
            for attention in (layer.encoder_attn, layer.self_attn):
                for part in ("v_proj", "o_proj", "out_proj"):
                    if hasattr(attention, part):
                        getattr(attention, part).weight.mul_(10)


WHISPER_LANGUAGES = ("en", "fr", "de", "zh")


def random_whisper(folder: Path, *, several: bool = True) -> Path:
    """A random Whisper of four languages, or of English alone without `several`."""
    torch.manual_seed(13)
    plain = Tokenizer(BPE())
    plain.pre_tokenizer = ByteLevel(add_prefix_space=False)
    plain.train_from_iterator(TEXT, BpeTrainer(vocab_size=400, initial_alphabet=ByteLevel.alphabet()))
    described = json.loads(plain.to_str())["model"]
    tokenizer = WhisperTokenizer(
        vocab=described["vocab"], merges=[tuple(pair) for pair in described["merges"]], eos_token="<|endoftext|>"
    )
    tokens = ("<|startoftranscript|>", *(f"<|{code}|>" for code in WHISPER_LANGUAGES), "<|translate|>")
    tokens += ("<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>", "<|0.00|>")
    tokenizer.add_special_tokens({"additional_special_tokens": list(tokens)})
    ids = tokenizer.get_vocab()
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        num_mel_bins=16,
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        init_std=0.2,
        pad_token_id=ids["<|endoftext|>"],
        bos_token_id=ids["<|endoftext|>"],
        eos_token_id=ids["<|endoftext|>"],
        decoder_start_token_id=ids["<|startoftranscript|>"],
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    model = WhisperForConditionalGeneration(config)
    _listen(model.model.decoder)
    described = {
        "is_multilingual": several,
        "lang_to_id": {f"<|{code}|>": ids[f"<|{code}|>"] for code in WHISPER_LANGUAGES},
        "task_to_id": {"transcribe": ids["<|transcribe|>"], "translate": ids["<|translate|>"]},
        "no_timestamps_token_id": ids["<|notimestamps|>"],
        "begin_suppress_tokens": [ids["<|endoftext|>"]],
        "suppress_tokens": [
            index for token, index in ids.items() if token.startswith("<|") and index != config.eos_token_id
        ],
        "alignment_heads": [[1, 0], [1, 1]],
        "_from_model_config": False,  # else it is made anew of the model's when it is read
    }
    for name, value in described.items():
        setattr(model.generation_config, name, value)
    model.save_pretrained(folder)
    WhisperProcessor(WhisperFeatureExtractor(feature_size=16), tokenizer).save_pretrained(folder)
    return folder
