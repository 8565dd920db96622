"""A model's facts asked of its hub before any weight is fetched: its configuration, and the headers of its weights.

Only these bytes are read, by range requests. What was learnt is kept in the models' folder, one small file per
model, by commit: a later start, or one without the hub, knows it still.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from common.errors import ApiError
from common.hub.client import HubClient, Patience
from common.hub.hub import Hub
from common.hub.listing import Listing, RemoteFile, choose_files
from common.messages import _
from common.models.footprint import (
    MAX_JSON_BYTES,
    Header,
    ModelFacts,
    facts_of,
    facts_of_size,
    header_size,
    parse_header,
)

FOLDER = "frigo-facts"
MAX_HEADERS = 64  # shards; beyond, the model's total size is enough to say that it is huge
_SIDE_BY_SIDE = 8
_KEPT_COMMITS = 4
_FORMAT = 1  # counts up when the same headers would give other facts
_WIDTHS = {"float32": 4, "float64": 8, "float16": 2, "bfloat16": 2, "float8_e4m3fn": 1}


class FactsBook:
    """What is known of a hub's models. Thread-safe."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._lock = threading.Lock()
        self._pages: dict[str, dict[str, Any]] = {}

    def known(self, repo_id: str, revision: str) -> ModelFacts | None:
        """What was learnt of this revision, at any time; the hub is not asked."""
        with self._lock:
            page = self._page(repo_id)
            commit = page["revisions"].get(revision, revision)
            return _facts(page["commits"].get(commit))

    def learn(self, repo_id: str, revision: str, patience: Patience | None = None) -> ModelFacts:
        """Ask the hub, and keep the answer. Raises `ApiError` as `Hub.download`, or 422 `model_unusable`."""
        client = self._hub.client(repo_id, revision)
        if patience is not None:
            client = replace(client, patience=patience)
        listing = client.listing()
        with self._lock:
            facts = _facts(self._page(repo_id)["commits"].get(listing.commit))
        if facts is None:
            facts = _ask(client, listing)
        self._keep(repo_id, revision, listing.commit, facts)
        return facts

    def _path(self, repo_id: str) -> Path:
        return self._hub.cache_dir / FOLDER / f"{repo_id.replace('/', '--')}.json"

    def _page(self, repo_id: str) -> dict[str, Any]:
        if repo_id not in self._pages:
            self._pages[repo_id] = _read(self._path(repo_id))
        return self._pages[repo_id]

    def _keep(self, repo_id: str, revision: str, commit: str, facts: ModelFacts) -> None:
        with self._lock:
            page = self._page(repo_id)
            page["commits"].pop(commit, None)
            page["commits"][commit] = asdict(facts)
            for old in list(page["commits"])[:-_KEPT_COMMITS]:
                del page["commits"][old]
            page["revisions"][revision] = commit
            path = self._path(repo_id)
            draft = path.with_name(f".{path.name}.{os.getpid()}")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                draft.write_text(json.dumps({"format": _FORMAT, **page}, indent=1), encoding="utf-8")
                draft.replace(path)
            except OSError:  # a folder of models that cannot be written (an image): known for this run only
                return


def _ask(client: HubClient, listing: Listing) -> ModelFacts:
    config_file = listing.find("config.json")
    weights = [file for file in choose_files(listing) if file.is_weights]
    if config_file is None:
        message = _("%(model)s n'a pas de config.json : ce n'est pas un modèle de langue.", model=listing.repo_id)
        raise ApiError(422, "model_unusable", message, "model")
    if not weights:
        message = _("%(model)s n'a pas de poids au format safetensors, seul format accepté.", model=listing.repo_id)
        raise ApiError(422, "no_safetensors", message, "model")
    try:
        config = json.loads(client.read(listing, "config.json", 0, min(config_file.size or 2**20, MAX_JSON_BYTES)))
        if not isinstance(config, dict):
            raise ValueError("not a model configuration")
        if len(weights) > MAX_HEADERS:
            return facts_of_size(config, sum(file.size or 0 for file in weights), _width(config))
        with ThreadPoolExecutor(min(_SIDE_BY_SIDE, len(weights)), thread_name_prefix="headers") as pool:
            return facts_of(config, pool.map(lambda file: _header(client, listing, file), weights))
    except ValueError as error:
        message = _(
            "Le hub décrit %(model)s d'une façon illisible : sa taille ne peut être estimée.", model=listing.repo_id
        )
        raise ApiError(422, "model_unusable", message, "model") from error


def _header(client: HubClient, listing: Listing, file: RemoteFile) -> Header:
    """Exactly the header: not a byte of weights is asked for."""
    return parse_header(client.read(listing, file.name, 8, header_size(client.read(listing, file.name, 0, 8))))


def _width(config: Mapping[str, Any]) -> int:
    text = config.get("text_config")
    said = config.get("dtype") or config.get("torch_dtype") or (text.get("dtype") if isinstance(text, dict) else None)
    return _WIDTHS.get(str(said), 2)


def _read(path: Path) -> dict[str, Any]:
    try:
        page = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        page = None
    if not isinstance(page, dict) or page.get("format") != _FORMAT:
        page = {}
    kept = {name: page.get(name) for name in ("revisions", "commits")}
    return {name: value if isinstance(value, dict) else {} for name, value in kept.items()}


def _facts(said: object) -> ModelFacts | None:
    """Facts as they were written; None for anything else."""
    if not isinstance(said, dict):
        return None
    kinds = {field.name: field.type for field in fields(ModelFacts)}
    if set(said) != set(kinds) or any(type(value).__name__ != kinds[name] for name, value in said.items()):
        return None
    return ModelFacts(**said)
