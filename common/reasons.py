"""What pydantic complains of, in the reader's language: shared by the bodies of requests and the variables."""

from __future__ import annotations

from typing import Any

from common.errors import ApiError
from common.messages import Text, _

# Error types of pydantic that a caller meets; ctx names are pydantic's own.
_REASONS: dict[str, Text] = {
    "missing": _("ce champ est obligatoire"),
    "extra_forbidden": _("ce champ n'est pas connu"),
    "string_type": _("une chaîne de caractères est attendue"),
    "string_unicode": _("une chaîne de caractères est attendue"),
    "string_pattern_mismatch": _("cette forme n'est pas acceptée"),
    "int_type": _("un nombre entier est attendu"),
    "int_parsing": _("un nombre entier est attendu"),
    "int_parsing_size": _("un nombre entier est attendu"),
    "int_from_float": _("un nombre entier est attendu"),
    "float_type": _("un nombre est attendu"),
    "float_parsing": _("un nombre est attendu"),
    "finite_number": _("un nombre fini est attendu"),
    "bool_type": _("true ou false est attendu"),
    "bool_parsing": _("true ou false est attendu"),
    "list_type": _("une liste est attendue"),
    "dict_type": _("un objet JSON est attendu"),
    "model_type": _("un objet JSON est attendu"),
    "model_attributes_type": _("un objet JSON est attendu"),
}
_BOUNDS: dict[str, tuple[str, Text]] = {
    "greater_than": ("gt", _("doit être supérieur à")),
    "greater_than_equal": ("ge", _("doit être au moins")),
    "less_than": ("lt", _("doit être inférieur à")),
    "less_than_equal": ("le", _("doit être au plus")),
    "too_short": ("min_length", _("nombre d'éléments minimal :")),
    "too_long": ("max_length", _("nombre d'éléments maximal :")),
    "string_too_short": ("min_length", _("nombre de caractères minimal :")),
    "string_too_long": ("max_length", _("nombre de caractères maximal :")),
    "literal_error": ("expected", _("valeurs acceptées :")),
    "enum": ("expected", _("valeurs acceptées :")),
}


def reason(problem: Any) -> Text:
    """Why pydantic refused a value; `problem` is one of ``ValidationError.errors()``."""
    kind, context = problem["type"], problem.get("ctx") or {}
    if kind in _REASONS:
        return _REASONS[kind]
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        bound = context.get(key, "?")
        return _("%(words)s %(bound)s", words=words, bound=bound.replace(" or ", ", ") if key == "expected" else bound)
    cause = context.get("error")
    if isinstance(cause, ApiError) and isinstance(cause.message, Text):
        return cause.message
    return _("%(reason)s", reason=str(problem["msg"]).removeprefix("Value error, "))
