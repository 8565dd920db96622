"""Made-up conversations with everything that makes joining words to turns hard, and what a perfect ASR would hear.

Turns follow each other with a pause or cut in; people say « oui » while another speaks; word times are off, and so
are the edges of the diarization's turns. No sound is made: the join never sees any.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

from common.speech.words import Turn, Word

_SENTENCES = (
    "Bonjour à tous, merci d'être venus ce matin.", "On commence par le point sur les livraisons ?",
    "La commande est arrivée hier soir, mais il manque deux palettes.", "Je crois que le transporteur s'est trompé.",
    "Il faudrait prévenir le client avant midi.", "Qui s'en occupe ?", "Moi, si vous voulez.",
    "Le budget de l'année prochaine doit être remis vendredi.", "Nous avons reçu trois devis, tous trop chers.",
    "C'est une bonne nouvelle.", "Pour le site, la maquette est prête depuis lundi.", "Et les tests ?",
    "Ils ne sont pas terminés, il reste la partie paiement.", "Je propose de décaler la mise en ligne d'une semaine.",
    "Très bien.", "Est-ce que tout le monde est d'accord avec cette date ?", "Il y a un risque sur le recrutement.",
    "La personne que nous voulions a refusé l'offre.", "On relance l'annonce demain matin.",
    "Je peux m'en charger avec Sophie.", "Parfait, on note.", "Il reste la question des locaux à trancher.",
    "Le bail se termine en juin et le propriétaire veut augmenter le loyer de dix pour cent.", "C'est beaucoup.",
    "On pourrait visiter autre chose près de la gare.", "J'ai deux adresses à vous montrer.",
    "J'ai eu Marc Lefèvre au téléphone, il arrive de Lyon mardi.", "La réunion avec Airbus est confirmée à Toulouse.",
    "Demandez à Claire si le CSE a donné son avis.", "Alors on se retrouve jeudi à quatorze heures.",
    "D'ici là, chacun relit le compte rendu.",
)  # fmt: skip
_ASIDES = ("Oui.", "D'accord.", "Mm.", "Bien sûr.", "Exactement.", "Ah non.")
_CHAR_SECONDS = 0.065
_WORD_GAP = 0.04
_SENTENCE_PAUSE = (0.15, 0.6)


@dataclass(frozen=True)
class Said:
    """A true turn: who, and each word with its true times."""

    speaker: str
    words: list[Word] = field(repr=False)

    @property
    def start(self) -> float:
        return self.words[0].start

    @property
    def end(self) -> float:
        return self.words[-1].end


@dataclass(frozen=True)
class Conversation:
    """The truth, in the order in which turns begin."""

    said: list[Said]

    def reference(self) -> dict[str, list[str]]:
        """Speaker → words as written."""
        words: dict[str, list[str]] = {}
        for turn in self.said:
            words.setdefault(turn.speaker, []).extend(word.word for word in turn.words)
        return words

    def turns(self) -> list[Turn]:
        """The true turns, which may overlap."""
        return [Turn(turn.speaker, turn.start, turn.end) for turn in self.said]


def converse(seed: int, *, people: int = 3, turns: int = 60, cut_in: float = 0.2, aside: float = 0.25) -> Conversation:
    """`cut_in`: how often a turn begins before the last one ends; `aside`: how often somebody agrees meanwhile."""
    rng = random.Random(seed)
    said: list[Said] = []
    at, speaker = 0.5, 0
    for _turn in range(turns):
        count = rng.choices((1, 2, 3), (5, 3, 2))[0]
        turn = _speak(rng, f"P{speaker}", [rng.choice(_SENTENCES) for _sentence in range(count)], at)
        said.append(turn)
        listeners = [other for other in range(people) if other != speaker]
        if turn.end - turn.start > 3.0 and rng.random() < aside:
            moment = rng.uniform(turn.start + 0.8, turn.end - 1.0)
            said.append(_speak(rng, f"P{rng.choice(listeners)}", [rng.choice(_ASIDES)], moment))
        gap = -rng.uniform(0.1, 0.8) if rng.random() < cut_in else rng.uniform(0.05, 1.0)
        at = max(turn.start + 0.5, turn.end + gap)
        speaker = rng.choice(listeners)
    return Conversation(sorted(said, key=lambda turn: turn.start))


def _speak(rng: random.Random, speaker: str, sentences: Sequence[str], at: float) -> Said:
    words = []
    for number, sentence in enumerate(sentences):
        if number:
            at += rng.uniform(*_SENTENCE_PAUSE)
        for piece in sentence.replace(" ?", "\u00a0?").split(" "):
            length = max(0.08, len(piece) * _CHAR_SECONDS * rng.uniform(0.8, 1.25))
            words.append(Word(piece, round(at, 3), round(at + length, 3)))
            at += length + _WORD_GAP
    return Said(speaker, words)


def heard(words: Sequence[Word], jitter: float, rng: random.Random, *, gaussian: bool = False) -> list[Word]:
    """The words as an ASR gives them: in their order, each off by up to `jitter` seconds, or by as much on average."""
    ordered = sorted(words, key=lambda word: (word.start, word.end))
    if not jitter:
        return ordered
    off = partial(rng.gauss, 0.0, jitter) if gaussian else partial(rng.uniform, -jitter, jitter)
    starts = sorted(max(0.0, word.start + off()) for word in ordered)
    found = []
    for number, (word, start) in enumerate(zip(ordered, starts, strict=True)):
        end = start + (word.end - word.start)
        if number + 1 < len(starts):
            end = max(start + 0.02, min(end, starts[number + 1]))
        found.append(Word(word.word, round(start, 3), round(end, 3)))
    return found


def diarized(turns: Sequence[Turn], slack: float, rng: random.Random) -> list[Turn]:
    """The turns as a diarizer gives them: edges off by up to `slack` seconds, never losing half of a turn."""
    found = []
    for turn in turns:
        most = min(slack, (turn.end - turn.start) / 4)
        start, end = turn.start + rng.uniform(-slack, most), turn.end + rng.uniform(-most, slack)
        found.append(Turn(turn.speaker, max(0.0, start), end))
    return sorted(found, key=lambda turn: (turn.start, turn.end))


def exclusive(turns: Sequence[Turn]) -> list[Turn]:
    """One speaker at a time: where several speak, the one who began last (a cut-in or a « oui » is the news there)."""
    edges = sorted({edge for turn in turns for edge in (turn.start, turn.end)})
    found: list[Turn] = []
    for start, end in pairwise(edges):
        here = [turn for turn in turns if turn.start <= start and turn.end >= end]
        if not here:
            continue
        who = max(here, key=lambda turn: turn.start).speaker
        if found and found[-1].speaker == who and found[-1].end == start:
            found[-1] = Turn(who, found[-1].start, end)
        else:
            found.append(Turn(who, start, end))
    return found
