"""A choice of model shown to a person: as data, as a table on a terminal, as rows of a published table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from common.machine.resources import Resources
from common.messages import Text, gigabytes
from common.models.catalogue import Catalogue, ModelEntry
from common.models.contract import Selection
from common.models.selector import Machine, margin, too_big

TABLE_HEAD = (
    "| Machine | Libre | Choix d'office | Comment | Demande | Écartés, mieux classés (ce qu'ils demandent) |",
    "|---|---|---|---|---|---|",
)


@dataclass(frozen=True)
class Decision:
    """What was chosen among `catalogue` on a machine with these `resources`; `named`: a variable or an option said
    which."""

    selection: Selection
    catalogue: Catalogue
    machine: Machine
    resources: Resources
    named: bool

    @property
    def data(self) -> dict[str, Any]:
        """The decision in plain values. ``refused``: why the model that was named can't run; else None."""
        rejected = {one["key"]: one for one in self.selection.rejected}
        models, refused = [], None
        for entry in _ordered(self.catalogue):
            verdict = self.machine.judge(entry)
            reason: Text | str | None
            reason = rejected[entry.key]["reason"] if entry.key in rejected else too_big(entry.key, verdict)
            if entry.key == self.selection.chosen:
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
                    "here": self.machine.here(entry),
                    "chosen": entry.key == self.selection.chosen,
                    "reason": str(reason) if isinstance(reason, Text) else None,
                }
            )
        resources = self.resources
        return {
            "machine": {
                "memory_limit": resources.memory_limit,
                "memory_available": resources.memory_available,
                "cpus": resources.cpus,
                "gpus": [{"name": gpu.name, "free_bytes": gpu.free_bytes} for gpu in resources.gpus],
            },
            "chosen": self.selection.chosen,
            "why": str(self.selection.why),
            "refused": refused,
            "meanwhile": self.selection.meanwhile,
            "models": models,
            "named": self.named,
        }

    def row(self, machine: str) -> str:
        """A line of the published table (`TABLE_HEAD`), for the machine so called."""
        verdict = self.machine.judge(self.catalogue.resolve(self.selection.chosen))
        before = " · ".join(_because(one, verdict.available_bytes or 0) for one in self.selection.rejected) or "aucun"
        how = str(verdict.how).removesuffix(", estimé d'après le catalogue")
        free = _go(verdict.available_bytes)
        return f"| {machine} | {free} | **{self.selection.chosen}** | {how} | {_go(verdict.need_bytes)} | {before} |"


def as_text(shown: dict[str, Any]) -> str:
    """`Decision.data` as a page for a terminal."""
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


def _ordered(catalogue: Catalogue) -> list[ModelEntry]:
    """As `auto` weighs them, the embedded ones last."""
    return sorted(catalogue, key=lambda entry: (entry.embedded, entry.rank or 0))


def _because(rejected: Mapping[str, Any], available: int) -> str:
    """A better model that was left aside: what it asks for, and the reason when that is not its size."""
    need = rejected["need_bytes"]
    if need is not None and need + margin(need) > available:
        return f"{rejected['key']} {_go(need)}"
    reason = str(rejected["reason"]).rstrip(".")
    return f"{rejected['key']} {_go(need)} ({reason[:1].lower()}{reason[1:]})"


def _go(count: int | None) -> str:
    return "?" if count is None else f"{gigabytes(count)} Go"
