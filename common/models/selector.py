"""Which model a service starts with: the one a variable names, obeyed or refused; else the best that fits.

One mechanism for gpt, asr and diarize. Each tells, through `Machine`, what an entry needs and what there is; here is
the order in which that is weighed:

1. A name is obeyed when it can be, and refused with the reason when it cannot: never replaced in silence.
2. ``auto`` takes the entry with the best `rank` whose estimated need fits with a margin. What would have to be
   fetched counts only when the hub answers within `PROBE_SECONDS`; without it, what is on this disk wins.
3. The embedded model is the last resort.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from common.errors import ApiError
from common.messages import Text, _, gigabytes
from common.models.catalogue import Catalogue, ModelEntry
from common.models.contract import Selection
from common.settings import SettingsError

AUTO = frozenset({"", "auto", "default"})
PROBE_SECONDS = 2.0  # a start never waits longer than that for a hub
_SILENCES = frozenset({"hub_unreachable", "hub_offline", "hub_rate_limited"})
_MARGIN_SHARE = 0.10
_MARGIN_LEAST = 32 * 2**20
_NEVER = 10**9
_log = logging.getLogger("frigo.models")


@dataclass(frozen=True)
class Verdict:
    """What a machine says of an entry. `reason`: why it can't run, whatever the sizes (engine, token, disk).

    Bytes; None when not known. `how` says where and at what precision it would run; `estimated` that neither its
    files nor the hub were read; `fallback` why it can't run where it should (it would beside the GPU);
    `cramped` what it would lack if it ran here (a conversation's length): who names it has it, `auto` leaves it.
    """

    need_bytes: int | None = None
    available_bytes: int | None = None
    reason: Text | None = None
    how: Text | None = None
    estimated: bool = False
    fallback: Text | None = None
    cramped: Text | None = None


class Machine(Protocol):
    """What one service tells the selector."""

    def judge(self, entry: ModelEntry) -> Verdict:
        """Whether the entry can run now. Asks no hub."""

    def here(self, entry: ModelEntry) -> bool:
        """True when nothing is to be fetched for the entry."""

    def learn(self, entry: ModelEntry) -> None:
        """Ask the hub for the entry's real size, so that `judge` knows it. Raises `ApiError`; may be slow."""


class Selector:
    """Chooses. `variable` is the name of the variable that `asked` comes from.

    `offline` forbids to ask the hub; `has_token` makes gated models possible; `servers`: an address may be named.
    """

    def __init__(
        self,
        variable: str,
        catalogue: Catalogue,
        machine: Machine,
        *,
        offline: bool = False,
        has_token: bool = False,
        servers: bool = False,
    ) -> None:
        self._variable = variable
        self._catalogue = catalogue
        self._machine = machine
        self._offline = offline
        self._has_token = has_token
        self._servers = servers
        self._rejected: list[dict[str, Any]] = []
        self._silent = False  # the hub was asked, and did not answer
        self._patience_s = PROBE_SECONDS

    def select(self, asked: str, outside: Callable[[str], ModelEntry | None] | None = None) -> Selection:
        """The model to start with. `outside` makes an entry of a name that the catalogue lacks, and may say why not.

        Raises `SettingsError` for a name that is nothing, or that cannot be obeyed here.
        """
        name = asked.strip()
        selection = self._best() if name.lower() in AUTO else self._named(name, outside)
        _log.info(
            "model chosen",
            extra={
                "model": selection.chosen,
                "why": str(selection.why),
                "available_bytes": selection.available_bytes,
                "rejected": [f"{one['key']}: {one['reason']}" for one in selection.rejected],
            },
        )
        return selection

    # --- a name ----------------------------------------------------------------------------------------------

    def _named(self, name: str, outside: Callable[[str], ModelEntry | None] | None) -> Selection:
        entry = self._catalogue.find(name) or (outside(name) if outside is not None else None)
        if entry is None:
            known = ", ".join(self._catalogue.entries)
            if outside is None:
                raise SettingsError(f"{self._variable} : modèle inconnu « {name} » ; connus : {known}, auto.")
            server = ", ni l'adresse d'un serveur (http://…#modèle)" if self._servers else ""
            raise SettingsError(
                f"{self._variable} : « {name} » n'est ni un modèle connu ({known}), ni un dossier, ni un identifiant "
                f"du hub{server}."
            )
        if entry.key not in self._catalogue.entries:
            self._catalogue.add(entry)
        here = self._machine.here(entry)
        verdict = self._machine.judge(entry)
        if verdict.reason is not None and verdict.need_bytes is None:
            raise SettingsError(f"{self._variable} : {verdict.reason}")
        if not here and self._offline and entry.hub_id is not None:
            baked = ", ".join(one.key for one in self._catalogue if self._machine.here(one)) or "aucun"
            raise SettingsError(
                f"{self._variable} : {entry.key} n'est pas sur ce disque et le hub ne doit pas être joint "
                f"(HF_HUB_OFFLINE) ; modèles présents : {baked}."
            )
        why = _("Demandé par %(variable)s=%(name)s.", variable=self._variable, name=name)
        return Selection(
            entry.key, why, verdict.available_bytes, meanwhile=None if here else self._embedded(except_for=entry)
        )

    # --- auto ------------------------------------------------------------------------------------------------

    def _best(self) -> Selection:
        entries = sorted(
            (entry for entry in self._catalogue if not entry.embedded), key=lambda entry: entry.rank or _NEVER
        )
        second: list[tuple[ModelEntry, Verdict]] = []  # those that fit only beside the GPU
        for entry in entries:
            verdict = self._machine.judge(entry)
            reason = self._against(entry, verdict)
            if reason is None and not self._machine.here(entry):
                reason = self._against_fetching(entry)
                verdict = self._machine.judge(entry)  # its real size may be known now
                reason = reason or self._against(entry, verdict)
            if reason is None and verdict.fallback is None:
                return self._chosen(entry, verdict)
            if reason is None:
                second.append((entry, verdict))
            self._reject(entry, verdict, reason or verdict.fallback)
        for entry, verdict in second:
            self._rejected = [one for one in self._rejected if one["key"] != entry.key]
            return self._chosen(entry, verdict)
        return self._last_resort()

    def _chosen(self, entry: ModelEntry, verdict: Verdict) -> Selection:
        if verdict.need_bytes is None or verdict.available_bytes is None:
            why = _("Le meilleur qui peut fonctionner ici.")
        else:
            why = _(
                "Le meilleur qui tient : %(need)s Go demandés, %(available)s Go libres%(how)s.",
                need=gigabytes(verdict.need_bytes),
                available=gigabytes(verdict.available_bytes),
                how=_(" (%(how)s)", how=verdict.how) if verdict.how is not None else "",
            )
        return Selection(
            entry.key,
            why,
            verdict.available_bytes,
            tuple(self._rejected),
            meanwhile=None if self._machine.here(entry) else self._embedded(except_for=entry),
        )

    def _last_resort(self) -> Selection:
        for entry in self._catalogue:
            if not entry.embedded:
                continue
            verdict = self._machine.judge(entry)
            if verdict.reason is None or verdict.need_bytes is not None:  # too big is better than nothing at all
                why = _("Le modèle livré avec Frigo : aucun autre ne peut fonctionner ici maintenant.")
                return Selection(entry.key, why, verdict.available_bytes, tuple(self._rejected))
            self._reject(entry, verdict, verdict.reason)
        reasons = " ; ".join(f"{one['key']} : {str(one['reason']).rstrip('.')}" for one in self._rejected)
        raise SettingsError(f"{self._variable} : aucun modèle ne peut fonctionner ici. {reasons}.")

    def _against(self, entry: ModelEntry, verdict: Verdict) -> Text | None:
        """Why `auto` leaves an entry aside, or None."""
        if verdict.reason is not None:
            return verdict.reason
        if verdict.cramped is not None:
            return verdict.cramped
        if entry.rank is None:
            return _("N'est pas choisi d'office.")
        if entry.base and not self._machine.here(entry):
            return _("N'est pas téléchargé d'office : il continue un texte, sans suivre de consigne.")
        if entry.gated and not self._has_token and not self._machine.here(entry):
            return _("Soumis à conditions : un jeton du hub est nécessaire (HUGGINGFACE_TOKEN).")
        need, available = verdict.need_bytes, verdict.available_bytes
        if need is not None and available is not None and need + margin(need) > available:
            return _(
                "Demande %(need)s Go et %(margin)s de marge ; il y a %(available)s Go%(how)s.",
                need=gigabytes(need),
                margin=gigabytes(margin(need)),
                available=gigabytes(available),
                how=_(" (%(how)s)", how=verdict.how) if verdict.how is not None else "",
            )
        return None

    def _against_fetching(self, entry: ModelEntry) -> Text | None:
        """Why what is not on this disk can't be fetched. Asks the hub, which tells the real size by the way.

        A hub that does not answer is not asked again.
        """
        if self._offline:
            return _("N'est pas sur ce disque, et le hub ne doit pas être joint (HF_HUB_OFFLINE).")
        silence = _("N'est pas sur ce disque, et le hub de modèles ne répond pas.")
        if self._silent or self._patience_s <= 0:
            return silence
        began = time.monotonic()
        outcome = attempt(self._patience_s, lambda: self._machine.learn(entry))
        self._patience_s -= time.monotonic() - began
        if outcome is True:
            return None
        if outcome is None or outcome.code in _SILENCES:
            self._silent = True
            return silence
        return outcome.message if isinstance(outcome.message, Text) else Text(outcome.message)

    def _reject(self, entry: ModelEntry, verdict: Verdict, reason: Text | None) -> None:
        self._rejected.append({"key": entry.key, "need_bytes": verdict.need_bytes, "reason": reason})

    def _embedded(self, *, except_for: ModelEntry) -> str | None:
        """What can serve while the chosen model is fetched."""
        entries = (entry for entry in self._catalogue if entry.embedded and entry.key != except_for.key)
        return next((entry.key for entry in entries if self._machine.judge(entry).reason is None), None)


def margin(need: int) -> int:
    """What must stay free beside a model that `auto` chooses, in bytes: estimates are not exact, and services grow."""
    return max(_MARGIN_LEAST, int(need * _MARGIN_SHARE))


def too_big(key: str, verdict: Verdict) -> Text | None:
    """The reason, with both numbers, of a model whose need is more than there is; None when it fits or is not known."""
    if verdict.reason is not None:
        return verdict.reason
    need, available = verdict.need_bytes, verdict.available_bytes
    if need is None or available is None or need <= available:
        return None
    return _(
        "%(model)s demande environ %(need)s Go de mémoire, il en reste %(available)s%(how)s.",
        model=key,
        need=gigabytes(need),
        available=gigabytes(available),
        how=_(" (%(how)s)", how=verdict.how) if verdict.how is not None else "",
    )


def attempt(seconds: float, work: Callable[[], None]) -> ApiError | Literal[True] | None:
    """True when `work` is done, the `ApiError` it raised, or None when it takes longer than `seconds`.

    Then it ends by itself in a thread left behind: for what may block where no time-out reaches, as the search of
    a host's name does.
    """
    ended: list[ApiError | Literal[True]] = []

    def run() -> None:
        try:
            work()
            ended.append(True)
        except ApiError as error:
            _log.info("hub refused", extra={"code": error.code, "reason": str(error.message)})
            ended.append(error)

    thread = threading.Thread(target=run, name="probe", daemon=True)
    thread.start()
    thread.join(seconds)
    return ended[0] if ended else None
