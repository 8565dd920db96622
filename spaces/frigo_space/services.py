"""Frigo's services in this process, called as they call each other over HTTP."""

from __future__ import annotations

import contextvars
import importlib
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from flask import Flask

from common.web.client import PeerResponse

WAIT_SECONDS = 900
"""How long a call waits for a model that is being fetched or loaded."""

VOICE_DETECTOR = "silero-vad==6.2.3"
_INSTALL_SECONDS = 300


class LocalPeer:
    """What `common.web.client.Peer` is to a service elsewhere: `app` answers, in the caller's thread."""

    def __init__(self, name: str, app: Flask) -> None:
        self.name = name
        self._app = app

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        data: Mapping[str, Any] | None = None,
        timeout: float | None = None,  # noqa: ARG002  nothing to time out: no wire
        again: bool = False,  # noqa: ARG002
    ) -> PeerResponse:
        """As `Peer.request`; `data` is a form, with files as (stream, name)."""

        def call() -> PeerResponse:
            answer = self._app.test_client().open(path, method=method, json=json, data=data)
            return PeerResponse(self.name, answer.status_code, dict(answer.headers), answer.data)

        return contextvars.copy_context().run(call)  # a request sets the language and its id for itself


def language_service(model: str) -> LocalPeer:
    """gpt with `model`, which is fetched when it is not here. Raises `SettingsError` for a model that cannot be had."""
    from common.settings import load
    from gpt.factory import create_app
    from gpt.settings import GptSettings

    return LocalPeer("gpt", create_app(load(GptSettings, ia_model=model, ia_swap_wait_s=WAIT_SECONDS)))


def speech_service(model: str) -> LocalPeer:
    """asr with `model`. Raises as `language_service`."""
    _bring_voice_detector()
    from asr.factory import create_app
    from asr.settings import AsrSettings
    from common.settings import load

    settings = load(AsrSettings, asr_model=model, ia_use_gpu=False, ia_swap_wait_s=WAIT_SECONDS)
    return LocalPeer("asr", create_app(settings))


def _bring_voice_detector() -> None:
    """Silero's wheel, without the libraries that it asks for and does not need here: a list of requirements cannot
    say so."""
    if find_spec("silero_vad") is None:
        command = [sys.executable, "-m", "pip", "install", "--no-deps", "--disable-pip-version-check", VOICE_DETECTOR]
        subprocess.run(command, check=True, capture_output=True, timeout=_INSTALL_SECONDS)
        importlib.invalidate_caches()
