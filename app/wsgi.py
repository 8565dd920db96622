"""gunicorn's entry: ``gunicorn -c python:common.web.gunicorn_conf app.wsgi:app``."""

from __future__ import annotations

from app.factory import create_app
from app.settings import AppSettings
from common.settings import load_or_exit

app = create_app(load_or_exit(AppSettings))
