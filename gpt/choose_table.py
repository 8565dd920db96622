"""``python -m gpt.choose``: see `common.models.choose_command`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from common.hub.hub import Patience
from common.machine.resources import Resources
from common.models.catalogue import ModelEntry
from common.models.choose_command import ChooseCommand
from common.models.decision import Decision
from common.models.selector import AUTO
from gpt.choose import choose, create_machine, load_models
from gpt.fit import GptMachine
from gpt.settings import ENGINES, GptSettings

_MEMORIES = ("512M", "2G", "4G", "8G", "16G", "24G")
_VRAMS = ("8G", "24G", "80G")


class Blindfolded(GptMachine):
    """A machine that does not ask the hub, and decides as if it had answered what the catalogue says; with room on
    its disk."""

    def learn(self, entry: ModelEntry, patience: Patience | None = None) -> None:
        """Nothing is asked."""

    def disk_free(self) -> int:
        """Whatever is wanted: another machine is described, whose disk nobody knows."""
        return sys.maxsize


class GptChoose(ChooseCommand):
    """gpt's."""

    service = "gpt"
    prefix = "IA"
    settings = GptSettings
    engines = ENGINES
    service_bytes = 75 * 2**20
    machines = (*((memory, "") for memory in _MEMORIES), *(("", vram) for vram in _VRAMS))

    def options(self, parser: argparse.ArgumentParser) -> None:
        """See `ChooseCommand`."""
        parser.add_argument("--quantization", choices=("none", "int8", "nf4", "auto"), help="comme IA_QUANTIZATION")

    def decide(self, settings: GptSettings, resources: Resources, *, ask_hub: bool) -> Decision:
        """See `ChooseCommand`."""
        kind = GptMachine if ask_hub else Blindfolded
        machine = create_machine(settings, resources=lambda: resources, kind=kind)
        catalogue = load_models()
        selection = choose(settings, catalogue, machine)
        return Decision(selection, catalogue, machine, resources, named=settings.ia_model.lower() not in AUTO)


def main(arguments: Sequence[str] | None = None) -> int:
    """See `ChooseCommand.main`."""
    return GptChoose().main(arguments)
