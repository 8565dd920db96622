"""Whole examples of the diagram task: a text in some outward form, and its graph as JSON."""

from __future__ import annotations

import json
import random
import re

from gpt.embedded.training.clause import CLOSE, MARK, MIDDLE, OPEN, Graph, capital
from gpt.embedded.training.connectives import TABLES
from gpt.embedded.training.process import Act, Shape, connect, random_steps
from gpt.embedded.training.writer import Language, Writer

FORMS = ("prose", "numbered", "bullets", "lines", "dialogue", "asr", "asr_dialogue")
NUMBER_WORDS = {
    "5": "five",
    "10": "ten",
    "30": "thirty",
    "500": "five hundred",
    "1000": "one thousand",
    "2": "two",
    "9": "nine",
}


def diagram(rng: random.Random, language: Language, size: int, form: str) -> tuple[str, str]:
    """(text, compact JSON graph) of about `size` nodes."""
    graph = Graph()
    language.new_text(rng.choice([0.0, 0.0, 0.2, 0.5] if form.startswith("asr") else [0.0, 0.2, 0.5, 0.8]))
    listed = form in ("numbered", "bullets", "lines")
    voice = rng.choices(["main", "inf", "imp", "nom"], [0.35, 0.4, 0.15, 0.1] if listed else [0.8, 0.08, 0.1, 0.02])[0]
    shape = Shape(numbered=form == "numbered")
    if rng.random() < 0.3 or size < 3:
        shape.decision = shape.loop = shape.parallel = 0.0
        shape.before = 0.01
    if listed:
        shape.parallel = shape.before = 0.02
    trigger = graph.add("start") if rng.random() < 0.22 else None
    steps = random_steps(rng, graph, size, shape)
    writer = Writer(rng, language, graph, voice)
    sentences: list[str] = []
    tree = list(steps)
    if trigger is not None:
        first = steps[0]
        second = first.node if isinstance(first, Act) and voice == "main" and rng.random() < 0.7 else None
        sentences.append(writer.opening(trigger, second))
        tree.insert(0, Act(trigger))
        if second is not None:
            steps = steps[1:]
    sentences += writer.render(steps)
    if rng.random() < 0.12:
        node = graph.add("end")
        tree.append(Act(node))
        if rng.random() < 0.45:
            sentences.insert(0 if rng.random() < 0.4 else len(sentences), language.goal(node))
        else:
            sentences.append(
                writer.fill(writer.pick("end") if rng.random() < 0.5 else writer.pick("last"), language.ending(node))
            )
    connect(graph, tree, *(("oui", "non") if language.language == "fr" else ("yes", "no")))
    text = _outward(rng, writer, language, sentences, form)
    return _finish(text, graph)


# -- outward forms ---------------------------------------------------------------------------------------------


def _outward(rng: random.Random, writer: Writer, language: Language, sentences: list[str], form: str) -> str:
    noise = rng.random() < 0.4
    if form in ("numbered", "bullets", "lines"):
        bullet = rng.choice(["- ", "* ", "• ", "– "])
        stop = rng.choice([".", "", ";", " ;" if language.language == "fr" else ";"])
        upper = rng.random() < 0.8
        numbering = rng.choice([". ", ". ", ") ", " - "])
        lines = []
        for index, sentence in enumerate(sentences):
            head = f"{index + 1}{numbering}" if form == "numbered" else bullet if form == "bullets" else ""
            lines.append(head + (capital(sentence) if upper else sentence) + stop)
        if rng.random() < 0.5:
            lines.insert(0, language.title() + rng.choice(["", " :", ":"]))
        if noise and rng.random() < 0.4:
            lines.insert(0, language.distraction())
        return "\n".join(lines)
    done = [writer.finish(sentence) for sentence in sentences]
    if noise:
        for _ in range(rng.randint(1, 2 if len(done) < 4 else 3)):
            place = 0 if rng.random() < 0.4 else rng.randint(0, len(done))
            if (
                place < len(done)
                and place > 0
                and re.match(r"\W*(sinon|dans le cas|otherwise|if not|else|non|no)\b", done[place], re.I)
            ):
                continue
            done.insert(place, language.distraction())
    if form == "prose":
        text = ""
        for sentence in done:
            text += (("\n" if rng.random() < 0.08 else " ") if text else "") + sentence
        if rng.random() < 0.12:
            text = language.title() + "\n" + text
        return text
    if form == "asr":
        return _spoken(rng, language, " ".join(done), 0.10)
    return _dialogue(rng, language, done, asr=form == "asr_dialogue")


def _dialogue(rng: random.Random, language: Language, sentences: list[str], asr: bool) -> str:
    table = TABLES[language.language]
    if asr or rng.random() < 0.3:
        names = ["SPEAKER_00", "SPEAKER_01", "SPEAKER_02"][: rng.choice([2, 2, 3])]
    else:
        names = rng.sample(language.first_names, rng.choice([2, 2, 3]))
    turns: list[tuple[str, str]] = []
    speaker, buffer = rng.choice(names), []
    if rng.random() < 0.5:
        turns.append((rng.choice(names), rng.choice(table["ask"]) if rng.random() < 0.5 else language.distraction()))
    for sentence in sentences:
        buffer.append(sentence)
        if rng.random() < 0.45:
            turns.append((speaker, " ".join(buffer)))
            buffer = []
            others = [name for name in names if name != speaker]
            if rng.random() < 0.55:
                turns.append((rng.choice(others), rng.choice(table["ask"])))
                if rng.random() < 0.2:
                    speaker = rng.choice(others)
            else:
                speaker = rng.choice(others)
    if buffer:
        turns.append((speaker, " ".join(buffer)))
    if rng.random() < 0.4:
        from gpt.embedded.training.minutes import meeting_talk

        people = names if not names[0].startswith("SPEAKER") else language.first_names
        turns += [(rng.choice(names), meeting_talk(rng, language, people)) for _ in range(rng.randint(1, 5))]
    if rng.random() < 0.35:
        turns.append((rng.choice(names), rng.choice(table["ask"])))
    lines = []
    for name, words in turns:
        spoken = _spoken(rng, language, words, 0.08) if asr else _fillers(rng, table["filler"], words, 0.05)
        lines.append(f"{name}: {spoken}" if language.language == "en" or rng.random() < 0.5 else f"{name} : {spoken}")
    return "\n".join(lines)


def _fillers(rng: random.Random, fillers: list[str], text: str, rate: float) -> str:
    if rng.random() < 0.5:
        return text
    sentences = re.split(r"(?<=[.?!]) ", text)
    for index, sentence in enumerate(sentences):
        if rng.random() < rate * 4:
            body = sentence if sentence.startswith(OPEN) and rng.random() < 0.0 else _uncapital(sentence)
            sentences[index] = f"{capital(rng.choice(fillers))}, {body}"
    return " ".join(sentences)


def _uncapital(text: str) -> str:
    match = re.match(r"(\x01\d+\x02)?(.)", text, re.DOTALL)
    if match is None or (
        re.match(r"(\x01\d+\x02)?(I |M\.|Mme|[A-ZÉ][a-zéèïëç]+,? [a-z]+[^ ]* )", text)
        and text.lstrip("\x01\x020123456789").split(" ")[0]
        not in ("Le", "La", "Les", "The", "Un", "Une", "On", "We", "Si", "If")
    ):
        return text
    start = match.end(1) if match.group(1) else 0
    return text[:start] + text[start].lower() + text[start + 1 :]


def _spoken(rng: random.Random, language: Language, text: str, rate: float) -> str:
    """As a speech recognizer writes: lower case, no punctuation, hesitations, some wrong words."""
    text = text.lower()
    text = re.sub(r"[.,;:?!()«»…–—\"%*•]", " ", text)
    if language.language == "en":
        text = re.sub(
            r"\d+",
            lambda match: (
                NUMBER_WORDS.get(match.group(), "twenty") if not _inside_mark(text, match.start()) else match.group()
            ),
            text,
        )
    rate *= rng.choice([0.0, 0.3, 1.0])
    wrong = rng.choice([0.0, 0.02, 0.05])
    out: list[str] = []
    fillers = TABLES[language.language]["filler"]
    for word in text.split():
        if rng.random() < rate * 0.5 or (out == [] and rng.random() < 4 * rate):
            out.append(rng.choice(fillers))
            if rng.random() < 0.2:
                out.append(rng.choice(fillers))
        if rng.random() < wrong and OPEN not in word and CLOSE not in word and language.wide.words:
            word = rng.choice(language.wide.words).lower()
        out.append(word)
    return " ".join(out)


def _inside_mark(text: str, place: int) -> bool:
    return text[max(0, place - 1)] == OPEN or (
        place > 1 and OPEN in text[max(0, place - 3) : place] and MIDDLE not in text[max(0, place - 3) : place]
    )


# -- the target ------------------------------------------------------------------------------------------------


def spaced(text: str) -> str:
    """The shape in which the model reads a text: a space before every line, so that words look alike."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return "\n".join(" " + line for line in lines if line)


def _finish(text: str, graph: Graph) -> tuple[str, str]:
    text = spaced(text)
    order: list[int] = []
    nodes = []
    for match in MARK.finditer(text):
        before = text[match.start() - 1] if match.start() else " "
        node = graph.nodes[int(match.group(1))]
        label = (" " if before in " \n" else "") + match.group(2).strip()
        order.append(node.number)
        nodes.append({"id": f"n{len(order)}", "label": label, "kind": node.kind, "actor": node.actor})
    position = {number: index for index, number in enumerate(order)}
    edges = []
    for edge in sorted(graph.edges, key=lambda item: (position[item.start], position[item.end])):
        one = {"from": f"n{position[edge.start] + 1}", "to": f"n{position[edge.end] + 1}"}
        if edge.label:
            one["label"] = edge.label
        if one not in edges:
            edges.append(one)
    clean = MARK.sub(lambda match: match.group(2), text)
    return escape(clean), json.dumps({"nodes": nodes, "edges": edges}, ensure_ascii=False, separators=(",", ":"))


def escape(text: str) -> str:
    """JSON escapes, but for line breaks: what the model reads is letter for letter what it writes."""
    return "\n".join(json.dumps(line, ensure_ascii=False)[1:-1] for line in text.split("\n"))
