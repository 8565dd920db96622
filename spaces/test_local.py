"""Try the Space here before it goes online: `python spaces/test_local.py`.

Says what hardware it found, draws a diagram, changes it and reads a Product Vision Board, as the page would. 0: all
diagrams are valid.
"""

from __future__ import annotations

import sys
import time

import space  # first: it says where everything is
from chat.diagrams.parser import Verdict
from frigo_space.drawing import Studio, Work, parser
from frigo_space.hardware import detect

TEXT = "Le client passe une commande. Le vendeur vérifie le stock. Si le produit manque, il prévient le client."
BOARD = '{"1. Utilisateur Cible": "Les petites équipes.", "3. Fonctionnalités Clés": ["Transcrire", "Dessiner"]}'


def main() -> int:
    """The trial. Its exit status."""
    hardware = detect()
    print(f"Matériel : {hardware.described()} ({hardware.kind})")
    llm, model = space.drawing_model(hardware)
    print(f"Modèle : {model}")
    judge = parser()
    studio = Studio(llm, judge)
    work, wrong = Work(), 0
    for message, before in ((TEXT, Work()), ("plus horizontal", None), (BOARD, Work())):
        start = time.monotonic()
        reply = studio.reply(message, work if before is None else before)
        verdict: Verdict = judge.check(reply.work.mermaid)
        wrong += verdict.valid is not True
        print(f"\n--- {time.monotonic() - start:.1f} s, valide : {verdict.valid}\n{reply.said}\n\n{reply.work.mermaid}")
        work = reply.work
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
