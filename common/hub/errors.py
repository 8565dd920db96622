"""What a hub's refusals and a network's failures are called: one French sentence each, with the remedy or the link.

Nothing here sends anything. A `TransientError` may be tried again; what it holds is what to say once patience is over.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from common.errors import ApiError
from common.messages import Text, _, gigabytes

TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_RATE_LIMIT = re.compile(r"\bt\s*=\s*(\d{1,6})")  # RateLimit: "api";r=0;t=55
_AWAITING = "awaiting a review"  # the hub's own words for a request its authors have not answered yet
_BAD_TOKEN = "invalid credentials"  # noqa: S105  the hub's own words


class TransientError(Exception):
    """A failure that may pass: `error` says it if it does not; `wait_s` is how long the server asked to wait."""

    def __init__(self, error: ApiError, wait_s: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait_s = wait_s


@dataclass(frozen=True)
class Asked:
    """What was being fetched, for the sentences: the hub, the model, its revision, and if a token was shown."""

    hub: str
    repo_id: str
    revision: str
    with_token: bool

    @property
    def page(self) -> str:
        """The address a person opens to read or accept the model's terms."""
        return f"{self.hub}/{self.repo_id}"


def refused(asked: Asked, status: int, headers: Mapping[str, str]) -> ApiError:
    """The hub's answer that is not a file, in words. `headers` are the answer's (case does not count)."""
    code, said = headers.get("x-error-code", ""), headers.get("x-error-message", "")
    names = {"model": asked.repo_id, "page": asked.page}
    if code == "GatedRepo":
        return _gated(asked, said)
    if code == "RevisionNotFound":
        message = _("La révision « %(revision)s » de %(model)s n'existe pas.", revision=asked.revision, **names)
        return ApiError(404, "hub_not_found", message, "model")
    if code == "EntryNotFound":
        message = _("Un fichier de %(model)s a disparu du hub pendant le téléchargement.", **names)
        return ApiError(404, "hub_not_found", message, "model")
    if status == 401:
        return _unauthorized(asked, said)
    if status == 403:
        if "disabled" in said:
            message = _("Le hub a fermé l'accès à %(model)s (%(page)s).", **names)
        elif asked.with_token:
            message = _("Le jeton HUGGINGFACE_TOKEN n'a pas le droit de lire %(model)s (%(page)s).", **names)
        else:
            message = _("Le hub interdit %(model)s sans jeton : donnez HUGGINGFACE_TOKEN (%(page)s).", **names)
        return ApiError(403, "hub_forbidden", message, "model")
    if status in (404, 410):
        return ApiError(404, "hub_not_found", _("%(model)s n'existe pas sur le hub (%(page)s).", **names), "model")
    if status == 429:
        return _rate_limited(asked, retry_after_s(headers))
    if status >= 500:
        message = _(
            "Le hub de modèles est en panne (il a répondu %(status)s) : réessayez %(model)s plus tard.",
            status=status,
            model=asked.repo_id,
        )
    else:
        message = _("Le hub de modèles a répondu %(status)s pour %(model)s.", status=status, model=asked.repo_id)
    return ApiError(502, "hub_error", message, "model")


def storage(asked: Asked, said: object) -> ApiError:
    """The host that the hub redirects to for big files does not give them (`said`: its status)."""
    message = _(
        "Le stockage du hub (%(hub)s) n'a pas livré %(model)s (%(status)s) : réessayez plus tard.",
        hub=asked.hub,
        model=asked.repo_id,
        status=said,
    )
    return ApiError(502, "hub_error", message, "model")


def _gated(asked: Asked, said: str) -> ApiError:
    if _AWAITING in said.lower():
        message = _(
            "Votre demande d'accès à %(model)s attend encore l'accord de ses auteurs (%(page)s).",
            model=asked.repo_id,
            page=asked.page,
        )
    elif asked.with_token:
        message = _(
            "L'accès à %(model)s est soumis à conditions : "
            "acceptez-les sur %(page)s avec le compte de HUGGINGFACE_TOKEN.",
            model=asked.repo_id,
            page=asked.page,
        )
    else:
        message = _(
            "L'accès à %(model)s est soumis à conditions : acceptez-les sur %(page)s, "
            "puis donnez HUGGINGFACE_TOKEN, un jeton de ce compte (%(hub)s/settings/tokens).",
            model=asked.repo_id,
            page=asked.page,
            hub=asked.hub,
        )
    return ApiError(403, "hub_gated", message, "model")


def _unauthorized(asked: Asked, said: str) -> ApiError:
    if asked.with_token and _BAD_TOKEN in said.lower():
        message = _(
            "Le hub ne reconnaît pas HUGGINGFACE_TOKEN : il est faux ou n'est plus valable. "
            "Créez-en un sur %(hub)s/settings/tokens pour %(model)s.",
            hub=asked.hub,
            model=asked.repo_id,
        )
    else:
        message = _(
            "Le hub refuse l'accès à %(model)s : le modèle est privé ou n'existe pas, ou "
            "HUGGINGFACE_TOKEN manque ou n'est plus valable (%(page)s).",
            model=asked.repo_id,
            page=asked.page,
        )
    return ApiError(401, "hub_unauthorized", message, "model")


def _rate_limited(asked: Asked, wait_s: float | None) -> ApiError:
    if wait_s:
        message = _(
            "Le hub demande de ralentir : réessayez %(model)s dans %(seconds)s secondes, ou donnez HUGGINGFACE_TOKEN.",
            model=asked.repo_id,
            seconds=round(wait_s),
        )
        return ApiError(429, "hub_rate_limited", message, "model", headers={"Retry-After": str(round(wait_s))})
    message = _(
        "Le hub demande de ralentir : réessayez %(model)s dans quelques minutes, ou donnez HUGGINGFACE_TOKEN.",
        model=asked.repo_id,
    )
    return ApiError(429, "hub_rate_limited", message, "model")


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that the answer asks to wait (Retry-After, in seconds or as a date, else RateLimit), or None."""
    value = headers.get("retry-after", "").strip()
    if value.isdigit():
        return float(value)
    if value:
        try:
            return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
        except (TypeError, ValueError):
            return None
    found = _RATE_LIMIT.search(headers.get("ratelimit", ""))
    return float(found[1]) if found else None


def unreachable(asked: Asked, error: BaseException) -> ApiError:
    """The network's failure, in words that tell what to look at: name, refusal, certificate, silence or cut."""
    names = {"hub": asked.hub, "model": asked.repo_id}
    causes = list(_causes(error))
    kinds = [type(cause).__name__ for cause in causes]
    message: Text
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        message = _(
            "Le nom du hub de modèles (%(hub)s) n'est pas trouvé : pas de réseau, ou DNS en panne. "
            "%(model)s n'a pas pu être téléchargé.",
            **names,
        )
    elif any(isinstance(cause, ssl.SSLError) for cause in causes):
        message = _(
            "Le certificat du hub de modèles (%(hub)s) n'est pas reconnu : un proxy s'interpose-t-il ? "
            "Donnez son autorité dans SSL_CERT_FILE. %(model)s n'a pas pu être téléchargé.",
            **names,
        )
    elif "ProxyError" in kinds:
        message = _(
            "Le proxy (HTTPS_PROXY) refuse le hub de modèles (%(hub)s) : %(model)s n'a pas pu être téléchargé.", **names
        )
    elif any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        message = _(
            "Le hub de modèles (%(hub)s) refuse la connexion : %(model)s n'a pas pu être téléchargé. "
            "Vérifiez HF_ENDPOINT et le pare-feu.",
            **names,
        )
    elif any(isinstance(cause, TimeoutError) for cause in causes) or any("Timeout" in kind for kind in kinds):
        message = _(
            "Le hub de modèles (%(hub)s) ne répond pas : %(model)s n'a pas pu être téléchargé. Vérifiez le réseau.",
            **names,
        )
    else:
        message = _(
            "La connexion au hub de modèles (%(hub)s) se coupe sans cesse : %(model)s n'a pas pu être téléchargé ; "
            "ce qui est arrivé est gardé pour la prochaine fois.",
            **names,
        )
    return ApiError(503, "hub_unreachable", message, "model")


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def corrupt(repo_id: str, name: str) -> ApiError:
    """Twice, the content was not what the hub's own hash says."""
    message = _(
        "Le fichier %(file)s de %(model)s est arrivé deux fois altéré (son empreinte n'est pas celle du hub) : "
        "il est refusé. Un proxy ou un miroir le modifie peut-être.",
        file=name,
        model=repo_id,
    )
    return ApiError(502, "hub_corrupt", message, "model")


def cancelled(repo_id: str) -> ApiError:
    """A person stopped the download."""
    message = _(
        "Le téléchargement de %(model)s a été annulé ; ce qui est arrivé est gardé pour la prochaine fois.",
        model=repo_id,
    )
    return ApiError(499, "download_cancelled", message, "model")


def disk_full(repo_id: str, need: int | None, free: int) -> ApiError:
    """`need` bytes are still to be written (None: unknown), `free` are left."""
    if need is None:
        message = _("Le disque des modèles est plein : %(model)s n'a pas pu être téléchargé.", model=repo_id)
    else:
        message = _(
            "%(model)s demande encore %(need)s Go de disque, il en reste %(free)s.",
            model=repo_id,
            need=gigabytes(need),
            free=gigabytes(free),
        )
    return ApiError(507, "disk_full", message, "model")


def unwritable(repo_id: str, reason: str) -> ApiError:
    """The models' folder refuses to be written (rights, read-only volume)."""
    message = _(
        "Le dossier des modèles (MODEL_CACHE_DIR) n'accepte pas d'écriture (%(reason)s) : "
        "%(model)s n'a pas pu être téléchargé.",
        reason=reason,
        model=repo_id,
    )
    return ApiError(500, "cache_unwritable", message, "model")


def untrusted(repo_id: str, reason: Text) -> ApiError:
    """The hub's list of files cannot be followed safely."""
    message = _("Le hub décrit %(model)s d'une façon inacceptable : %(reason)s.", model=repo_id, reason=reason)
    return ApiError(502, "hub_invalid", message, "model")
