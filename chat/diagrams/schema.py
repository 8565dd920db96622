"""The JSON schema of a drawing, from its pydantic model: strict and compact, so that a small model cannot wander in it.

`source` is ours and never asked for. What has a default may be left out; what has none must be there.
"""

import inspect
import types
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from chat.diagrams.labels import Id

ID = {"type": "string", "pattern": "^[a-z][a-z0-9]{0,5}$"}
ASKED_LABEL = 200  # shorter than what is accepted: a label is not a paragraph
MOST_ITEMS = 100


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of `model`: objects, arrays, strings, numbers, enumerations; keys in the order of the code."""
    fields = [(name, model.model_fields[name]) for name in _order(model) if name != "source"]
    return {
        "type": "object",
        "properties": {field.alias or name: _of_field(field) for name, field in fields},
        "required": [field.alias or name for name, field in fields if field.is_required()],
        "additionalProperties": False,
    }


def _order(model: type[BaseModel]) -> list[str]:
    """The names of the fields as classes declare them, the last declaration counting: constrained models write so."""
    names: dict[str, None] = {}
    for base in reversed(model.__mro__):
        for name in inspect.get_annotations(base):
            if name in model.model_fields:
                names.pop(name, None)
                names[name] = None
    return list(names)


def _of_field(field: FieldInfo) -> dict[str, Any]:
    annotation = field.annotation
    if get_origin(annotation) in {Union, types.UnionType}:
        (annotation,) = (kind for kind in get_args(annotation) if kind is not type(None))
    if annotation is Id or _is_id(annotation, field.metadata):
        return ID
    if get_origin(annotation) is Literal:
        return {"type": "string", "enum": list(get_args(annotation))}
    if get_origin(annotation) is list:
        least = next((limit.min_length for limit in field.metadata if isinstance(limit, MinLen)), 0)
        most = next((limit.max_length for limit in field.metadata if isinstance(limit, MaxLen)), MOST_ITEMS)
        return {"type": "array", "items": _of(get_args(annotation)[0]), "minItems": least, "maxItems": most}
    return _of(annotation) | _limits(field.metadata)


def _of(annotation: Any) -> dict[str, Any]:
    if get_origin(annotation) is not None:  # Annotated
        annotation = get_args(annotation)[0]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return schema_of(annotation)
    named: dict[Any, dict[str, Any]] = {
        str: {"type": "string", "minLength": 1, "maxLength": ASKED_LABEL},
        bool: {"type": "boolean"},
        int: {"type": "integer"},
        float: {"type": "number"},
    }
    return named.get(annotation, {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"})


def _is_id(annotation: Any, metadata: list[Any]) -> bool:
    """Whether a field is an `Id`: pydantic keeps only its metadata, or the Annotated in an optional one."""
    given = list(get_args(annotation)[1:]) if get_origin(annotation) is not None else metadata
    return any(limit in get_args(Id)[1:] for limit in given)


def _limits(metadata: list[Any]) -> dict[str, Any]:
    names = {Ge: ("minimum", "ge"), Gt: ("exclusiveMinimum", "gt"), Le: ("maximum", "le")}
    found = {}
    for limit in metadata:
        if type(limit) in names:
            key, attribute = names[type(limit)]
            found[key] = getattr(limit, attribute)
    return found
