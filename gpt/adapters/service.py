"""Adapters in use: fetched, opened beside their model while it serves, held for the time of a call, let go."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from common.errors import ApiError
from common.hub.listing import Listing, RemoteFile
from common.messages import Text, _
from common.models.registry import Registry
from gpt.adapters.shelf import Adapter, Shelf
from gpt.engines.adapter_files import CONFIG, WEIGHTS, check_files, unusable
from gpt.engines.base import AdapterEngine
from gpt.engines.forwarding import ForwardingEngine, GptEngine

_log = logging.getLogger("frigo.gpt")


class AdapterService:
    """What the routes of /api/adapters call, and what chooses an adapter by a request's ``model``."""

    def __init__(self, registry: Registry[GptEngine], shelf: Shelf) -> None:
        self._registry = registry
        self.shelf = shelf
        self._opening = threading.Lock()

    def start(self) -> None:
        """Fetch what is still on the hub; returns at once."""
        for adapter in self.shelf:
            if adapter.folder is None and adapter.error is None:
                self._in_background(adapter, self._fetch)

    # --- use -----------------------------------------------------------------------------------------------------

    def find(self, name: str | None) -> Adapter | None:
        """The adapter that a request's ``model`` names, or None when it names none."""
        return self.shelf.find(name)

    @contextmanager
    def use(self, adapter: Adapter, engine: GptEngine) -> Iterator[None]:
        """Keep `adapter` opened in `engine`, its parent's. Raises 400 `adapters_unsupported`, 422 when the adapter
        is not for this model, 503 while it is fetched."""
        with self.shelf.changed:
            if self.shelf.find(adapter.name) is not adapter:
                raise _unknown(adapter.name)
            if adapter.folder is None:
                raise self._not_here(adapter)
            adapter.users += 1
        try:
            self._open(adapter, engine)
            yield
        finally:
            with self.shelf.changed:
                adapter.users -= 1
                self.shelf.changed.notify_all()

    def _open(self, adapter: Adapter, engine: GptEngine) -> None:
        holder = _holder(engine)
        adapter.refused = holder is None
        if holder is None:
            message = _(
                "Le moteur %(engine)s ne prend pas d'adaptateur : déchargez %(model)s et rechargez-le, "
                "avec IA_ENGINE=auto ou transformers.",
                engine=engine.name,
                model=adapter.parent,
            )
            raise ApiError(400, "adapters_unsupported", message, "model")
        assert adapter.folder is not None  # noqa: S101  checked by `use`
        with self._opening:
            if adapter.name in holder.adapters():
                return
            try:
                holder.load_adapter(adapter.name, adapter.folder)
            except ApiError as error:
                adapter.error = error.message
                raise
            adapter.error = None

    def _not_here(self, adapter: Adapter) -> ApiError:
        if adapter.error is not None and not adapter.downloading:
            message = _(
                "L'adaptateur %(name)s n'a pas pu être chargé : %(reason)s", name=adapter.name, reason=adapter.error
            )
        else:
            message = _("L'adaptateur %(name)s n'est pas encore là.", name=adapter.name)
        return ApiError(503, "model_not_ready", message, "model", headers={"Retry-After": "5"})

    # --- changes -------------------------------------------------------------------------------------------------

    def add(self, name: str, source: str, parent: str | None) -> Adapter:
        """Take a new adapter and open it when its model is ready. One of the hub is fetched in the background.

        Raises as `Shelf.add`, and 422 `adapter_unusable`. Where the model is in an engine that takes none, the adapter
        waits until it is loaded anew.
        """
        adapter = self.shelf.add(name, source, parent or self._registry.selection.chosen)
        if adapter.folder is None:
            self._in_background(adapter, self._fetch)
        else:
            try:
                self._open_when_ready(adapter)
            except ApiError as error:
                if error.code != "adapters_unsupported":  # once loaded anew, the model gets an engine that takes it
                    self.shelf.discard(name)
                    raise
        self.shelf.save()
        return adapter

    def remove(self, name: str) -> Adapter:
        """Let an adapter go once its answers have ended. Raises 404, and 409 for one of IA_ADAPTERS."""
        with self.shelf.changed:
            adapter = self.shelf.find(name)
            if adapter is None:
                raise _unknown(name)
            if adapter.origin == "variable":
                message = _("« %(name)s » vient d'IA_ADAPTERS : retirez-le de cette variable.", name=name)
                raise ApiError(409, "adapter_declared", message, "name")
            adapter.leaving = True
        self._in_background(adapter, self._leave)
        return adapter

    def _leave(self, adapter: Adapter) -> None:
        with self.shelf.changed:
            self.shelf.changed.wait_for(lambda: adapter.users == 0 and not adapter.downloading)
        try:
            if self._registry.state(adapter.parent) == "ready":
                with self._registry.use(adapter.parent) as lease:
                    holder = _holder(lease.engine)
                    if holder is not None:
                        holder.unload_adapter(adapter.name)
        finally:
            self.shelf.discard(adapter.name)

    def _fetch(self, adapter: Adapter) -> None:
        def progress(done: int, total: int) -> None:
            adapter.bytes_done, adapter.bytes_total = done, total

        adapter.downloading = True
        try:
            folder = self.shelf.hub.download(
                adapter.source, "main", progress, lambda: adapter.leaving, choose=_adapter_files
            )
            check_files(folder)
            adapter.folder = folder
        finally:
            with self.shelf.changed:
                adapter.downloading = False
                self.shelf.changed.notify_all()
        if not adapter.leaving:
            self._open_when_ready(adapter)

    def _open_when_ready(self, adapter: Adapter) -> None:
        """Open it now if its model is there; else the first request that names it does."""
        if self._registry.state(adapter.parent) == "ready":
            with self._registry.use(adapter.parent) as lease, self.use(adapter, lease.engine):
                pass

    def _in_background(self, adapter: Adapter, work: Callable[[Adapter], None]) -> None:
        def run() -> None:
            try:
                work(adapter)
            except ApiError as error:
                adapter.error = error.message
                _log.warning("adapter failed", extra={"adapter": adapter.name, "reason": str(error.message)})

        threading.Thread(target=run, name=f"adapter-{adapter.name}", daemon=True).start()

    # --- views ---------------------------------------------------------------------------------------------------

    def state(self, adapter: Adapter) -> str:
        """As a model's: its parent's once its own files are here."""
        if adapter.leaving:
            return "unloading"
        if adapter.error is not None:
            return "error"
        if adapter.folder is None:
            return "downloading" if adapter.downloading else "idle"
        state = self._registry.state(adapter.parent)
        return state if state in {"ready", "loading"} and not adapter.refused else "downloaded"

    def status(self, adapter: Adapter, language: str = "fr") -> dict[str, Any]:
        """One adapter as ``/api/adapters`` shows it: never a folder outside of DATA_DIR/adapters."""
        error = adapter.error.render(language) if isinstance(adapter.error, Text) else adapter.error
        config = _config(adapter)
        return {
            "name": adapter.name,
            "parent": adapter.parent,
            "origin": adapter.origin,
            "source": adapter.source if adapter.origin == "api" else None,
            "state": self.state(adapter),
            "rank": config.get("r"),
            "base_model": config.get("base_model_name_or_path"),
            "bytes_done": adapter.bytes_done,
            "bytes_total": adapter.bytes_total or _size(adapter),
            "error": error,
        }


def _holder(engine: GptEngine) -> AdapterEngine | None:
    """`engine` as one that takes adapters, or None."""
    if not isinstance(engine, AdapterEngine):
        return None
    if not isinstance(engine, ForwardingEngine) and "adapter" not in engine.capabilities.parameters:
        return None
    return engine


def _adapter_files(listing: Listing) -> list[RemoteFile]:
    found = [file for name in (CONFIG, WEIGHTS) if (file := listing.find(name)) is not None]
    if len(found) < 2:
        raise unusable(_("il n'a pas de %(file)s, seul format accepté", file=WEIGHTS))
    return found


def _config(adapter: Adapter) -> dict[str, Any]:
    if adapter.folder is None:
        return {}
    try:
        config = json.loads((adapter.folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    base = config.get("base_model_name_or_path")
    # where an adapter was trained on a folder, that folder is nobody's business
    return {**config, "base_model_name_or_path": base if isinstance(base, str) and not base.startswith("/") else None}


def _size(adapter: Adapter) -> int:
    try:
        return (adapter.folder / WEIGHTS).stat().st_size if adapter.folder is not None else 0
    except OSError:
        return 0


def _unknown(name: str) -> ApiError:
    return ApiError(404, "adapter_not_found", _("L'adaptateur « %(name)s » n'est pas connu.", name=name), "name")
