# ruff: noqa: E501 - vocabulary reads better in long lines
"""French clauses of process descriptions, with varied syntax. Each method marks the words that become the label."""

from __future__ import annotations

import random

from gpt.embedded.training import words_fr as words
from gpt.embedded.training.clause import Node, capital, mark
from gpt.embedded.training.lexicon import FrenchVerb, Wide, french_core_nouns, french_core_verbs, regular_verb

VOWELS = "aeiouhéèêàâîôùAEIOUHÉ"
ASK = regular_verb("demander")


def of(phrase: str) -> str:
    """« de » + noun phrase, contracted."""
    for article, contracted in (("les ", "des "), ("le ", "du "), ("des ", "de ")):
        if phrase.startswith(article):
            return contracted + phrase[len(article) :]
    return ("d'" if phrase[0] in "aeiouéèêàâîôùAEIOUÉ" else "de ") + phrase


def that(conjunction: str, clause: str) -> str:
    """« que », « si »… + clause, elided where French wants it."""
    bare = clause.lstrip("\x01\x02\x030123456789").lower()
    if conjunction.endswith("que") and bare[:1] in "aeiouéèêàâîôù":
        return conjunction[:-1] + "'" + clause
    if conjunction in ("si", "Si") and bare.startswith(("il ", "ils ")):
        return conjunction[:-1] + "'" + clause
    return f"{conjunction} {clause}"


class French:
    language = "fr"

    def __init__(self, rng: random.Random, wide: Wide, breadth: float = 0.5) -> None:
        self.rng, self.wide, self.breadth = rng, wide, breadth
        self.verbs = french_core_verbs()
        self.masculine, self.feminine = french_core_nouns()
        self.recurrence = 0.0
        self._nouns: list[tuple[str, bool]] = []
        self._agents: list[tuple[str, str]] = []
        self.chatter, self.first_names = words.CHATTER, words.FIRST_NAMES

    def new_text(self, breadth: float) -> None:
        """Forget the people and things of the last text; in most texts they come back."""
        self.breadth, self.recurrence = breadth, self.rng.choice([0.0, 0.2, 0.35, 0.5])
        self._nouns, self._agents = [], []

    # -- words -------------------------------------------------------------------------------------------------
    def _rare(self, pool: list[str], common: list[str]) -> str:
        return (
            pool[int(len(pool) * self.rng.random() ** 1.5)]
            if pool and self.rng.random() < self.breadth
            else self.rng.choice(common)
        )

    def verb(self, nominal: bool = False) -> FrenchVerb:
        if self.wide.verbs and self.rng.random() < self.breadth and not nominal:
            return self.wide.verbs[int(len(self.wide.verbs) * self.rng.random() ** 1.5)]
        while True:
            verb = self.rng.choice(self.verbs)
            if verb.nominal or not nominal:
                return verb

    def noun(self) -> tuple[str, bool]:
        """A bare noun and whether it is feminine."""
        if self._nouns and self.rng.random() < self.recurrence:
            return self.rng.choice(self._nouns)
        feminine = self.rng.random() < 0.5
        pools = (self.wide.feminine, self.feminine) if feminine else (self.wide.masculine, self.masculine)
        self._nouns.append((self._rare(*pools), feminine))
        return self._nouns[-1]

    def definite(self, noun: str, feminine: bool) -> str:
        return "l'" + noun if noun[0] in "aeiouéèêàâîôù" else ("la " if feminine else "le ") + noun

    def thing(self) -> tuple[str, str]:
        """A noun phrase and its agreement suffix ('', 'e', 's', 'es')."""
        if self.wide.phrases and self.rng.random() < 0.22:
            return self.rng.choice(self.wide.phrases), self.rng.choice(["", "e"])
        noun, feminine = self.noun()
        agreement = "e" if feminine else ""
        roll = self.rng.random()
        if roll < 0.50:
            phrase = self.definite(noun, feminine)
        elif roll < 0.72:
            phrase = ("une " if feminine else "un ") + noun
        elif roll < 0.86:
            phrase, agreement = "les " + noun + ("" if noun[-1] in "sxz" else "s"), agreement + "s"
        elif roll < 0.92:
            phrase = ("sa " if feminine and noun[0] not in VOWELS else "son ") + noun
        else:
            phrase = ("cette " if feminine else "cet " if noun[0] in VOWELS else "ce ") + noun
        roll = self.rng.random()
        if roll < 0.22:
            other, other_feminine = self.noun()
            phrase += " " + (
                ("d'" if other[0] in VOWELS else "de ") + other
                if roll < 0.11
                else of(self.definite(other, other_feminine))
            )
        elif roll < 0.32:
            phrase += " " + self._rare(self.wide.adjectives, words.ADJECTIVES)
        elif roll < 0.36:
            phrase += " " + self.rng.choice(["n° ", ""]) + str(self.rng.randint(2, 999))
        return phrase, agreement

    def complement(self, chance: float = 0.35) -> str:
        if self.rng.random() > chance:
            return ""
        if self.rng.random() < 0.45:
            return " " + self.rng.choice(words.COMPLEMENTS)
        lead = self.rng.choice(["à", "avec", "dans", "sur", "pour", "par", "chez", "depuis", "auprès de", "selon"])
        if lead == "à":
            phrase = self.thing()[0]
            return " " + (
                "au " + phrase[3:]
                if phrase.startswith("le ")
                else "aux " + phrase[4:]
                if phrase.startswith("les ")
                else "à " + phrase
            )
        if lead == "auprès de":
            return " auprès " + of(self.thing()[0])
        return f" {lead} {self.thing()[0]}"

    def agent(self) -> tuple[str, str]:
        """A subject and its actor; may be one that acted before."""
        if self._agents and self.rng.random() < self.recurrence:
            return self.rng.choice(self._agents)
        self._agents.append(self._new_agent())
        return self._agents[-1]

    def _new_agent(self) -> tuple[str, str]:
        roll = self.rng.random()
        if roll < 0.42:
            noun = (
                self._rare(self.wide.agents, words.HUMANS) if self.rng.random() < 0.5 else self.rng.choice(words.HUMANS)
            )
            noun = noun.replace("-", " ")
            feminine = noun.split()[0].endswith(("trice", "euse", "ière", "enne", "ante", "iste", "cliente", "ouve"))
            roll = self.rng.random()
            if roll < 0.15:
                return ("une " if feminine else "un ") + noun, "human"
            if roll < 0.25:
                return ("son " if noun[0] in VOWELS or not feminine else "sa ") + noun, "human"
            return self.definite(noun, feminine), "human"
        if roll < 0.55:
            return self.rng.choice(words.TEAMS), "human"
        if roll < 0.60:
            noun, feminine = self.noun()
            lead = self.rng.choice(["le service ", "l'équipe ", "le responsable ", "la personne chargée "])
            return lead + (
                of(self.definite(noun, feminine)) if "chargée" in lead or self.rng.random() < 0.6 else noun
            ), "human"
        if roll < 0.67:
            return self.rng.choice(words.FIRST_NAMES), "human"
        if roll < 0.87:
            base = self.rng.choice(words.SYSTEMS)
            if self.rng.random() < 0.2 and not base.startswith("l'"):
                base += " " + of(self.definite(*self.noun()))
            return base, "system"
        if roll < 0.95:
            return self.rng.choice(words.AIS), "ai"
        return self.rng.choice(["M. ", "Mme ", "Madame ", "le docteur "]) + capital(
            self.rng.choice(self.wide.words or words.FIRST_NAMES)
        ), "human"

    # -- clauses -----------------------------------------------------------------------------------------------
    def _predicate(self, verb: FrenchVerb, form: str) -> str:
        if self.rng.random() < 0.10:
            idiom = self.rng.choice(words.IDIOMS)
            if form in idiom:
                return idiom[form] + self.complement(0.25)
        head, roll = getattr(verb, form), self.rng.random()
        if roll < 0.06:
            return f"{head}{self.complement(1.0)}"
        if roll < 0.10:
            thing, agreement = self.thing()
            be = "sont" if agreement.endswith("s") else "est"
            adjective = self._rare(self.wide.adjectives, words.ADJECTIVES)
            return f"{head} {that('que', f'{thing} {be} {adjective}')}"
        if roll < 0.13:
            other = self.verb().infinitive
            person = self.agent()[0]
            person = "au " + person[3:] if person.startswith("le ") else "à " + person
            return f"{head if roll < 0.115 else getattr(ASK, form)} {person} {'d' + chr(39) if other[0] in VOWELS else 'de '}{other} {self.thing()[0]}"
        if roll < 0.21:
            return f"{head} {self.thing()[0]} et {self.thing()[0]}{self.complement(0.15)}"
        return f"{head} {self.thing()[0]}{self.complement()}"

    def main(self, node: Node, previous: Node | None = None) -> str:
        """A declarative clause; may go on with a pronoun for the previous subject."""
        verb, roll = self.verb(), self.rng.random()
        again = previous is not None and previous.subject != "" and self.rng.random() < 0.2
        if again and previous is not None:
            pronoun = "elle" if previous.subject.startswith(("la ", "une ", "sa ")) else "il"
            node.actor, node.subject = previous.actor, previous.subject
            subject = self.rng.choice([pronoun, pronoun, "ce dernier" if pronoun == "il" else "cette dernière"])
        elif roll < 0.16:
            node.actor, node.subject = "human", ""
            if self.rng.random() < 0.75:
                return mark(node, "on " + self._clitic(verb, "present"))
            stem = verb.imperative[:-2]
            return mark(node, f"nous {stem}ons {self.thing()[0]}{self.complement()}")
        elif roll < 0.30:
            return self.passive(node, verb)
        elif roll < 0.34:
            return (
                self.nominal(node)
                + " "
                + self.rng.choice(["est réalisée", "a lieu", "se fait en ligne", "intervient", "est effectuée"])
            )
        elif roll < 0.40:
            node.actor, node.subject = "human", ""
            lead = self.rng.choice(
                [
                    "il faut",
                    "on doit",
                    "il convient de",
                    "il est nécessaire de",
                    "pensez à",
                    "on commence par",
                    "il suffit de",
                ]
            )
            words_ = self._predicate(verb, "infinitive")
            if lead.endswith(" de") and words_[0] in "aeiouéèêàâîôù":
                return lead[:-1] + "'" + mark(node, words_)
            return lead + " " + mark(node, words_)
        else:
            subject, node.actor = self.agent()
            node.subject = subject
            if self.rng.random() < 0.05:
                subject += " " + self.rng.choice(
                    [
                        "concerné",
                        "de garde",
                        "compétent",
                        f"qui {self.verb().present} {self.thing()[0]}",
                        f"chargé {of(self.thing()[0])}",
                    ]
                )
        roll = self.rng.random()
        if roll < 0.62:
            clause = f"{subject} {self._clitic(verb, 'present')}"
        elif roll < 0.70:
            clause = f"{subject} {self._predicate(verb, 'future')}"
        elif roll < 0.77:
            clause = f"{subject} a {self._predicate(verb, 'participle')}"
        elif roll < 0.93:
            modal = self.rng.choice(
                [
                    "doit",
                    "peut",
                    "va",
                    "se charge de",
                    "commence par",
                    "s'occupe de",
                    "finit par",
                    "vient",
                    "est chargé de",
                ]
            )
            predicate = self._predicate(verb, "infinitive")
            if modal.endswith(" de") and predicate[0] in "aeiouéèêàâîôù":
                clause = f"{subject} {modal[:-1]}'{predicate}"
            else:
                clause = f"{subject} {modal} {predicate}"
        elif roll < 0.97:
            return "c'est " + mark(node, f"{subject} qui {self._predicate(verb, 'present')}")
        else:
            clause = f"{subject}, {self.rng.choice(['lui', 'de son côté', 'quant à lui', 'à son tour'])}, "
            return clause + mark(node, self._predicate(verb, "present"))
        return mark(node, clause)

    def _clitic(self, verb: FrenchVerb, form: str) -> str:
        if self.rng.random() < 0.12:
            head = getattr(verb, form)
            pronoun = self.rng.choice(["le", "la", "les", "lui", "leur", "en"])
            if pronoun in ("leur", "en"):
                return f"{pronoun} {head} {self.thing()[0]}{self.complement(0.2)}"
            if head[0] in "aeiouéèêàâîôù" and pronoun in ("le", "la"):
                return f"l'{head}{self.complement(0.7)}"
            return f"{pronoun} {head}" + (f" {self.thing()[0]}" if pronoun == "lui" else self.complement(0.7))
        return self._predicate(verb, form)

    def follow(self, node: Node, previous: Node) -> str:
        """A coordinated verb phrase without its subject: « … et l'envoie au client »."""
        node.actor, node.subject = previous.actor, previous.subject
        return mark(node, self._clitic(self.verb(), "present"))

    def passive(self, node: Node, verb: FrenchVerb | None = None) -> str:
        verb = verb or self.verb()
        thing, agreement = self.thing()
        auxiliary = "sont" if agreement.endswith("s") else "est"
        if self.rng.random() < 0.15:
            auxiliary = "seront" if auxiliary == "sont" else "sera"
        node.actor, node.subject, tail = "human", "", self.complement(0.25)
        roll = self.rng.random()
        if roll < 0.35:
            agent, node.actor = self.agent()
            tail = " par " + agent
        elif roll < 0.47:
            node.actor = "system"
            tail = self.rng.choice([" automatiquement", " automatiquement" + tail, tail + " de manière automatique"])
        return mark(node, f"{thing} {auxiliary} {verb.participle}{agreement}{tail}")

    def infinitive(self, node: Node) -> str:
        node.actor, node.subject = "human", ""
        return mark(node, self._predicate(self.verb(), "infinitive"))

    def imperative(self, node: Node) -> str:
        node.actor, node.subject = "human", ""
        verb = self.verb()
        return mark(node, self._predicate(verb, "imperative" if self.rng.random() < 0.75 else "present"))

    def nominal(self, node: Node) -> str:
        node.actor, node.subject = "human", ""
        head = self.verb(nominal=True).nominal
        if self.rng.random() < 0.35:
            head = head.removeprefix("la ").removeprefix("le ").removeprefix("l'")
        phrase = f"{head} {of(self.thing()[0])}"
        if self.rng.random() < 0.4:
            agent, node.actor = self.agent()
            phrase += " par " + agent
        return mark(node, phrase)

    def participial(self, node: Node) -> str:
        """« la demande validée, » or « après avoir validé la demande, » or « une fois la demande validée, »."""
        node.actor, node.subject = "human", ""
        verb, (thing, agreement) = self.verb(), self.thing()
        roll = self.rng.random()
        if roll < 0.4:
            return self.rng.choice(["une fois ", "dès ", "sitôt "]) + mark(
                node, f"{thing} {verb.participle}{agreement}"
            )
        if roll < 0.8:
            return "après avoir " + mark(node, f"{verb.participle} {thing}{self.complement(0.2)}")
        return "après " + self.nominal(node)

    def condition(self, node: Node) -> str:
        node.kind, node.actor, node.subject = "decision", "human", ""
        thing, agreement = self.thing()
        be, have = ("sont", "ont") if agreement.endswith("s") else ("est", "a")
        adjective = self._rare(self.wide.adjectives, words.ADJECTIVES)
        roll = self.rng.random()
        if roll < 0.34:
            return mark(
                node,
                f"{thing} {be} {self.rng.choice(['', '', '', 'bien ', 'trop ', 'encore '])}{adjective}{self.complement(0.12)}",
            )
        if roll < 0.44:
            return mark(
                node,
                f"{thing} n'{self.rng.choice(['est', 'est'])} {self.rng.choice(['pas', 'pas', 'plus', 'pas encore'])} {adjective}",
            )
        if roll < 0.54:
            return mark(node, f"{thing} {be} {self.verb().participle}{agreement}")
        if roll < 0.72:
            agent, node.actor = self.agent()
            form = self._predicate(self.verb(), "present") if self.rng.random() < 0.75 else self.verb().present
            if self.rng.random() < 0.25:
                form = ("n'" if form[0] in "aeiouéèêàâîôù" else "ne ") + form.replace(" ", " pas ", 1)
            return mark(node, f"{agent} {form}")
        if roll < 0.82:
            amount = f"{self.rng.choice([5, 10, 15, 20, 30, 48, 100, 200, 500, 1000, 5000])} {self.rng.choice(['euros', 'jours', 'heures', '%', 'points', 'kilos', 'pièces'])}"
            return mark(
                node,
                f"{thing} {self.rng.choice(['dépasse', 'est supérieur à', 'est inférieur à', 'excède', 'atteint', 'fait plus de'])} {amount}",
            )
        if roll < 0.92:
            return mark(
                node,
                self.rng.choice(["il manque ", "il reste ", "il y a ", "on trouve ", "on constate "]) + self.thing()[0],
            )
        if roll < 0.96:
            return mark(
                node, f"{thing} {have} {self.rng.choice(['un défaut', 'une erreur', 'un problème', 'une anomalie'])}"
            )
        return mark(
            node,
            self.rng.choice(
                [
                    "tout est en ordre",
                    "tout va bien",
                    "c'est le cas",
                    "la réponse est positive",
                    "c'est urgent",
                    "le résultat est bon",
                    "un problème survient",
                    "une erreur apparaît",
                ]
            ),
        )

    def case(self, node: Node) -> str:
        """A bare noun phrase after « en cas de »."""
        node.kind, node.actor, node.subject = "decision", "human", ""
        phrase = self.noun()[0]
        if self.rng.random() < 0.4:
            phrase += " " + (
                self._rare(self.wide.adjectives, words.ADJECTIVES) if self.rng.random() < 0.5 else of(self.thing()[0])
            )
        return mark(node, phrase)

    def question(self, node: Node) -> str:
        node.kind, node.actor, node.subject = "decision", "human", ""
        thing, agreement = self.thing()
        pronoun = {"": "il", "e": "elle", "s": "ils", "es": "elles"}[agreement]
        be = "sont" if agreement.endswith("s") else "est"
        adjective = self._rare(self.wide.adjectives, words.ADJECTIVES)
        roll = self.rng.random()
        if roll < 0.55:
            return mark(node, f"{thing} {be}-{pronoun} {adjective}") + " ?"
        if roll < 0.8:
            return mark(node, that("est-ce que", f"{thing} {be} {adjective}")) + " ?"
        return mark(node, f"{thing} {adjective}") + " ?"

    def trigger(self, node: Node) -> str:
        node.kind, node.actor, node.subject = "start", "human", ""
        roll = self.rng.random()
        if roll < 0.6:
            agent, node.actor = self.agent()
            node.subject = agent
            verb = (
                self.rng.choice(
                    ["arrive", "appelle", "se présente", "se connecte", "fait une demande", "a un problème", "commence"]
                )
                if self.rng.random() < 0.3
                else self._predicate(self.verb(), "present")
            )
            clause = mark(node, f"{agent} {verb}")
        elif roll < 0.8:
            clause = self.passive(node)
        else:
            clause = mark(
                node,
                f"{self.thing()[0]} {self.rng.choice(['arrive', 'arrive à échéance', 'se produit', 'survient', 'est reçu', 'est signalé', 'tombe en panne'])}",
            )
        return clause

    def ending(self, node: Node) -> str:
        node.kind, node.actor, node.subject = "end", "goal", ""
        thing, agreement = self.thing()
        be = "sont" if agreement.endswith("s") else "est"
        if self.rng.random() < 0.5:
            return mark(
                node,
                self.rng.choice(
                    [
                        "le processus s'arrête",
                        "le processus est terminé",
                        "la procédure s'arrête",
                        "le dossier est clos",
                        "la demande est close",
                        "le dossier est classé",
                        "tout s'arrête",
                        "l'affaire est close",
                        "le traitement prend fin",
                        "la procédure prend fin",
                        "c'est fini",
                        "le processus se termine",
                        "fin du processus",
                        "fin de la procédure",
                    ]
                ),
            )
        return mark(
            node,
            f"{thing} {be} {self.rng.choice(['clos', 'terminé', 'fini', 'définitivement ' + self.verb().participle, 'enfin ' + self.verb().participle])}{agreement}",
        )

    def goal(self, node: Node) -> str:
        node.kind, node.actor, node.subject = "end", "goal", ""
        lead = self.rng.choice(
            [
                "l'objectif est de ",
                "le but est de ",
                "il s'agit au final de ",
                "but : ",
                "objectif : ",
                "notre objectif est de ",
                "le résultat attendu : ",
            ]
        )
        verb = self._predicate(self.verb(), "infinitive")
        if lead.endswith(" de ") and verb[0] in "aeiouéèêàâîôù":
            return lead[:-2] + "'" + mark(node, verb)
        return lead + mark(node, verb)

    def title(self) -> str:
        noun, feminine = self.noun()
        pattern = self.rng.choice(words.TITLES)
        return (
            pattern.replace("{n}", noun)
            .replace("{N}", noun.capitalize())
            .replace("{de_n}", of(self.definite(noun, feminine)))
            .replace("{un_n}", ("une " if feminine else "un ") + noun)
        )

    def distraction(self) -> str:
        roll = self.rng.random()
        if self.wide.sentences and roll < 0.12:
            return self.rng.choice(self.wide.sentences)
        if roll < 0.6:
            return self.rng.choice(words.CHATTER)
        thing, agreement = self.thing()
        be = "sont" if agreement.endswith("s") else "est"
        adjective = self._rare(self.wide.adjectives, words.ADJECTIVES)
        other = self.thing()[0]
        return capital(
            self.rng.choice(
                [
                    f"{thing} {be} souvent {adjective}.",
                    f"{thing} {be} au cœur de notre métier.",
                    f"cela concerne {thing} et {other}.",
                    f"rappelons que {thing} {be} {adjective}.",
                    f"chacun connaît {thing}.",
                    f"{thing} reste notre priorité.",
                    f"nous parlons ici {of(thing)}.",
                    f"on m'a demandé d'expliquer {thing}.",
                    f"ce texte décrit {thing}.",
                    f"voici comment se passe {thing}.",
                    f"voici {thing}, étape par étape.",
                    f"{thing} comporte plusieurs étapes.",
                ]
            )
        )
