"""What a scheduler tells those whom it cannot serve now: the same words and waits, whatever the engine."""

from __future__ import annotations

from common.errors import ApiError
from common.messages import _

MAX_WAITING = 128  # generations that wait for their turn


def queue_full(limit: int) -> ApiError:
    """503: `limit` generations already wait."""
    message = _("Trop de demandes en attente (%(limit)s).", limit=limit)
    return ApiError(503, "queue_full", message, headers={"Retry-After": "5"})


def unloaded() -> ApiError:
    """503: the model was unloaded before the answer's end."""
    return ApiError(503, "model_not_ready", _("Le modèle vient d'être déchargé."), headers={"Retry-After": "2"})
