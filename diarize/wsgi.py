"""gunicorn's entry point: ``diarize.wsgi:app``."""

from __future__ import annotations

import os
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: its threads only spin on matrices of this size

from common.settings import SettingsError, load_or_exit
from diarize.factory import create_app
from diarize.settings import DiarizeSettings

try:
    app = create_app(load_or_exit(DiarizeSettings))
except SettingsError as error:
    sys.stderr.write(f"Configuration refusée — {error}\n")
    sys.exit(4)
