"""`python -m <service>.choose` of a service with several engines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from common.hub.settings import HubSettings
from common.machine.resources import Resources
from common.models.backend_registry import Service
from common.models.choose_command import ChooseCommand
from common.models.decision import Decision


class BackendChoose(ChooseCommand):
    """The choice that the service itself would make; a subclass says which service."""

    service_bytes = 65 * 2**20  # gunicorn and its worker without a model: 62 MB, measured for asr and for diarize
    machines = (("512M", ""), ("2G", ""), ("4G", ""), ("8G", ""), ("", "8G"), ("", "24G"))

    def __init__(self, service_of: Callable[[Any], Service[Any]]) -> None:
        self._service_of = service_of

    def decide(self, settings: HubSettings, resources: Resources, *, ask_hub: bool) -> Decision:
        """See `ChooseCommand`."""
        return self._service_of(settings).decide(resources, ask_hub=ask_hub)
