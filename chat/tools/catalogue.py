"""The tools that chat has, with these settings."""

from __future__ import annotations

from chat.settings import ChatSettings
from chat.tools.calculator.tool import CALCULATOR
from chat.tools.toolbox import Toolbox


def make_toolbox(settings: ChatSettings) -> Toolbox:  # noqa: ARG001
    return Toolbox([CALCULATOR])
