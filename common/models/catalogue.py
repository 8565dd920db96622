"""The models a service knows: ``models.toml``, read once, resolved by key or alias."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from common.errors import ApiError
from common.messages import _

DEFAULT = "default"


class Shape(BaseModel):
    """What a model's memory depends on beside its parameters, for when its own files are out of reach.

    `experts` are the numbers in expert stacks and convolutions; `tied`: the output layer is the token table.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    layers: int = Field(gt=0)
    hidden: int = Field(gt=0)
    heads: int = Field(gt=0)
    kv_heads: int = Field(gt=0)
    head_dim: int = Field(gt=0)
    vocabulary: int = Field(gt=0)
    tied: bool = True
    experts: int = Field(default=0, ge=0)


class ModelEntry(BaseModel):
    """One line of a catalogue. `path` is a local folder, relative to the repository; `note` is for readers.

    `rank` is the order in which `auto` prefers (1 first; None: never); a `base` model only continues a text: `auto`
    takes one that is on this disk, and fetches none. `engines` are those that can open it, preferred first, where there
    are several (else `engine`). With `gpu_advised`, `auto` takes it only where it runs on a GPU. `url` is another
    server's address, for an entry that a variable named; it stays here, since it may hold a password.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    aliases: tuple[str, ...] = ()
    hub_id: str | None = None
    revision: str = "main"
    family: str
    parameters: int = Field(ge=0)
    context: int = Field(default=0, ge=0)
    licence: str
    gated: bool = False
    languages: tuple[str, ...] = ()
    vision: bool = False
    embedded: bool = False
    base: bool = False
    demo: bool = False
    engine: str | None = None
    engines: tuple[str, ...] = Field(default=(), exclude=True)
    gpu_advised: bool = Field(default=False, exclude=True)
    path: Path | None = None
    parent: str | None = None
    note: str = ""
    rank: int | None = Field(default=None, ge=1, exclude=True)
    shape: Shape | None = Field(default=None, exclude=True)
    url: str | None = Field(default=None, exclude=True)

    @property
    def openers(self) -> tuple[str, ...]:
        """The engines that the entry names, preferred first; none when its files have to tell."""
        return self.engines or ((self.engine,) if self.engine is not None else ())


def unknown_model(name: str, known: Iterator[str] | list[str]) -> ApiError:
    """The 404 that lists what there is."""
    message = _("Modèle inconnu : « %(model)s ». Modèles connus : %(known)s.", model=name, known=", ".join(known))
    return ApiError(404, "model_not_found", message, "model")


class Catalogue:
    """Entries by key, in the file's order (best first where order matters)."""

    def __init__(self, entries: list[ModelEntry]) -> None:
        self.entries = {entry.key: entry for entry in entries}
        self._names: dict[str, str] = {}
        for entry in entries:
            for name in (entry.key, *entry.aliases):
                if self._names.setdefault(name.lower(), entry.key) != entry.key:
                    raise ValueError(f"models.toml: {name!r} names two models")

    def add(self, entry: ModelEntry) -> None:
        """Add an entry that is not in the file (a hub id or a folder named by a variable, a hub id by the API).

        Who goes through the entries meanwhile sees those there were.
        """
        self.entries = {**self.entries, entry.key: entry}
        for name in (entry.key, *entry.aliases):
            self._names[name.lower()] = entry.key

    def find(self, name: str) -> ModelEntry | None:
        """The entry whose key, alias or hub id is `name` (case does not count)."""
        key = self._names.get(name.lower())
        if key is not None:
            return self.entries[key]
        return next((entry for entry in self if entry.hub_id and entry.hub_id.lower() == name.lower()), None)

    def resolve(self, name: str) -> ModelEntry:
        """`find`, or the 404 `model_not_found`."""
        entry = self.find(name)
        if entry is None:
            raise unknown_model(name, list(self.entries))
        return entry

    def __iter__(self) -> Iterator[ModelEntry]:
        return iter(self.entries.values())


def load_catalogue(path: Path) -> Catalogue:
    """Read ``[[model]]`` tables. A wrong file is a bug of ours: it raises at start."""
    with path.open("rb") as file:
        tables = tomllib.load(file)["model"]
    return Catalogue([ModelEntry.model_validate(table) for table in tables])
