"""The asr service, assembled."""

from __future__ import annotations

import atexit

from flask_openapi import OpenAPI

from asr.diarized import Diarizer
from asr.models import build_registry
from asr.routes.openai import openai_blueprint
from asr.routes.transcribe import transcribe_blueprint
from asr.service import AsrService
from asr.settings import AsrSettings
from common.models.routes import models_blueprint
from common.models.token_routes import hub_token_blueprint
from common.web import logs
from common.web.auth import service_only
from common.web.client import Peer
from common.web.factory import create_service
from common.web.stopping import before_the_end


def create_app(settings: AsrSettings) -> OpenAPI:
    """The application; its model loads in the background.

    Raises SettingsError when ASR_MODEL can't run here.
    """
    logs.configure("asr", settings.log_level, settings.log_dir)  # the choice of the model is the first thing told
    registry = build_registry(settings)
    service = AsrService(settings, registry)
    app = create_service("asr", settings, ready=registry.ready)
    app.before_request(service_only(settings))
    app.register_api(transcribe_blueprint(service))
    diarize = Peer("diarize", settings.diarize_api_url, service_token=settings.service_token)
    app.register_api(openai_blueprint(service, Diarizer(diarize), settings.max_audio_seconds))
    app.register_api(models_blueprint(registry))
    app.register_api(hub_token_blueprint(settings.data_dir, registry))
    app.extensions["frigo.models"] = registry
    registry.start()
    atexit.register(registry.close)
    before_the_end(registry.close)
    return app
