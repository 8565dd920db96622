"""What general models are asked, in the language of the text; the embedded one has its own (chat.embedded_prompts).

The rules of a kind are its own (chat.diagrams.kinds); here is what is asked around them.
"""

from copy import deepcopy
from typing import Any

from chat.diagrams.kinds.base import Kind
from chat.language import Language

_REFINE = {
    "fr": """Voici un diagramme Mermaid et une consigne. Donne le diagramme changé selon la consigne, en gardant tout \
le reste (labels, ordre, acteurs) tel quel.""",
    "en": """Here is a Mermaid diagram and an instruction. Give the diagram changed as the instruction says, and keep \
everything else (labels, order, actors) as it is.""",
}
_DIRECTION = {
    "fr": " Le champ direction vaut TD (vertical) ou LR (horizontal).",
    "en": " The field direction is TD (vertical) or LR (horizontal).",
}
_WRITTEN = {
    "fr": """Tu transformes un texte en diagramme Mermaid de type {kind}. Tu réponds par le code Mermaid seul ; \
sa première ligne commence par {first}.
- N'invente rien : tout vient du texte. Les libellés sont les mots du texte, entre guillemets là où Mermaid le permet.
- Pas de couleurs, pas de liens, pas de scripts.""",
    "en": """You turn a text into a Mermaid diagram of the type {kind}. You answer with the Mermaid code and nothing \
else; its first line begins with {first}.
- Invent nothing: all of it comes from the text. Labels are the text's words, quoted where Mermaid allows it.
- No colours, no links, no scripts.""",
}
_BOARD = {
    "fr": """Le texte est un Product Vision Board. Montre comment le produit sert : qui (la cible), aidé de quoi (le \
produit, ses fonctionnalités), fait quoi, dans quel ordre et avec quelles décisions, jusqu'aux buts (les enjeux).""",
    "en": """The text is a Product Vision Board. Show how the product is used: who (the target), helped by what (the \
product, its features), does what, in which order and with which decisions, up to the goals.""",
}
_HEADS = {
    "fr": ("Diagramme :", "Consigne :", "Texte d'origine :"),
    "en": ("Diagram:", "Instruction:", "Original text:"),
}
_REPAIR = {
    "fr": "Cette réponse est refusée : {problem}\nDonne-la de nouveau entière, corrigée, et rien d'autre.",
    "en": "This answer is refused: {problem}\nGive the whole of it again, corrected, and nothing else.",
}

Message = dict[str, str]


def instructions_length(language: Language, kind: Kind | None = None) -> int:
    """Characters of prompt around the text."""
    rules = kind.instructions[language] if kind else _WRITTEN[language]
    return len(rules) + len(_REFINE[language]) + len(_BOARD[language])


def draw_request(text: str, kind: Kind, language: Language, *, board: bool = False) -> dict[str, Any]:
    """The body that asks for the drawing of `text`."""
    system = kind.instructions[language] + (f"\n\n{_BOARD[language]}" if board else "")
    return _body([_system(system), _user(text)], kind.name, kind.schema)


def refine_request(mermaid: str, instruction: str, text: str | None, kind: Kind, language: Language) -> dict[str, Any]:
    """The body that asks for an existing diagram, changed by an instruction, as a drawing of `kind`."""
    schema = deepcopy(kind.schema)
    system = f"{kind.instructions[language]}\n\n{_REFINE[language]}"
    if kind.directed:
        schema["properties"] = {"direction": {"type": "string", "enum": ["TD", "LR"]}, **schema["properties"]}
        schema["required"] = ["direction", *schema["required"]]
        system = system.replace('\n{"', '\n{"direction":"TD","', 1) + _DIRECTION[language]
    return _body([_system(system), _given(mermaid, instruction, text, language)], kind.name, schema)


def write_request(text: str, kind: str, first: str, language: Language, *, board: bool = False) -> dict[str, Any]:
    """The body that asks for a diagram of a kind without schema, as Mermaid."""
    system = _WRITTEN[language].format(kind=kind, first=first) + (f"\n\n{_BOARD[language]}" if board else "")
    return {"messages": [_system(system), _user(text)], "temperature": 0}


def rewrite_request(
    mermaid: str, instruction: str, text: str | None, kind: str, first: str, language: Language
) -> dict[str, Any]:
    """The body that asks for an existing diagram, changed by an instruction, as Mermaid."""
    system = f"{_WRITTEN[language].format(kind=kind, first=first)}\n\n{_REFINE[language]}"
    return {"messages": [_system(system), _given(mermaid, instruction, text, language)], "temperature": 0}


def repair_request(body: dict[str, Any], written: str, problem: str, language: Language) -> dict[str, Any]:
    """The same request with the refused answer and the reason."""
    again = _user(_REPAIR[language].format(problem=problem))
    return {**body, "messages": [*body["messages"], {"role": "assistant", "content": written[:8000]}, again]}


def _given(mermaid: str, instruction: str, text: str | None, language: Language) -> Message:
    diagram, wish, origin = _HEADS[language]
    parts = [f"{diagram}\n```mermaid\n{mermaid.strip()}\n```", f"{wish}\n{instruction}"]
    if text:
        parts.append(f"{origin}\n{text}")
    return _user("\n\n".join(parts))


def _body(messages: list[Message], name: str, schema: dict[str, Any]) -> dict[str, Any]:
    schema_format = {"name": name, "strict": True, "schema": schema}
    return {
        "messages": messages,
        "temperature": 0,
        "response_format": {"type": "json_schema", "json_schema": schema_format},
    }


def _system(content: str) -> Message:
    return {"role": "system", "content": content}


def _user(content: str) -> Message:
    return {"role": "user", "content": content}
