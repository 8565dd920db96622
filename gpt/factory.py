"""Assembles gpt: settings → catalogue → registry → routes."""

from __future__ import annotations

import atexit

from flask_openapi import OpenAPI

from common.models.hub import SAVED_TOKEN, Hub
from common.models.registry import Registry
from common.models.routes import models_blueprint
from common.web.auth import service_only
from common.web.factory import create_service
from gpt.baked import GptRegistry
from gpt.choose import choose, load_models
from gpt.engines.forwarding import GptEngine
from gpt.ia_service import IaService
from gpt.loader import GptLoader
from gpt.routes.completions import completions_blueprint
from gpt.routes.models import openai_models_blueprint
from gpt.settings import GptSettings


def create_hub(settings: GptSettings) -> Hub:
    """The hub that the settings describe, and the folder its models are kept in."""
    token = settings.huggingface_token
    return Hub(
        cache_dir=settings.cache_dir,
        endpoint=settings.hf_endpoint,
        token=token.get_secret_value() if token else None,
        offline=settings.hf_hub_offline,
        saved_token=settings.data_dir / SAVED_TOKEN,
    )


def create_loader(settings: GptSettings, *, isolate: bool = True) -> GptLoader:
    """What fetches and opens models."""
    return GptLoader(create_hub(settings), settings, isolate=isolate)


def create_registry(settings: GptSettings, *, isolate: bool = True) -> Registry[GptEngine]:
    """The models gpt knows, nothing loaded yet. Raises `SettingsError` when IA_MODEL names nothing.

    `isolate` gives each engine a process of its own.
    """
    catalogue = load_models()
    selection = choose(settings, catalogue)
    return GptRegistry(
        catalogue,
        create_loader(settings, isolate=isolate),
        selection,
        offline=settings.hf_hub_offline,
        ttl_s=settings.ia_model_ttl_s,
        swap_wait_s=settings.ia_swap_wait_s,
        options=frozenset({"gpu_device_ids", "quantization"}),
    )


def create_app(settings: GptSettings, registry: Registry[GptEngine] | None = None) -> OpenAPI:
    """The service. The chosen model starts loading in the background, unless `registry` is given."""
    if registry is None:
        registry = create_registry(settings)
        registry.start()
        atexit.register(registry.close)
    app = create_service("gpt", settings, ready=registry.ready)
    app.before_request(service_only(settings))
    app.register_api(completions_blueprint(IaService(registry)))
    app.register_api(openai_models_blueprint(registry, create_loader(settings).context))
    app.register_api(models_blueprint(registry))
    return app
