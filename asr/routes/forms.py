"""OpenAI's fields of transcriptions and translations, checked before any work."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from flask_openapi import FileStorage
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from asr.diarized import KnownSpeaker
from asr.languages import language_code
from asr.tasks import THRESHOLDS, Ask
from common.audio.decode import AudioReader
from common.audio.upload import from_data_url
from common.errors import ApiError
from common.messages import _

STAND_INS = (
    "default",
    "whisper-1",
    "gpt-transcribe",
    "gpt-4o-transcribe",
    "gpt-4o-mini-transcribe",
    "gpt-4o-mini-transcribe-2025-12-15",
    "gpt-4o-transcribe-diarize",
)
"""Names that mean the model that is ready: what OpenAI's clients send when nobody chose one of ours."""
DIARIZING = "gpt-4o-transcribe-diarize"
MOST_SPEAKERS, MOST_NAME = 4, 80
SAMPLE_SECONDS = (2.0, 10.0)
_SAMPLE_MARGIN = 0.1  # containers pad and announce lengths freely
MOST_SAMPLE_BYTES = 2 * 1024 * 1024  # ten seconds of 16-bit stereo at 48 kHz
FORM_BYTES, FORM_PARTS = MOST_SAMPLE_BYTES * 4 // 3 + 64 * 1024, 64  # of one text field, and of fields: all in memory
_CHUNKING_KEY = re.compile(r"chunking_strategy\[(\w+)\]")


class VadConfig(BaseModel):
    """How speech is told from silence."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["server_vad"] = Field(json_schema_extra={"enum": ["server_vad"]})
    threshold: float | None = Field(None, ge=THRESHOLDS[0], le=THRESHOLDS[1], description="Comme vad_threshold")
    prefix_padding_ms: int | None = Field(None, ge=0, le=5000, description="Refusé : la marge est celle du moteur")
    silence_duration_ms: int | None = Field(None, ge=0, le=10000, description="Refusé : la pause est celle du moteur")


def _kind(value: Any) -> str:
    return "VadConfig" if isinstance(value, Mapping | VadConfig) else "Auto"


Chunking = Annotated[
    Annotated[Literal["auto"], Tag("Auto")] | Annotated[VadConfig, Tag("VadConfig")], Discriminator(_kind)
]


class AudioForm(BaseModel):
    """What both endpoints take."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    file: FileStorage | None = Field(
        None, description="flac, mp3, mp4, mpeg, mpga, m4a, ogg, wav ou webm, jusqu'à MAX_UPLOAD_MB"
    )
    model: str = Field(
        "default",
        description="Clé ou alias du catalogue d'asr, ou un de ces noms, qui veulent dire « celui qui est prêt » : "
        + ", ".join(STAND_INS),
        examples=["whisper-1"],
    )
    language: str = Field("", description="Langue parlée, code ISO 639-1 ; vide : voir /api/audio/transcribe")
    prompt: str = Field("", description="Amorce, si le modèle en prend une ; refusée par son nom sinon")
    temperature: float = Field(0.0, ge=0, le=1, allow_inf_nan=False, description="0 : toujours la même réponse")

    @property
    def wanted(self) -> str | None:
        """The model asked for, None for the one that is ready."""
        name = self.model.strip()
        return None if not name or name.lower() in STAND_INS else name


class TranslationForm(AudioForm):
    """OpenAI's fields of a translation; the result is in English."""

    response_format: Literal["json", "text", "srt", "verbose_json", "vtt"] = "json"

    def ask(self) -> Ask:
        """What the service is asked. Raises ApiError 400."""
        return Ask(
            language=language_code(self.language), translate=True, prompt=self.prompt, temperature=self.temperature
        )


class TranscriptionForm(AudioForm):
    """OpenAI's fields of a transcription."""

    response_format: Literal["json", "text", "srt", "verbose_json", "vtt", "diarized_json"] = "json"
    stream: bool = Field(
        False,
        description="Événements SSE ; pour json, text et diarized_json (ignoré pour les autres avec whisper-1, refusé "
        "avec les autres modèles)",
    )
    timestamp_granularities: list[Literal["word", "segment"]] = Field(
        default=[],
        alias="timestamp_granularities[]",
        description="Avec verbose_json seulement ; vide : segment",
        examples=[["word", "segment"]],
    )
    include: list[Literal["logprobs"]] = Field(
        default=[],
        alias="include[]",
        description="logprobs : le logarithme de la confiance de chaque mot (un mot par « token ») ; avec json "
        "seulement, et refusé si le modèle ne donne pas de confiance",
    )
    chunking_strategy: Chunking | None = Field(
        None, description="auto, ou un objet server_vad (aussi en champs chunking_strategy[threshold]…)"
    )
    known_speaker_names: list[str] = Field(
        default=[],
        alias="known_speaker_names[]",
        max_length=MOST_SPEAKERS,
        description="Avec diarized_json : les noms des voix dont un extrait est donné",
    )
    known_speaker_references: list[str] = Field(
        default=[],
        alias="known_speaker_references[]",
        max_length=MOST_SPEAKERS,
        description="Un extrait de chaque voix, de 2 à 10 secondes, en URL data:, dans l'ordre des noms",
    )
    languages: list[str] = Field(
        default=[], alias="languages[]", description="Langues possibles ; une seule peut être donnée ici"
    )
    keywords: list[str] = Field(default=[], alias="keywords[]", description="Mots attendus, ajoutés à l'amorce")

    @model_validator(mode="before")
    @classmethod
    def _gathered(cls, data: Any) -> Any:
        """The fields of an object as OpenAI's clients send them in a form: ``chunking_strategy[type]``."""
        if not isinstance(data, Mapping):
            return data
        found = {match[1]: _single(data[key]) for key in data if (match := _CHUNKING_KEY.fullmatch(str(key)))}
        given: dict[str, Any] = {"chunking_strategy": found} if found else {}
        if data.get("chunking_strategy") == "":
            given["chunking_strategy"] = None
        return {**data, **given}

    @property
    def diarized(self) -> bool:
        """Whether who speaks is asked for: by the format, or by OpenAI's diarizing model for subtitles."""
        return self.response_format == "diarized_json" or (
            self.model.strip().lower() == DIARIZING and self.response_format in ("srt", "vtt")
        )

    @property
    def streamed(self) -> bool:
        """Whether to answer by events. OpenAI ignores the wish for the formats that only whisper-1 has."""
        return self.stream and self.response_format in ("json", "text", "diarized_json")

    def check(self) -> None:
        """Raise ApiError 400 for fields that contradict each other, as OpenAI does."""
        form = self.response_format
        if self.timestamp_granularities and form != "verbose_json":
            message = _("« timestamp_granularities » n'existe qu'avec response_format=verbose_json.")
            raise ApiError(400, "invalid_value", message, "timestamp_granularities")
        if self.include and form != "json":
            raise ApiError(400, "invalid_value", _("« logprobs » n'existe qu'avec response_format=json."), "include")
        if self.stream and not self.streamed and self.model.strip().lower() != "whisper-1":
            message = _("Le flux n'existe qu'avec response_format=json, text ou diarized_json.")
            raise ApiError(400, "unsupported_value", message, "response_format")
        if (self.known_speaker_names or self.known_speaker_references) and not self.diarized:
            message = _("Les voix connues n'ont de sens qu'avec response_format=diarized_json.")
            raise ApiError(400, "invalid_value", message, "known_speaker_names")

    def ask(self) -> Ask:
        """What the service is asked. Raises ApiError 400."""
        words = ", ".join(word.strip() for word in self.keywords if word.strip())
        return Ask(
            language=self._language(),
            prompt=" ".join(part for part in (self.prompt.strip(), words) if part),
            temperature=self.temperature,
            vad_threshold=self._threshold(),
        )

    def known(self) -> list[KnownSpeaker]:
        """The known voices, checked. Raises ApiError 400."""
        names, samples = self.known_speaker_names, self.known_speaker_references
        if len(names) != len(samples):
            message = _("known_speaker_names et known_speaker_references doivent aller par paires.")
            raise ApiError(400, "invalid_value", message, "known_speaker_references")
        cleaned = [" ".join(name.split()) for name in names]
        for name in cleaned:
            if not 1 <= len(name) <= MOST_NAME or not name.isprintable():
                message = _("Un nom a de 1 à %(most)s caractères.", most=MOST_NAME)
                raise ApiError(400, "invalid_value", message, "known_speaker_names")
        if len(set(cleaned)) != len(cleaned):
            raise ApiError(400, "invalid_value", _("Deux voix connues ont le même nom."), "known_speaker_names")
        for sample in samples:
            _check_sample(sample)
        return [KnownSpeaker(name, sample) for name, sample in zip(cleaned, samples, strict=True)]

    def _language(self) -> str | None:
        if len(self.languages) > 1:
            message = _("Une seule langue peut être indiquée pour un enregistrement.")
            raise ApiError(400, "unsupported_parameter", message, "languages")
        if self.languages and not self.language.strip():
            return language_code(self.languages[0], "languages")
        return language_code(self.language)

    def _threshold(self) -> float | None:
        strategy = self.chunking_strategy
        if not isinstance(strategy, VadConfig):
            return None
        for name in ("prefix_padding_ms", "silence_duration_ms"):
            if getattr(strategy, name) is not None:
                message = _("« %(field)s » ne se règle pas ici : ne l'envoyez pas.", field=name)
                raise ApiError(400, "unsupported_parameter", message, f"chunking_strategy.{name}")
        return strategy.threshold


def _single(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value


def _check_sample(sample: str) -> None:
    param = "known_speaker_references"
    least, most = SAMPLE_SECONDS
    data = from_data_url(sample, MOST_SAMPLE_BYTES, param)
    reader = AudioReader(io.BytesIO(data), max_seconds=most + _SAMPLE_MARGIN, param=param)
    try:
        seconds = sum(block.size for block in reader.blocks()) / reader.rate
    except ApiError as error:
        if error.code != "audio_too_long":
            raise
        seconds = most + 1
    if not least - _SAMPLE_MARGIN <= seconds <= most + _SAMPLE_MARGIN:
        message = _("Un extrait de voix dure de %(least)s à %(most)s secondes.", least=f"{least:g}", most=f"{most:g}")
        raise ApiError(400, "invalid_value", message, param)
