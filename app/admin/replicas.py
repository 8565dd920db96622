"""What several replicas of one service show, as one; and what each of them said when it differs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from common.errors import ApiError
from common.messages import Text, _
from common.web import context

_FIRST = ("downloading", "loading", "unloading", "ready", "error", "downloaded", "idle")
"""Which state of a model is shown for all: what is on its way, else what serves, else what is wrong."""
_OF_EACH = ("state", "error", "progress", "bytes_done", "bytes_total", "resident_bytes", "engine", "quantization")


def said(error: ApiError) -> str:
    """The sentence of an error, in the language of the request."""
    return error.message.render(context.language.get()) if isinstance(error.message, Text) else error.message


def unreadable() -> ApiError:
    return ApiError(502, "peer_error", _("Sa réponse n'a pas pu être lue."))


def summed(shown: Sequence[tuple[str, dict[str, Any] | None]]) -> dict[str, Any] | None:
    """``/api/models`` of a service from that of each address (None: it does not answer); None when nobody answers.

    A model whose state is not the same everywhere has `replicas`: the state and its figures, by address.
    """
    answered = [(url, models) for url, models in shown if models is not None]
    if not answered:
        return None
    by_key: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for url, models in answered:
        for model in models["models"]:
            by_key.setdefault(model["key"], []).append((url, model))
    first = answered[0][1]
    return first | {"models": [_model(states, len(answered)) for states in by_key.values()]}


def _model(states: Sequence[tuple[str, dict[str, Any]]], replicas: int) -> dict[str, Any]:
    shown = min((model for _url, model in states), key=_place)
    model = dict(shown)
    fitting = next((other for _url, other in states if other.get("fits")), None)
    if fitting is not None:
        model |= {"fits": True, "reason": fitting.get("reason")}
    if len(states) == replicas and len({other.get("state") for _url, other in states}) == 1:
        return model
    if not model.get("error"):
        model["error"] = next((other["error"] for _url, other in states if other.get("error")), None)
    model["replicas"] = [
        {"url": url} | {name: other[name] for name in _OF_EACH if name in other} for url, other in states
    ]
    return model


def _place(model: dict[str, Any]) -> tuple[int, float]:
    """What is furthest from done, among those in the same state, is shown."""
    state = model.get("state")
    return _FIRST.index(state) if state in _FIRST else len(_FIRST), model.get("progress") or 0.0
