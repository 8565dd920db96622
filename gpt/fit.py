"""Whether a language model fits this machine: what it needs, where it would run, what there is, and why not."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from common.hub.client import HASTY, WAITED
from common.hub.facts import FactsBook
from common.hub.hub import Hub, Patience
from common.machine import disk
from common.machine.resources import Resources
from common.messages import Text, _, gigabytes
from common.models.catalogue import ModelEntry
from common.models.footprint import ModelFacts
from common.models.selector import Verdict, margin, too_big
from gpt.engines.options import Quantization
from gpt.folders import describe, folder_of
from gpt.footprint import CONTEXTS, VLLM_SHARE, Need, catalogue_facts, need

EngineOf = Callable[[ModelEntry, bool, Quantization], str | Text]
_SAME_MOMENT_S = 0.05
_GPU_COUNTS = (1, 2, 4, 8, 16)  # tensor parallelism cuts heads evenly


@dataclass(frozen=True)
class Plan:
    """How an entry would run: its need, and the bytes there are where it would run (None: elsewhere).

    `longest` is the conversation that it could hold, in tokens, were there memory (4096 counts as enough).
    """

    need: Need
    available: int | None
    longest: int = 0

    @property
    def is_short(self) -> bool:
        """The conversation it has room for is too short for `auto` to choose it."""
        return self.need.context < min(self.longest, CONTEXTS[1])

    @property
    def fits(self) -> bool:
        return self.available is None or self.need.total <= self.available

    @property
    def fits_well(self) -> bool:
        """With the margin that `auto` leaves."""
        return self.available is None or self.need.total + margin(self.need.total) <= self.available


class GptMachine:
    """`common.models.selector.Machine` for gpt.

    `resources()` tells what there is now; `engine_of(entry, cuda, quantization)` the engine that would open an entry,
    or why none can; `quantization` is IA_QUANTIZATION; `spread` whether vLLM has the hosts of a Ray cluster, whose
    memory is not known here: what this machine's GPUs can't hold is then for who names it, and never for `auto`.
    """

    def __init__(
        self,
        hub: Hub,
        resources: Callable[[], Resources],
        engine_of: EngineOf,
        quantization: Quantization = "auto",
        *,
        spread: bool = False,
    ) -> None:
        self._hub = hub
        self._spread = spread
        self._resources = resources
        self._engine_of = engine_of
        self._quantization = quantization
        self._book = FactsBook(hub)
        self._seen: tuple[float, Resources] | None = None

    def _now(self) -> Resources:
        """What there is, read once for a page of models."""
        now = time.monotonic()
        if self._seen is None or now - self._seen[0] > _SAME_MOMENT_S:
            self._seen = (now, self._resources())
        return self._seen[1]

    def here(self, entry: ModelEntry) -> bool:
        """True when nothing is to be fetched."""
        return entry.url is not None or folder_of(entry, self._hub) is not None

    def learn(self, entry: ModelEntry, patience: Patience | None = HASTY) -> None:
        """Ask the hub for the entry's configuration and headers, unless its files are here. Raises `ApiError`."""
        if entry.hub_id is not None and not self.here(entry):
            self._book.learn(entry.hub_id, entry.revision, patience)

    def newcomer(self, entry: ModelEntry) -> ModelEntry:
        """`entry`, of a hub id that no catalogue lists, with what its files or the hub say of it.

        Raises `ApiError` when the hub refuses (401, 403, 404, 429), does not answer (503), or when it is no language
        model that can be opened (422): what cannot be had is not listed.
        """
        self.learn(entry, WAITED)
        facts, _estimated = self.facts(entry)
        if facts is None:
            return entry
        told = {"family": facts.family, "parameters": facts.parameters, "context": facts.context}
        return entry.model_copy(update={**told, "vision": facts.vision})

    def disk_free(self) -> int:
        """Bytes free where models are kept."""
        return disk.free_bytes(self._hub.cache_dir)

    def facts(self, entry: ModelEntry) -> tuple[ModelFacts | None, bool]:
        """What is known of the entry, and whether it is only the catalogue's word."""
        folder = folder_of(entry, self._hub)
        found = describe(folder) if folder is not None else None
        if found is None and entry.hub_id is not None:
            found = self._book.known(entry.hub_id, entry.revision)
        return (found, False) if found is not None else (catalogue_facts(entry), True)

    def judge(self, entry: ModelEntry, freed: int = 0, quantization: Quantization | None = None) -> Verdict:
        """Whether the entry can run now, or once `freed` bytes more are free.

        On a machine with GPUs, an entry that only fits beside them says so in `fallback`.
        """
        resources = self._now()
        plans = self.plans(entry, resources, freed, quantization)
        if isinstance(plans, Text):
            return Verdict(reason=plans)
        if not plans:
            return Verdict(available_bytes=_most(resources), estimated=True)
        plan = next((plan for plan in plans if plan.fits), plans[0])
        estimated = self.facts(entry)[1] and entry.hub_id is not None
        how = _how(plan, estimated=estimated)
        verdict = Verdict(plan.need.total, plan.available, None, how, estimated)
        reason = self._against(entry, plan, resources, freed)
        fallback = cramped = None
        if plan is not plans[0] or (plans[0].need.cuda and not plan.need.cuda):
            first = plans[0]
            fallback = too_big(entry.key, Verdict(first.need.total, first.available, None, _how(first)))
        if plan.need.cuda and plan.available is None:
            cramped = _(
                "Demande plus que les GPU de cette machine : la grappe Ray, dont la mémoire n'est pas connue d'ici."
            )
        elif plan.is_short and plan.fits:
            cramped = _("N'aurait de place que pour %(tokens)s tokens de conversation.", tokens=plan.need.context)
        return Verdict(verdict.need_bytes, verdict.available_bytes, reason, how, estimated, fallback, cramped)

    def plan(
        self, entry: ModelEntry, quantization: Quantization | None = None, resources: Resources | None = None
    ) -> Plan | Text | None:
        """How the entry would be opened now: on the GPUs when it fits there, else beside them.

        `resources` replaces what there is. None: its size is not known. A `Text`: no engine can open it, and why.
        """
        plans = self.plans(entry, resources or self._now(), 0, quantization)
        if isinstance(plans, Text):
            return plans
        return next((plan for plan in plans if plan.fits), plans[0]) if plans else None

    def precision(self, entry: ModelEntry, plan: Plan, asked: Quantization) -> Quantization:
        """What to tell the engine: "auto" becomes what was found to fit, but for files that are quantized already."""
        facts, _estimated = self.facts(entry)
        if asked != "auto" or plan.need.engine != "transformers" or facts is None or facts.packed_bytes:
            return asked
        return plan.need.quantization

    def longest_prompt(self, entry: ModelEntry, plan: Plan) -> int | None:
        """Tokens that a conversation may have without CTranslate2 taking more than there is; None: no such bound.

        It computes a prompt in one piece, with attention scores that grow with the square of its length.
        """
        facts, _estimated = self.facts(entry)
        if facts is None or plan.available is None or plan.need.engine != "ctranslate2":
            return None
        kind: Quantization = "int8" if plan.need.quantization == "int8" else "none"
        tokens = CONTEXTS[-1]
        while tokens < facts.context:
            longer = min(facts.context, tokens + CONTEXTS[-1])
            total = need(facts, "ctranslate2", kind, context=longer).total
            if total + margin(total) > plan.available:
                break
            tokens = longer
        return tokens if facts.context else None

    def plans(
        self, entry: ModelEntry, resources: Resources, freed: int = 0, quantization: Quantization | None = None
    ) -> list[Plan] | Text:
        """The ways to run the entry here, the preferred one first; nothing when its size is not known.

        A `Text` is the reason why no engine can open it.
        """
        facts, _estimated = self.facts(entry)
        if facts is not None and not entry.family:  # a hub id: its files know more than its entry
            entry = entry.model_copy(update={"family": facts.family, "vision": facts.vision})
        asked = quantization or self._quantization
        found: list[Plan] = []
        reason: Text | None = None
        for cuda in (True, False) if resources.gpus else (False,):
            engine = self._engine_of(entry, cuda, asked)
            if isinstance(engine, Text):
                reason = reason or engine
                continue
            if engine == "remote":
                return [Plan(Need(0, 0, 0, engine, "none"), None)]
            if facts is None:
                return []
            on_gpu = cuda and engine != "ctranslate2"
            plan = _plan(facts, engine, asked, resources, freed, cuda=on_gpu)
            if self._spread and engine == "vllm" and on_gpu and not plan.fits:
                plan = Plan(need(facts, engine, asked, cuda=True, gpus=len(resources.gpus)), None)
            found.append(plan)
        return found or reason or []

    def _against(self, entry: ModelEntry, plan: Plan, resources: Resources, freed: int) -> Text | None:
        """What else than its own memory keeps the entry from running: the machine's, beside the GPU's; the disk."""
        if plan.need.cuda and plan.need.host > resources.memory_available + freed:
            return _(
                "%(model)s demande %(need)s Go de mémoire à côté du GPU, il en reste %(available)s.",
                model=entry.key,
                need=gigabytes(plan.need.host),
                available=gigabytes(resources.memory_available + freed),
            )
        facts, _estimated = self.facts(entry)
        if facts is None or self.here(entry):
            return None
        need_disk = facts.stored_bytes + disk.MARGIN_BYTES
        if plan.need.engine == "ctranslate2":
            need_disk += plan.need.weights  # the converted model is kept beside the original
        free = self.disk_free()
        if need_disk <= free:
            return None
        return _(
            "%(model)s demande %(need)s Go de disque, il en reste %(available)s.",
            model=entry.key,
            need=gigabytes(need_disk),
            available=gigabytes(free),
        )


def _plan(facts: ModelFacts, engine: str, asked: Quantization, resources: Resources, freed: int, *, cuda: bool) -> Plan:
    """The best way: a long conversation at full precision, then smaller weights ("auto"), then a shorter one."""
    kinds: tuple[Quantization, ...] = (asked,)
    if asked == "auto" and engine == "transformers":
        kinds = ("none", "int8", "nf4") if cuda else ("none", "int8")
    plans = [
        _place(facts, engine, kind, context, resources, freed, cuda=cuda)
        for contexts in (CONTEXTS[:2], *((context,) for context in CONTEXTS[2:]))
        for kind in kinds
        for context in contexts
    ]
    return _first(plans)


def _first(plans: list[Plan]) -> Plan:
    """The first that fits well, with room for a real conversation; else the first that fits; else the last."""
    well = next((plan for plan in plans if plan.fits_well and not plan.is_short), None)
    return well or next((plan for plan in plans if plan.fits), plans[-1])


def _place(
    facts: ModelFacts,
    engine: str,
    kind: Quantization,
    context: int,
    resources: Resources,
    freed: int,
    *,
    cuda: bool,
) -> Plan:
    """On the CPU, on one GPU, or with vLLM on as few GPUs as hold the model."""
    most = min(facts.context or CONTEXTS[0], CONTEXTS[0])
    if not cuda:
        return Plan(need(facts, engine, kind, context=context), resources.memory_available + freed, most)
    by_room = sorted(resources.gpus, key=lambda gpu: gpu.free_bytes, reverse=True)
    counts = [count for count in _GPU_COUNTS if count <= len(by_room)] if engine == "vllm" else [1]
    plans = []
    for count in counts:
        least = by_room[count - 1]
        room = least.free_bytes + freed // count
        if engine == "vllm":
            room = min(room, int(least.total_bytes * VLLM_SHARE))
        plans.append(Plan(need(facts, engine, kind, cuda=True, gpus=count, context=context), room * count, most))
    return _first(plans)


def _most(resources: Resources) -> int:
    """The bytes there are where a model would run first."""
    return max((gpu.free_bytes for gpu in resources.gpus), default=resources.memory_available)


def _how(plan: Plan, *, estimated: bool = False) -> Text:
    one = plan.need
    if one.engine == "remote":
        return _("un autre serveur")
    where: Text | str = _("processeur")
    if one.cuda:
        where = "GPU" if one.gpus == 1 else f"{one.gpus} GPU"
    parts: list[Text | str] = [one.engine, one.precision, where]
    if one.context < plan.longest:
        parts.append(_("%(tokens)s tokens de contexte", tokens=one.context))
    if estimated:
        parts.append(_("estimé d'après le catalogue"))
    return Text("%(parts)s", {"parts": parts})
