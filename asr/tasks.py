"""From what a person asks to what the model is told: refused by name when the model can't, never bent in silence."""

from __future__ import annotations

import math
from dataclasses import dataclass

from asr.engines.base import AsrEngine, Task
from asr.languages import language_name
from common.errors import ApiError
from common.messages import Text, _
from common.models.catalogue import Catalogue

ASSUMED = "fr"
"""The language taken when none is given, the model can't tell and ASR_LANGUAGE is not set."""
THRESHOLDS = (0.05, 0.95)


@dataclass(frozen=True)
class Ask:
    """One transcription as it is asked for.

    `language` (ISO 639-1) is the one spoken. `translate` writes in `target` (default: English) instead. `prompt` helps
    with spelling. `vad_threshold`: how sure one must be that a sound is speech, 0.05 to 0.95; None: the usual.
    `start`: skip what comes before that second, which was transcribed already (`Partial.through`).
    """

    language: str | None = None
    translate: bool = False
    target: str | None = None
    prompt: str = ""
    temperature: float = 0.0
    vad_threshold: float | None = None
    start: float = 0.0


@dataclass(frozen=True)
class Plan:
    """What the model is told, the language to show when it hears none, and what the reader must know.

    `start` and `vad_threshold`: see `Ask`.
    """

    task: Task
    language: str
    warnings: tuple[Text, ...] = ()
    start: float = 0.0
    vad_threshold: float | None = None


def plan(
    ask: Ask, engine: AsrEngine, catalogue: Catalogue, default_language: str | None = None, *, name: str | None = None
) -> Plan:
    """The task for `engine`, which serves the model that the catalogue calls `name`.

    The language, when none is given: the model's own if it has but one; what it hears, if it can tell; else
    `default_language` (ASR_LANGUAGE); else French if the model knows it, and the answer says so; else 400
    `language_required`. The demonstration engine takes any language for its own, and says so.

    Raises ApiError 400: unsupported_language, language_required, unsupported_translation, unsupported_parameter,
    invalid_value.
    """
    _check_values(ask)
    name = name or engine.name
    _check_parameters(ask, engine, name)
    language, warnings = _language(ask, engine, catalogue, default_language, name)
    target = _target(ask, engine, language, name)
    task = Task(language, target, ask.prompt.strip(), ask.temperature)
    shown = language or default_language or _usual(engine)
    return Plan(task, shown, (*warnings, *_demo(engine, catalogue)), ask.start, ask.vad_threshold)


def _check_values(ask: Ask) -> None:
    lowest, highest = THRESHOLDS
    if ask.vad_threshold is not None and not lowest <= ask.vad_threshold <= highest:
        message = _(
            "Le seuil de détection de la parole va de %(lowest)s à %(highest)s.", lowest=lowest, highest=highest
        )
        raise ApiError(400, "invalid_value", message, "vad_threshold")
    if not (math.isfinite(ask.start) and ask.start >= 0):
        raise ApiError(400, "invalid_value", _("Le début est un nombre de secondes, à partir de 0."), "start")
    if not (math.isfinite(ask.temperature) and 0 <= ask.temperature <= 1):
        raise ApiError(400, "invalid_value", _("La température va de 0 à 1."), "temperature")


def _check_parameters(ask: Ask, engine: AsrEngine, model: str) -> None:
    for name, given, taken in (
        ("prompt", bool(ask.prompt.strip()), engine.capabilities.prompt),
        ("temperature", ask.temperature != 0, engine.capabilities.temperature),
    ):
        if given and not taken:
            message = _("Le modèle chargé (%(model)s) ne prend pas « %(name)s ».", model=model, name=name)
            raise ApiError(400, "unsupported_parameter", message, name)


def _language(
    ask: Ask, engine: AsrEngine, catalogue: Catalogue, default_language: str | None, model: str
) -> tuple[str | None, list[Text]]:
    known = engine.capabilities.languages
    if ask.language is not None:
        if ask.language in known:
            return ask.language, []
        if engine.demo:
            return _usual(engine), [_unknown(ask.language, engine, catalogue)]
        raise ApiError(400, "unsupported_language", _unknown(ask.language, engine, catalogue), "language")
    if engine.capabilities.detects_language:
        return None, []
    if len(known) == 1:
        return _usual(engine), []
    if default_language in known:
        return default_language, []
    if default_language is None and ASSUMED in known:
        warning = _(
            "Aucune langue n'a été donnée et ce modèle ne la reconnaît pas : l'enregistrement a été lu comme étant en "
            "%(language)s. Pour une autre langue, indiquez-la (language).",
            language=language_name(ASSUMED),
        )
        return ASSUMED, [warning]
    message = _(
        "Le modèle chargé (%(model)s) ne reconnaît pas la langue : indiquez-la (language). Il connaît : %(known)s.",
        model=model,
        known=_names(known),
    )
    raise ApiError(400, "language_required", message, "language")


def _target(ask: Ask, engine: AsrEngine, language: str | None, model: str) -> str | None:
    if not ask.translate:
        return None
    target = ask.target or "en"
    pairs = engine.capabilities.translations
    if target == language and (pairs or ask.language == language):
        return None  # said in that language already; a model that only assumes so, and can't translate, says it can't
    possible = {written for spoken, written in pairs if language in (None, spoken)}
    if target in possible:
        return target
    param = "target" if ask.target else "model"
    if not pairs:
        message = _("Le modèle chargé (%(model)s) ne traduit pas.", model=model)
    else:
        message = _(
            "Le modèle chargé (%(model)s) ne traduit pas de cette langue (%(spoken)s) vers celle-ci : %(target)s. "
            "Il sait traduire : %(pairs)s.",
            model=model,
            spoken=language_name(language) if language else "auto",
            target=language_name(target),
            pairs=[f"{spoken}→{written}" for spoken, written in sorted(pairs)],
        )
    raise ApiError(400, "unsupported_translation", message, param)


def _usual(engine: AsrEngine) -> str:
    languages = engine.capabilities.languages
    return ASSUMED if ASSUMED in languages else min(languages)


def _names(codes: frozenset[str]) -> list[object]:
    return [language_name(code) for code in sorted(codes)]


def _unknown(language: str, engine: AsrEngine, catalogue: Catalogue) -> Text:
    """The model does not know `language`; which others do."""
    given = {"language": language_name(language), "spoken": _names(engine.capabilities.languages)}
    better = [entry.key for entry in catalogue if language in entry.languages]
    if engine.demo:
        if better:
            return _(
                "Le modèle chargé ne comprend pas cette langue : %(language)s (il connaît : %(spoken)s) : le texte "
                "n'est pas fiable. Modèles qui la comprennent : %(models)s.",
                **given,
                models=better,
            )
        return _(
            "Le modèle chargé ne comprend pas cette langue : %(language)s (il connaît : %(spoken)s) : le texte "
            "n'est pas fiable. Aucun modèle du catalogue ne la comprend.",
            **given,
        )
    if better:
        return _(
            "Le modèle chargé ne comprend pas cette langue : %(language)s. Il connaît : %(spoken)s. Modèles qui la "
            "comprennent : %(models)s.",
            **given,
            models=better,
        )
    return _(
        "Le modèle chargé ne comprend pas cette langue : %(language)s. Il connaît : %(spoken)s. Aucun modèle du "
        "catalogue ne la comprend.",
        **given,
    )


def _demo(engine: AsrEngine, catalogue: Catalogue) -> list[Text]:
    if not engine.demo:
        return []
    return [
        _(
            "Transcription faite par le moteur de démonstration (%(spoken)s seulement), approximative. "
            "Pour un vrai usage, choisissez un de ces modèles : %(models)s.",
            spoken=_names(engine.capabilities.languages),
            models=[entry.key for entry in catalogue if not entry.demo],
        )
    ]
