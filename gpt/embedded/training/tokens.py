"""The tokenizer of frigo-mini: byte-level BPE for French and English, with whole pieces for the JSON frame.

A word has the same pieces in the text and in a label (both are written with their leading space), so that copying is
a plain repetition; the frame costs three tokens a node and three an edge.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

MAX_NODES = 32
SPECIAL = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
TEMPLATE = (
    "{% set knows_tools = false %}"  # see gpt.tools.styles: told of tools, it would only lose its thread
    "{% for message in messages %}<|{{ message['role'] }}|>"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{{ part['text'] if part['type'] == 'text' else '' }}{% endfor %}{% endif %}"
    "<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
WORD = r" ?[\p{L}\p{M}]+['’]?| ?\p{N}|\n| ?[^\s\p{L}\p{M}\p{N}]|\s+"


def frame() -> list[str]:
    """The fixed pieces of the two JSON answers."""
    pieces = ["frigo:diagram", "frigo:minutes", '{"nodes":[{"id":"n1","label":"']
    pieces += [f'"}},{{"id":"n{number}","label":"' for number in range(2, MAX_NODES + 1)]
    for kind in ("start", "action", "decision", "end"):
        pieces += [f'","kind":"{kind}","actor":"{actor}' for actor in ("human", "system", "ai", "goal")]
    pieces += ['"}],"edges":[', '"},', '"}]}', "]}"]
    for number in range(1, MAX_NODES + 1):
        pieces += [f'{{"from":"n{number}', f'","to":"n{number}']
    for label in ("oui", "non", "yes", "no"):
        pieces += [f'","label":"{label}"}},', f'","label":"{label}"}}]}}']
    pieces += [
        '{"summary":"',
        '","decisions":[',
        '],"actions":[',
        '],"open_points":[',
        '","',
        '{"who":"',
        '","what":"',
        '","when":"',
        '"}',
    ]
    return pieces


def train_tokenizer(texts: Iterator[str], size: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORD), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(frame()) - len(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.add_tokens([AddedToken(piece, normalized=False, special=False) for piece in frame()])
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": "<|pad|>",
        "eos_token": "<|end|>",
        "model_max_length": 2048,
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
