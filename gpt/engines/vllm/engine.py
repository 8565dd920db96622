"""vLLM as an engine: a server of our own on loopback, to which requests go through unchanged."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from common.errors import ApiError
from common.machine.resources import read_resources
from common.messages import Text, _
from common.web.client import PeerStream
from gpt.engines.options import EngineOptions
from gpt.engines.upstream import Upstream
from gpt.engines.vllm.command import VllmOptions, adapter_rank, arguments, lacks_template, variables
from gpt.engines.vllm.diagnosis import PORT_TAKEN, scrub
from gpt.engines.vllm.installed import available
from gpt.engines.vllm.server import GRACE_SECONDS, ServerDiedError, ServerProcess, failed
from gpt.prompts import PLAIN_STOPS

LOAD_SECONDS = 3600.0  # a hundred gigabytes from a network disk, then compilation
ASK_SECONDS = 5.0
WARM_SECONDS = 600.0  # the first tokens compile kernels
STARTS = 3  # when the port that was free is taken before the server opens it


class VllmEngine:
    """Serves `folder` under the name `key`. Raises what keeps it from starting, with the end of vLLM's log.

    It is ready once it has computed a token: some models are refused only then.
    """

    name = "vllm"

    def __init__(
        self,
        key: str,
        folder: Path,
        options: EngineOptions,
        vllm: VllmOptions,
        *,
        load_seconds: float = LOAD_SECONDS,
    ) -> None:
        found = available(vllm.python)
        if found is None:
            message = _("vLLM n'est pas installé dans l'environnement de VLLM_PYTHON.")
            raise ApiError(501, "engine_not_installed", message, "model")
        if found.cuda and not options.use_gpu:
            message = _(
                "Cette version de vLLM veut un GPU NVIDIA : aucun ne se voit ici, ou IA_USE_GPU=false l'écarte."
            )
            raise ApiError(422, "cuda_missing", message, "model")
        self._key = key
        self._plain = lacks_template(folder)
        self._adapters = dict(options.adapters)
        self._can_add = bool(options.adapters)
        secret = secrets.token_urlsafe(32)
        self._hidden = {
            secret: "…",
            str(folder): key,
            str(Path(vllm.python).absolute().parents[1]): "VLLM_PYTHON",
            **{str(path): name for name, path in options.adapters},
        }
        resources = read_resources(use_gpu=options.use_gpu, gpu_device_ids=options.gpu_device_ids)
        given = variables(secret, options, vllm, os.environ, cuda=found.cuda)
        for attempt in range(1, STARTS + 1):
            self._port = _free_port()
            command = arguments(folder, key, self._port, options, vllm, resources, cuda=found.cuda)
            self._server = ServerProcess(command, given, self._hidden, grace_seconds=GRACE_SECONDS)
            self._upstream = Upstream("vllm", f"http://127.0.0.1:{self._port}", SecretStr(secret), hidden=self._hidden)
            try:
                self.context = self._begin(load_seconds)
                return
            except ServerDiedError as error:
                self._server.close()
                if error.cause.kind != PORT_TAKEN or attempt == STARTS:
                    raise failed(error) from error
            except BaseException:
                self._server.close()
                raise

    @property
    def pid(self) -> int:
        return self._server.pid

    def forward(self, path: str, payload: Mapping[str, Any], adapter: str | None = None) -> PeerStream:
        """See `ForwardingEngine`. A plain chat also stops where the model would make the user speak."""
        sent = {**payload, "model": adapter or self._key}
        if self._plain and path == "/chat/completions":
            asked = payload.get("stop") or []
            sent["stop"] = [*([asked] if isinstance(asked, str) else asked), *PLAIN_STOPS]
        try:
            return self._upstream.stream(f"/v1{path}", sent)
        except ApiError as error:
            if isinstance(error.message, str):
                error.message = scrub(error.message, self._hidden)
            raise

    def models(self) -> list[dict[str, Any]]:
        """See `ForwardingEngine`."""
        answer = self._upstream.get("/v1/models", timeout=ASK_SECONDS).raise_for_status()
        return [dict(model) for model in answer.json()["data"]]

    def load_adapter(self, key: str, folder: Path) -> None:
        """See `AdapterEngine`. vLLM sets memory apart for adapters when it starts, or not: 409 when it has not."""
        if key in self._adapters:
            return
        if not self._can_add:
            message = _("vLLM n'accepte d'adaptateur à chaud que s'il a démarré avec un (IA_ADAPTERS).")
            raise ApiError(409, "adapters_disabled", message, "model")
        adapter_rank(folder)
        self._hidden[str(folder)] = key
        self._change("/v1/load_lora_adapter", {"lora_name": key, "lora_path": str(folder)})
        self._adapters[key] = folder

    def unload_adapter(self, key: str) -> None:
        """See `AdapterEngine`."""
        if self._adapters.pop(key, None) is not None:
            self._change("/v1/unload_lora_adapter", {"lora_name": key})

    def adapters(self) -> tuple[str, ...]:
        """See `AdapterEngine`."""
        return tuple(self._adapters)

    def watch(self, died: Callable[[Text], None]) -> None:
        """See `ForwardingEngine`."""
        self._server.watch(died)

    def memory_bytes(self) -> int:
        """Resident bytes of vLLM's processes; on a GPU, only what they hold beside it."""
        return self._server.memory_bytes()

    def close(self) -> None:
        """End every process of vLLM's."""
        self._server.close()

    def _begin(self, seconds: float) -> int:
        """Wait until it answers, make it compute one token; the context it has. Raises `ServerDiedError`."""
        self._server.wait_until(self._answers, seconds)
        body = {"model": self._key, "prompt": "a", "max_tokens": 1, "temperature": 0}
        try:
            self._upstream.post("/v1/completions", body, timeout=WARM_SECONDS)
            cards = self.models()
        except ApiError as error:
            deadline = time.monotonic() + ASK_SECONDS  # an engine that breaks takes the server along, a moment later
            while self._server.running and time.monotonic() < deadline:
                time.sleep(0.05)
            if not self._server.running:
                raise self._server.died() from error
            message = _("vLLM a démarré mais ne sait pas répondre : %(reason)s", reason=error.message)
            raise ApiError(422, "model_unsupported", message, "model") from error
        return next((int(card["max_model_len"]) for card in cards if card.get("max_model_len")), 0)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), ASK_SECONDS).close()  # spares the client a refusal
        except OSError:
            return False
        try:
            return self._upstream.get("/health", timeout=ASK_SECONDS).status == 200
        except ApiError:
            return False

    def _change(self, path: str, body: Mapping[str, Any]) -> None:
        try:
            self._upstream.post(path, body, timeout=WARM_SECONDS)
        except ApiError as error:
            reason = scrub(error.message, self._hidden) if isinstance(error.message, str) else error.message
            message = _("vLLM refuse cet adaptateur : %(reason)s", reason=reason)
            raise ApiError(422, "adapter_unusable", message, "model") from error


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
