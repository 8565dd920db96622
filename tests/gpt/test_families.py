"""The families of the catalogue, as tiny random models: our loop samples what transformers' own `generate` samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpt.engines.base import GenerationRequest
from gpt.engines.options import EngineOptions
from gpt.engines.transformers.batch import BatchRunner
from gpt.engines.transformers.engine import TransformersEngine
from tests.gpt.conftest import write_tokenizer
from tests.gpt.generation import Generation

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "eos_token_id": 2,
    "bos_token_id": 0,
    "pad_token_id": None,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256, "eos_token_id": 2, "bos_token_id": 0},
    "phi": {**SMALL, "num_key_value_heads": 4},
    "mistral": SMALL,
    "mistral, sliding window": {**SMALL, "sliding_window": 16},
    "llama, rope scaling": {
        **SMALL,
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 10000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        },
    },
    "qwen2": SMALL,
    "qwen3": {**SMALL, "head_dim": 8},
    "qwen3, tied": {**SMALL, "head_dim": 8, "tie_word_embeddings": True},
    "qwen3_vl_moe, its text": {
        "text_config": {
            **SMALL,
            "head_dim": 8,
            "moe_intermediate_size": 16,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]},
        },
        "vision_config": {
            "depth": 1,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_heads": 2,
            "out_hidden_size": 32,
            "deepstack_visual_indexes": [0],
            "num_position_embeddings": 16,
        },
    },
}


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_ids_are_those_of_transformers(family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

    size = write_tokenizer(tmp_path, chat=True)
    torch.manual_seed(11)
    fields = dict(FAMILIES[family])
    if "text_config" in fields:
        fields["text_config"] = {**fields["text_config"], "vocab_size": size}
    else:
        fields["vocab_size"] = size
    config = AutoConfig.for_model(family.split(",")[0], **fields)
    kind = AutoModelForImageTextToText if "vision_config" in fields else AutoModelForCausalLM
    model = kind.from_config(config).eval()
    with torch.no_grad():  # random weights of the usual size give almost flat logits, where rounding decides
        for parameter in model.parameters():
            parameter.mul_(4) if parameter.ndim > 1 else None
    model.save_pretrained(tmp_path)

    engine = TransformersEngine(tmp_path, EngineOptions(use_gpu=False))
    assert isinstance(engine._runner, BatchRunner)
    monkeypatch.setattr(engine._runner, "slice", 13)  # the prompts are read in several slices
    text = "Le client envoie la demande. The system checks the invoice, puis l'archive. "
    prompts = [engine.encode(text * 3), engine.encode(text), engine.encode(text * 2 + "Le")]
    bias = dict.fromkeys((2,), -1e9)  # generate's min_new_tokens forbids the end; so do we
    running = [Generation(engine, GenerationRequest(prompt, 40, temperature=0, logit_bias=bias)) for prompt in prompts]
    for prompt, generation in zip(prompts, running, strict=True):
        expected = model.generate(torch.tensor([prompt.ids]), max_new_tokens=40, do_sample=False, min_new_tokens=40)
        assert [i for delta in generation for i in delta.token_ids] == expected[0, len(prompt.ids) :].tolist()
    engine.close()
