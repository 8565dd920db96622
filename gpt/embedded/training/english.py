# ruff: noqa: E501 - vocabulary reads better in long lines
"""English clauses of process descriptions, with varied syntax. Each method marks the words that become the label."""

from __future__ import annotations

import random

from gpt.embedded.training import words_en as words
from gpt.embedded.training.clause import Node, capital, mark
from gpt.embedded.training.lexicon import EnglishVerb, Wide, english_core_verbs


def plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")


def a(noun: str) -> str:
    return ("an " if noun[0] in "aeiou" else "a ") + noun


class English:
    language = "en"

    def __init__(self, rng: random.Random, wide: Wide, breadth: float = 0.5) -> None:
        self.rng, self.wide, self.breadth = rng, wide, breadth
        self.verbs = english_core_verbs()
        self.recurrence = 0.0
        self._nouns: list[str] = []
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

    def verb(self) -> EnglishVerb:
        if self.wide.english_verbs and self.rng.random() < self.breadth:
            return self.wide.english_verbs[int(len(self.wide.english_verbs) * self.rng.random() ** 1.5)]
        return self.rng.choice(self.verbs)

    def noun(self) -> str:
        if self._nouns and self.rng.random() < self.recurrence:
            return self.rng.choice(self._nouns)
        self._nouns.append(self._rare(self.wide.nouns, words.OBJECTS).replace("-", " "))
        return self._nouns[-1]

    def thing(self) -> tuple[str, bool]:
        """A noun phrase and whether it is plural."""
        noun, roll, many = self.noun(), self.rng.random(), False
        if self.rng.random() < 0.2:
            noun = self.noun() + " " + noun
        if self.rng.random() < 0.14:
            noun = self._rare(self.wide.adjectives, words.ADJECTIVES) + " " + noun
        if roll < 0.5:
            phrase = "the " + noun
        elif roll < 0.7:
            phrase = a(noun)
        elif roll < 0.84:
            phrase, many = self.rng.choice(["the ", "", "all the ", "two ", "some "]) + plural(noun), True
        else:
            phrase = self.rng.choice(["this ", "their ", "his ", "our ", "its ", "that "]) + noun
        if self.rng.random() < 0.1:
            phrase += " of " + self.rng.choice(["the ", "a "]) + self.noun()
        return phrase, many

    def complement(self, chance: float = 0.35) -> str:
        if self.rng.random() > chance:
            return ""
        if self.rng.random() < 0.45:
            return " " + self.rng.choice(words.COMPLEMENTS)
        return f" {self.rng.choice(['to', 'with', 'in', 'on', 'for', 'from', 'by', 'at', 'into', 'about'])} {self.thing()[0]}"

    def agent(self) -> tuple[str, str]:
        """A subject and its actor; may be one that acted before."""
        if self._agents and self.rng.random() < self.recurrence:
            return self.rng.choice(self._agents)
        self._agents.append(self._new_agent())
        return self._agents[-1]

    def _new_agent(self) -> tuple[str, str]:
        roll = self.rng.random()
        if roll < 0.45:
            noun = (
                self._rare(self.wide.agents, words.HUMANS) if self.rng.random() < 0.5 else self.rng.choice(words.HUMANS)
            )
            noun = noun.replace("-", " ")
            lead = self.rng.random()
            return ("the " + noun if lead < 0.75 else a(noun) if lead < 0.9 else "our " + noun), "human"
        if roll < 0.58:
            return self.rng.choice(words.TEAMS), "human"
        if roll < 0.63:
            return f"the {self.noun()} {self.rng.choice(['team', 'department', 'manager', 'officer'])}", "human"
        if roll < 0.70:
            return self.rng.choice(words.FIRST_NAMES), "human"
        if roll < 0.91:
            base = self.rng.choice(words.SYSTEMS)
            return (base.replace("the ", f"the {self.noun()} ", 1) if self.rng.random() < 0.2 else base), "system"
        return self.rng.choice(words.AIS), "ai"

    # -- clauses -----------------------------------------------------------------------------------------------
    def _predicate(self, verb: EnglishVerb, form: str) -> str:
        if self.rng.random() < 0.08:
            idiom = self.rng.choice(words.IDIOMS)
            if form in idiom:
                return idiom[form] + self.complement(0.25)
        head, roll = getattr(verb, form), self.rng.random()
        if roll < 0.06:
            return f"{head}{self.complement(1.0)}"
        if roll < 0.10:
            thing, many = self.thing()
            return f"{head} that {thing} {'are' if many else 'is'} {self._rare(self.wide.adjectives, words.ADJECTIVES)}"
        if roll < 0.14:
            asks = {"base": "ask", "third": "asks", "ing": "asking"}.get(form, "asked")
            return f"{head if roll < 0.115 else asks} {self.agent()[0]} to {self.verb().base} {self.thing()[0]}"
        if roll < 0.21:
            return f"{head} {self.thing()[0]} and {self.thing()[0]}{self.complement(0.15)}"
        return f"{head} {self._object()}{self.complement()}"

    def _object(self) -> str:
        return self.rng.choice(["it", "them"]) if self.rng.random() < 0.1 else self.thing()[0]

    def main(self, node: Node, previous: Node | None = None) -> str:
        verb, roll = self.verb(), self.rng.random()
        if previous is not None and previous.subject != "" and self.rng.random() < 0.2:
            node.actor, node.subject = previous.actor, previous.subject
            subject = self.rng.choice(["he", "she", "they"]) if node.actor == "human" else "it"
            if subject == "they":
                return mark(node, f"they {self._predicate(verb, 'base')}")
        elif roll < 0.16:
            node.actor, node.subject = "human", ""
            subject = self.rng.choice(["we", "you", "they", "I"])
            return mark(
                node,
                f"{subject} {self.rng.choice(['', '', '', 'will ', 'must ', 'can '])}{self._predicate(verb, 'base')}",
            )
        elif roll < 0.30:
            return self.passive(node, verb)
        elif roll < 0.35:
            node.actor, node.subject = "human", ""
            lead = self.rng.choice(
                [
                    "we need to",
                    "you have to",
                    "we start by",
                    "it is necessary to",
                    "remember to",
                    "make sure to",
                    "we have to",
                ]
            )
            return lead + " " + mark(node, self._predicate(verb, "ing" if lead.endswith("by") else "base"))
        else:
            subject, node.actor = self.agent()
            node.subject = subject
            if self.rng.random() < 0.05:
                subject += " " + self.rng.choice(
                    [
                        "concerned",
                        "on duty",
                        "in charge",
                        f"who {self.verb().third} {self.thing()[0]}",
                        f"in charge of {self.thing()[0]}",
                    ]
                )
        roll = self.rng.random()
        if roll < 0.66:
            predicate = self._predicate(verb, "third")
        elif roll < 0.76:
            predicate = "will " + self._predicate(verb, "base")
        elif roll < 0.83:
            predicate = self._predicate(verb, "past")
        elif roll < 0.96:
            predicate = self.rng.choice(
                ["must ", "has to ", "can ", "should ", "needs to ", "is going to "]
            ) + self._predicate(verb, "base")
        else:
            predicate = self.rng.choice(
                ["starts by ", "is in charge of ", "takes care of ", "finishes by "]
            ) + self._predicate(verb, "ing")
        return mark(node, f"{subject} {predicate}")

    def follow(self, node: Node, previous: Node) -> str:
        node.actor, node.subject = previous.actor, previous.subject
        return mark(node, self._predicate(self.verb(), "third"))

    def passive(self, node: Node, verb: EnglishVerb | None = None) -> str:
        verb = verb or self.verb()
        thing, many = self.thing()
        node.actor, node.subject, tail = "human", "", self.complement(0.25)
        be = self.rng.choice(["are", "are", "are", "will be"] if many else ["is", "is", "is", "will be"])
        roll = self.rng.random()
        if roll < 0.35:
            agent, node.actor = self.agent()
            tail = " by " + agent
        elif roll < 0.47:
            node.actor = "system"
            if self.rng.random() < 0.5:
                be += " automatically"
            else:
                tail = " automatically" + tail
        return mark(node, f"{thing} {be} {verb.participle}{tail}")

    def infinitive(self, node: Node) -> str:
        return self.imperative(node)

    def imperative(self, node: Node) -> str:
        node.actor, node.subject = "human", ""
        return mark(node, self._predicate(self.verb(), "base"))

    def nominal(self, node: Node) -> str:
        node.actor, node.subject = "human", ""
        phrase = f"{self.verb().ing} {self.thing()[0]}"
        if self.rng.random() < 0.3:
            verb = self.verb()
            phrase = f"{self.rng.choice(['review', 'approval', 'check', 'delivery', 'processing', 'preparation', 'payment', 'creation', 'analysis', verb.ing])} of {self.thing()[0]}"
            if self.rng.random() < 0.5:
                agent, node.actor = self.agent()
                phrase += " by " + agent
        return mark(node, phrase)

    def participial(self, node: Node) -> str:
        node.actor, node.subject = "human", ""
        verb, (thing, many), roll = self.verb(), self.thing(), self.rng.random()
        if roll < 0.4:
            return self.rng.choice(["once ", "as soon as ", "after ", "when "]) + mark(
                node, f"{thing} {'are' if many else 'is'} {verb.participle}"
            )
        if roll < 0.8:
            return self.rng.choice(["after ", "after ", "upon "]) + mark(
                node, f"{verb.ing} {thing}{self.complement(0.2)}"
            )
        return "once " + mark(node, f"{thing} {'have' if many else 'has'} been {verb.participle}")

    def condition(self, node: Node) -> str:
        node.kind, node.actor, node.subject = "decision", "human", ""
        thing, many = self.thing()
        be = "are" if many else "is"
        adjective, roll = self._rare(self.wide.adjectives, words.ADJECTIVES), self.rng.random()
        if roll < 0.34:
            return mark(
                node,
                f"{thing} {be} {self.rng.choice(['', '', '', 'too ', 'still ', 'really '])}{adjective}{self.complement(0.12)}",
            )
        if roll < 0.46:
            return mark(
                node,
                f"{thing} {self.rng.choice([be + ' not', be + ' no longer', 'isn' + chr(39) + 't' if not many else 'aren' + chr(39) + 't'])} {adjective}",
            )
        if roll < 0.56:
            return mark(node, f"{thing} {be} {self.verb().participle}")
        if roll < 0.76:
            agent, node.actor = self.agent()
            verb = self.verb()
            if self.rng.random() < 0.3:
                return mark(node, f"{agent} does not {self._predicate(verb, 'base')}")
            return mark(node, f"{agent} {self._predicate(verb, 'third') if self.rng.random() < 0.75 else verb.third}")
        if roll < 0.85:
            amount = f"{self.rng.choice(['5', '10', '30', '500', '1000', 'one hundred', 'ten', 'two', 'five hundred', 'twenty'])} {self.rng.choice(['euros', 'days', 'hours', 'percent', 'points', 'dollars', 'pieces'])}"
            return mark(
                node,
                f"{thing} {self.rng.choice(['exceeds', 'is above', 'is below', 'is more than', 'reaches', 'is over', 'costs more than'])} {amount}",
            )
        if roll < 0.95:
            return mark(
                node,
                self.rng.choice(["there is ", "there are ", "we find ", "we have ", "there is still ", "they find "])
                + self.thing()[0],
            )
        return mark(
            node,
            self.rng.choice(
                [
                    "everything is in order",
                    "everything is fine",
                    "that is the case",
                    "the answer is positive",
                    "it is urgent",
                    "the result is good",
                    "something goes wrong",
                    "an error occurs",
                    "it fails",
                    "it passes",
                    "it works",
                ]
            ),
        )

    def case(self, node: Node) -> str:
        """A noun phrase after "in case of"."""
        node.kind, node.actor, node.subject = "decision", "human", ""
        noun = self.noun()
        return mark(node, self.rng.choice([noun, plural(noun), a(noun), self.thing()[0]]))

    def question(self, node: Node) -> str:
        node.kind, node.actor, node.subject = "decision", "human", ""
        thing, many = self.thing()
        adjective = self._rare(self.wide.adjectives, words.ADJECTIVES)
        be = "are" if many else "is"
        if self.rng.random() < 0.7:
            return mark(node, f"{be} {thing} {adjective}") + "?"
        return mark(node, f"{thing} {adjective}") + "?"

    def trigger(self, node: Node) -> str:
        node.kind, node.actor, node.subject = "start", "human", ""
        roll = self.rng.random()
        if roll < 0.65:
            agent, node.actor = self.agent()
            node.subject = agent
            verb = (
                self.rng.choice(
                    ["calls", "arrives", "logs in", "has a problem", "makes a request", "asks for help", "starts"]
                )
                if self.rng.random() < 0.3
                else self._predicate(self.verb(), "third")
            )
            return mark(node, f"{agent} {verb}")
        if roll < 0.8:
            return self.passive(node)
        return mark(
            node,
            f"{self.thing()[0]} {self.rng.choice(['arrives', 'comes in', 'expires', 'happens', 'occurs', 'is received', 'is reported', 'breaks down'])}",
        )

    def ending(self, node: Node) -> str:
        node.kind, node.actor, node.subject = "end", "goal", ""
        thing, many = self.thing()
        if self.rng.random() < 0.5:
            return mark(
                node,
                self.rng.choice(
                    [
                        "the process stops",
                        "the process ends",
                        "the process is over",
                        "the case is closed",
                        "the request is closed",
                        "everything stops",
                        "the procedure ends",
                        "the file is closed",
                        "we are done",
                        "that is the end",
                        "end of the process",
                        "the work is finished",
                        "the ticket is closed",
                        "the job is done",
                    ]
                ),
            )
        return mark(
            node,
            f"{thing} {'are' if many else 'is'} {self.rng.choice(['closed', 'finished', 'done', 'finally ' + self.verb().participle, 'complete'])}",
        )

    def goal(self, node: Node) -> str:
        node.kind, node.actor, node.subject = "end", "goal", ""
        lead = self.rng.choice(
            [
                "the goal is to ",
                "the aim is to ",
                "goal: ",
                "our objective is to ",
                "in the end the point is to ",
                "expected result: ",
            ]
        )
        return lead + mark(node, self._predicate(self.verb(), "base"))

    def title(self) -> str:
        noun = self.noun()
        return self.rng.choice(words.TITLES).replace("{n}", noun).replace("{N}", noun.capitalize())

    def distraction(self) -> str:
        if self.rng.random() < 0.6:
            return self.rng.choice(words.CHATTER)
        thing, many = self.thing()
        be = "are" if many else "is"
        adjective, other = self._rare(self.wide.adjectives, words.ADJECTIVES), self.thing()[0]
        return capital(
            self.rng.choice(
                [
                    f"{thing} {be} often {adjective}.",
                    f"{thing} {be} at the heart of our work.",
                    f"this is about {thing} and {other}.",
                    f"remember that {thing} {be} {adjective}.",
                    f"everyone knows {thing}.",
                    f"{thing} {'remain' if many else 'remains'} our priority.",
                    f"we are talking about {thing}.",
                    f"I was asked to explain {thing}.",
                    f"this text describes {thing}.",
                    f"here is how {thing} works.",
                    f"let us walk through {thing}.",
                    f"today we describe {thing}.",
                    f"I would like to document {thing}.",
                ]
            )
        )
