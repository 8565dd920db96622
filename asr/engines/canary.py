"""Which languages a Canary goes from and to, whatever the engine that runs it."""

from __future__ import annotations

from asr.engines.base import Task
from common.errors import ApiError
from common.messages import _

_PIVOT = "en"  # every pair that Canary was taught has English on one side


def translations(languages: frozenset[str]) -> frozenset[tuple[str, str]]:
    """The pairs (spoken, written) among `languages`."""
    others = languages - {_PIVOT} if _PIVOT in languages else frozenset()
    return frozenset(pair for one in others for pair in ((_PIVOT, one), (one, _PIVOT)))


def told(task: Task, codes: frozenset[str], languages: frozenset[str]) -> tuple[str, str]:
    """The language spoken and the one to write, both among `codes`; `languages` are those that an error names.

    Raises ApiError 400 `language_required`, `unsupported_language`, `unsupported_translation`.
    """
    spoken = task.language
    if spoken is None:
        message = _("Ce modèle ne reconnaît pas la langue : dites laquelle (« language »).")
        raise ApiError(400, "language_required", message, "language")
    if spoken not in codes:
        known = ", ".join(sorted(languages))
        message = _("Ce modèle ne comprend pas « %(language)s » (%(known)s).", language=spoken, known=known)
        raise ApiError(400, "unsupported_language", message, "language")
    target = task.target or spoken
    if target != spoken and (target not in codes or _PIVOT not in (spoken, target)):
        message = _("Ce modèle ne traduit pas de « %(source)s » vers « %(target)s ».", source=spoken, target=target)
        raise ApiError(400, "unsupported_translation", message, "language")
    return spoken, target
