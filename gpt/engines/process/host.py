"""``python -m gpt.engines.process.host FD``: one language engine in a process of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from common.process.host import Host
from common.web import logs
from gpt.engines.base import AdapterEngine, LanguageEngine
from gpt.engines.classes import engine_class
from gpt.engines.process.spec import Facts, Spec


class HostedEngine:
    """The engine's methods by name."""

    def __init__(self, engine: LanguageEngine) -> None:
        self.facts = Facts(
            engine.name, engine.capabilities, engine.context, engine.defaults, getattr(engine, "quantization", "none")
        )
        self.calls: dict[str, Callable[..., Any]] = {
            "encode": engine.encode,
            "encode_ids": engine.encode_ids,
            "encode_chat": engine.encode_chat,
            "encode_infill": engine.encode_infill,
            "decode": engine.decode,
            "load": lambda: engine.load,
        }
        for reads in ("score", "embed"):
            if hasattr(engine, reads):
                self.calls[reads] = getattr(engine, reads)
        if isinstance(engine, AdapterEngine):
            self.calls |= {
                "load_adapter": engine.load_adapter,
                "unload_adapter": engine.unload_adapter,
                "adapters": engine.adapters,
            }
        self.streams: dict[str, Callable[..., Callable[[], None]]] = {"submit": engine.submit}
        self.close = engine.close


def _open(spec: Spec) -> HostedEngine:
    logs.configure("gpt", spec.log_level, spec.log_dir)
    return HostedEngine(engine_class(spec.engine)(spec.folder, spec.options))


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"  # whatever an engine needs is in its folder
    Host(int(sys.argv[1])).run(_open)
