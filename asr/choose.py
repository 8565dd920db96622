"""``python -m asr.choose``: which model asr would start with, and why (`common.models.choose_command`)."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from asr.models import speech
from asr.settings import ENGINES, AsrSettings
from common.models.backend_choose import BackendChoose


class AsrChoose(BackendChoose):
    """asr's."""

    service = "asr"
    prefix = "ASR"
    settings = AsrSettings
    engines = ENGINES

    def __init__(self) -> None:
        super().__init__(speech)


def main(arguments: Sequence[str] | None = None) -> int:
    """See `ChooseCommand.main`."""
    return AsrChoose().main(arguments)


if __name__ == "__main__":
    sys.exit(main())
