"""Several replicas of one service: what they show, as one, and what is asked of each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

from app.probes import at_once
from common.errors import ApiError
from common.messages import Text, _
from common.web import context
from common.web.client import Peer, unavailable

Shown = dict[str, Any]
_FIRST = ("downloading", "loading", "unloading", "ready", "error", "downloaded", "idle")
"""Which state of a model is shown for all: what is on its way, else what serves, else what is wrong."""
_OF_EACH = ("state", "error", "progress", "bytes_done", "bytes_total", "resident_bytes", "engine", "quantization")


@dataclass(frozen=True)
class Replica:
    """One address of a service, and what it shows; None when it does not answer."""

    peer: Peer
    shown: Shown | None

    @property
    def url(self) -> str:
        return self.peer.urls[0]


class Answered(BaseModel):
    """What one replica answered: a model or an adapter, or its refusal."""

    url: str = Field(description="Adresse de la réplique")
    model: dict[str, Any] | None = Field(default=None, description="Son état, quand la demande est acceptée")
    error: dict[str, Any] | None = Field(default=None, description="Son refus, sinon")


class Acted(BaseModel):
    """An answer to what was asked of every replica: at least one accepted it."""

    service: str
    model: dict[str, Any] = Field(description="État dans la première réplique qui a accepté")
    replicas: list[Answered]
    warnings: list[str] = Field(description="Une phrase pour chaque réplique qui a refusé ou ne répond pas")


def act_on_each(name: str, replicas: Sequence[Replica], send: Callable[[Peer], Shown]) -> Shown:
    """`Acted` of service `name`; those that do not answer are left alone.

    Raises the refusal of the first one when all refuse, 503 `peer_unavailable` when none answers.
    """

    def ask(peer: Peer) -> Shown | ApiError:
        try:
            return send(peer)
        except ApiError as error:
            return error

    here = [one.peer for one in replicas if one.shown is not None]
    if not here:
        raise unavailable(name)
    answers = dict(zip((peer.urls[0] for peer in here), at_once(ask, here), strict=True))
    accepted = [answer for answer in answers.values() if not isinstance(answer, ApiError)]
    if not accepted:
        raise next(answer for answer in answers.values() if isinstance(answer, ApiError))
    told = [(one.url, answers.get(one.url) or unavailable(name)) for one in replicas]
    return {
        "service": name,
        "model": accepted[0],
        "replicas": [_told(url, answer) for url, answer in told],
        "warnings": [f"{name} ({url}) : {said(answer)}" for url, answer in told if isinstance(answer, ApiError)],
    }


def _told(url: str, answer: Shown | ApiError) -> Shown:
    if isinstance(answer, ApiError):
        return {"url": url, "error": answer.body(context.language.get())["error"]}
    return {"url": url, "model": answer}


def said(error: ApiError) -> str:
    """The sentence of an error, in the language of the request."""
    return error.message.render(context.language.get()) if isinstance(error.message, Text) else error.message


def unreadable() -> ApiError:
    return ApiError(502, "peer_error", _("Sa réponse n'a pas pu être lue."))


def summed(replicas: Sequence[Replica], items: str = "models", key: str = "key") -> Shown | None:
    """What a service shows from what each address does; None when nobody answers.

    One of its `items` (named by `key`) whose state is not the same everywhere has `replicas`: the state and its
    figures, by address.
    """
    answered = [(one.url, one.shown) for one in replicas if one.shown is not None]
    if not answered:
        return None
    by_key: dict[str, list[tuple[str, Shown]]] = {}
    for url, shown in answered:
        for item in shown[items]:
            by_key.setdefault(item[key], []).append((url, item))
    first = answered[0][1]
    return first | {items: [_as_one(states, len(answered)) for states in by_key.values()]}


def _as_one(states: Sequence[tuple[str, Shown]], replicas: int) -> Shown:
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


def _place(model: Shown) -> tuple[int, float]:
    """What is furthest from done, among those in the same state, is shown."""
    state = model.get("state")
    return _FIRST.index(state) if state in _FIRST else len(_FIRST), model.get("progress") or 0.0
