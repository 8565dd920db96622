"""pyannote's place among diarize's engines: its pipelines on the hub, gated, made of one repository or of several."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from common.errors import ApiError
from common.hub.client import HubClient
from common.hub.hub import HUB, Hub, Patience, never
from common.hub.listing import Listing, RemoteFile
from common.messages import Text, _
from common.models.backends import HubBackend, Placement
from common.models.catalogue import ModelEntry
from common.process.environments import python_with
from diarize.engines.base import DiarizeEngine
from diarize.engines.pyannote.client import PyannoteEngine
from diarize.engines.pyannote.recipe import (
    CONFIG,
    MAX_BYTES,
    PLDA_FILES,
    REPOSITORIES,
    WEIGHTS,
    Part,
    Recipe,
    parse_recipe,
    read_recipe,
    unusable,
)
from diarize.engines.pyannote.spec import Spec

MIB = 2**20
_NEED_BYTES = 900 * MIB
"""The process on a CPU at work on some minutes: 430 MiB once loaded, 700 to 810 while it works (measured, by the sizes
of community-1's weights)."""
_CUDA_BYTES = 2048 * MIB
"""Reckoned, not measured: CUDA itself, and the widest layers of the encoder for 32 windows of ten seconds."""
_MADE_OF_OTHERS = {"pyannote/speaker-diarization-3.1": REPOSITORIES}
"""Pipelines known to need other repositories: their terms are told with its own, before its config can be read."""
_REVISION = "main"  # of the other repositories: a config names no revision


@dataclass(frozen=True)
class _Source:
    """A repository that a pipeline needs, as the hub lists it, and what to fetch of it."""

    client: HubClient
    listing: Listing
    files: list[RemoteFile]

    @property
    def size(self) -> int:
        return sum(file.size or 0 for file in self.files)


class PyannoteBackend(HubBackend[DiarizeEngine]):
    """community-1, 3.1, and what is made like them."""

    name = "pyannote"
    uses_gpu = True

    def __init__(self, hub: Hub, python: str | None = None) -> None:
        super().__init__(hub)
        self._python = python  # another interpreter than the one that is found

    # --- what it opens ----------------------------------------------------------------------------------------------

    def opens(self, entry: ModelEntry) -> bool:
        """See `Backend`: a pipeline's folder, even one that is refused later with its reason."""
        return entry.path is not None and (entry.path / CONFIG).is_file() and not (entry.path / "config.json").is_file()

    def missing(self) -> Text | None:
        """See `Backend`."""
        if self._interpreter() is not None:
            return None
        return _("Le moteur pyannote n'est pas installé ici : « make run MOTEURS=pyannote » l'installe (1,7 Go).")

    def recognises(self, listing: Listing) -> bool:
        """See `Backend`."""
        if listing.find(CONFIG) is None or listing.find("config.json") is not None:
            return False
        inside = any(listing.find(f"{name}/{WEIGHTS}") is not None for name in ("segmentation", "embedding"))
        return inside or "speaker-diarization" in listing.repo_id

    def choose(self, listing: Listing) -> list[RemoteFile]:
        """See `HubBackend`: of a pipeline its config and the parts in its folders; of a part, its weights."""
        if listing.repo_id in REPOSITORIES:
            files = [file for file in listing.files if file.name == WEIGHTS]
        else:
            files = [file for file in listing.files if file.name == CONFIG]
            if files:
                files += [file for file in listing.files if file.name.rpartition("/")[2] in (WEIGHTS, *PLDA_FILES)]
        if not files:
            raise unusable(_("%(model)s n'a pas les fichiers d'un modèle pyannote", model=listing.repo_id))
        return files

    # --- where its files are ----------------------------------------------------------------------------------------

    def whole(self, path: Path) -> bool:
        """See `HubBackend`. A config that is refused counts as whole: opening it says why."""
        if not (path / CONFIG).is_file():
            return False
        try:
            recipe = read_recipe(path)
        except ApiError:
            return True
        return self._folders(path, recipe) is not None

    def stored_bytes(self, entry: ModelEntry) -> int | None:
        """See `HubBackend`: with the other repositories."""
        path = self.path(entry)
        if path is None:
            return self._sizes.get(entry.key)
        with contextlib.suppress(ApiError):
            folders = self._folders(path, read_recipe(path)) or {}
            files = [folder / name for folder in {*folders.values()} for name in (WEIGHTS, *PLDA_FILES)]
            return sum(file.stat().st_size for file in files if file.is_file())
        return None

    def _folders(self, path: Path, recipe: Recipe) -> dict[str, Path] | None:
        """The folder of each part, or None when one is not whole."""
        folders = {}
        for name, part in (
            ("segmentation", recipe.segmentation),
            ("embedding", recipe.embedding),
            ("plda", recipe.plda),
        ):
            if part is None:
                continue
            folder = self._folder(path, part)
            files = PLDA_FILES if name == "plda" else (WEIGHTS,)
            if folder is None or not all((folder / file).is_file() for file in files):
                return None
            folders[name] = folder
        return folders

    def _folder(self, path: Path, part: Part) -> Path | None:
        """A part's folder: beside the config, under the repository's name too for who copied it there by hand."""
        if part.folder:
            return path / part.folder
        beside = path / part.repository.rpartition("/")[2]
        return beside if beside.is_dir() else self._hub.snapshot(part.repository, _REVISION)

    # --- the hub ----------------------------------------------------------------------------------------------------

    def learn(self, entry: ModelEntry, patience: Patience | None = None) -> None:
        """See `Backend`. Of the other repositories only those that are known without reading the config."""
        if entry.hub_id is None or self.here(entry):
            return
        repos = [(entry.hub_id, entry.revision), *((repo, _REVISION) for repo in _MADE_OF_OTHERS.get(entry.hub_id, ()))]
        self._sizes[entry.key] = sum(self._source(*repo, never, patience).size for repo in repos)

    def fetch(self, entry: ModelEntry, progress: Callable[[int, int], None], cancelled: Callable[[], bool]) -> None:
        """See `Backend`. Every repository's access is checked before the first of them is fetched.

        Raises `ApiError` as `Hub.download`; one 403 `hub_gated` names every repository whose terms are to be accepted.
        """
        assert entry.hub_id is not None  # noqa: S101  the loader refuses what has neither files nor hub
        sources = list(self._sources(entry.hub_id, entry.revision, cancelled))
        total, before = sum(source.size for source in sources), 0
        for source in sources:

            def told(done: int, _size: int, before: int = before) -> None:
                progress(before + done, total)

            client = source.client
            self._hub.download(client.repo_id, client.revision, told, cancelled, self.choose)
            before += source.size

    def _sources(self, repo_id: str, revision: str, cancelled: Callable[[], bool]) -> Iterator[_Source]:
        """The repositories of a pipeline, all of them readable. The hub lists what it does not give: ask for a byte."""
        main = self._source(repo_id, revision, cancelled)
        gated: list[tuple[str, ApiError]] = []
        others: list[str] = []
        try:
            config = main.client.read(main.listing, CONFIG, 0, MAX_BYTES + 1)
        except ApiError as error:
            if error.code != "hub_gated":
                raise
            gated.append((repo_id, error))
            others = list(_MADE_OF_OTHERS.get(repo_id, ()))
        else:
            others = parse_recipe(config).repositories
        sources = [main]
        for other in others:
            source = self._source(other, _REVISION, cancelled)
            try:
                source.client.read(source.listing, source.files[0].name, 0, 1)
            except ApiError as error:
                if error.code != "hub_gated":
                    raise
                gated.append((other, error))
            sources.append(source)
        if gated:
            raise gated[0][1] if len(gated) == 1 else self._several_gated([repo for repo, _error in gated])
        yield from reversed(sources)  # the pipeline last: it is here once its parts are

    def _source(
        self, repo_id: str, revision: str, cancelled: Callable[[], bool], patience: Patience | None = None
    ) -> _Source:
        client = self._hub.client(repo_id, revision, cancelled)
        listing = (client if patience is None else replace(client, patience=patience)).listing()
        return _Source(client, listing, self.choose(listing))

    def _several_gated(self, repos: list[str]) -> ApiError:
        message = _(
            "L'accès à %(models)s est soumis à conditions : acceptez-les sur chacune des pages %(pages)s, avec le "
            "compte du jeton HUGGINGFACE_TOKEN (%(hub)s/settings/tokens).",
            models=", ".join(repos),
            pages=", ".join(self._hub.page(repo) for repo in repos),
            hub=self._hub.endpoint or HUB,
        )
        return ApiError(403, "hub_gated", message, "model")

    # --- opening ----------------------------------------------------------------------------------------------------

    def need_bytes(self, entry: ModelEntry, *, cuda: bool) -> int | None:  # noqa: ARG002
        """See `Backend`. Grouping the voices takes more beyond an hour, as the square of the length."""
        return _CUDA_BYTES if cuda else _NEED_BYTES

    def host_bytes(self, entry: ModelEntry) -> int:  # noqa: ARG002
        """See `Backend`."""
        return _NEED_BYTES

    def open(self, entry: ModelEntry, placement: Placement) -> DiarizeEngine:
        """See `Backend`."""
        path, python = self.path(entry), self._interpreter()
        folders = None
        if path is not None:
            recipe = read_recipe(path)
            folders = self._folders(path, recipe)
        if folders is None or python is None:
            message = self.missing() or _(
                "Les fichiers du modèle %(model)s sont absents ou incomplets.", model=entry.key
            )
            raise ApiError(422, "model_unusable", message, "model")
        spec = Spec(
            recipe,
            folders["segmentation"],
            folders["embedding"],
            folders.get("plda"),
            placement.log_level,
            placement.log_dir,
        )
        return PyannoteEngine(spec, placement, python=python)

    def _interpreter(self) -> str | None:
        return self._python or python_with("pyannote")
