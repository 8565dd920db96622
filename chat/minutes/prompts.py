"""What general models are asked for minutes; the embedded one has its own request (chat.embedded_prompts)."""

from typing import Any

from chat.language import Language
from chat.minutes.shape import minutes_schema

_WRITE = {
    "fr": """Tu écris le compte rendu d'une réunion à partir de sa transcription. Tu réponds par un seul objet JSON :
{"summary":"…","decisions":["…"],"actions":[{"who":"…","what":"…","when":"…"}],"open_points":["…"]}

- summary : de quoi il a été question et ce qui en sort, en 2 à 6 phrases.
- decisions : ce qui a été décidé, une phrase chacune.
- actions : who, qui s'en charge (son nom tel qu'il est dit) ; what, quoi ; when, pour quand. Vide si ce n'est pas dit.
- open_points : ce qui reste à trancher ou à savoir.
N'écris que ce qui est dit, en français. Une liste sans élément reste vide.""",
    "en": """You write the minutes of a meeting from its transcript. You answer with one JSON object:
{"summary":"…","decisions":["…"],"actions":[{"who":"…","what":"…","when":"…"}],"open_points":["…"]}

- summary: what was discussed and what comes of it, in 2 to 6 sentences.
- decisions: what was decided, one sentence each.
- actions: who takes care of it (the name as it is said); what; when. Empty if it is not said.
- open_points: what is still to be settled or found out.
Write only what is said, in English. A list without items stays empty.""",
}
_MERGE = {
    "fr": "Voici les comptes rendus des parties successives d'une réunion. Réunis-les en un seul, sans répétition.",
    "en": "Here are the minutes of successive parts of one meeting. Merge them into one, without repetition.",
}
_REPAIR = {
    "fr": "Cette réponse est refusée : {problem}\nDonne de nouveau l'objet JSON entier, corrigé, et rien d'autre.",
    "en": "This answer is refused: {problem}\nGive the whole JSON object again, corrected, and nothing else.",
}


def instructions_length(language: Language) -> int:
    """Characters of prompt around the transcript."""
    return len(_WRITE[language]) + len(_MERGE[language])


def write_request(transcript: str, language: Language) -> dict[str, Any]:
    """The body that asks for the minutes of a transcript."""
    return _body(_WRITE[language], transcript)


def merge_request(parts: list[str], language: Language) -> dict[str, Any]:
    """The body that asks for one set of minutes from those (JSON) of the parts."""
    return _body(f"{_WRITE[language]}\n\n{_MERGE[language]}", "\n\n".join(parts))


def repair_request(body: dict[str, Any], written: str, problem: str, language: Language) -> dict[str, Any]:
    """The same request with the refused answer and the reason."""
    again = {"role": "user", "content": _REPAIR[language].format(problem=problem)}
    return {**body, "messages": [*body["messages"], {"role": "assistant", "content": written[:8000]}, again]}


def _body(system: str, user: str) -> dict[str, Any]:
    schema = {"name": "minutes", "strict": True, "schema": minutes_schema()}
    return {
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
        "temperature": 0,
        "response_format": {"type": "json_schema", "json_schema": schema},
    }
