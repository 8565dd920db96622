# ruff: noqa: E501 - the card is written as it will be read
"""Write the model card (frigo-mini/README.md) from the measured scores: `python -m gpt.embedded.training.card --tokens 5.6 --minutes 79`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "gpt" / "embedded" / "frigo-mini"
RESULTS = ROOT / "bench" / "results" / "frigo_mini.json"

CARD = """---
language: [fr, en]
license: mit
library_name: transformers
pipeline_tag: text-generation
tags: [diagram, minutes, constrained-decoding]
---

# frigo-mini

Le petit modèle livré avec Frigo, pour que tout marche dès l'installation, sans carte graphique ni téléchargement : un Llama de
{parameters} millions de paramètres (4 couches de 256, {vocabulary} morceaux de mots, contexte de 2 048), entraîné dans ce dépôt sur des
données que ce dépôt fabrique. C'est un modèle de démonstration. Dès que possible, chargez un modèle plus grand.

## Ce qu'il fait

| Message « system » | Entrée | Réponse |
|---|---|---|
| `frigo:diagram` | un texte, une liste ou une transcription, en français ou en anglais | le graphe du processus, en JSON compact |
| `frigo:minutes` | des lignes `Nom: phrase` | résumé, décisions, actions et points ouverts, en JSON compact |
| autre, ou rien | une question sur Frigo | une réponse courte |

Les deux premières tâches ne s'emploient qu'avec les grammaires de `chat/embedded_prompts.py` : elles imposent la forme du JSON et que
chaque libellé soit une suite de mots d'une même phrase du texte. Le modèle ne peut donc rien inventer : il choisit. Un libellé
commence par l'espace qui le précède dans le texte ; on l'enlève à la lecture.

## Mesures

Sur des textes écrits à la main, autrement que les gabarits d'entraînement, et jamais vus par lui
(`bench/mini/` : {diagrams} textes, {minutes} dialogues, {questions} questions) ; décodage glouton sous grammaire,
`python -m bench.frigo_mini`. Une partie de ces textes a été
regardée pendant la mise au point (par exemple, « en cas de » a été ajouté aux gabarits après l'avoir vu échouer) : ces scores sont
donc un peu optimistes, et sur si peu de textes un écart de cinq points ne veut rien dire. Un nœud est trouvé quand ses mots recouvrent ceux de la référence (F1 ≥ 0,5).

| Diagrammes | français | anglais |
|---|---|---|
{diagram_rows}

| Comptes-rendus | |
|---|---|
{minutes_rows}

Questions sur Frigo bien répondues : {questions_right}. Temps médian d'un diagramme sur 2 cœurs partagés : {seconds} s.

## Données d'entraînement

Aucun texte recueilli sur des personnes, aucune sortie d'un autre modèle. Tout est fabriqué à la volée par `gpt/embedded/training/` :

- des processus tirés au hasard (suites, conditions avec ou sans « sinon », conditions imbriquées, boucles, reprises, étapes
  parallèles, « avant de »), mis en phrases dans des tournures variées, en prose, en listes, en dialogues et comme les écrit un moteur
  de reconnaissance vocale (minuscules, sans ponctuation, hésitations, mots faux) ;
- des dialogues avec leurs décisions, leurs actions et leurs questions ouvertes ;
- des questions sur Frigo, écrites à la main, et des questions hors sujet auxquelles il dit ne pas savoir répondre.

Les mots viennent de lexiques écrits à la main (environ 600 mots par langue), des dictionnaires Debian `wfrench` et `wamerican`, des
fréquences de `wordfreq`, et de groupes nominaux relevés dans douze romans français du domaine public (ELTeC), qui ne sont pas dans ce dépôt.

Entraînement : {tokens} millions de morceaux, {wall} minutes sur 2 cœurs partagés avec d'autres travaux, bfloat16, Muon et AdamW, perte sur la
seule réponse, circuit de copie posé dans les poids de départ (voir `docs/frigo-mini.md`).
Une seule graine : l'écart d'un entraînement à l'autre n'a pas été mesuré.
Le mélange a été corrigé plusieurs fois en cours de route (reprises au dernier point de sauvegarde, les huit dernières minutes avec des
personnes et des choses qui reviennent d'une phrase à l'autre) : relancer le script d'un trait donnera un modèle voisin, pas le même.

## Ce qu'il ne sait pas faire

- Reformuler, résumer avec d'autres mots, traduire, calculer, raisonner, converser : il recopie et il choisit.
- Suivre une consigne : les messages « system » autres que les deux ci-dessus ne changent pas sa tâche.
- Relier sûrement : les branches qui se rejoignent, les retours en arrière et les étapes parallèles sont souvent fausses.
- Les longs textes : il a appris sur moins de 400 mots, et au-delà de 5 000 caractères la fin n'est pas lue.
- Les sous-entendus : « en cas de refus », une condition placée après l'action, un acteur nommé deux phrases plus haut.
- Le compte-rendu d'une vraie réunion, dont les tours de parole ne ressemblent pas à ses gabarits.

Relisez toujours ce qu'il propose.
"""

DIAGRAM_NAMES = {
    "node_recall": "Étapes trouvées (rappel)",
    "node_precision": "Étapes justes (précision)",
    "node_f1": "F1 des étapes",
    "decisions_found": "Conditions reconnues",
    "actor_right": "Bon acteur, parmi les étapes trouvées",
    "edge_f1": "F1 des liens",
    "valid_not_empty": "Graphes valides et non vides",
}
MINUTES_NAMES = {
    "summary_f1": "F1 du résumé",
    "decisions_f1": "F1 des décisions",
    "actions_f1": "F1 des actions (qui et quoi)",
    "open_points_f1": "F1 des points ouverts",
    "all_f1": "F1 d'ensemble",
    "when_right": "Bonne échéance, parmi les actions trouvées",
    "valid": "Réponses complètes",
}


def french(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".").replace(".", ",") if value else "0"


def card(scores: dict[str, Any], config: dict[str, Any], parameters: float, tokens: float, wall: float) -> str:
    both = scores["diagrams"]
    return CARD.format(
        parameters=french(round(parameters, 1)),
        vocabulary=config["vocab_size"],
        diagrams=scores["counts"]["diagrams"],
        minutes=scores["counts"]["minutes"],
        questions=scores["counts"]["questions"],
        diagram_rows="\n".join(
            f"| {name} | {french(both['fr'][key])} | {french(both['en'][key])} |" for key, name in DIAGRAM_NAMES.items()
        ),
        minutes_rows="\n".join(f"| {name} | {french(scores['minutes'][key])} |" for key, name in MINUTES_NAMES.items()),
        questions_right=french(scores["questions"]["right"]),
        seconds=french(scores["seconds_per_diagram"]),
        tokens=french(tokens),
        wall=f"{wall:.0f}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=float, required=True, help="millions seen in training")
    parser.add_argument("--minutes", type=float, required=True, help="wall time of the training")
    args = parser.parse_args()
    from safetensors import safe_open

    with safe_open(FOLDER / "model.safetensors", "np") as weights:
        parameters = sum(weights.get_tensor(name).size for name in weights.keys()) / 1e6  # noqa: SIM118 - not a dict
    config = json.loads((FOLDER / "config.json").read_text())
    scores = json.loads(RESULTS.read_text())
    (FOLDER / "README.md").write_text(card(scores, config, parameters, args.tokens, args.minutes), encoding="utf-8")


if __name__ == "__main__":
    main()
