"""The diarize service, assembled."""

from __future__ import annotations

import atexit

from flask_openapi import OpenAPI

from common.models.routes import models_blueprint
from common.models.token_routes import hub_token_blueprint
from common.web import logs
from common.web.auth import service_only
from common.web.factory import create_service
from common.web.stopping import before_the_end
from diarize.diarizer import Diarizer
from diarize.models import build_registry
from diarize.routes.process import process_blueprint
from diarize.routes.voices import voices_blueprint
from diarize.settings import DiarizeSettings
from diarize.voices import VoiceStore


def create_app(settings: DiarizeSettings) -> OpenAPI:
    """The application; its model loads in the background.

    Raises SettingsError when DIARIZE_MODEL can't run here.
    """
    logs.configure("diarize", settings.log_level, settings.log_dir)  # the choice of the model is the first thing told
    registry = build_registry(settings)
    diarizer = Diarizer(settings, registry, VoiceStore(settings.data_dir / "voices.json"))
    app = create_service("diarize", settings, ready=registry.ready)
    app.before_request(service_only(settings))
    app.register_api(process_blueprint(diarizer))
    app.register_api(voices_blueprint(diarizer))
    app.register_api(models_blueprint(registry))
    app.register_api(hub_token_blueprint(settings.data_dir, registry))
    app.extensions["frigo.models"] = registry
    registry.start()
    atexit.register(registry.close)
    before_the_end(registry.close)
    return app
