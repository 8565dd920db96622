"""Model folders on this disk: which are whole, what they say of themselves, where a catalogue's entry is."""

from __future__ import annotations

import json
from pathlib import Path

from common.hub.hub import Hub
from common.messages import Text
from common.models.catalogue import ModelEntry
from common.models.footprint import ModelFacts, read_folder
from gpt.engines.nanochat import layout as nanochat


def describe(folder: Path) -> ModelFacts | None:
    """The facts of a model folder (Hugging Face's, or nanochat's with its choice), or None when it is not readable."""
    if not (folder / "config.json").is_file() and nanochat.is_nanochat(folder):
        return nanochat.describe(folder)
    return read_folder(folder)


def refusal(folder: Path) -> Text | None:
    """Why a folder that looks like a model is not one that can be opened, when that is known without opening it."""
    return nanochat.refusal(folder) if nanochat.is_nanochat(folder) else None


def folder_of(entry: ModelEntry, hub: Hub) -> Path | None:
    """Where the entry's files are, or None when they are not all here."""
    if entry.path is not None:
        return entry.path if whole(entry.path) else None
    found = hub.find(entry.hub_id, entry.revision) if entry.hub_id else None
    return found if found is not None and whole(found) else None


def whole(folder: Path) -> bool:
    """True when configuration, tokenizer and every weight file that the index names are there."""
    if not (folder / "config.json").is_file():
        return nanochat.describe(folder) is not None
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        return False
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return any(folder.glob("*.safetensors"))
    try:
        shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, AttributeError):
        return False
    return all((folder / Path(shard).name).is_file() for shard in shards)
