"""gunicorn's entry point: ``asr.wsgi:app``."""

from __future__ import annotations

import sys

from asr.factory import create_app
from asr.settings import AsrSettings
from common.settings import SettingsError, load_or_exit

try:
    app = create_app(load_or_exit(AsrSettings))
except SettingsError as error:
    sys.stderr.write(f"Configuration refusée — {error}\n")
    sys.exit(4)
