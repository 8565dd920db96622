"""Fetches models from a Hugging Face hub: only what may be loaded safely, in bytes that can be watched.

Every refusal of the hub has its own sentence with the remedy (hub_errors); hub_listing says which files are taken,
hub_client how the hub is asked, hub_download how files come, hub_cache where they are kept. Nothing imports torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from common.errors import ApiError
from common.hub.cache import RepoFolder, valid_revision
from common.hub.client import HUB, PATIENCE, HubClient, Patience, never, offline
from common.hub.download import Download, Progress
from common.hub.listing import Choose, Listing, RemoteFile, choose_files, wanted
from common.hub.token import read_token
from common.messages import _

__all__ = ["HUB", "Hub", "Patience", "Progress", "never", "wanted"]


@dataclass(frozen=True)
class Hub:
    """One hub and the folder its models are kept in.

    The token is what `saved_token` holds at the time (`common.hub.token`), else `token` (the environment's), else
    whatever `hf auth login` left, if anything; an empty `token` shows none.
    """

    cache_dir: Path
    endpoint: str | None = None
    token: str | None = None
    offline: bool = False
    saved_token: Path | None = None
    patience: Patience = PATIENCE

    def find(self, repo_id: str, revision: str) -> Path | None:
        """The folder that holds this revision's configuration, or None. Says nothing of the other files."""
        # Written out rather than asked of huggingface_hub: this runs at import-light start, for every catalogue entry.
        try:
            return RepoFolder(self.cache_dir, repo_id).find(revision)
        except ValueError:
            return None

    def snapshot(self, repo_id: str, revision: str) -> Path | None:
        """The folder of this revision, or None, for models whose configuration has another name than `find` knows."""
        try:
            return RepoFolder(self.cache_dir, repo_id).snapshot(revision)
        except ValueError:
            return None

    def page(self, repo_id: str) -> str:
        """The address a person opens to read or accept the model's terms."""
        return f"{self.endpoint or HUB}/{repo_id}"

    def current_token(self) -> str | None:
        """The token to show the hub now. Never logged, never returned by a route."""
        given = read_token(self.saved_token) if self.saved_token is not None else None
        return given.token if given and given.token else self.token

    def download(
        self,
        repo_id: str,
        revision: str,
        progress: Progress,
        cancelled: Callable[[], bool] = never,
        choose: Choose | None = None,
    ) -> Path:
        """Fetch the files of `repo_id` that `choose` takes (a language model's by default); gives their folder.

        An engine's own `choose` may take any of `Listing.files`: whatever their format, it answers for opening them.
        Interrupted files are taken up where they stopped; a second caller, of this process or another, waits for the
        first and reports its bytes. `progress(bytes_done, bytes_total)` counts what is here; `cancelled()` is asked
        as bytes come.

        Raises `ApiError`: hub_unauthorized, hub_gated, hub_forbidden, hub_not_found, hub_rate_limited,
        hub_unreachable, hub_offline, hub_error, hub_corrupt, hub_invalid, no_safetensors, disk_full,
        cache_unwritable, download_cancelled.
        """
        client = self.client(repo_id, revision, cancelled)
        return Download(RepoFolder(self.cache_dir, repo_id), client, progress, choose or _language_model).run()

    def pin(self, repo_id: str, revision: str, name: str) -> None:
        """Let the revision `name` mean the fetched `revision` from now on, for a service that asks for `name`."""
        folder = self.find(repo_id, revision)
        if folder is not None and name != folder.name:
            RepoFolder(self.cache_dir, repo_id).point(name, folder.name)

    def client(self, repo_id: str, revision: str, cancelled: Callable[[], bool] = never) -> HubClient:
        """What lists and reads the files of `repo_id`, with the token of now.

        Raises `ApiError` 503 `hub_offline`, 404 `hub_not_found` for a name that cannot be.
        """
        if self.offline:
            raise offline(repo_id)
        try:
            RepoFolder(self.cache_dir, repo_id)
        except ValueError as error:
            message = _("« %(model)s » n'est pas un identifiant du hub.", model=repo_id[:100])
            raise ApiError(404, "hub_not_found", message, "model") from error
        if not valid_revision(revision):
            message = _("La révision « %(revision)s » de %(model)s n'existe pas.", revision=revision, model=repo_id)
            raise ApiError(404, "hub_not_found", message, "model")
        return HubClient(self.endpoint or HUB, repo_id, revision, self.current_token(), self.patience, cancelled)


def _language_model(listing: Listing) -> list[RemoteFile]:
    """The files of a language model. Raises `ApiError` 422 `no_safetensors`."""
    files = choose_files(listing)
    if not any(file.is_weights for file in files):
        message = _("%(model)s n'a pas de poids au format safetensors, seul format accepté.", model=listing.repo_id)
        raise ApiError(422, "no_safetensors", message, "model")
    return files
