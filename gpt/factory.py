"""Assembles gpt: settings → catalogue → registry → routes."""

from __future__ import annotations

import atexit

from flask_openapi import OpenAPI

from common.hub.settings import create_hub
from common.models.asked_gpus import tell_absent_gpus
from common.models.catalogue import Catalogue
from common.models.hub_registry import HubRegistry
from common.models.registry import Registry
from common.models.routes import models_blueprint
from common.models.token_routes import hub_token_blueprint
from common.web import logs
from common.web.auth import service_only
from common.web.factory import create_service
from common.web.stopping import before_the_end
from gpt.adapters.service import AdapterService
from gpt.adapters.shelf import Shelf
from gpt.choose import choose, load_models, refuse_absent_gpus
from gpt.engines.choose import engines_here
from gpt.engines.forwarding import GptEngine
from gpt.ia_service import IaService
from gpt.loader import GptLoader
from gpt.routes.adapters import adapters_blueprint
from gpt.routes.completions import completions_blueprint
from gpt.routes.models import openai_models_blueprint
from gpt.settings import GptSettings


def create_loader(settings: GptSettings, shelf: Shelf | None = None, *, isolate: bool = True) -> GptLoader:
    """What fetches and opens models, those that have some with the adapters of `shelf`."""
    return GptLoader(create_hub(settings), settings, shelf, isolate=isolate)


def create_shelf(settings: GptSettings, catalogue: Catalogue, parent: str) -> Shelf:
    """The adapters known at start; those of IA_ADAPTERS are of `parent`. Raises `SettingsError`."""
    shelf = Shelf(catalogue, create_hub(settings), settings.data_dir)
    shelf.declare(settings.ia_adapters, parent)
    shelf.remember()
    return shelf


def create_registry(settings: GptSettings, *, isolate: bool = True) -> Registry[GptEngine]:
    """The models gpt knows, nothing loaded yet. Raises `SettingsError` when IA_MODEL names nothing.

    `isolate` gives each engine a process of its own.
    """
    refuse_absent_gpus(settings)
    if not settings.vllm_ray_address:
        tell_absent_gpus(settings)
    catalogue = load_models()
    selection = choose(settings, catalogue)
    loader = create_loader(settings, create_shelf(settings, catalogue, selection.chosen), isolate=isolate)
    return HubRegistry(
        catalogue,
        loader,
        selection,
        offline=settings.hf_hub_offline,
        newcomer=loader.machine.newcomer,
        engines=engines_here,
        ttl_s=settings.ia_model_ttl_s,
        swap_wait_s=settings.ia_swap_wait_s,
        options=frozenset({"gpu_device_ids", "quantization"}),
    )


def create_app(settings: GptSettings, registry: Registry[GptEngine] | None = None) -> OpenAPI:
    """The service. The chosen model starts loading in the background, unless `registry` is given."""
    if registry is None:
        logs.configure("gpt", settings.log_level, settings.log_dir)  # the choice of the model is the first thing told
        registry = create_registry(settings)
        registry.start()
        atexit.register(registry.close)
        before_the_end(registry.close)
    app = create_service("gpt", settings, ready=registry.ready)
    app.before_request(service_only(settings))
    loader = registry.loader if isinstance(registry.loader, GptLoader) else create_loader(settings)
    shelf = loader.shelf or create_shelf(settings, registry.catalogue, registry.selection.chosen)
    adapters = AdapterService(registry, shelf)
    adapters.start()
    app.register_api(completions_blueprint(IaService(registry, adapters)))
    app.register_api(openai_models_blueprint(registry, loader.context, adapters))
    app.register_api(adapters_blueprint(adapters))
    app.register_api(models_blueprint(registry))
    app.register_api(hub_token_blueprint(settings.data_dir, registry))
    return app
