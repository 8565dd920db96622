"""Which engines are installed, and how to add the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.messages import Text, _

_WITH_TORCH = frozenset({"transformers", "nanochat"})  # `make run MOTEURS=torch` puts them in the services' environment


def not_installed(engine: str) -> Text:
    """The reason shown for an engine that is not here, and the command that adds it."""
    return _(
        "Le moteur « %(engine)s » n'est pas installé ici ; `make run MOTEURS=%(word)s` l'ajoute.",
        engine=engine,
        word="torch" if engine in _WITH_TORCH else engine,
    )


def shown(engines: Mapping[str, Text | None], language: str) -> list[dict[str, Any]]:
    """``engines`` of /api/models; each is given with the reason why it is absent, if it is."""
    return [
        {"name": name, "installed": reason is None, "reason": reason.render(language) if reason else None}
        for name, reason in engines.items()
    ]
