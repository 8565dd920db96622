"""`python -m gpt.download_models --model gpt2 [--model …] [--convert]`: see `common.models.download_command`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from common.errors import ApiError
from common.hub.settings import create_hub
from common.messages import gigabytes
from common.models.catalogue import ModelEntry
from common.models.download_command import DownloadCommand, megabytes, say, weight
from common.models.footprint import read_folder
from common.settings import load
from gpt.choose import load_models
from gpt.engines.adapter_files import CONFIG, WEIGHTS, check_files
from gpt.engines.options import Quantization
from gpt.factory import create_loader
from gpt.settings import GptSettings


class GptDownload(DownloadCommand):
    """gpt's: models, which may be converted at once, and adapters (LoRA)."""

    service = "gpt"
    what = "modèles de langue"
    variable = "IA_MODEL"
    extra = " [--convert]"

    def __init__(self) -> None:
        settings = load(GptSettings)
        self.catalogue = load_models()
        self.hub = create_hub(settings)
        self._loader = create_loader(settings)
        self._quantization = settings.ia_quantization

    @classmethod
    def options(cls, add: Callable[..., argparse.Action]) -> None:
        """See `DownloadCommand`."""
        add("--convert", action="store_true", help="préparer aussi le modèle pour le moteur ctranslate2 (image légère)")

    def place(self, entry: ModelEntry) -> Path | None:
        """The folder of a whole model, or of an adapter; None when it is not here."""
        folder = self._loader.folder(entry)
        if folder is not None or entry.hub_id is None:
            return folder
        found = self.hub.find(entry.hub_id, entry.revision)
        return found if found is not None and _is_adapter(found) and (found / WEIGHTS).is_file() else None

    def fetch(self, entry: ModelEntry, progress: Callable[[int, int], None]) -> None:
        """See `DownloadCommand`."""
        if entry.hub_id is not None:
            self.hub.download(entry.hub_id, entry.revision, progress)

    def finish(self, entry: ModelEntry, path: Path, asked: argparse.Namespace) -> None:
        """See `DownloadCommand`."""
        if _is_adapter(path):
            check_files(path)
            say(f"{entry.key} : adaptateur prêt ({megabytes(weight(path))} Mo).")
            return
        super().finish(entry, path, asked)
        if asked.convert:
            _convert(entry, path, self._quantization)

    def mark(self, path: Path) -> str:
        """See `DownloadCommand`."""
        if any(path.glob("ctranslate2-*/model.bin")):
            return ", converti"
        return ", adaptateur" if _is_adapter(path) else ""


def _is_adapter(folder: Path) -> bool:
    return (folder / CONFIG).is_file() and not (folder / "config.json").is_file()


def _convert(entry: ModelEntry, folder: Path, quantization: Quantization) -> None:
    """Convert to what the engine will ask for when it runs with the same variables."""
    try:
        from gpt.engines.ctranslate2.convert import compute_type, converted
    except ImportError as error:
        raise ApiError(501, "engine_not_installed", "le moteur ctranslate2 n'est pas installé.") from error
    facts = read_folder(folder)
    compute = compute_type(facts.parameters if facts else 0, quantization)
    say(f"{entry.key} : conversion ({compute})…")
    target = converted(folder, compute)
    say(f"{entry.key} : converti ({gigabytes(weight(target))} Go).")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Gives its exit status."""
    return GptDownload.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
