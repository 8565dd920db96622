"""From the variables of a service with several engines to its registry: which model it starts with, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

from common.hub.hub import Hub
from common.hub.settings import HubSettings, create_hub
from common.machine.resources import Resources
from common.models.asked_gpus import refuse_absent_gpus, tell_absent_gpus
from common.models.backend_loader import BackendLoader, BlindLoader
from common.models.backends import Backend, Placement
from common.models.catalogue import Catalogue, ModelEntry, load_catalogue
from common.models.contract import E, Selection
from common.models.decision import Decision
from common.models.hub_registry import HubRegistry, outsider
from common.models.selector import AUTO, Selector
from common.settings import SettingsError

OPTIONS = frozenset({"gpu_device_ids"})


@dataclass(frozen=True)
class Service(Generic[E]):
    """What a service says of its models.

    `prefix` begins the names of its variables (``ASR`` of ``ASR_MODEL``), `models` is the file of its catalogue;
    `backends(hub)` gives its engines, in order of preference.
    """

    prefix: str
    models: Path
    backends: Callable[[Hub], Sequence[Backend[E]]]
    settings: HubSettings
    model: str
    engine: str

    @property
    def variable(self) -> str:
        """The variable that names the model."""
        return f"{self.prefix}_MODEL"

    def catalogue(self) -> Catalogue:
        """The models that the service knows."""
        return load_catalogue(self.models)

    def loader(
        self, resources: Callable[[tuple[int, ...]], Resources] | None = None, *, ask_hub: bool = True
    ) -> BackendLoader[E]:
        """What judges, fetches and opens them; `resources` replaces what this machine has.

        Without `ask_hub`, it decides as if the hub had answered what the catalogue says.
        """
        settings = self.settings
        hub = create_hub(settings)
        return (BackendLoader if ask_hub else BlindLoader)(
            self.backends(hub),
            hub,
            variable=f"{self.prefix}_ENGINE",
            asked=self.engine,
            placement=Placement(
                settings.ia_use_gpu, tuple(settings.gpu_device_ids), settings.log_level, settings.log_dir
            ),
            resources=resources,
        )

    def choose(self, catalogue: Catalogue, loader: BackendLoader[E]) -> Selection:
        """The model to start with; one that the catalogue lacks (hub id, folder, file) is added to it.

        Raises `SettingsError` when the variable names nothing, or something that can't be had here.
        """
        selector = Selector(
            self.variable,
            catalogue,
            loader,
            offline=self.settings.hf_hub_offline,
            has_token=loader.hub.current_token() is not None,
        )
        return selector.select(self.model, lambda name: self._outside(name, catalogue, loader))

    def decide(self, resources: Resources, *, ask_hub: bool) -> Decision:
        """The choice on a machine with these `resources`. Raises `SettingsError` as `choose`."""
        catalogue, loader = self.catalogue(), self.loader(lambda _ids: resources, ask_hub=ask_hub)
        named = self.model.strip().lower() not in AUTO
        return Decision(self.choose(catalogue, loader), catalogue, loader, resources, named=named)

    def registry(self) -> HubRegistry[E]:
        """The models, nothing loaded yet. Raises `SettingsError` as `choose`, or for a GPU that is not here."""
        settings = self.settings
        refuse_absent_gpus(settings)
        tell_absent_gpus(settings)
        catalogue, loader = self.catalogue(), self.loader()
        return HubRegistry(
            catalogue,
            loader,
            self.choose(catalogue, loader),
            offline=settings.hf_hub_offline,
            newcomer=loader.newcomer,
            missing=loader.missing,
            engines=loader.engines,
            ttl_s=settings.ia_model_ttl_s,
            swap_wait_s=settings.ia_swap_wait_s,
            options=OPTIONS,
        )

    def _outside(self, name: str, catalogue: Catalogue, loader: BackendLoader[E]) -> ModelEntry | None:
        """An entry for a local folder or file, or a hub id, that the catalogue does not list; None for anything else.

        Raises `SettingsError` for a path that holds no model.
        """
        path = Path(name).expanduser()
        if not path.exists():
            return outsider(name)
        path = path.resolve()
        key = path.stem if path.is_file() else path.name
        key = key if catalogue.find(key) is None else f"local/{key}"
        entry = ModelEntry(key=key, family="", parameters=0, licence="", path=path)
        reason = loader.missing(entry)
        if reason is not None:
            raise SettingsError(f"{self.variable} : {reason}")
        return entry
