"""What tests of the life of models share: a machine with room for 100 bytes, and a clock that is moved by hand."""

from __future__ import annotations

import pytest

from tests.common.lifecycle_fakes import Clock, Machine


@pytest.fixture
def machine() -> Machine:
    return Machine(capacity=100)


@pytest.fixture
def clock() -> Clock:
    return Clock()
