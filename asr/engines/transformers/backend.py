"""transformers' place among asr's engines: repositories and folders of safetensors, without NeMo.

Which repositories hold such files, by transformers' own documentation, tests and conversion scripts (5.23): those of
`nvidia/` for Parakeet (parakeet-ctc-0.6b and 1.1b, parakeet-rnnt-0.6b and 1.1b, parakeet-tdt-0.6b-v3) and
canary-1b-v2, beside their .nemo; `openai/whisper-*`, `distil-whisper/*` and what was fine-tuned from them. A Canary
flash (180m, 1b) has one tokenizer per language: transformers has no conversion for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from asr.engines.base import Capabilities
from asr.engines.process.backend import ProcessBackend
from asr.engines.transformers.families import CONFIG, FEATURES, TOKENIZERS, checked, read_config
from asr.engines.transformers.footprint import HOST_OF_A_GPU_BYTES, need
from common.errors import ApiError
from common.hub.facts import FactsBook
from common.hub.hub import Hub, Patience
from common.hub.listing import INDEX, Listing, RemoteFile, choose_files
from common.messages import _
from common.models.catalogue import ModelEntry
from common.models.footprint import read_folder

_MAX_INDEX_BYTES = 2**24


class TransformersBackend(ProcessBackend):
    """Canary, Parakeet and Whisper in transformers' format."""

    name = "transformers"

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self._book = FactsBook(hub)

    def opens(self, entry: ModelEntry) -> bool:
        """See `Backend`: a folder with the files of a speech model, even of one that is refused with its reason."""
        return entry.path is not None and self.whole(entry.path)

    def recognises(self, listing: Listing) -> bool:
        """See `Backend`: names only. What a config says is read by `learn` and `fetch`, before any weight."""
        return _is_speech({file.name for file in listing.files}) and any(
            file.is_weights for file in choose_files(listing)
        )

    def choose(self, listing: Listing) -> list[RemoteFile]:
        """See `HubBackend`: one copy of the weights, and the small files. Raises 422 `model_unusable`."""
        if not self.recognises(listing):
            message = _(
                "%(model)s n'a pas les fichiers d'un modèle de parole de transformers (%(files)s).",
                model=listing.repo_id,
                files=f"{CONFIG}, {FEATURES[0]}, {TOKENIZERS[0]}, *.safetensors",
            )
            raise ApiError(422, "model_unusable", message, "model")
        return choose_files(listing)

    def whole(self, path: Path) -> bool:
        """See `HubBackend`: its weights are all there, or were never in pieces."""
        if not path.is_dir() or not _is_speech({file.name for file in path.iterdir()}):
            return False
        index = path / INDEX
        if not index.is_file():
            return any(path.glob("*.safetensors"))
        try:
            with index.open("rb") as file:
                named = json.loads(file.read(_MAX_INDEX_BYTES))["weight_map"].values()
            return all((path / Path(str(name)).name).is_file() for name in set(named))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False

    def learn(self, entry: ModelEntry, patience: Patience | None = None) -> None:
        """See `Backend`. Raises also 422 `model_unusable` for a model that is none of ours."""
        if entry.hub_id is not None and not self.here(entry):
            facts = self._book.learn(entry.hub_id, entry.revision, patience)
            self._sizes[entry.key] = facts.stored_bytes
            checked({"model_type": facts.family}, entry.hub_id)

    def fetch(self, entry: ModelEntry, progress: Callable[[int, int], None], cancelled: Callable[[], bool]) -> None:
        """See `Backend`. What is none of ours is refused before any weight comes."""
        self.learn(entry)
        super().fetch(entry, progress, cancelled)

    def need_bytes(self, entry: ModelEntry, *, cuda: bool) -> int | None:
        """See `Backend`."""
        parameters = self._parameters(entry)
        return need(parameters, cuda=cuda) if parameters else None

    def host_bytes(self, entry: ModelEntry) -> int:
        """See `Backend`: weights pass through the machine's memory, at sixteen bits."""
        return HOST_OF_A_GPU_BYTES + 2 * self._parameters(entry)

    def check(self, entry: ModelEntry, path: Path) -> None:
        """See `ProcessBackend`."""
        checked(read_config(path), entry.key)

    def languages(self, entry: ModelEntry, capabilities: Capabilities) -> frozenset[str]:
        """See `ProcessBackend`. A Parakeet does not name its languages, and its letters only bound them: a catalogue
        knows better."""
        return frozenset(entry.languages) or capabilities.languages

    def _parameters(self, entry: ModelEntry) -> int:
        """How many numbers the model has: by its files, as the hub told, or as the catalogue says."""
        path = self.path(entry)
        facts = read_folder(path) if path is not None else None
        if facts is None and entry.hub_id is not None:
            facts = self._book.known(entry.hub_id, entry.revision)
        return facts.parameters if facts is not None else entry.parameters


def _is_speech(names: set[str]) -> bool:
    """Whether a folder with files of these names may hold a speech model: words, sounds and a configuration."""
    return CONFIG in names and not names.isdisjoint(FEATURES) and not names.isdisjoint(TOKENIZERS)
