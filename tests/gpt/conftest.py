"""Tiny models with random weights, built from configs, and gpt served on them. Their text means nothing: tests that
need sense use stories260K (real weights, ../shared/data) or frigo-mini."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import pytest
from flask_openapi import OpenAPI

from common.models.registry import Registry
from gpt.engines.base import LanguageEngine
from gpt.engines.forwarding import ForwardingEngine, GptEngine
from gpt.factory import create_app, create_registry
from gpt.settings import GptSettings

CHATML = (
    "{% for m in messages %}"
    "{% if m.role == 'tool' %}{{ raise_exception('tool turns are not supported') }}{% endif %}"
    "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ROOT = Path(__file__).resolve().parents[2]
WORDS = [
    "Le client envoie la demande. Le service comptable vérifie la facture, puis l'archive.",
    "The customer sends the request. The system checks the invoice and files it.",
    '{"nodes":[{"id":"n1","label":"Le client","kind":"start"}],"edges":[]}',
    "Été, œuvre, naïf, 🎉 : « où ? » — là-bas, à l’hôtel.",
]


def write_tokenizer(folder: Path, *, chat: bool) -> int:
    """A byte-level BPE trained on a few sentences; gives the vocabulary's size."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(WORDS * 20, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>" if chat else "<|endoftext|>",
        bos_token="<|endoftext|>",
        model_max_length=256,
    )
    if chat:
        fast.chat_template = CHATML
    fast.save_pretrained(folder)
    return len(fast)


def write_llama(folder: Path) -> Path:
    """A random two-layer Llama with a chat template."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    size = write_tokenizer(folder, chat=True)
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=size + 5,  # padded past the tokenizer, as real models are
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        eos_token_id=2,
        bos_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def write_gpt2(folder: Path) -> Path:
    """A random GPT-2 without a chat template."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    size = write_tokenizer(folder, chat=False)
    torch.manual_seed(7)
    config = GPT2Config(
        vocab_size=size, n_embd=32, n_layer=2, n_head=4, n_positions=256, eos_token_id=0, bos_token_id=0
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama(tmp_path_factory.mktemp("models") / "tiny-llama")


@pytest.fixture(scope="session")
def tiny_gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gpt2(tmp_path_factory.mktemp("models") / "tiny-gpt2")


@pytest.fixture(scope="session")
def stories(request: pytest.FixtureRequest) -> Path:
    """stories260K: 260 thousand real trained weights."""
    folder: Path = request.getfixturevalue("shared_data") / "models" / "stories260K" / "hf"
    return folder


def settings_for(folder: Path | str, cache: Path, **more: Any) -> GptSettings:
    return GptSettings(
        **{
            "ia_model": str(folder),
            "model_cache_dir": cache,
            "data_dir": cache / "data",
            "ia_use_gpu": False,
            "ia_engine": "transformers",
            "hf_endpoint": "http://127.0.0.1:9",  # nobody answers there: no test fetches from a real hub
            **more,
        }
    )


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def ready_registry(settings: GptSettings, *, isolate: bool = False) -> Registry[GptEngine]:
    registry = create_registry(settings, isolate=isolate)
    registry.start()
    wait_until(lambda: registry.state(registry.selection.chosen) in {"ready", "error"}, 120)
    assert registry.ready() == {"model": "ready"}, registry.status(registry.selection.chosen)["error"]
    return registry


@pytest.fixture(scope="session")
def llama_registry(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Registry[GptEngine]:
    return ready_registry(settings_for(tiny_llama, tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def llama_app(llama_registry: Registry[GptEngine], tmp_path_factory: pytest.TempPathFactory) -> OpenAPI:
    return create_app(settings_for("auto", tmp_path_factory.mktemp("cache")), llama_registry)


@pytest.fixture(scope="session")
def gpt2_app(tiny_gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> OpenAPI:
    settings = settings_for(tiny_gpt2, tmp_path_factory.mktemp("cache"))
    return create_app(settings, ready_registry(settings))


@pytest.fixture(scope="session")
def stories_app(stories: Path, tmp_path_factory: pytest.TempPathFactory) -> OpenAPI:
    settings = settings_for(stories, tmp_path_factory.mktemp("cache"))
    return create_app(settings, ready_registry(settings))


@pytest.fixture(scope="session")
def llama(llama_registry: Registry[GptEngine]) -> LanguageEngine:
    with llama_registry.use() as lease:
        assert not isinstance(lease.engine, ForwardingEngine)
        return lease.engine
