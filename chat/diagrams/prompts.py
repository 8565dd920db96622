"""What general models are asked, in the language of the text; the embedded one has its own (chat.embedded_prompts)."""

from typing import Any

from chat.diagrams.graph import graph_schema
from chat.language import Language

_RULES = {
    "fr": """Tu transformes un texte en diagramme de flux. Tu réponds par un seul objet JSON, sans rien d'autre :
{"nodes":[{"id":"n1","label":"…","kind":"start|action|decision|end","actor":"human|system|ai|goal"}],\
"edges":[{"from":"n1","to":"n2","label":"oui"}]}

Règles :
- Un nœud par étape que le texte décrit, dans l'ordre du texte, avec les identifiants n1, n2, n3…
- N'invente aucune étape.
- label : les mots mêmes du texte, une suite courte et continue (2 à 12 mots), en français si le texte l'est.
- kind : start pour l'événement ou l'étape qui déclenche tout ; decision pour une condition (le label est \
la condition, et chaque lien qui en part porte un label, oui ou non) ; end pour un résultat final \
que le texte donne ; sinon action.
- actor, celui qui fait l'étape : human (personne, rôle, équipe), system (logiciel, machine, automatisme), \
ai (modèle, assistant), goal (un but ou un résultat).
- edges : l'ordre des étapes ; label seulement après une décision. Un retour en arrière est un lien vers le nœud \
déjà écrit. Des étapes parallèles partent du même nœud.
- Ce qui n'est pas une étape (salutations, opinions, digressions) n'a pas de nœud.""",
    "en": """You turn a text into a flowchart. You answer with one JSON object and nothing else:
{"nodes":[{"id":"n1","label":"…","kind":"start|action|decision|end","actor":"human|system|ai|goal"}],\
"edges":[{"from":"n1","to":"n2","label":"yes"}]}

Rules:
- One node per step that the text describes, in the order of the text, with the ids n1, n2, n3… Invent no step.
- label: the text's own words, a short contiguous run of them (2 to 12 words), in the language of the text.
- kind: start for the event or step that sets things going; decision for a condition (the label is the condition, and \
every edge that leaves it has a label, yes or no); end for a final result that the text gives; otherwise action.
- actor, who does the step: human (person, role, team), system (software, machine, automation), ai (model, assistant), \
goal (an aim or result).
- edges: the order of the steps; a label only after a decision. Going back is an edge to the node already written. \
Parallel steps leave from the same node.
- What is no step (greetings, opinions, digressions) has no node.""",
}
_REFINE = {
    "fr": """Voici un diagramme Mermaid et une consigne. Donne le diagramme changé selon la consigne, en gardant tout \
le reste (labels, ordre, acteurs) tel quel. Le champ direction vaut TD (vertical) ou LR (horizontal).""",
    "en": """Here is a Mermaid diagram and an instruction. Give the diagram changed as the instruction says, and keep \
everything else (labels, order, actors) as it is. The field direction is TD (vertical) or LR (horizontal).""",
}
_HEADS = {
    "fr": ("Diagramme :", "Consigne :", "Texte d'origine :"),
    "en": ("Diagram:", "Instruction:", "Original text:"),
}
_REPAIR = {
    "fr": "Cette réponse est refusée : {problem}\nDonne de nouveau l'objet JSON entier, corrigé, et rien d'autre.",
    "en": "This answer is refused: {problem}\nGive the whole JSON object again, corrected, and nothing else.",
}

Message = dict[str, str]


def instructions_length(language: Language) -> int:
    """Characters of prompt around the text."""
    return len(_RULES[language]) + len(_REFINE[language])


def draw_request(text: str, language: Language) -> dict[str, Any]:
    """The body that asks for the graph of `text`."""
    return _body([_system(_RULES[language]), _user(text)], graph_schema())


def refine_request(mermaid: str, instruction: str, text: str | None, language: Language) -> dict[str, Any]:
    """The body that asks for an existing diagram changed by an instruction."""
    diagram, wish, origin = _HEADS[language]
    parts = [f"{diagram}\n```mermaid\n{mermaid.strip()}\n```", f"{wish}\n{instruction}"]
    if text:
        parts.append(f"{origin}\n{text}")
    schema = graph_schema()
    schema["properties"] = {"direction": {"type": "string", "enum": ["TD", "LR"]}, **schema["properties"]}
    schema["required"] = ["direction", *schema["required"]]
    system = _RULES[language].replace('{"nodes"', '{"direction":"TD","nodes"', 1) + "\n\n" + _REFINE[language]
    return _body([_system(system), _user("\n\n".join(parts))], schema)


def repair_request(body: dict[str, Any], written: str, problem: str, language: Language) -> dict[str, Any]:
    """The same request with the refused answer and the reason."""
    again = _user(_REPAIR[language].format(problem=problem))
    return {**body, "messages": [*body["messages"], {"role": "assistant", "content": written[:8000]}, again]}


def _body(messages: list[Message], schema: dict[str, Any]) -> dict[str, Any]:
    schema_format = {"name": "flowchart", "strict": True, "schema": schema}
    return {
        "messages": messages,
        "temperature": 0,
        "response_format": {"type": "json_schema", "json_schema": schema_format},
    }


def _system(content: str) -> Message:
    return {"role": "system", "content": content}


def _user(content: str) -> Message:
    return {"role": "user", "content": content}
