"""``python -m asr.choose``: which model asr would start with, and why (`common.models.choose_command`)."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from asr.models import speech
from asr.settings import ENGINES, AsrSettings
from common.machine.resources import Resources
from common.models.choose_command import ChooseCommand
from common.models.decision import Decision


class AsrChoose(ChooseCommand):
    """asr's."""

    service = "asr"
    prefix = "ASR"
    settings = AsrSettings
    engines = ENGINES
    service_bytes = 65 * 2**20  # gunicorn and its worker without a model: 62 MB, measured
    machines = (("512M", ""), ("2G", ""), ("4G", ""), ("8G", ""), ("", "8G"), ("", "24G"))

    def decide(self, settings: AsrSettings, resources: Resources, *, ask_hub: bool) -> Decision:
        """See `ChooseCommand`."""
        return speech(settings).decide(resources, ask_hub=ask_hub)


def main(arguments: Sequence[str] | None = None) -> int:
    """See `ChooseCommand.main`."""
    return AsrChoose().main(arguments)


if __name__ == "__main__":
    sys.exit(main())
