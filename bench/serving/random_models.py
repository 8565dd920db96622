"""Models with random weights at real sizes, for speed and memory: their text means nothing, and each says so.

Built from configurations; the tokenizer is a made-up byte-level BPE that covers the whole vocabulary.
"""

from __future__ import annotations

import itertools
import json
import math
import string
from pathlib import Path

SAYS = "Poids tirés au hasard pour mesurer la vitesse et la mémoire. Le texte produit ne veut rien dire.\n"
CHAT_TEMPLATE = (
    "{% for m in messages %}<|user|>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL = ("<|endoftext|>", "<|user|>", "<|assistant|>")


def llama_87m(folder: Path) -> Path:
    """An 87.5-million-parameter Llama in bfloat16: 8 layers of 768, 12 heads, 20,096 pieces, untied."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    if _made(folder):
        return folder
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=20_096,
        hidden_size=768,
        intermediate_size=2048,
        num_hidden_layers=8,
        num_attention_heads=12,
        num_key_value_heads=12,
        max_position_embeddings=2048,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=0,
    )
    _save(LlamaForCausalLM(config).to(torch.bfloat16), folder, config.vocab_size, 2048)
    return folder


def gpt2_124m(folder: Path) -> Path:
    """GPT-2's own shape (124,439,808 parameters) in float32, as it is on the hub."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    if _made(folder):
        return folder
    torch.manual_seed(0)
    config = GPT2Config(bos_token_id=0, eos_token_id=0)
    _save(GPT2LMHeadModel(config), folder, config.vocab_size, 1024)
    return folder


def parakeet_110m(folder: Path) -> Path:
    """A Parakeet CTC of 110 million parameters in float32: 17 FastConformer layers of 512, as NVIDIA's smallest."""
    return _parakeet(folder, layers=17, width=512)


def parakeet_600m(folder: Path) -> Path:
    """A Parakeet CTC of 600 million parameters in float32: 24 FastConformer layers of 1,024, as parakeet-ctc-0.6b."""
    return _parakeet(folder, layers=24, width=1024)


def _parakeet(folder: Path, *, layers: int, width: int) -> Path:
    """8 heads, 80 mel bands, 705 pieces of one or two letters."""
    import torch
    from tokenizers import Tokenizer, models
    from transformers import (
        ParakeetCTCConfig,
        ParakeetEncoderConfig,
        ParakeetFeatureExtractor,
        ParakeetForCTC,
        ParakeetProcessor,
        ParakeetTokenizer,
    )

    if _made(folder):
        return folder
    torch.manual_seed(0)
    encoder = ParakeetEncoderConfig(
        hidden_size=width, num_hidden_layers=layers, num_attention_heads=8, intermediate_size=4 * width, num_mel_bins=80
    )
    letters = string.ascii_lowercase
    pieces = ["<unk>", "<pad>", "\u2581", *letters, *("".join(pair) for pair in itertools.product(letters, repeat=2))]
    merges = [(pair[0], pair[1]) for pair in itertools.product(letters, repeat=2)]
    ranks = {piece: at for at, piece in enumerate(pieces)}
    tokenizer = ParakeetTokenizer(
        tokenizer_object=Tokenizer(models.BPE(ranks, merges, unk_token=pieces[0])),
        unk_token="<unk>",  # noqa: S106
        pad_token="<pad>",  # noqa: S106
        clean_up_tokenization_spaces=False,
    )
    config = ParakeetCTCConfig(encoder_config=encoder, vocab_size=len(pieces), pad_token_id=1)
    ParakeetForCTC(config).save_pretrained(folder)
    ParakeetProcessor(ParakeetFeatureExtractor(feature_size=80), tokenizer, decoder_type="ctc").save_pretrained(folder)
    (folder / "README.md").write_text(SAYS, encoding="utf-8")
    return folder


def _made(folder: Path) -> bool:
    return (folder / "README.md").is_file()


def _save(model: object, folder: Path, vocabulary: int, context: int) -> None:
    """Write `model`, its tokenizer and, last, the note that says what it is."""
    import torch

    with torch.no_grad():  # the end of text never comes by itself: every answer has the length that was asked
        model.get_output_embeddings().weight[0] = 0  # type: ignore[attr-defined]  # a transformers model
    model.save_pretrained(folder)  # type: ignore[attr-defined]
    _tokenizer(folder, vocabulary, context)
    (folder / "README.md").write_text(SAYS, encoding="utf-8")


def _tokenizer(folder: Path, size: int, context: int) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = string.ascii_lowercase + string.ascii_uppercase
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pairs = ["".join(pair) for pair in itertools.product(letters, repeat=2)]
    triples = [(pair, letter) for pair, letter in itertools.product(pairs, letters)]
    pieces = [*SPECIAL, *alphabet, *pairs]
    merges = [(pair[0], pair[1]) for pair in pairs]
    for pair, letter in triples[: max(0, size - len(pieces))]:
        pieces.append(pair + letter)
        merges.append((pair, letter))
    tokenizer = Tokenizer(models.BPE({piece: at for at, piece in enumerate(pieces[:size])}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=SPECIAL[0], eos_token=SPECIAL[0], model_max_length=context
    )
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(folder)
    config = folder / "generation_config.json"
    config.write_text(json.dumps({"bos_token_id": 0, "eos_token_id": 0}), encoding="utf-8")


def phi2_headers(folder: Path) -> Path:
    """What the hub has of microsoft/phi-2 but its weights: configuration, index and the two shards' headers, in files
    of the real sizes that are holes (5.6 GB that take no disk)."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "architectures": ["PhiForCausalLM"],
        "model_type": "phi",
        "vocab_size": 51_200,
        "hidden_size": 2560,
        "intermediate_size": 10_240,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "max_position_embeddings": 2048,
        "partial_rotary_factor": 0.4,
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    tensors: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (51_200, 2560)}
    for layer in range(32):
        at = f"model.layers.{layer}"
        for name in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.dense"):
            tensors |= {f"{at}.{name}.weight": (2560, 2560), f"{at}.{name}.bias": (2560,)}
        tensors |= {f"{at}.mlp.fc1.weight": (10_240, 2560), f"{at}.mlp.fc1.bias": (10_240,)}
        tensors |= {f"{at}.mlp.fc2.weight": (2560, 10_240), f"{at}.mlp.fc2.bias": (2560,)}
        tensors |= {f"{at}.input_layernorm.weight": (2560,), f"{at}.input_layernorm.bias": (2560,)}
    tensors |= {"model.final_layernorm.weight": (2560,), "model.final_layernorm.bias": (2560,)}
    tensors |= {"lm_head.weight": (51_200, 2560), "lm_head.bias": (51_200,)}
    names = list(tensors)
    shards = {"model-00001-of-00002.safetensors": names[:-60], "model-00002-of-00002.safetensors": names[-60:]}
    index = {"weight_map": {name: shard for shard, held in shards.items() for name in held}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    for shard, held in shards.items():
        _hollow(folder / shard, {name: tensors[name] for name in held})
    return folder


def _hollow(path: Path, tensors: dict[str, tuple[int, ...]]) -> None:
    header, end = {}, 0
    for name, shape in tensors.items():
        size = 2 * math.prod(shape)
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": (end, end + size)}
        end += size
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
