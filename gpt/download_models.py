"""`python -m gpt.download_models --model gpt2 [--model …] [--convert]`: put models in an image before it ships.

An image so made runs with HF_HUB_OFFLINE=1 and switches among the models it holds. Models go where gpt looks for them
(MODEL_CACHE_DIR, HF_HOME); a model that fails is named and the others are still tried.
Exit status: 0 all are here, 1 one at least failed, 2 the command or a variable is wrong.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from common.errors import ApiError
from common.hub.cache import kept_repos
from common.hub.hub import Hub
from common.hub.settings import create_hub
from common.messages import gigabytes
from common.models.catalogue import Catalogue, ModelEntry
from common.models.footprint import read_folder
from common.settings import SettingsError, load
from gpt.choose import load_models
from gpt.engines.adapter_files import CONFIG, WEIGHTS, check_files
from gpt.engines.options import Quantization
from gpt.factory import create_loader
from gpt.loader import GptLoader
from gpt.settings import GptSettings

OK, FAILED, USAGE = 0, 1, 2
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_LINE_EVERY_S = 2.0
_USAGE = "python -m gpt.download_models --model NOM [--model NOM …] [--convert] [--revision R] | --list"


class _Parser(argparse.ArgumentParser):
    """argparse in French: its own sentences are English only."""

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"Commande refusée : {_in_french(message)}\nUsage : {_USAGE}\nAide : --help\n")
        sys.exit(USAGE)

    def format_help(self) -> str:
        return super().format_help().replace("usage: ", "Usage : ", 1)


class Lines:
    """A model's progress: one line every two seconds, or one that lives on a terminal."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._live = sys.stdout.isatty()
        self._last = -_LINE_EVERY_S
        self._started: tuple[float, int] | None = None
        self._drawn = False

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._started is None:
            self._started = (now, done)
        if now - self._last < (0.2 if self._live else _LINE_EVERY_S):
            return
        self._last = now
        seconds, before = now - self._started[0], self._started[1]
        speed = f", {megabytes(int((done - before) / seconds))} Mo/s" if seconds > 1 and done > before else ""
        part = f"{100 * done // total} %" if total else "…"
        line = f"{self._key} : {megabytes(done)} / {megabytes(total)} Mo ({part}{speed})"
        self._drawn = self._live
        sys.stdout.write(f"\r\x1b[2K{line}" if self._live else f"{line}\n")
        sys.stdout.flush()

    def end(self) -> None:
        """Leave the living line."""
        if self._drawn:
            sys.stdout.write("\r\x1b[2K")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Gives its exit status."""
    asked = _parser().parse_args(arguments)
    try:
        settings = load(GptSettings)
        catalogue = load_models()
        loader = create_loader(settings)
        if asked.list:
            return _list(create_hub(settings), catalogue, loader)
        entries = [_entry(name, catalogue, asked.revision) for name in asked.model]
    except (SettingsError, ValueError) as error:
        sys.stderr.write(f"Commande refusée : {error}\n")
        return USAGE
    if not entries:
        sys.stderr.write(f"Commande refusée : aucun modèle nommé.\nUsage : {_USAGE}\n")
        return USAGE
    try:
        return _fetch_all(list(dict.fromkeys(entries)), loader, catalogue, settings, asked)
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrompu : ce qui est arrivé est gardé, la même commande continuera.\n")
        return FAILED


def _fetch_all(
    entries: list[ModelEntry],
    loader: GptLoader,
    catalogue: Catalogue,
    settings: GptSettings,
    asked: argparse.Namespace,
) -> int:
    hub = create_hub(settings)
    failed: list[str] = []
    for entry in entries:
        try:
            _fetch(entry, loader, hub, convert=asked.convert, quantization=settings.ia_quantization)
            if asked.revision and entry.hub_id:
                hub.pin(entry.hub_id, asked.revision, _usual_revision(entry, catalogue))
        except ApiError as error:
            failed.append(entry.key)
            _say(f"{entry.key} : ÉCHEC — {error.message}")
    if failed:
        sys.stderr.write(f"{len(failed)} modèle(s) en échec sur {len(entries)} : {', '.join(failed)}.\n")
    return FAILED if failed else OK


def _fetch(entry: ModelEntry, loader: GptLoader, hub: Hub, *, convert: bool, quantization: Quantization) -> None:
    """Have the model here, and its conversion; an adapter (LoRA) has none. Raises `ApiError`."""
    if _place(entry, loader, hub) is not None:
        _say(f"{entry.key} : déjà là.")
    elif entry.hub_id is not None:
        lines = Lines(entry.key)
        try:  # not the loader's way: whether it fits in memory is the affair of the machine that will serve it
            hub.download(entry.hub_id, entry.revision, lines)
        finally:
            lines.end()
    folder = _place(entry, loader, hub)
    if folder is None:
        raise ApiError(422, "model_unusable", "les fichiers reçus ne font pas un modèle complet.")
    if _is_adapter(folder):
        check_files(folder)
        _say(f"{entry.key} : adaptateur prêt ({megabytes(_weight(folder))} Mo).")
        return
    _say(f"{entry.key} : prêt ({gigabytes(_weight(folder))} Go).")
    if convert:
        _convert(entry, folder, quantization)


def _place(entry: ModelEntry, loader: GptLoader, hub: Hub) -> Path | None:
    """The folder of a whole model, or of an adapter; None when it is not here."""
    folder = loader.folder(entry)
    if folder is not None or entry.hub_id is None:
        return folder
    found = hub.find(entry.hub_id, entry.revision)
    return found if found is not None and _is_adapter(found) and (found / WEIGHTS).is_file() else None


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
    _say(f"{entry.key} : conversion ({compute})…")
    target = converted(folder, compute)
    _say(f"{entry.key} : converti ({gigabytes(_weight(target))} Go).")


def _list(hub: Hub, catalogue: Catalogue, loader: GptLoader) -> int:
    """One line for each model or adapter that can be served without the hub."""
    rows = [(entry, _place(entry, loader, hub)) for entry in (*catalogue, *_others(hub.cache_dir, catalogue))]
    here = [(entry, folder) for entry, folder in rows if folder is not None]
    width = max(len(entry.key) for entry, _folder in here) if here else 0
    for entry, folder in here:
        ready = ", adaptateur" if _is_adapter(folder) else ""
        ready = ", converti" if any(folder.glob("ctranslate2-*/model.bin")) else ready
        _say(f"{entry.key:<{width}}  {gigabytes(_weight(folder)):>6} Go  {entry.hub_id or 'livré avec Frigo'}{ready}")
    if not here:
        _say("Aucun modèle sur ce disque.")
    return OK


def _others(cache_dir: Path, catalogue: Catalogue) -> list[ModelEntry]:
    """Models on this disk that the catalogue does not list."""
    return [_outside(repo, "main") for repo in kept_repos(cache_dir) if catalogue.find(repo) is None]


def _entry(name: str, catalogue: Catalogue, revision: str | None) -> ModelEntry:
    """The catalogue's entry, or one for a hub id. Raises ValueError with the sentence."""
    entry = catalogue.find(name)
    if entry is None:
        if not _HUB_ID.fullmatch(name) or ".." in name:
            raise ValueError(f"modèle inconnu « {name} ». Modèles connus : {', '.join(catalogue.entries)}.")
        entry = _outside(name, revision or "main")
    return entry.model_copy(update={"revision": revision}) if revision and entry.hub_id else entry


def _usual_revision(entry: ModelEntry, catalogue: Catalogue) -> str:
    """The one gpt will look for."""
    known = catalogue.find(entry.key)
    return known.revision if known is not None else "main"


def _outside(repo: str, revision: str) -> ModelEntry:
    return ModelEntry(key=repo, hub_id=repo, revision=revision, family="", parameters=0, licence="")


def _weight(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def megabytes(size: int) -> str:
    """`size` bytes in Mo, French decimals."""
    return f"{size / 1e6:.1f}".replace(".", ",")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m gpt.download_models",
        usage=_USAGE,
        description="Télécharge des modèles de langue à l'avance : dans une image, ou avant de couper le réseau.",
        epilog="Les modèles vont là où gpt les cherche (MODEL_CACHE_DIR, HF_HOME). Ensuite, HF_HUB_OFFLINE=1 suffit : "
        "IA_MODEL choisit parmi eux. Sortie : 0 tous sont là, 1 l'un d'eux a échoué, 2 commande refusée.",
        add_help=False,
        allow_abbrev=False,
    )
    options = parser.add_argument_group("options")
    add: Callable[..., argparse.Action] = options.add_argument
    add("--model", action="append", default=[], metavar="NOM", help="clé du catalogue, alias ou identifiant du hub")
    add("--convert", action="store_true", help="préparer aussi le modèle pour le moteur ctranslate2 (image légère)")
    add("--revision", metavar="R", help="branche, étiquette ou commit, au lieu de celui du catalogue")
    add("--list", action="store_true", help="dire les modèles qui sont sur ce disque")
    add("-h", "--help", action="help", help="cette aide")
    return parser


def _in_french(message: str) -> str:
    for english, french in (
        ("unrecognized arguments:", "option inconnue :"),
        ("expected one argument", "une valeur est attendue"),
        ("argument ", "option "),
    ):
        message = message.replace(english, french)
    return message


if __name__ == "__main__":
    sys.exit(main())
