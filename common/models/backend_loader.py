"""The engines of a service, behind what its registry and its selector ask (`Loader`, `Machine`).

An entry says which engines can open it (`ModelEntry.openers`), or its files do. Of those that are installed, the ones
whose files are here come first, so that a model that two engines read is fetched once; then the first that fits.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic

from common.errors import ApiError
from common.hub.client import HASTY, WAITED
from common.hub.hub import Hub, Patience, never
from common.machine import disk
from common.machine.resources import Resources, read_resources
from common.messages import Text, _, gigabytes
from common.models.backends import Backend, HubBackend, Placement
from common.models.catalogue import ModelEntry
from common.models.contract import E
from common.models.selector import Verdict, too_big

_PASSING = frozenset({"hub_unreachable", "hub_error", "hub_rate_limited"})  # a download has more patience
_NO_FILES = frozenset({"model_unusable", "no_safetensors"})  # what a repository without an engine's files is told
_SAME_MOMENT_S = 0.05


@dataclass(frozen=True)
class Place:
    """Where an entry would run, what it would take there, and what there is. Bytes; None when not known."""

    cuda: bool
    need: int | None
    available: int

    @property
    def fits(self) -> bool:
        return self.need is None or self.need <= self.available


class BackendLoader(Generic[E]):
    """`Loader` and `Machine` over `backends`, in order of preference. Thread-safe.

    `asked` is what the variable `variable` (``ASR_ENGINE``…) says: "auto", or the only engine to use. `resources(ids)`
    tells what there is now, of GPUs only those of `ids` (empty: all). `placement` is where models are opened when a
    request does not say.
    """

    def __init__(
        self,
        backends: Sequence[Backend[E]],
        hub: Hub,
        *,
        variable: str,
        asked: str = "auto",
        placement: Placement | None = None,
        resources: Callable[[tuple[int, ...]], Resources] | None = None,
    ) -> None:
        self._backends = list(backends)
        self._hub = hub
        self._variable = variable
        self._asked = asked
        self._placement = placement or Placement()
        self._resources = resources or self._read
        self._recognised: dict[str, tuple[str, ...]] = {}  # the engines that open what no catalogue lists
        self._without_files: set[tuple[str, str]] = set()  # models and engines for which the hub has no files
        self._lock = threading.Lock()
        self._seen: tuple[float, Resources] | None = None

    @property
    def hub(self) -> Hub:
        """Where models come from."""
        return self._hub

    def engines(self) -> dict[str, Text | None]:
        """The engines there may be, in order of preference, each with the reason why it is not here, if it is not."""
        return {backend.name: backend.missing() for backend in self._backends}

    # --- which engine -----------------------------------------------------------------------------------------------

    def backend(self, entry: ModelEntry, freed: int = 0) -> Backend[E] | Text | None:
        """The engine that opens `entry` here, or the reason why none does; None: its files have not told yet.

        With `freed` bytes of memory more.
        """
        able = self._able(entry)
        if not able:
            if self._silent(entry) and entry.hub_id is not None:
                return None
            return self._none_opens(entry)
        installed = self._installed(entry)
        if not installed:
            return able[0].missing()
        found = [backend for backend in installed if backend.here(entry)] or installed
        if len(found) == 1:
            return found[0]
        resources = self._now()
        places = [(place, backend) for backend in found for place in _places(backend, entry, resources, freed)]
        fitting = [(place, backend) for place, backend in places if place.fits]
        on_gpu = [backend for place, backend in fitting if place.cuda]
        return next(iter(on_gpu or [backend for _place, backend in fitting]), found[0])

    def missing(self, entry: ModelEntry) -> Text | None:
        """Why no engine here opens the entry, with the remedy; None when one does."""
        backend = self.backend(entry)
        return backend if isinstance(backend, Text) else None

    def _able(self, entry: ModelEntry) -> list[Backend[E]]:
        """The engines that could open the entry, installed or not, preferred first."""
        names = entry.openers or self._recognised.get(entry.key, ())
        if names:
            return [backend for name in names for backend in self._allowed() if backend.name == name]
        return [backend for backend in self._allowed() if backend.opens(entry) or backend.here(entry)]

    def _installed(self, entry: ModelEntry) -> list[Backend[E]]:
        """Those of `_able` that are installed, first those for which the hub has not been found to lack the files."""
        installed = [backend for backend in self._able(entry) if backend.missing() is None]
        return sorted(installed, key=lambda backend: (entry.key, backend.name) in self._without_files)

    def _allowed(self) -> list[Backend[E]]:
        return [backend for backend in self._backends if self._asked in ("auto", backend.name)]

    def _silent(self, entry: ModelEntry) -> bool:
        return not entry.openers and entry.key not in self._recognised

    def _none_opens(self, entry: ModelEntry) -> Text:
        if not entry.openers or self._asked == "auto":
            return _(
                "%(model)s n'est un modèle d'aucun des moteurs : %(engines)s.",
                model=entry.key,
                engines=", ".join(backend.name for backend in self._allowed()),
            )
        return _(
            "%(model)s s'ouvre avec %(engines)s, et %(variable)s=%(asked)s : %(variable)s=auto le permet.",
            model=entry.key,
            engines=", ".join(entry.openers),
            variable=self._variable,
            asked=self._asked,
        )

    def recognise(self, entry: ModelEntry, patience: Patience | None = WAITED) -> tuple[str, ...]:
        """Ask the hub what a model that no catalogue lists is made of: the engines that open it, preferred first.

        Raises `ApiError` as the hub does, or 422 `model_unusable` when none does.
        """
        assert entry.hub_id is not None  # noqa: S101  what has neither files nor hub is refused before
        client = self._hub.client(entry.hub_id, entry.revision)
        listing = (client if patience is None else replace(client, patience=patience)).listing()
        names = tuple(backend.name for backend in self._allowed() if backend.recognises(listing))
        if not names:
            raise ApiError(422, "model_unusable", self._none_opens(entry), "model")
        self._recognised[entry.key] = names
        return names

    def newcomer(self, entry: ModelEntry) -> ModelEntry:
        """`entry`, of a hub id that no catalogue lists, with the engines that its files are for; measured.

        Raises `ApiError` as `recognise`.
        """
        names = self.recognise(entry)
        entry = entry.model_copy(update={"engine": names[0], "engines": names if len(names) > 1 else ()})
        self.learn(entry, WAITED)
        return entry

    # --- Machine ----------------------------------------------------------------------------------------------------

    def here(self, entry: ModelEntry) -> bool:
        """True when nothing is to be fetched: the files of the engine that would open it, else of any, are here."""
        backend = self.backend(entry)
        if isinstance(backend, Backend):
            return backend.here(entry)
        return any(backend.here(entry) for backend in self._able(entry))

    def learn(self, entry: ModelEntry, patience: Patience | None = HASTY) -> None:
        """Ask the hub for the entry's real size, unless its files are here. Raises `ApiError`.

        A repository that lacks the files of the preferred engine may have those of another.
        """
        if entry.hub_id is None or self.here(entry):
            return
        if self.backend(entry) is None:
            self.recognise(entry, patience)
        refusal: ApiError | None = None
        for backend in self._installed(entry):
            try:
                return backend.learn(entry, patience)
            except ApiError as error:
                if error.code not in _NO_FILES:
                    raise
                self._without_files.add((entry.key, backend.name))
                refusal = refusal or error
        if refusal is not None:
            raise refusal

    def judge(self, entry: ModelEntry, freed: int = 0) -> Verdict:
        """Whether the entry can run now, or once `freed` bytes more are free.

        On a machine with GPUs, an entry that only fits beside them says so in `fallback`; one that wants a GPU and
        would run without, in `cramped`.
        """
        resources = self._now()
        backend = self.backend(entry, freed)
        if isinstance(backend, Text):
            return Verdict(reason=backend)
        if backend is None:
            return Verdict(available_bytes=_most(resources), estimated=True)
        places = _places(backend, entry, resources, freed)
        place = next((place for place in places if place.fits), places[0])
        how = _how(backend, place)
        fallback = cramped = None
        if place is not places[0]:
            first = places[0]
            fallback = too_big(entry.key, Verdict(first.need, first.available, how=_how(backend, first)))
        if entry.gpu_advised and not place.cuda:
            cramped = _("Fait pour un GPU : sur un processeur, il n'est pas choisi d'office.")
        reason = self._against(backend, entry, place, resources, freed)
        return Verdict(place.need, place.available, reason, how, fallback=fallback, cramped=cramped)

    def _against(
        self, backend: Backend[E], entry: ModelEntry, place: Place, resources: Resources, freed: int
    ) -> Text | None:
        """What else than its own memory keeps the entry from running: the machine's, beside the GPU's; the disk."""
        beside = backend.host_bytes(entry) if place.cuda else 0
        if beside > resources.memory_available + freed:
            return _(
                "%(model)s demande %(need)s Go de mémoire à côté du GPU, il en reste %(available)s.",
                model=entry.key,
                need=gigabytes(beside),
                available=gigabytes(resources.memory_available + freed),
            )
        stored = backend.disk_bytes(entry) if isinstance(backend, HubBackend) else None
        if stored is None or backend.here(entry):
            return None
        free = self.disk_free()
        if stored + disk.MARGIN_BYTES <= free:
            return None
        return _(
            "%(model)s demande %(need)s Go de disque, il en reste %(available)s.",
            model=entry.key,
            need=gigabytes(stored + disk.MARGIN_BYTES),
            available=gigabytes(free),
        )

    def disk_free(self) -> int:
        """Bytes free where models are kept."""
        return disk.free_bytes(self._hub.cache_dir)

    # --- Loader -----------------------------------------------------------------------------------------------------

    def downloaded(self, entry: ModelEntry) -> bool:
        """See `Loader`."""
        return self.here(entry)

    def download(
        self, entry: ModelEntry, progress: Callable[[int, int], None], cancelled: Callable[[], bool] = never
    ) -> None:
        """See `Loader`. Raises also 507 `model_does_not_fit`, before the first byte of what can never fit here."""
        self._check_size(entry)
        self.bring(entry, progress, cancelled)

    def bring(
        self, entry: ModelEntry, progress: Callable[[int, int], None], cancelled: Callable[[], bool] = never
    ) -> None:
        """Fetch, whether it fits in this machine's memory or not: another may serve it. Raises `ApiError`."""
        self._ready_backend(entry).fetch(entry, progress, cancelled)

    def path(self, entry: ModelEntry) -> Path | None:
        """Where the files of a model that comes from a hub, or a folder, are; None when they are not all here."""
        backend = self.backend(entry)
        return backend.path(entry) if isinstance(backend, HubBackend) else None

    def stored_bytes(self, entry: ModelEntry) -> int | None:
        """What the files of such a model weigh; None when nobody has said."""
        backend = self.backend(entry)
        return backend.stored_bytes(entry) if isinstance(backend, HubBackend) else None

    def _check_size(self, entry: ModelEntry) -> None:
        """Ask the hub for the model's real size; one that is slow to tell may still give the files."""
        try:
            self.learn(entry, None)
        except ApiError as error:
            if error.code not in _PASSING:
                raise
        verdict = self.judge(entry)
        limit = self._now().memory_limit
        if verdict.need_bytes is not None and verdict.need_bytes > max(limit, verdict.available_bytes or 0):
            raise ApiError(507, "model_does_not_fit", too_big(entry.key, verdict) or "", "model")

    def load(self, entry: ModelEntry, options: Mapping[str, Any]) -> E:
        """See `Loader`. `options` may have ``gpu_device_ids``."""
        backend = self._ready_backend(entry)
        if not backend.here(entry):
            message = _("Les fichiers du modèle %(model)s sont absents ou incomplets.", model=entry.key)
            raise ApiError(422, "model_unusable", message, "model")
        return backend.open(entry, self._placed(backend, entry, options.get("gpu_device_ids")))

    def _placed(self, backend: Backend[E], entry: ModelEntry, asked: Sequence[int] | None) -> Placement:
        """Where to open the entry: on the GPU with the most room when it fits there, else beside the GPUs.

        Raises `ApiError` 400 for a GPU that is not here.
        """
        ids = tuple(self._placement.gpu_device_ids if asked is None else asked)
        if not self._placement.use_gpu or not backend.uses_gpu:
            return replace(self._placement, use_gpu=False, gpu_device_ids=())
        resources = self._resources(ids)
        if asked and (absent := sorted({*asked} - {gpu.index for gpu in resources.gpus})):
            message = _("Il n'y a pas de GPU %(numbers)s ici.", numbers=", ".join(map(str, absent)))
            raise ApiError(400, "invalid_value", message, "gpu_device_ids")
        places = _places(backend, entry, resources, 0)
        place = next((place for place in places if place.fits), places[0])
        if not place.cuda:
            return replace(self._placement, use_gpu=False, gpu_device_ids=())
        roomiest = max(resources.gpus, key=lambda gpu: gpu.free_bytes)  # the one whose room was judged
        return replace(self._placement, use_gpu=True, gpu_device_ids=(roomiest.index,))

    def _ready_backend(self, entry: ModelEntry) -> Backend[E]:
        backend = self.backend(entry)
        if backend is None:
            self.recognise(entry, None)
            backend = self.backend(entry)
        if isinstance(backend, Backend):
            if entry.hub_id is None and isinstance(backend, HubBackend) and not backend.here(entry):
                message = _("Le dossier du modèle %(model)s est absent ou incomplet.", model=entry.key)
                raise ApiError(422, "model_unusable", message, "model")
            return backend
        raise ApiError(501, "engine_not_installed", backend or self._none_opens(entry), "model")

    def need_bytes(self, entry: ModelEntry) -> int | None:
        """See `Loader`."""
        return self.judge(entry).need_bytes

    def unfit(self, entry: ModelEntry, freed: int = 0) -> Text | None:
        """See `Loader`."""
        return too_big(entry.key, self.judge(entry, freed))

    # --- what there is ----------------------------------------------------------------------------------------------

    def _read(self, devices: tuple[int, ...]) -> Resources:
        return read_resources(use_gpu=self._placement.use_gpu, gpu_device_ids=devices)

    def _now(self) -> Resources:
        """What there is, read once for a page of models."""
        with self._lock:
            now = time.monotonic()
            if self._seen is None or now - self._seen[0] > _SAME_MOMENT_S:
                self._seen = (now, self._resources(tuple(self._placement.gpu_device_ids)))
            return self._seen[1]


class BlindLoader(BackendLoader[E]):
    """One that does not ask the hub, and decides as if it had answered what the catalogue says; with room on its
    disk."""

    def learn(self, entry: ModelEntry, patience: Patience | None = HASTY) -> None:
        """Nothing is asked."""

    def disk_free(self) -> int:
        """Whatever is wanted: another machine is described, whose disk nobody knows."""
        return sys.maxsize


def _places(backend: Backend[E], entry: ModelEntry, resources: Resources, freed: int) -> list[Place]:
    """Where the entry could run, the GPU with the most room first."""
    places = []
    if resources.gpus and backend.uses_gpu:
        room = max(gpu.free_bytes for gpu in resources.gpus) + freed
        places.append(Place(True, backend.need_bytes(entry, cuda=True), room))
    places.append(Place(False, backend.need_bytes(entry, cuda=False), resources.memory_available + freed))
    return places


def _how(backend: Backend[E], place: Place) -> Text:
    return Text("%(parts)s", {"parts": [backend.name, "GPU" if place.cuda else _("processeur")]})


def _most(resources: Resources) -> int:
    """The bytes there are where a model would run first."""
    return max((gpu.free_bytes for gpu in resources.gpus), default=resources.memory_available)
