"""`python -m asr.download_models --model NAME [--model …]`: see `common.models.download_command`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from asr.models import speech
from asr.settings import AsrSettings
from common.models.backend_download import BackendDownload
from common.settings import load


class AsrDownload(BackendDownload):
    """asr's."""

    service = "asr"
    what = "modèles de transcription"
    variable = "ASR_MODEL"

    def __init__(self) -> None:
        super().__init__(speech(load(AsrSettings)))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Gives its exit status."""
    return AsrDownload.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
