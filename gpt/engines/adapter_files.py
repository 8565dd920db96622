"""A LoRA adapter's folder as peft writes it, looked at without opening the weights. No torch here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from common.errors import ApiError
from common.messages import Text, _

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
MAX_BYTES = 4 * 2**30  # of the weights


def check_files(folder: Path) -> dict[str, Any]:
    """The adapter's configuration, once its files look right. Raises 422 `adapter_unusable` with the reason."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise unusable(_("son adapter_config.json est absent ou illisible")) from error
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        kind = config.get("peft_type", "?") if isinstance(config, dict) else "?"
        raise unusable(_("seuls les adaptateurs LoRA sont acceptés, pas « %(kind)s »", kind=kind))
    if not (folder / WEIGHTS).is_file():
        raise unusable(_("il n'a pas de %(file)s, seul format accepté", file=WEIGHTS))
    if (folder / WEIGHTS).stat().st_size > MAX_BYTES:
        raise unusable(_("son fichier dépasse %(limit)s Go", limit=MAX_BYTES // 2**30))
    return config


def unusable(reason: Text) -> ApiError:
    """The 422 of an adapter that cannot be used."""
    return ApiError(
        422, "adapter_unusable", _("Cet adaptateur n'est pas utilisable : %(reason)s.", reason=reason), "source"
    )
