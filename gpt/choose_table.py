"""``python -m gpt.choose``: the decision as a table, for this machine or for one that the options describe.

Nothing is started and no engine is imported. Without the hub the catalogue's numbers are used.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from common.hub.hub import Patience
from common.machine.gpus import Gpu
from common.machine.resources import Resources, read_resources
from common.messages import Text, gigabytes
from common.models.catalogue import Catalogue, ModelEntry
from common.models.contract import Selection
from common.models.selector import AUTO, margin, too_big
from common.settings import SettingsError, load
from gpt.choose import choose, create_machine, load_models
from gpt.fit import GptMachine
from gpt.settings import ENGINES, GptSettings

SERVICE_BYTES = 75 * 2**20  # gpt's own process before any model, measured: what it leaves of the container's memory
_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_SIZE = re.compile(r"(\d+(?:[.,]\d+)?)\s*([kmgt]?)(?:i?[bo])?", re.IGNORECASE)
# The machines of the published table: memory of the container, or of one GPU.
MACHINES = (
    ("512M", ""),
    ("2G", ""),
    ("4G", ""),
    ("8G", ""),
    ("16G", ""),
    ("24G", ""),
    ("", "8G"),
    ("", "24G"),
    ("", "80G"),
)
_HOST_OF_A_GPU = 64 * 2**30


class Blindfolded(GptMachine):
    """A machine that does not ask the hub, and decides as if it had answered what the catalogue says."""

    def learn(self, entry: ModelEntry, patience: Patience | None = None) -> None:
        """Nothing is asked."""


def size(text: str) -> int:
    """Bytes of "512M", "1.5G", "24 Go"…; binary multiples. Raises argparse.ArgumentTypeError."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise argparse.ArgumentTypeError(f"« {text} » n'est pas une taille (exemples : 512M, 24G)")
    return int(float(found[1].replace(",", ".")) * _UNITS[found[2].lower()])


def simulate(memory: int | None, vram: int | None, gpus: int) -> Resources:
    """This machine, with the memory (of the container) and the GPUs that were asked for instead of its own."""
    real = read_resources(use_gpu=vram is None)
    limit, available = real.memory_limit, real.memory_available
    if memory is not None:
        limit, available = memory, max(0, memory - SERVICE_BYTES)
    if vram is None:
        return Resources(limit, available, real.cpus, real.gpus)
    cards = tuple(Gpu(index, "GPU simulé", vram, vram) for index in range(gpus))
    return Resources(limit, available, real.cpus, cards)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. 0 when a model was chosen, 2 when IA_MODEL, which may be too big, or a variable is refused."""
    asked = _parser().parse_args(arguments)
    try:
        if asked.table:
            sys.stdout.write(published_table() + "\n")
            return 0
        settings = load(GptSettings, **_overrides(asked))
        resources = simulate(asked.memory, asked.vram, asked.gpus)
        if not settings.ia_use_gpu:
            resources = Resources(resources.memory_limit, resources.memory_available, resources.cpus)
        kind = Blindfolded if asked.no_hub else GptMachine
        machine = create_machine(settings, resources=lambda: resources, kind=kind)
        catalogue = load_models()
        selection = choose(settings, catalogue, machine)
    except SettingsError as error:
        sys.stderr.write(f"Configuration refusée — {error}\n")
        return 2
    shown = _as_data(selection, catalogue, machine, resources) | {"named": settings.ia_model.lower() not in AUTO}
    sys.stdout.write((json.dumps(shown, ensure_ascii=False, indent=2) if asked.json else _as_text(shown)) + "\n")
    return 0 if shown["refused"] is None else 2


def published_table() -> str:
    """The choices of `auto` on usual machines, in Markdown, from the catalogue alone."""
    lines = [
        "| Machine | Libre | Choix d'office | Comment | Demande | Écartés, mieux classés (ce qu'ils demandent) |",
        "|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as nothing_here:
        settings = load(GptSettings, ia_model="auto", model_cache_dir=Path(nothing_here), hf_hub_offline=False)
        for memory, vram in MACHINES:
            if vram:
                resources, name = simulate(_HOST_OF_A_GPU, size(vram), 1), f"GPU de {vram[:-1]} Go"
            else:
                resources = Resources(*_limits(size(memory)), cpus=2.0)
                name = f"{memory[:-1]} {'Mo' if memory.endswith('M') else 'Go'} de mémoire"
            machine = create_machine(settings, resources=lambda found=resources: found, kind=Blindfolded)  # type: ignore[misc]
            catalogue = load_models()
            chosen = choose(settings, catalogue, machine)
            verdict = machine.judge(catalogue.resolve(chosen.chosen))
            before = " · ".join(_because(one, verdict.available_bytes or 0) for one in chosen.rejected) or "aucun"
            how = str(verdict.how).removesuffix(", estimé d'après le catalogue")
            free = _go(verdict.available_bytes)
            lines.append(f"| {name} | {free} | **{chosen.chosen}** | {how} | {_go(verdict.need_bytes)} | {before} |")
    return "\n".join(lines)


def _because(rejected: Mapping[str, Any], available: int) -> str:
    """A better model that was left aside: what it asks for, and the reason when that is not its size."""
    need = rejected["need_bytes"]
    if need is not None and need + margin(need) > available:
        return f"{rejected['key']} {_go(need)}"
    reason = str(rejected["reason"]).rstrip(".")
    return f"{rejected['key']} {_go(need)} ({reason[:1].lower()}{reason[1:]})"


def _limits(memory: int) -> tuple[int, int]:
    return memory, max(0, memory - SERVICE_BYTES)


def _overrides(asked: argparse.Namespace) -> dict[str, Any]:
    found = {"ia_model": asked.model, "ia_engine": asked.engine, "ia_quantization": asked.quantization}
    if asked.offline:
        found["hf_hub_offline"] = True
    return {name: value for name, value in found.items() if value is not None}


def _as_data(selection: Selection, catalogue: Catalogue, machine: GptMachine, resources: Resources) -> dict[str, Any]:
    rejected = {one["key"]: one for one in selection.rejected}
    models, refused = [], None
    for entry in _ordered(catalogue):
        verdict = machine.judge(entry)
        reason: Text | str | None
        reason = rejected[entry.key]["reason"] if entry.key in rejected else too_big(entry.key, verdict)
        if entry.key == selection.chosen:
            refused = None if reason is None else str(reason)
        if reason is not None and entry.key not in rejected and verdict.reason is None:
            reason = "Ne tient pas."  # both numbers are beside it
        models.append(
            {
                "key": entry.key,
                "rank": entry.rank,
                "need_bytes": verdict.need_bytes,
                "available_bytes": verdict.available_bytes,
                "how": str(verdict.how) if verdict.how is not None else None,
                "here": machine.here(entry),
                "chosen": entry.key == selection.chosen,
                "reason": str(reason) if isinstance(reason, Text) else None,
            }
        )
    return {
        "machine": {
            "memory_limit": resources.memory_limit,
            "memory_available": resources.memory_available,
            "cpus": resources.cpus,
            "gpus": [{"name": gpu.name, "free_bytes": gpu.free_bytes} for gpu in resources.gpus],
        },
        "chosen": selection.chosen,
        "why": str(selection.why),
        "refused": refused,
        "meanwhile": selection.meanwhile,
        "models": models,
    }


def _ordered(catalogue: Catalogue) -> list[ModelEntry]:
    """As `auto` weighs them, the embedded ones last."""
    return sorted(catalogue, key=lambda entry: (entry.embedded, entry.rank or 0))


def _as_text(shown: dict[str, Any]) -> str:
    machine = shown["machine"]
    cards = ", ".join(f"{gpu['name']} ({_go(gpu['free_bytes'])} libres)" for gpu in machine["gpus"]) or "aucun GPU"
    head = [
        f"Machine : {_go(machine['memory_limit'])} de mémoire, {_go(machine['memory_available'])} libres ; "
        f"{machine['cpus']:g} cœurs ; {cards}",
        f"{'Nommé ' if shown['refused'] else 'Choisi'}  : {shown['chosen']} — {shown['why']}",
    ]
    if shown["refused"]:
        head.append(f"Refusé  : {shown['refused']}")
    if shown["meanwhile"] and shown["refused"]:
        head.append(f"À sa place, pour qui n'en nomme aucun : {shown['meanwhile']}")
    elif shown["meanwhile"]:
        head.append(f"Pendant son téléchargement : {shown['meanwhile']}")
    titles = ("", "Modèle", "Demande", "Libre", "Ici", "Comment", "Raison")
    rows = [titles, *_rows(shown["models"], named=shown["named"])]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    table = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[6]]) for row in rows
    ]
    return "\n".join([*head, "", *(line.rstrip() for line in table)])


def _rows(models: list[dict[str, Any]], *, named: bool) -> Iterator[tuple[str, ...]]:
    chosen = False
    for model in models:
        chosen = chosen or model["chosen"]
        reason = model["reason"] or ("" if named or model["chosen"] or not chosen else "moins bien classé")
        yield (
            "→" if model["chosen"] else " ",
            model["key"],
            _go(model["need_bytes"]),
            _go(model["available_bytes"]),
            "oui" if model["here"] else "non",
            model["how"] or "",
            reason,
        )


def _go(count: int | None) -> str:
    return "?" if count is None else f"{gigabytes(count)} Go"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gpt.choose",
        description="Montre quel modèle serait choisi et pourquoi, sans rien démarrer. "
        "Les options décrivent une autre machine ; les variables (IA_MODEL, HF_ENDPOINT…) comptent aussi.",
    )
    parser.add_argument("--memory", type=size, help="mémoire du conteneur : 512M, 4G…")
    parser.add_argument("--vram", type=size, help="mémoire de chaque GPU simulé : 8G, 24G…")
    parser.add_argument("--gpus", type=int, default=1, help="nombre de GPU simulés (avec --vram)")
    parser.add_argument("--model", help="comme IA_MODEL")
    parser.add_argument("--engine", choices=ENGINES, help="comme IA_ENGINE")
    parser.add_argument("--quantization", choices=("none", "int8", "nf4", "auto"), help="comme IA_QUANTIZATION")
    parser.add_argument("--offline", action="store_true", help="comme HF_HUB_OFFLINE=1 : seuls les modèles présents")
    parser.add_argument("--no-hub", action="store_true", help="ne pas interroger le hub : les nombres du catalogue")
    parser.add_argument("--json", action="store_true", help="écrire la décision en JSON")
    parser.add_argument("--table", action="store_true", help="le choix sur des machines usuelles, en Markdown")
    return parser
