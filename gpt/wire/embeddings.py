"""Body and answer of /v1/embeddings."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from common.errors import ApiError
from common.messages import _
from gpt.wire.texts import Texts, one_or_several

MAX_TEXTS = 2048


class EmbeddingBody(BaseModel):
    """POST /v1/embeddings."""

    model_config = ConfigDict(extra="allow")

    model: str | None = Field(
        default=None, max_length=500, description="Clé ou alias ; absent ou default : celui qui est prêt"
    )
    input: Texts = Field(description="Texte, textes ou identifiants de tokens")
    encoding_format: Literal["float", "base64"] | None = Field(
        default=None, description="base64 : nombres de 4 octets, petit bout d'abord"
    )
    dimensions: int | None = Field(default=None, ge=1, description="Les premières seulement, ramenées à la longueur 1")

    def texts(self) -> list[str | list[int]]:
        """What to read, one or several. Raises 400 when there is nothing, or too much."""
        return one_or_several(self.input, MAX_TEXTS, "input")

    def shaped(self, vector: list[float]) -> list[float]:
        """The `dimensions` first numbers, of length 1 again. Raises 400 when there are not so many."""
        if self.dimensions is None:
            return vector
        if self.dimensions > len(vector):
            message = _(
                "dimensions vaut %(asked)s : ce modèle en donne %(size)s.", asked=self.dimensions, size=len(vector)
            )
            raise ApiError(400, "invalid_value", message, "dimensions")
        kept = vector[: self.dimensions]
        length = math.hypot(*kept)
        return [value / length for value in kept] if length else kept

    def encoded(self, vector: list[float]) -> list[float] | str:
        """The vector in the form that was asked for."""
        if self.encoding_format == "base64":
            return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
        return vector


def embeddings_answer(model: str, vectors: Sequence[list[float] | str], tokens: int) -> dict[str, Any]:
    """OpenAI's answer."""
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": model, "usage": usage}
