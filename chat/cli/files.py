"""Files joined to a question: texts as they are, images for models that see."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chat.cli.errors import CommandError

MAX_TEXT_BYTES = 2 * 1024 * 1024
MAX_IMAGE_BYTES = 10 * 1024 * 1024
_IMAGES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".gif": "image/gif"}


@dataclass(frozen=True)
class Attachment:
    """`image`: a data URL; None for a text."""

    name: str
    text: str
    image: str | None = None


def read_attachment(path: Path) -> Attachment:
    """Raises `CommandError` on what cannot be read or is no text."""
    path = path.expanduser()
    kind = _IMAGES.get(path.suffix.lower())
    try:
        with path.open("rb") as file:
            most = MAX_IMAGE_BYTES if kind else MAX_TEXT_BYTES
            data = file.read(most + 1)
    except OSError as error:
        raise CommandError(f"Fichier illisible : {path} ({error.strerror}).") from error
    if len(data) > most:
        raise CommandError(f"Fichier trop gros : {path} (au plus {most // 1024 // 1024} Mo).")
    if kind:
        return Attachment(path.name, "", f"data:{kind};base64,{base64.b64encode(data).decode()}")
    try:
        return Attachment(path.name, data.decode("utf-8-sig"))
    except UnicodeError as error:
        raise CommandError(f"Ce fichier n'est pas un texte en UTF-8 : {path}.") from error


def question(text: str, attachments: Sequence[Attachment]) -> dict[str, Any]:
    """The user's message, texts before the question as models are used to."""
    texts = [f"Fichier « {one.name} » :\n\n{one.text}" for one in attachments if one.image is None]
    whole = "\n\n".join([*texts, text])
    images = [{"type": "image_url", "image_url": {"url": one.image}} for one in attachments if one.image]
    return {"role": "user", "content": [*images, {"type": "text", "text": whole}] if images else whole}
