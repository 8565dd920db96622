"""Fetches models from a Hugging Face hub: only what may be loaded safely, in bytes that can be watched.

Every refusal of the hub has its own sentence with the remedy. Nothing here imports torch.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from common.errors import ApiError
from common.messages import _

WANTED = ("*.safetensors", "*.json", "*.model", "*.txt", "*.jinja")
UNWANTED = ("consolidated*", "*.fp16.safetensors", "*.fp32.safetensors", "training_args*", "README*", "LICENSE*")
DISK_MARGIN_BYTES = 256 * 2**20
HUB = "https://huggingface.co"
SAVED_TOKEN = "huggingface_token"  # noqa: S105  the name, in DATA_DIR, of the file the dashboard writes

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Hub:
    """One hub and the folder its models are kept in.

    The token is `token`, else what `saved_token` holds at the time (a file the dashboard writes), else whatever
    `hf auth login` left, if anything.
    """

    cache_dir: Path
    endpoint: str | None = None
    token: str | None = None
    offline: bool = False
    saved_token: Path | None = None

    def find(self, repo_id: str, revision: str) -> Path | None:
        """The folder that holds this revision's configuration, or None. Says nothing of the other files."""
        # Written out rather than asked of huggingface_hub: this runs at import-light start, for every catalogue entry.
        repo = self.cache_dir / f"models--{repo_id.replace('/', '--')}"
        try:
            commit = (repo / "refs" / revision).read_text(encoding="ascii").strip()
        except OSError:
            commit = revision
        folder = repo / "snapshots" / commit
        return folder if (folder / "config.json").is_file() else None

    def page(self, repo_id: str) -> str:
        """The address a person opens to read or accept the model's terms."""
        return f"{self.endpoint or HUB}/{repo_id}"

    def current_token(self) -> str | None:
        """The token to show the hub now. Never logged, never returned by a route."""
        if self.token is not None or self.saved_token is None:
            return self.token
        try:
            return self.saved_token.read_text(encoding="utf-8").strip() or None
        except OSError:
            return None

    def download(self, repo_id: str, revision: str, progress: Progress) -> None:
        """Fetch the wanted files of `repo_id`; an interrupted file is taken up where it stopped.

        Raises `ApiError`: hub_unauthorized, hub_gated, hub_forbidden, hub_not_found, hub_rate_limited,
        hub_unreachable, hub_offline, hub_error, no_safetensors, disk_full.
        """
        if self.offline:
            message = _(
                "%(model)s n'est pas sur ce disque et le hub ne doit pas être joint (HF_HUB_OFFLINE).", model=repo_id
            )
            raise ApiError(503, "hub_offline", message, "model")
        import httpx2
        from huggingface_hub import HfApi, hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

        token = self.current_token()
        try:
            info = HfApi(endpoint=self.endpoint, token=token).model_info(
                repo_id, revision=revision, files_metadata=True
            )
            sizes = {file.rfilename: int(file.size or 0) for file in info.siblings or [] if wanted(file.rfilename)}
            self._check(repo_id, sizes)
            done = _Counter(progress, sum(sizes.values()))
            for name in sorted(sizes, key=lambda name: (name.endswith(".safetensors"), name)):  # weights last
                hf_hub_download(
                    repo_id,
                    name,
                    revision=revision,
                    cache_dir=self.cache_dir,
                    token=token,
                    endpoint=self.endpoint,
                    tqdm_class=done.bar(),
                )
                done.finish(sizes[name])
        except HfHubHTTPError as error:
            raise self._explain(error, repo_id, revision) from error
        except LocalEntryNotFoundError as error:  # huggingface_hub's name for "could not reach the hub"
            if isinstance(error.__cause__, HfHubHTTPError):
                raise self._explain(error.__cause__, repo_id, revision) from error
            raise self._unreachable(repo_id) from error
        except httpx2.HTTPError as error:
            raise self._unreachable(repo_id) from error

    def _check(self, repo_id: str, sizes: dict[str, int]) -> None:
        if not any(name.endswith(".safetensors") for name in sizes):
            message = _("%(model)s n'a pas de poids au format safetensors, seul format accepté.", model=repo_id)
            raise ApiError(422, "no_safetensors", message, "model")
        self.cache_dir.mkdir(parents=True, exist_ok=True)
        need, free = sum(sizes.values()) + DISK_MARGIN_BYTES, shutil.disk_usage(self.cache_dir).free
        if need > free:
            message = _(
                "%(model)s demande %(need)s Go de disque, il en reste %(free)s.",
                model=repo_id,
                need=f"{need / 1e9:.1f}",
                free=f"{free / 1e9:.1f}",
            )
            raise ApiError(507, "disk_full", message, "model")

    def _unreachable(self, repo_id: str) -> ApiError:
        message = _(
            "Le hub de modèles (%(hub)s) ne répond pas : %(model)s n'a pas pu être téléchargé. Vérifiez le réseau.",
            hub=self.endpoint or HUB,
            model=repo_id,
        )
        return ApiError(503, "hub_unreachable", message, "model")

    def _explain(self, error: Any, repo_id: str, revision: str) -> ApiError:
        """The hub's refusal, in words, with what to do."""
        from huggingface_hub.errors import GatedRepoError, RemoteEntryNotFoundError, RevisionNotFoundError

        status = getattr(getattr(error, "response", None), "status_code", 0)
        page = self.page(repo_id)
        if isinstance(error, GatedRepoError):
            message = _(
                "L'accès à %(model)s est soumis à conditions : "
                "acceptez-les sur %(page)s avec le compte de HUGGINGFACE_TOKEN.",
                model=repo_id,
                page=page,
            )
            return ApiError(403, "hub_gated", message, "model")
        if isinstance(error, RevisionNotFoundError):
            message = _("La révision « %(revision)s » de %(model)s n'existe pas.", revision=revision, model=repo_id)
            return ApiError(404, "hub_not_found", message, "model")
        if isinstance(error, RemoteEntryNotFoundError):
            message = _("Un fichier de %(model)s a disparu du hub pendant le téléchargement.", model=repo_id)
            return ApiError(404, "hub_not_found", message, "model")
        if status == 401:
            message = _(
                "Le hub refuse l'accès à %(model)s : le modèle est privé ou n'existe pas, ou "
                "HUGGINGFACE_TOKEN manque ou n'est plus valable (%(page)s).",
                model=repo_id,
                page=page,
            )
            return ApiError(401, "hub_unauthorized", message, "model")
        if status == 403:
            message = _(
                "Le jeton HUGGINGFACE_TOKEN n'a pas le droit de lire %(model)s (%(page)s).", model=repo_id, page=page
            )
            return ApiError(403, "hub_forbidden", message, "model")
        if status == 404:
            message = _("%(model)s n'existe pas sur le hub (%(page)s).", model=repo_id, page=page)
            return ApiError(404, "hub_not_found", message, "model")
        if status == 429:
            message = _(
                "Le hub demande de ralentir : réessayez %(model)s dans quelques minutes, ou donnez HUGGINGFACE_TOKEN.",
                model=repo_id,
            )
            return ApiError(429, "hub_rate_limited", message, "model")
        message = _("Le hub de modèles a répondu %(status)s pour %(model)s.", status=status or "?", model=repo_id)
        return ApiError(502, "hub_error", message, "model")


def wanted(name: str) -> bool:
    """True for the files worth fetching: at the repository's root, loadable without running anything."""
    if "/" in name:
        return False
    return any(fnmatch(name, pattern) for pattern in WANTED) and not any(fnmatch(name, p) for p in UNWANTED)


class _Counter:
    """Adds up the bytes of all files for one progress callback."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total
        self._before = 0
        progress(0, total)

    def add(self, in_this_file: int) -> None:
        self._progress(min(self._before + in_this_file, self._total), self._total)

    def finish(self, size: int) -> None:
        self._before += size
        self.add(0)

    def bar(self) -> type[Any]:
        """A silent tqdm class that reports here."""
        from huggingface_hub.utils.tqdm import tqdm

        counter = self

        class Bar(tqdm):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                kwargs["disable"] = True
                super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]  # tqdm's own
                self._seen = int(kwargs.get("initial") or 0)

            def update(self, n: float | None = 1) -> None:
                self._seen += int(n or 0)
                counter.add(self._seen)

        return Bar
