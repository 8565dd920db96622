"""``python -m diarize.choose``: which model diarize would start with, and why (`common.models.choose_command`)."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from common.machine.resources import Resources
from common.models.choose_command import ChooseCommand
from common.models.decision import Decision
from diarize.models import diarization
from diarize.settings import ENGINES, DiarizeSettings


class DiarizeChoose(ChooseCommand):
    """diarize's."""

    service = "diarize"
    prefix = "DIARIZE"
    settings = DiarizeSettings
    engines = ENGINES
    service_bytes = 65 * 2**20  # gunicorn and its worker without a model: 62 MB, measured
    machines = (("512M", ""), ("2G", ""), ("4G", ""), ("8G", ""), ("", "8G"), ("", "24G"))

    def decide(self, settings: DiarizeSettings, resources: Resources, *, ask_hub: bool) -> Decision:
        """See `ChooseCommand`."""
        return diarization(settings).decide(resources, ask_hub=ask_hub)


def main(arguments: Sequence[str] | None = None) -> int:
    """See `ChooseCommand.main`."""
    return DiarizeChoose().main(arguments)


if __name__ == "__main__":
    sys.exit(main())
