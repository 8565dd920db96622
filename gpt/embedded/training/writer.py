"""From a tree of steps to sentences, in prose or as a list."""

from __future__ import annotations

import random
from collections.abc import Sequence

from gpt.embedded.training.clause import Graph, Node, capital, mark, plain
from gpt.embedded.training.connectives import TABLES
from gpt.embedded.training.english import English
from gpt.embedded.training.french import French, that
from gpt.embedded.training.process import Act, Back, Before, Decision, Loop, Parallel, Step

Language = French | English


class Writer:
    """Writes the steps of one text; `sentences` has no capitals and no final stop yet."""

    def __init__(self, rng: random.Random, language: Language, graph: Graph, voice: str) -> None:
        self.rng, self.lang, self.graph, self.voice = rng, language, graph, voice
        self.table = TABLES[language.language]
        self.previous: Node | None = None
        self.step_number: dict[int, int] = {}

    # -- helpers -----------------------------------------------------------------------------------------------
    def pick(self, key: str) -> str:
        return self.rng.choice(self.table[key])

    def fill(self, pattern: str, *parts: str) -> str:
        """Put clauses into a connective, eliding « que », « si » before a vowel."""
        out = ""
        for index, piece in enumerate(pattern.split("{}")):
            if index:
                part = parts[index - 1]
                head = out[:-1].rsplit(" ", 1)[-1] if out.endswith(" ") else ""
                if (
                    self.lang.language == "fr"
                    and head == "de"
                    and part.lstrip("\x01\x02\x030123456789")[:1].lower() in tuple("aeiouéèêàâîôù")
                ):
                    out = out[:-2] + "'" + part
                elif self.lang.language == "fr" and (head.endswith("que") or head in ("si", "Si")):
                    out = out[: len(out) - 1 - len(head)] + that(head, part)
                else:
                    out += part
            out += piece
        return out

    def clause(self, node: Node) -> str:
        """One action in the voice of this text."""
        if node.kind == "end":
            text = self.lang.ending(node)
        elif self.voice == "inf":
            text = self.lang.infinitive(node)
        elif self.voice == "imp":
            text = self.lang.imperative(node)
        elif self.voice == "nom":
            text = self.lang.nominal(node)
        else:
            text = self.lang.main(node, self.previous)
            if self.rng.random() < 0.07:
                text += self._why()
        self.previous = node if node.kind == "action" else None
        return text

    def _why(self) -> str:
        text = self.pick("why")
        if "{w}" in text:
            verb = self.lang.verb()
            text = text.replace(
                "{w}", f"{getattr(verb, 'infinitive', '') or getattr(verb, 'base', '')} {self.lang.thing()[0]}"
            )
        return text.replace("{t}", self.lang.thing()[0])

    def _declarative(self, node: Node) -> str:
        """A clause with a verb that agrees, whatever the voice (after « pendant que », « dès que »…)."""
        text = self.lang.main(node, self.previous) if node.kind != "end" else self.lang.ending(node)
        self.previous = node if node.kind == "action" else None
        return text

    # -- steps -------------------------------------------------------------------------------------------------
    def render(self, steps: list[Step], top: bool = True) -> list[str]:
        """One string per sentence (or list item)."""
        sentences: list[str] = []
        index = 0
        after_split = False
        while index < len(steps):
            step = steps[index]
            if top:
                self._number(step, len(sentences) + 1)
            if isinstance(step, Act):
                run = [step]
                while index + len(run) < len(steps) and len(run) < 3 and isinstance(steps[index + len(run)], Act):
                    run.append(steps[index + len(run)])  # type: ignore[arg-type]  # checked by isinstance
                text, used = self._acts(run)
                index += used
                if top:
                    text = self._ordered(text, first=not sentences, last=index == len(steps), join=after_split)
                after_split = False
                sentences.append(text)
                continue
            sentences.extend(self._complex(step))
            after_split = isinstance(step, Decision | Parallel)
            index += 1
        return sentences

    def _number(self, step: Step, number: int) -> None:
        if isinstance(step, Act):
            self.step_number[step.node.number] = number

    def _ordered(self, text: str, first: bool, last: bool, join: bool) -> str:
        if text.startswith(
            ("une fois", "dès", "quand", "lorsque", "après", "avant", "once", "after", "when", "before")
        ):
            return text
        roll = self.rng.random()
        if join and roll < 0.75:
            return self.fill(self.pick("join"), text)
        if first:
            return self.fill(self.pick("first"), text) if roll < 0.35 else text
        if last and roll < 0.55:
            return self.fill(self.pick("last"), text)
        if roll < 0.42:
            return self.fill(self.pick("next"), text)
        if roll < 0.5 and self.voice == "main":
            lead = self.rng.choice(_adverbs(self.lang))
            return f"{lead}, {text}" if self.rng.random() < 0.8 else f"{lead} {text}"
        return self.fill(self.pick("any"), text)

    def _acts(self, run: list[Act]) -> tuple[str, int]:
        nodes, roll = [act.node for act in run], self.rng.random()
        actions = [node for node in nodes if node.kind == "action"]
        if (len(actions) >= 2 and len(actions) == len(nodes)) or (len(actions) >= 2 and nodes[1].kind == "action"):
            if len(actions) >= 3 and roll < 0.13:
                if self.voice == "main":
                    first = self.lang.main(nodes[0], self.previous)
                    parts = [first, self.lang.follow(nodes[1], nodes[0]), self.lang.follow(nodes[2], nodes[0])]
                else:
                    parts = [self.clause(node) for node in nodes[:3]]
                self.previous = nodes[2]
                return self.fill(self.pick("follow3"), *parts), 3
            if roll < 0.32:
                if self.voice != "main":
                    return self.fill(self.pick("follow"), self.clause(nodes[0]), self.clause(nodes[1])), 2
                first = self.lang.main(nodes[0], self.previous)
                if nodes[0].subject:
                    text = self.fill(self.pick("follow"), first, self.lang.follow(nodes[1], nodes[0]))
                    self.previous = nodes[1]
                    return text, 2
                return self.fill(self.pick("pair"), first, self._declarative(nodes[1])), 2
            if roll < 0.41 and self.voice == "main":
                return self.fill(self.pick("pair"), self._declarative(nodes[0]), self._declarative(nodes[1])), 2
            if roll < 0.48:
                return f"{self.lang.participial(nodes[0])}, {self.clause(nodes[1])}", 2
            if roll < 0.54 and self.voice == "main":
                return self.fill(self.pick("once"), self._declarative(nodes[0]), self._declarative(nodes[1])), 2
        return self.clause(nodes[0]), 1

    def _branch(self, steps: Sequence[Step]) -> str:
        """A branch as one clause chain."""
        text, previous_end = "", ""
        for step in steps:
            if isinstance(step, Back):
                words = self.pick(f"back_{step.form}").replace("{k}", str(self.step_number.get(step.target.number, 1)))
            elif isinstance(step, Decision):
                words = self._decision_inline(step)
            elif not isinstance(step, Act):
                raise TypeError(f"{type(step).__name__} cannot stand in a branch")
            else:
                if step.node.kind == "end" and text:
                    text += self.fill(self.pick("end_tail"), self.lang.ending(step.node))
                    continue
                words = self.clause(step.node)
            if not text:
                text = words
            else:
                text = (
                    self.fill(self.pick("pair") if self.rng.random() < 0.7 else "{}, {}", text, words)
                    if " avant " not in previous_end
                    else f"{text}, {words}"
                )
        return text.replace(" avant que ", " puis ").replace(" avant qu'", " puis ") if len(steps) > 1 else text

    def _decision_inline(self, step: Decision) -> str:
        text = self._if(step.node, step.yes)
        if step.no is not None:
            text += self.pick("else_inline") + self._branch(step.no)
        return text

    def _complex(self, step: Step) -> list[str]:
        if isinstance(step, Decision):
            return self._decision(step)
        if isinstance(step, Loop):
            self.previous = None
            if step.form == "while":
                condition = self.lang.condition(step.node)
                if self.rng.random() < 0.25:
                    body = self._branch(step.body)
                    return [self.fill(self.pick("while_after"), body, condition)]
                return [self.fill(self.pick("while"), condition, self._branch(step.body))]
            body = self._branch(step.body)
            return [self.fill(self.pick("until"), body, self.lang.condition(step.node))]
        if isinstance(step, Parallel):
            parts = [self._declarative(branch[0].node) for branch in step.branches if isinstance(branch[0], Act)]
            self.previous = None
            said = self.fill(self.pick("parallel3" if len(parts) == 3 else "parallel"), *parts)
            return [sentence.replace("\x06", " ") for sentence in said.replace("M. ", "M.\x06").split(". ")]
        if isinstance(step, Before):
            return [self._before(step)]
        return [self._branch([step])]

    def _before(self, step: Before) -> str:
        pattern = self.pick("before")
        second = step.second.node
        second.kind, second.actor = "action", "human"
        verb = self.lang.verb()
        thing = self.lang.thing()[0]
        if isinstance(self.lang, French):
            words = mark(second, f"{getattr(verb, 'infinitive', '')} {thing}")
            lead = "d'" if getattr(verb, "infinitive", "x")[0] in "aeiouéèêh" else "de "
            pattern = pattern.replace("de {i}", lead + words)
        else:
            pattern = pattern.replace("{g}", mark(second, f"{getattr(verb, 'ing', '')} {thing}"))
        text = pattern.replace("{}", self._declarative(step.first.node))
        self.previous = None
        return text

    def _if(self, node: Node, branch: list[Step]) -> str:
        """« si C, A », sometimes « en cas de N, A »."""
        if self.rng.random() < 0.1:
            return self.fill(self.pick("if_noun"), self.lang.case(node), self._branch(branch))
        return self.fill(self.pick("if"), self.lang.condition(node), self._branch(branch))

    def _decision(self, step: Decision) -> list[str]:
        previous, self.previous = self.previous, None
        node = step.node
        if step.form in ("if_after", "unless"):
            self.previous = previous
            return [self.fill(self.pick(step.form), self._branch(step.yes), self.lang.condition(node))]
        if step.form in ("check", "question") and step.no is not None:
            if step.form == "check" and self.rng.random() < 0.25:
                return self._announced(step)
            if step.form == "question":
                head = self.lang.question(node)
            else:
                agent, actor = self.lang.agent()
                pattern = self.pick("check")
                condition = self.lang.condition(node)
                if "{A}" in pattern:
                    node.actor = actor
                head = self.fill(pattern.replace("{A}", agent), condition)
            yes = self.fill(self.pick("case_yes"), self._branch(step.yes))
            no = self.fill(self.pick("case_no"), self._branch(step.no))
            return (
                [head, yes, no]
                if self.rng.random() < 0.7
                else [head, f"{yes} ; {no}" if self.lang.language == "fr" else f"{yes}; {no}"]
            )
        head = self._if(node, step.yes)
        if step.no is None:
            return [head]
        if len(step.no) == 1 and isinstance(step.no[0], Decision):
            inner = step.no[0]
            text = self.fill(self.pick("elif"), self.lang.condition(inner.node), self._branch(inner.yes))
            tail = [] if inner.no is None else [self.fill(self.pick("else"), self._branch(inner.no))]
            return [head, text, *tail]
        roll = self.rng.random()
        branch = self._branch(step.no)
        if roll < 0.5:
            return [head + self.pick("else_inline") + branch]
        return [head, self.fill(self.pick("else"), branch)]

    def _announced(self, step: Decision) -> list[str]:
        """« Le système vérifie si le stock suffit. Si le stock suffit, … »: the first sentence is said in passing."""
        agent, actor = self.lang.agent()
        condition = self.lang.condition(step.node)
        step.node.actor = actor
        head = self.fill(self.pick("check").replace("{A}", agent), plain(condition))
        yes = self.fill(
            self.rng.choice(
                ["si {}, {}", "si {} alors {}", "si {} {}"]
                if self.lang.language == "fr"
                else ["if {}, {}", "if {} then {}", "if {} {}"]
            ),
            condition,
            self._branch(step.yes),
        )
        return [head, yes, self.fill(self.pick("else"), self._branch(step.no or []))]

    def opening(self, node: Node, second: Node | None) -> str:
        """The triggering event, alone or with the first action."""
        trigger = self.lang.trigger(node)
        self.previous = node
        if second is None or self.voice != "main":
            return self.fill(self.pick("trigger_alone"), trigger)
        return self.fill(self.pick("trigger"), trigger, self._declarative(second))

    def finish(self, sentence: str) -> str:
        """Capital and full stop."""
        sentence = capital(sentence.strip())
        return (
            sentence
            if sentence[-1] in ".?!:"
            else sentence + self.rng.choice([".", ".", ".", ".", ".", " !" if False else "."])
        )


def _adverbs(language: Language) -> list[str]:
    from gpt.embedded.training import words_en, words_fr

    return words_fr.TIME_ADVERBS if language.language == "fr" else words_en.TIME_ADVERBS
