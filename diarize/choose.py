"""``python -m diarize.choose``: which model diarize would start with, and why (`common.models.choose_command`)."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from common.models.backend_choose import BackendChoose
from diarize.models import diarization
from diarize.settings import ENGINES, DiarizeSettings


class DiarizeChoose(BackendChoose):
    """diarize's."""

    service = "diarize"
    prefix = "DIARIZE"
    settings = DiarizeSettings
    engines = ENGINES

    def __init__(self) -> None:
        super().__init__(diarization)


def main(arguments: Sequence[str] | None = None) -> int:
    """See `ChooseCommand.main`."""
    return DiarizeChoose().main(arguments)


if __name__ == "__main__":
    sys.exit(main())
