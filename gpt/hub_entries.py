"""Models of the hub that the catalogue does not list, asked for by their id while gpt runs."""

from __future__ import annotations

import re

from common.hub.hub import Patience
from common.models.catalogue import ModelEntry
from gpt.fit import GptMachine

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_LONGEST = 200
_PATIENCE = Patience(connect_s=3.0, stall_s=5.0, attempts=2, retry_after_s=5.0)  # a person waits for the answer


def hub_entry(name: str, machine: GptMachine) -> ModelEntry | None:
    """An entry for the hub id `name` (``owner/name``), with what its files or the hub say of it; None for no such id.

    Raises `ApiError` when the hub refuses (401, 403, 404, 429), does not answer (503), or when it is no language model
    that can be opened (422): what cannot be had is not listed.
    """
    if len(name) > _LONGEST or not _HUB_ID.fullmatch(name) or ".." in name:
        return None
    entry = ModelEntry(key=name, hub_id=name, family="", parameters=0, licence="")
    machine.learn(entry, _PATIENCE)
    facts, _estimated = machine.facts(entry)
    if facts is None:
        return entry
    told = {"family": facts.family, "parameters": facts.parameters, "context": facts.context, "vision": facts.vision}
    return entry.model_copy(update=told)
