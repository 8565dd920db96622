"""The OpenAPI operations that chat reads, or app passes on, byte for byte: what their documents tell of them."""

from __future__ import annotations

from typing import Any

from common.web.openapi import EVENT, Schema, answers, form_body, json_body

_TEXT: Schema = {"type": "string"}
_MODEL: Schema = {"type": "string", "maxLength": 500, "description": "Un modèle de GET /v1/models ; absent : le prêt"}
_TOKENS: Schema = {"type": "integer", "minimum": 1, "maximum": 1_000_000}
_STREAM: Schema = {"type": "boolean", "default": False, "description": "Des événements, un par morceau"}


def _object(required: list[str], **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": required}


def _array(items: Schema, **limits: int) -> Schema:
    return {"type": "array", "items": items, **limits}


_SAMPLING: dict[str, Schema] = {
    "temperature": {"type": "number", "minimum": 0, "maximum": 2},
    "top_p": {"type": "number", "minimum": 0, "maximum": 1},
    "n": {"type": "integer", "minimum": 1, "maximum": 8},
    "seed": {"type": "integer"},
    "stop": {"anyOf": [_TEXT, _array(_TEXT, maxItems=4)]},
    "stream": _STREAM,
    "stream_options": _object([], include_usage={"type": "boolean"}),
    "user": _TEXT,
}
_MESSAGE = _object(
    ["role", "content"],
    role={"type": "string", "enum": ["system", "developer", "user", "assistant", "tool"]},
    content={"anyOf": [_TEXT, _array({"type": "object"}, minItems=1)]},
    name=_TEXT,
)
_CHAT = _object(
    ["messages"],
    model=_MODEL,
    messages=_array(_MESSAGE, minItems=1),
    max_tokens=_TOKENS,
    max_completion_tokens=_TOKENS,
    response_format={"type": "object"},
    tools=_array({"type": "object"}),
    tool_choice={"anyOf": [_TEXT, {"type": "object"}]},
    parallel_tool_calls={"type": "boolean"},
    logprobs={"type": "boolean"},
    store={"type": "boolean", "description": "Garder la réponse, à relire par GET /v1/chat/completions"},
    metadata={"type": "object", "additionalProperties": _TEXT},
    **_SAMPLING,
)
_COMPLETION = _object(
    ["prompt"], model=_MODEL, prompt={"anyOf": [_TEXT, _array(_TEXT, minItems=1)]}, max_tokens=_TOKENS, **_SAMPLING
)
_EMBEDDINGS = _object(
    ["input"],
    model=_MODEL,
    input={"anyOf": [_TEXT, _array(_TEXT, minItems=1), _array({"type": "integer"}, minItems=1)]},
    encoding_format={"type": "string", "enum": ["float", "base64"]},
    dimensions={"type": "integer", "minimum": 1},
)
_RECORDING = _object(
    ["file"],
    file={"type": "string", "format": "binary"},
    model=_MODEL,
    language=_TEXT,
    response_format={"type": "string", "enum": ["json", "text", "srt", "vtt", "verbose_json", "diarized_json"]},
    temperature={"type": "number"},
    stream=_STREAM,
)
_COMPLETED = _object(["id", "object", "created", "model", "choices"], choices=_array({"type": "object"}))
_LISTED = _object(["object", "data"], object={"const": "list"}, data=_array({"type": "object"}))
_SPEECH = _object(["input"], model=_MODEL, input=_TEXT, voice=_TEXT)
_TRANSCRIBED = {
    "200": {
        "description": "La transcription, dans la forme demandée",
        "content": {
            "application/json": {"schema": _object(["text"], text=_TEXT)},
            "text/plain": {"schema": _TEXT},
            "text/vtt": {"schema": _TEXT},
            "application/x-subrip": {"schema": _TEXT},
            "text/event-stream": {"schema": EVENT},
        },
    }
}
_VERDICT = _object(
    ["valid", "kind"],
    valid={"type": ["boolean", "null"], "description": "null : pas de parseur, donc inconnu"},
    kind={"type": ["string", "null"]},
    error=_object(["line", "message"], line={"type": ["integer", "null"]}, message=_TEXT),
)
_DIAGRAM = _object(
    ["mermaid", "valid", "kind", "repairs", "model", "warnings", "live_url"],
    mermaid=_TEXT,
    valid={"type": ["boolean", "null"]},
    kind=_TEXT,
    graph={"type": "object"},
    text=_TEXT,
    repairs={"type": "integer", "minimum": 0},
    model={"type": ["string", "null"]},
    warnings=_array(_TEXT),
    live_url=_TEXT,
)

_MINUTES_ITEM = _object([], seconds={"type": ["number", "null"]}, source={"type": ["object", "null"]})
_MINUTES = _object(
    ["summary", "decisions", "actions", "open_points", "markdown", "model", "warnings"],
    summary=_TEXT,
    decisions=_array(_MINUTES_ITEM),
    actions=_array(_MINUTES_ITEM),
    open_points=_array(_MINUTES_ITEM),
    markdown=_TEXT,
    model=_TEXT,
    warnings=_array(_TEXT),
)
_DRAW = _object(
    [],
    text=_TEXT,
    pvb={"type": ["object", "string"]},
    minutes={"type": ["object", "string"]},
    mermaid=_TEXT,
    instruction=_TEXT,
    kind=_TEXT,
    direction={"type": "string", "enum": ["TD", "TB", "LR"]},
    language={"type": "string", "enum": ["fr", "en"]},
    model=_MODEL,
)
_SEGMENT = _object(["text"], speaker=_TEXT, start={"type": "number"}, end={"type": "number"}, text=_TEXT)
_TO_SUM_UP = _object(
    [],
    transcript=_TEXT,
    segments=_array(_SEGMENT),
    language={"type": "string", "enum": ["fr", "en"]},
    model=_MODEL,
    stream=_STREAM,
)

CHAT: dict[str, dict[str, Any]] = {
    "POST /v1/chat/completions": json_body(_CHAT) | answers(_COMPLETED, "La réponse", events=True),
    "POST /v1/completions": json_body(_COMPLETION) | answers(_COMPLETED, "La suite", events=True),
    "POST /v1/embeddings": json_body(_EMBEDDINGS) | answers(_LISTED, "Un vecteur par texte"),
    "POST /v1/audio/transcriptions": form_body(_RECORDING) | {"responses": _TRANSCRIBED},
    "POST /v1/audio/translations": form_body(_RECORDING) | {"responses": _TRANSCRIBED},
    "POST /v1/audio/speech": json_body(_SPEECH),
    "GET /v1/models": answers(_LISTED, "Les modèles"),
    "POST /api/diagrams": answers(_DIAGRAM, "Le diagramme, que Mermaid accepte"),
    "POST /api/diagrams/validate": answers(_VERDICT, "Le verdict du parseur"),
    "POST /api/minutes": answers({"$ref": "#/components/schemas/MinutesAnswer"}, "Le compte rendu", events=True),
}
"""What chat tells beside what its routes declare."""

_WHOLE = {
    "POST /api/diagrams": json_body(_DRAW),
    "POST /api/diagrams/validate": json_body(_object(["mermaid"], mermaid=_TEXT)),
    "POST /api/minutes": json_body(_TO_SUM_UP) | answers(_MINUTES, "Le compte rendu", events=True),
    "POST /api/audio/transcribe": form_body(_RECORDING),
    "POST /api/diarization/process": form_body(_object(["file"], file={"type": "string", "format": "binary"})),
    "GET /api/diarization/voices": {},
    "POST /api/diarization/voices": form_body(
        _object(["file", "name"], file={"type": "string", "format": "binary"}, name=_TEXT)
    ),
    "GET /api/conversations": {},
    "POST /api/conversations": json_body(_object([], title=_TEXT, model=_MODEL, messages=_array(_MESSAGE))),
    "DELETE /api/conversations": {},
}
PASSED_ON: dict[str, dict[str, Any]] = {
    address: {"summary": "Passé au service qui y répond", "tags": ["passerelle"]}
    | CHAT.get(address, {})
    | _WHOLE.get(address, {})
    for address in dict.fromkeys([*CHAT, *_WHOLE])
}
"""What app tells of the requests that it passes on."""
