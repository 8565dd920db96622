"""`.env.example` cannot drift: it names every variable that a service reads, and sets none."""

import importlib
import re

import pytest

from common.settings import ServiceSettings
from scripts.environment import PORTS, ROOT

EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
NAMED = set(re.findall(r"^#([A-Z][A-Z0-9_]*)=", EXAMPLE, re.MULTILINE))


@pytest.mark.parametrize("service", PORTS)
def test_every_variable_of_a_service_is_named(service: str) -> None:
    module = importlib.import_module(f"{service}.settings")
    (cls,) = (
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, ServiceSettings) and kind.__module__ == module.__name__
    )
    assert {name.upper() for name in cls.model_fields} - NAMED == set()


def test_it_sets_nothing() -> None:
    lines = [line for line in EXAMPLE.splitlines() if line.strip() and not line.startswith("#")]
    assert lines == []
