"""Flowcharts: the kind that every model can write, and the only one of the embedded model."""

from typing import Any

from chat.diagrams.graph import Direction, Graph, graph_schema
from chat.diagrams.kinds.base import Kind
from chat.diagrams.read import read_graph
from chat.diagrams.serialize import serialize
from chat.diagrams.tidy import tidy
from chat.language import Language

RULES: dict[Language, str] = {
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


def _read(written: str, *, cut: bool = False) -> Graph:
    return tidy(read_graph(written, cut=cut))


def _serialize(graph: Any, direction: Direction | None) -> str:
    return serialize(graph, direction or "TD")


KIND = Kind(
    "flowchart",
    {"fr": "diagramme de flux", "en": "flowchart"},
    RULES,
    graph_schema(),
    _read,
    _serialize,
    directed=True,
)
