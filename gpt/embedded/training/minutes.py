"""Examples of the minutes task: a dialogue, and who decided and does what, in the dialogue's own words."""

from __future__ import annotations

import json
import random
from typing import Any

from gpt.embedded.training.clause import CLOSE, MARK, MIDDLE, OPEN, Node, capital, plain
from gpt.embedded.training.connectives import TABLES
from gpt.embedded.training.documents import _spoken, escape, spaced
from gpt.embedded.training.writer import Language

FR: dict[str, list[str]] = {
    "topic": [
        "on parle aujourd'hui {of}",
        "nous sommes réunis pour parler {of}",
        "l'objet de la réunion est {t}",
        "aujourd'hui, il est question {of}",
        "le sujet du jour, c'est {t}",
        "on doit faire le point sur {t}",
        "nous devons {i} cette semaine",
        "il faut qu'on parle {of}",
        "je voudrais décrire {t}",
        "nous allons expliquer comment fonctionne {t}",
        "je vous propose de revoir {t}",
        "cette réunion porte sur {t}",
        "le but est de {i}",
        "nous faisons le bilan {of}",
        "nous allons décrire ce qui se passe quand {c}",
        "on fait le bilan {of}",
        "on se retrouve pour {i}",
        "on se voit pour préparer {t}",
    ],
    "decision": [
        "on décide de [{i}]",
        "c'est décidé, [{c}]",
        "nous avons décidé que [{c}]",
        "on part sur [{t}]",
        "d'accord, [on retient {t}]",
        "la décision est prise : [{c}]",
        "on est d'accord pour [{i}]",
        "on valide [{t}]",
        "finalement, [{c}]",
        "nous décidons de [{i}]",
        "tout le monde est d'accord, [{c}]",
        "nous choisissons [{t}]",
        "nous avons décidé de [{i}]",
        "nous avons aussi décidé de [{i}]",
        "on a décidé de [{i}]",
        "adopté : [{c}]",
        "il est décidé de [{i}]",
    ],
    "mine": [
        "je vais [{i}] {pw}",
        "je m'occupe de [{i}] {pw}",
        "je peux [{i}] {pw}",
        "de mon côté je dois [{i}] {pw}",
        "je me charge de [{i}] {pw}",
        "{pW}, je vais [{i}]",
        "je vais [{i}]",
        "je dois [{i}]",
        "je me propose pour [{i}]",
    ],
    "yours": [
        "{N}, tu peux [{i}] {pw} ?",
        "{N} va [{i}] {pw}",
        "{N} doit [{i}] {pw}",
        "{N} s'occupe de [{i}] {pw}",
        "{N}, peux-tu [{i}] ?",
        "{N} se charge de [{i}]",
        "il faudrait que {N} puisse [{i}] {pw}",
        "{N}, est-ce que tu pourrais [{i}] {pw} ?",
        "{N}, il faut [{i}] {pw}",
        "c'est {N} qui doit [{i}] {pw}",
    ],
    "open": [
        "il reste à savoir [{q}]",
        "on ne sait pas encore [{q}]",
        "[{c}], mais ce n'est pas tranché",
        "la question {mof} reste ouverte",
        "il faudra voir plus tard [{q}]",
        "il reste une question : [{q}]",
        "je ne sais pas [{q}]",
        "on reparlera {mof}",
        "[qui va {i}] ?",
        "[comment {i}] ?",
        "il faut encore réfléchir à [{t}]",
    ],
    "q": ["si {c}", "qui va {i}", "comment {i}", "quand {i}", "combien coûte {t}", "où {i}"],
    "preposition": ["pour", "avant", "d'ici", ""],
    "when": [
        "lundi",
        "mardi",
        "mercredi",
        "jeudi",
        "vendredi",
        "demain",
        "demain matin",
        "ce soir",
        "la semaine prochaine",
        "la fin du mois",
        "lundi prochain",
        "le 15 mars",
        "la fin de la semaine",
        "le mois prochain",
        "vendredi soir",
        "jeudi matin",
        "le 3 juin",
    ],
    "ack": [
        "D'accord.",
        "Oui, pas de problème.",
        "Très bien.",
        "Ça marche.",
        "Entendu.",
        "Je note.",
        "Parfait.",
        "Je ne suis pas sûr.",
        "Oui.",
        "Non, pas vraiment.",
        "Bonne idée.",
        "Tout à fait.",
    ],
    "hello": [
        "Bienvenue à cette réunion. ",
        "Bonjour à tous, ",
        "Bonjour, ",
        "Bon, ",
        "",
        "Allez, ",
        "Alors, ",
        "Merci d'être venus, ",
    ],
    "bye": [
        "Merci à tous.",
        "On s'arrête là.",
        "Bonne journée.",
        "À la semaine prochaine.",
        "Parfait, merci.",
        "La réunion est terminée.",
    ],
}
EN: dict[str, list[str]] = {
    "topic": [
        "today we talk about {t}",
        "we are here to talk about {t}",
        "the topic of this meeting is {t}",
        "today is about {t}",
        "we need to review {t}",
        "we have to {i} this week",
        "we should talk about {t}",
        "I would like to describe {t}",
        "we are going to explain how {t} works",
        "this meeting is about {t}",
        "the goal is to {i}",
        "let us talk about {t}",
        "today we describe how {t} is handled",
        "let us go over {t}",
        "let us start with {t}",
        "today we will describe what happens when {c}",
        "today we plan {t}",
        "we meet to {i}",
        "the subject today is {t}",
    ],
    "decision": [
        "we decide to [{i}]",
        "it is decided, [{c}]",
        "we have decided that [{c}]",
        "we go with [{t}]",
        "okay, [we keep {t}]",
        "the decision is made: [{c}]",
        "we agree to [{i}]",
        "we agreed that [{c}]",
        "so [{c}], that is decided",
        "let us [{i}]",
        "everyone agrees, [{c}]",
        "we choose [{t}]",
        "we also decided to [{i}]",
        "we have also decided to [{i}]",
        "we decided to [{i}]",
        "then we agree [{c}]",
    ],
    "mine": [
        "I will [{i}] {pw}",
        "I can [{i}] {pw}",
        "I am going to [{i}] {pw}",
        "I have to [{i}] {pw}",
        "I will take care to [{i}] {pw}",
        "{pW}, I will [{i}]",
        "I will [{i}]",
        "I must [{i}]",
        "I'll [{i}] {pw}",
    ],
    "yours": [
        "{N}, can you [{i}] {pw}?",
        "{N} will [{i}] {pw}",
        "{N} must [{i}] {pw}",
        "{N} is going to [{i}] {pw}",
        "{N}, please [{i}]",
        "{N} has to [{i}]",
        "{N}, could you [{i}] {pw}?",
        "{N} should [{i}] {pw}",
        "{N} needs to [{i}] {pw}",
    ],
    "open": [
        "we still need to know [{q}]",
        "we do not know yet [{q}]",
        "the question of [{t}] is still open",
        "we will see later [{q}]",
        "one question remains: [{q}]",
        "I do not know [{q}]",
        "we will come back to [{t}]",
        "[who will {i}]?",
        "[how do we {i}]?",
        "we still have to think about [{t}]",
        "it is not clear [{q}]",
    ],
    "q": ["if {c}", "who will {i}", "how to {i}", "when to {i}", "how much {t} costs", "whether {c}"],
    "preposition": ["by", "before", "on", "for", ""],
    "when": [
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "tomorrow",
        "tomorrow morning",
        "tonight",
        "next week",
        "the end of the month",
        "next Monday",
        "March 15",
        "the end of the week",
        "next month",
        "Friday evening",
        "Thursday morning",
        "the third of June",
    ],
    "ack": [
        "Okay.",
        "Yes, no problem.",
        "Very good.",
        "That works.",
        "All right.",
        "Noted.",
        "Perfect.",
        "I am not sure.",
        "Yes.",
        "No, not really.",
        "Good idea.",
        "Sounds good.",
        "Sure.",
    ],
    "hello": [
        "Welcome to this meeting. ",
        "Hello everyone, ",
        "Good morning, ",
        "So, ",
        "",
        "Okay, ",
        "All right, ",
        "Thanks for coming, ",
        "Hello, ",
    ],
    "bye": [
        "Thank you all.",
        "Let us stop here.",
        "Have a nice day.",
        "See you next week.",
        "Perfect, thanks.",
        "The meeting is over.",
    ],
}
TEXTS = {"fr": FR, "en": EN}
SUMMARY, DECISION, WHAT, WHEN, OPEN_POINT, NAMED = range(6)


def minutes(rng: random.Random, language: Language, size: int, asr: bool) -> tuple[str, str]:
    """(transcript, compact JSON minutes); `size` is about the number of facts."""
    table = TEXTS[language.language]
    if asr or rng.random() < 0.3:
        names = ["SPEAKER_00", "SPEAKER_01", "SPEAKER_02"][: rng.choice([2, 2, 3])]
        people = rng.sample(language.first_names, 3)
    else:
        names = rng.sample(language.first_names, rng.choice([2, 3, 3, 4]))
        people = names
    node = Node("action", number=9)

    def slots(pattern: str) -> str:
        from gpt.embedded.training.french import French, of

        french = isinstance(language, French)
        while "{" in pattern:
            before = pattern
            thing = language.thing()[0]
            infinitive = plain(language.infinitive(node))
            if french and infinitive[0] in "aeiouéèêàâîôù":
                pattern = pattern.replace("de [{i}]", "d'[{i}]", 1).replace("de {i}", "d'{i}", 1)
            pattern = pattern.replace("{i}", infinitive, 1)
            pattern = pattern.replace("{c}", plain(language.main(node)), 1)
            pattern = pattern.replace("{q}", rng.choice(table["q"]), 1)
            if french:
                pattern = pattern.replace("{mof}", _marked_of(of(thing)), 1).replace("{of}", of(thing), 1)
            pattern = pattern.replace("{t}", thing, 1)
            if pattern == before:
                break
        return pattern.replace("si il", "s'il")

    turns: list[tuple[str, str]] = []
    facts: list[str] = rng.choices(["decision", "mine", "yours", "open", "chat"], [0.22, 0.2, 0.2, 0.13, 0.25], k=size)
    who: dict[int, str] = {}
    counter = 0

    def marked(kind: int, words: str) -> str:
        return f"{OPEN}{kind}{MIDDLE}{words}{CLOSE}"

    topic = slots(rng.choice(table["topic"]))
    turns.append((rng.choice(names), rng.choice(table["hello"]) + marked(SUMMARY, topic) + "."))
    if rng.random() < 0.35:
        turns += [(rng.choice(names), _process_talk(rng, language)) for _ in range(rng.randint(1, 5))]
    for fact in facts:
        speaker = rng.choice(names)
        if fact == "chat":
            text = rng.choice([*table["ack"], language.distraction(), capital(plain(language.main(node))) + "."])
            turns.append((speaker, text))
            continue
        pattern = rng.choice(table[fact])
        kind = {"decision": DECISION, "open": OPEN_POINT}.get(fact, WHAT)
        when = rng.choice(table["when"])
        preposition = rng.choice(table["preposition"])
        if (
            when in ("demain", "ce soir", "demain matin", "tomorrow", "tonight", "next week", "tomorrow morning")
            and rng.random() < 0.7
        ):
            preposition = ""
        timing = (preposition + " " if preposition else "") + marked(WHEN, when)
        name = speaker
        if "{N}" in pattern:
            name = rng.choice([other for other in people if other != speaker])
        pattern = pattern.replace("{pw}", "\x04").replace("{pW}", "\x04").replace("{N}", "\x05")
        text = slots(pattern).replace("[", f"{OPEN}{kind}{MIDDLE}").replace("]", CLOSE)
        text = text.replace("\x05", name if kind == WHAT else "")
        text = text.replace("\x04", timing)
        if kind == WHAT:
            who[counter] = name
            counter += 1
        text = capital(text) if not text.startswith("\x01") or kind != WHEN else text
        turns.append((speaker, text.strip() + ("" if text.strip()[-1] in "?.!" else ".")))
        if rng.random() < 0.3:
            turns.append((rng.choice(names), rng.choice(table["ack"])))
    if rng.random() < 0.5:
        turns.append((rng.choice(names), rng.choice(table["bye"])))
    lines = []
    for name, words in turns:
        spoken = _spoken(rng, language, words, 0.06) if asr else words
        lines.append(f"{name}: {spoken}")
    text = spaced("\n".join(lines))
    return escape(MARK.sub(lambda match: match.group(2), text)), _answer(text, who, asr)


def _process_talk(rng: random.Random, language: Language) -> str:
    """What people say when they describe a process: nothing for the minutes."""
    table = TABLES[language.language]
    node = Node("action", number=9)
    text = plain(language.main(node))
    roll = rng.random()
    if roll < 0.3:
        text = f"{'if' if language.language == 'en' else 'si'} {plain(language.condition(node))}, {text}"
    elif roll < 0.7:
        text = rng.choice(table["next"]).format(text)
    elif roll < 0.8:
        text = rng.choice(table["else"]).format(text)
    return capital(text) + "."


def meeting_talk(rng: random.Random, language: Language, people: list[str]) -> str:
    """One sentence of a meeting that is no step of a process: a decision, a promise, an open question."""
    table = TEXTS[language.language]
    node = Node("action", number=9)
    when = f"{rng.choice(table['preposition'])} {rng.choice(table['when'])}".strip()
    text = rng.choice(table[rng.choice(["decision", "mine", "yours", "open"])])
    text = (
        text.replace("{q}", rng.choice(table["q"]))
        .replace("{pw}", when)
        .replace("{pW}", when)
        .replace("{N}", rng.choice(people))
    )
    for slot in ("{i}", "{c}", "{t}", "{mof}"):
        if slot in text:
            words = (
                {"{i}": language.infinitive, "{c}": language.main}[slot](node)
                if slot in ("{i}", "{c}")
                else language.thing()[0]
            )
            text = text.replace(slot, plain(words))
    text = capital(text.replace("[", "").replace("]", "").strip())
    return text if text[-1] in "?." else text + "."


def _marked_of(words: str) -> str:
    head, _, rest = words.partition(" ")
    return f"{head} [{rest}]" if rest and "'" not in head else f"[{words}]"


def _answer(text: str, who: dict[int, str], asr: bool) -> str:
    summary, decisions, open_points = "", [], []
    actions: list[dict[str, Any]] = []
    early = ""
    for line in text.split("\n"):
        early = ""
        for match in MARK.finditer(line):
            before = line[match.start() - 1] if match.start() else " "
            words = (" " if before == " " else "") + match.group(2).strip()
            kind = int(match.group(1))
            if kind == SUMMARY:
                summary = words
            elif kind == DECISION:
                decisions.append(words)
            elif kind == OPEN_POINT:
                open_points.append(words)
            elif kind == WHAT:
                name = who[len(actions)]
                actions.append(
                    {
                        "who": " " + (name.lower() if asr and not name.startswith("SPEAKER") else name),
                        "what": words,
                        "when": early,
                    }
                )
                early = ""
            elif actions and kind == WHEN and line.find(f"{OPEN}{WHAT}") < match.start() and f"{OPEN}{WHAT}" in line:
                actions[-1]["when"] = words
            else:
                early = words
    answer = {"summary": summary, "decisions": decisions, "actions": actions, "open_points": open_points}
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
