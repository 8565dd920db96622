"""`python -m diarize.download_models --model NAME [--model …]`: see `common.models.download_command`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from common.models.backend_download import BackendDownload
from common.settings import load
from diarize.models import diarization
from diarize.settings import DiarizeSettings


class DiarizeDownload(BackendDownload):
    """diarize's."""

    service = "diarize"
    what = "modèles de séparation des locuteurs"
    variable = "DIARIZE_MODEL"

    def __init__(self) -> None:
        super().__init__(diarization(load(DiarizeSettings)))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Gives its exit status."""
    return DiarizeDownload.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
