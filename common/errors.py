"""The one error that crosses floors: plain services raise it, ``common.web`` renders it as OpenAI's error body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.messages import Text, _


def error_type(status: int) -> str:
    """OpenAI's ``type`` for an HTTP status."""
    if status == 401:
        return "authentication_error"
    if status == 403:
        return "permission_error"
    if status == 429:
        return "rate_limit_error"
    return "server_error" if status >= 500 else "invalid_request_error"


class ApiError(Exception):
    """An answer that is an error.

    `status` is the HTTP status, `code` a stable English identifier, `message` what a person reads (French,
    translated late), `param` the field at fault; `headers` join the answer's, `extra` joins the error object.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: Text | str,
        param: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors travel between a service and its engines' processes."""
        return _again, (self.status, self.code, self.message, self.param, self.headers, self.extra)

    def body(self, language: str = "fr") -> dict[str, Any]:
        """OpenAI's error body in `language`."""
        message = self.message.render(language) if isinstance(self.message, Text) else self.message
        error = {
            "message": message,
            "type": error_type(self.status),
            "param": self.param,
            "code": self.code,
            **self.extra,
        }
        return {"error": error}


def client_left() -> ApiError:
    """Nobody reads the answer any more."""
    return ApiError(499, "client_closed_request", _("Le client est parti avant la fin."))


def _again(
    status: int, code: str, message: Text | str, param: str | None, headers: dict[str, str], extra: dict[str, Any]
) -> ApiError:
    return ApiError(status, code, message, param, headers=headers, extra=extra)
