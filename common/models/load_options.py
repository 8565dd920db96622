"""The optional body of a request to load a model, the same in app and in the services that load."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from flask import request
from pydantic import BaseModel, ConfigDict, Field, model_validator

from common.web.validation import invalid_json


class LoadOptions(BaseModel):
    """How to load a model: what is left out is as the service's variables say; no option at all, as the last time."""

    model_config = ConfigDict(extra="forbid")

    gpu_device_ids: list[Annotated[int, Field(ge=0, strict=True)]] | None = Field(
        default=None, max_length=64, description="Numéros des GPU à utiliser ; vide : tous."
    )
    quantization: Literal["none", "int8", "nf4", "auto"] | None = Field(
        default=None, description="Précision des poids en mémoire."
    )

    @model_validator(mode="before")
    @classmethod
    def _body_may_be_absent(cls, value: object) -> object:
        if value is None and request.get_data(cache=True).strip():
            raise invalid_json()
        return {} if value is None else value

    def asked(self) -> dict[str, Any]:
        """The options that were given."""
        return self.model_dump(exclude_none=True)
