"""Tiny models that see, with random weights, built from configs: what they say means nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.gpt.conftest import WORDS

_TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "eos_token_id": 2,
    "bos_token_id": 0,
    "pad_token_id": 0,
}
_ROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]}}
_SIGLIP = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 56,
    "patch_size": 14,
}
_QWEN3_SIGHT = {
    "depth": 2,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_heads": 2,
    "out_hidden_size": 32,
    "deepstack_visual_indexes": [0],
    "num_position_embeddings": 16,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "qwen2_vl": {
        "text_config": {**_TEXT, **_ROPE},
        "vision_config": {"depth": 1, "embed_dim": 16, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2},
    },
    "qwen2_5_vl": {
        "text_config": {**_TEXT, **_ROPE},
        "vision_config": {
            "depth": 1,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_heads": 2,
            "out_hidden_size": 32,
            "fullatt_block_indexes": [0],
        },
    },
    "qwen3_vl": {"text_config": {**_TEXT, **_ROPE, "head_dim": 8}, "vision_config": _QWEN3_SIGHT},
    "qwen3_vl_moe": {
        "text_config": {
            **_TEXT,
            **_ROPE,
            "head_dim": 8,
            "moe_intermediate_size": 16,
            "num_experts": 4,
            "num_experts_per_tok": 2,
        },
        "vision_config": _QWEN3_SIGHT,
    },
    "llava": {
        "text_config": {**_TEXT, "model_type": "llama"},
        "vision_config": {**_SIGLIP, "model_type": "clip_vision_model", "projection_dim": 16},
    },
    "idefics3": {"text_config": {**_TEXT, "model_type": "llama"}, "vision_config": _SIGLIP, "scale_factor": 2},
    "smolvlm": {"text_config": {**_TEXT, "model_type": "llama"}, "vision_config": _SIGLIP, "scale_factor": 2},
}
_PLACE = {
    "qwen": "<|vision_start|><|image_pad|><|vision_end|>",
    "llava": "<image>",
    "idefics3": "<image>",
    "smolvlm": "<image>",
}
_MARKS = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<image>",
    "<fake_token_around_image>",
    "<global-img>",
    "<end_of_utterance>",
    *(f"<row_{row}_col_{column}>" for row in range(1, 4) for column in range(1, 4)),
]


def _tokenizer(folder: Path, place: str) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=_MARKS, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(WORDS * 20, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", bos_token="<|endoftext|>", pad_token="<|endoftext|>"
    )
    fast.model_max_length = 512
    fast.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n"
        "{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}"
        "{% if p.type == 'image' %}" + place + "{% else %}{{ p.text }}{% endif %}"
        "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    fast.save_pretrained(folder)
    return fast


def write_seeing(folder: Path, family: str) -> Path:
    """A random model of `family` with its tokenizer and its image processor's settings."""
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    place = _PLACE["qwen" if family.startswith("qwen") else family]
    tokenizer = _tokenizer(folder, place)
    token = "<|image_pad|>" if family.startswith("qwen") else "<image>"
    fields = dict(FAMILIES[family])
    fields["text_config"] = {**fields["text_config"], "vocab_size": len(tokenizer)}
    image = tokenizer.convert_tokens_to_ids(token)
    fields |= {"image_token_id": image, "image_token_index": image} if family == "llava" else {"image_token_id": image}
    if family.startswith("qwen"):
        for name in ("vision_start", "vision_end", "video"):
            mark = "<|video_pad|>" if name == "video" else f"<|{name}|>"
            fields[f"{name}_token_id"] = tokenizer.convert_tokens_to_ids(mark)
    torch.manual_seed(3)
    model = AutoModelForImageTextToText.from_config(AutoConfig.for_model(family, **fields)).eval()
    with torch.no_grad():  # sharper than chance: else every answer is the same
        for parameter in model.parameters():
            parameter.mul_(4) if parameter.ndim > 1 else None
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(_settings(family)), encoding="utf-8")
    (folder / "processor_config.json").write_text(json.dumps(processor_settings(family)), encoding="utf-8")
    return folder


def _settings(family: str) -> dict[str, Any]:
    mean = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "do_normalize": True, "do_rescale": True}
    if family.startswith("qwen"):
        patch = 16 if family.startswith("qwen3") else 14
        return {
            **mean,
            "image_processor_type": "Qwen2VLImageProcessor",
            "patch_size": patch,
            "merge_size": 2,
            "temporal_patch_size": 2,
            "min_pixels": 28 * 28,
            "max_pixels": 100 * 100,
        }
    if family == "llava":
        return {
            **mean,
            "image_processor_type": "CLIPImageProcessor",
            "crop_size": {"height": 56, "width": 56},
            "size": {"shortest_edge": 56},
            "do_center_crop": True,
            "do_resize": True,
        }
    kind = "Idefics3ImageProcessor" if family == "idefics3" else "SmolVLMImageProcessor"
    return {
        **mean,
        "image_processor_type": kind,
        "size": {"longest_edge": 112},
        "max_image_size": {"longest_edge": 56},
        "do_resize": True,
        "do_image_splitting": True,
    }


def processor_settings(family: str) -> dict[str, Any]:
    """processor_config.json, for the families whose processors need to know the model's shape."""
    if family == "llava":
        return {
            "processor_class": "LlavaProcessor",
            "patch_size": 14,
            "vision_feature_select_strategy": "default",
            "image_token": "<image>",
            "num_additional_image_tokens": 1,
        }
    if family in {"idefics3", "smolvlm"}:
        return {"image_seq_len": 4}
    return {}
