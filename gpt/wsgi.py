"""gunicorn's entry point: ``gpt.wsgi:app``."""

from __future__ import annotations

import os
import sys

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch can start OpenMP

from common.settings import SettingsError, load_or_exit
from gpt.factory import create_app
from gpt.settings import GptSettings

try:
    app = create_app(load_or_exit(GptSettings))
except SettingsError as error:  # IA_MODEL is only understood with the catalogue at hand
    sys.stderr.write(f"Configuration refusée — {error}\n")
    sys.exit(4)
