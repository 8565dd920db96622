"""``python -m <service>.choose``: the decision as a table, for this machine or for one that the options describe.

Nothing is started and no engine is imported. Without the hub the catalogue's numbers are used.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from common.hub.settings import HubSettings
from common.machine.gpus import Gpu
from common.machine.resources import Resources, read_resources
from common.models.decision import TABLE_HEAD, Decision, as_text
from common.settings import SettingsError, load

_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_SIZE = re.compile(r"(\d+(?:[.,]\d+)?)\s*([kmgt]?)(?:i?[bo])?", re.IGNORECASE)
_HOST_OF_A_GPU = 64 * 2**30


def size(text: str) -> int:
    """Bytes of "512M", "1.5G", "24 Go"…; binary multiples. Raises argparse.ArgumentTypeError."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise argparse.ArgumentTypeError(f"« {text} » n'est pas une taille (exemples : 512M, 24G)")
    return int(float(found[1].replace(",", ".")) * _UNITS[found[2].lower()])


class ChooseCommand(ABC):
    """The command of one service.

    `prefix` begins the names of its variables and of its settings, `engines` are the values of the engine's;
    `service_bytes` is what its own process takes before any model, measured. `machines` are those of the published
    table: the memory of a container, or of one GPU.
    """

    service: ClassVar[str]
    prefix: ClassVar[str]
    settings: ClassVar[type[HubSettings]]
    engines: ClassVar[tuple[str, ...]]
    service_bytes: ClassVar[int]
    machines: ClassVar[tuple[tuple[str, str], ...]]

    @abstractmethod
    def decide(self, settings: Any, resources: Resources, *, ask_hub: bool) -> Decision:
        """The decision of `settings` (of the class `settings`) on a machine with these `resources`.

        Without `ask_hub`, as if the hub had answered what the catalogue says. Raises `SettingsError`.
        """

    def options(self, parser: argparse.ArgumentParser) -> None:  # noqa: B027  most have none
        """Add what only this service has; an option that says as the setting of its name, prefix apart."""

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """The command line. 0 when a model was chosen, 2 when the one named, which may be too big, or a variable is
        refused."""
        asked = self._parser().parse_args(arguments)
        try:
            if asked.table:
                sys.stdout.write(self.published_table() + "\n")
                return 0
            settings = load(self.settings, **self._overrides(asked))
            resources = self.simulate(asked.memory, asked.vram, asked.gpus)
            if not settings.ia_use_gpu:
                resources = Resources(resources.memory_limit, resources.memory_available, resources.cpus)
            shown = self.decide(settings, resources, ask_hub=not asked.no_hub).data
        except SettingsError as error:
            sys.stderr.write(f"Configuration refusée — {error}\n")
            return 2
        sys.stdout.write((json.dumps(shown, ensure_ascii=False, indent=2) if asked.json else as_text(shown)) + "\n")
        return 0 if shown["refused"] is None else 2

    def simulate(self, memory: int | None, vram: int | None, gpus: int) -> Resources:
        """This machine, with the memory (of the container) and the GPUs that were asked for instead of its own."""
        real = read_resources(use_gpu=vram is None)
        limit, available = real.memory_limit, real.memory_available
        if memory is not None:
            limit, available = self._limits(memory)
        if vram is None:
            return Resources(limit, available, real.cpus, real.gpus)
        cards = tuple(Gpu(index, "GPU simulé", vram, vram) for index in range(gpus))
        return Resources(limit, available, real.cpus, cards)

    def published_table(self) -> str:
        """The choices of `auto` on usual machines, in Markdown, from the catalogue alone."""
        lines = list(TABLE_HEAD)
        with tempfile.TemporaryDirectory() as nothing_here:
            of_service = {f"{self.prefix.lower()}_model": "auto", f"{self.prefix.lower()}_engine": "auto"}
            settings = load(self.settings, model_cache_dir=Path(nothing_here), hf_hub_offline=False, **of_service)
            for memory, vram in self.machines:
                if vram:
                    cards = (Gpu(0, "GPU", size(vram), size(vram)),)
                    resources = Resources(_HOST_OF_A_GPU, _HOST_OF_A_GPU, 2.0, cards)
                    name = f"GPU de {vram[:-1]} Go"
                else:
                    resources = Resources(*self._limits(size(memory)), cpus=2.0)
                    name = f"{memory[:-1]} {'Mo' if memory.endswith('M') else 'Go'} de mémoire"
                lines.append(self.decide(settings, resources, ask_hub=False).row(name))
        return "\n".join(lines)

    def _limits(self, memory: int) -> tuple[int, int]:
        return memory, max(0, memory - self.service_bytes)

    def _overrides(self, asked: argparse.Namespace) -> dict[str, Any]:
        own = {"memory", "vram", "gpus", "offline", "no_hub", "json", "table"}
        values = {name: value for name, value in vars(asked).items() if name not in own and value is not None}
        found: dict[str, Any] = {f"{self.prefix.lower()}_{name}": value for name, value in values.items()}
        return found | ({"hf_hub_offline": True} if asked.offline else {})

    def _parser(self) -> argparse.ArgumentParser:
        prefix = self.prefix
        parser = argparse.ArgumentParser(
            prog=f"python -m {self.service}.choose",
            description="Montre quel modèle serait choisi et pourquoi, sans rien démarrer. "
            f"Les options décrivent une autre machine ; les variables ({prefix}_MODEL, HF_ENDPOINT…) comptent aussi.",
        )
        parser.add_argument("--memory", type=size, help="mémoire du conteneur : 512M, 4G…")
        parser.add_argument("--vram", type=size, help="mémoire de chaque GPU simulé : 8G, 24G…")
        parser.add_argument("--gpus", type=int, default=1, help="nombre de GPU simulés (avec --vram)")
        parser.add_argument("--model", help=f"comme {prefix}_MODEL")
        parser.add_argument("--engine", choices=self.engines, help=f"comme {prefix}_ENGINE")
        self.options(parser)
        parser.add_argument(
            "--offline", action="store_true", help="comme HF_HUB_OFFLINE=1 : seuls les modèles présents"
        )
        parser.add_argument("--no-hub", action="store_true", help="ne pas interroger le hub : les nombres du catalogue")
        parser.add_argument("--json", action="store_true", help="écrire la décision en JSON")
        parser.add_argument("--table", action="store_true", help="le choix sur des machines usuelles, en Markdown")
        return parser
