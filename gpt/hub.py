"""gpt's hub of models, as its variables describe it."""

from __future__ import annotations

from common.hub.hub import SAVED_TOKEN, Hub
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
