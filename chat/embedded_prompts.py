"""What chat asks of the embedded model: short task names, and grammars that leave it only choices.

frigo-mini is far too small to follow instructions or to spell. A grammar (llguidance's Lark dialect) fixes the JSON
frame, numbers the nodes, lets edges join only nodes that exist, and forces every label to be contiguous words of one
sentence of the text: the model only chooses. A label comes back with the space that stands before it in the text: strip
it.
"""

from __future__ import annotations

import json
import re
from typing import Any

MAX_NODES = 32
MAX_GROUPS = 24  # of sentences, in the grammar of a diagram
MAX_ITEMS = 12  # decisions, actions or open points in minutes
MAX_CHARACTERS = 5_000  # about 1,400 pieces; beyond, the end of the text is not read
MAX_TOKENS = 800
LABEL_SHAPE = r"[^,;.:!?].{0,158}[^\s,;.:!?(«]"  # no sign at either end
WHEN_SHAPE = r"[^,;.:!?].{0,38}[^\s,;.:!?(«]"
NAME_SHAPE = " [^ ]{2,30}( [^ ]{2,30})?"
OPTIONS = '%llguidance {"no_forcing": true}'  # else forced text is cut into other pieces than those that the model learnt
SENTENCE_END = re.compile(r"(?<=[^\s.]{2}[.!?;:…]) +(?=\S)|(?<= [!?;:]) +")
SPEAKER = r"[^\s:.,;?!]{1,30}(?: [^\s:.,;?!]{1,30})?"
LINE_HEAD = re.compile(rf"^ (?:[-*•–—] |\d{{1,3}}(?:[.)]| -) |{SPEAKER} ?: )")
CHUNK = re.compile(r" ?[^\W\d_]+['’]?| ?\d+| ?\\(?:u[0-9a-f]{4}|.)| ?[^\s]")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


# the fixed parts of both answers, as grammar literals
GRAPH = _quoted('{"nodes":[{"id":"n1","label":"')
EDGES = _quoted('],"edges":[')
STOP = _quoted("]}")
KIND_KEY = _quoted('","kind":"')
ACTOR_KEY = _quoted('","actor":"')
CLOSE = _quoted('"}')
SUMMARY = _quoted('{"summary":"')
DECISIONS = _quoted('","decisions":[')
ACTIONS = _quoted('],"actions":[')
OPEN_POINTS = _quoted('],"open_points":[')
WHO = _quoted('{"who":"')
WHAT = _quoted('","what":"')
WHEN = _quoted('","when":"')
FROM = _quoted('{"from":"')
TO = _quoted('","to":"')
ANSWER_KEY = _quoted('","label":"')


def read_text(text: str) -> str:
    """The text in the shape on which the model was trained: a space before every line, JSON escapes, single spaces.

    Longer texts are cut after a whole line or sentence.
    """
    lines = [" ".join(line.split()) for line in text.splitlines()]
    shaped = "\n".join(" " + json.dumps(line, ensure_ascii=False)[1:-1] for line in lines if line)
    if len(shaped) <= MAX_CHARACTERS:
        return shaped
    head = shaped[:MAX_CHARACTERS]
    cut = max(head.rfind("\n"), *(head.rfind(mark) + 1 for mark in (". ", "? ", "! ")))
    return head[: cut if cut > MAX_CHARACTERS // 2 else head.rfind(" ")]


def sentences(shaped: str) -> list[list[str]]:
    """The chunks (words with the space before them, single signs) of each sentence, without list marks and speakers."""
    found = []
    for line in shaped.split("\n"):
        body = " " + LINE_HEAD.sub("", line, count=1).lstrip()
        found += [CHUNK.findall(" " + sentence.strip()) for sentence in SENTENCE_END.split(body)]
    return [chunks for chunks in found if chunks]


def diagram_grammar(shaped: str) -> str:
    """Lark grammar of the compact graph.

    Node k may be the last; its label stands in the sentence of node k - 1 or in a later one (nodes come in reading
    order); edges join nodes 1 to k only.
    """
    parts = sentences(shaped)
    groups = _groups(parts, MAX_GROUPS)
    most = min(MAX_NODES, 1 + sum(len(chunks) for chunks in parts) // 2)
    rules = ["start: " + f"{GRAPH} pick1_0"]
    for number in range(1, most + 1):
        last = f"{EDGES} edges{number} {STOP}"
        following = _quoted(f',{{"id":"n{number + 1}","label":"')
        for place in range(len(groups)):
            again = f"{following} pick{number + 1}_{place} | " if number < most else ""
            later = f" | pick{number}_{place + 1}" if place + 1 < len(groups) else ""
            rules.append(f"pick{number}_{place}: LABEL{place} kind ({again}{last}){later}")
        rules += _edges(number)
    rules.append(f"kind: {KIND_KEY} KIND {ACTOR_KEY} ACTOR {CLOSE}")
    rules.append('KIND: "start" | "action" | "decision" | "end"')
    rules.append('ACTOR: "human" | "system" | "ai" | "goal"')
    rules.append('ANSWER: "oui" | "non" | "yes" | "no"')
    for place, group in enumerate(groups):
        rules += _terminal(f"LABEL{place}", group, LABEL_SHAPE)
    return "\n".join([OPTIONS, *rules]) + "\n"


def minutes_grammar(shaped: str) -> str:
    """Lark grammar of the compact minutes; every string is words of one sentence, or (who, when) empty."""
    parts = sentences(shaped)
    speakers = sorted({match.group(1) for match in re.finditer(rf"(?m)^( {SPEAKER}) ?: ", shaped)})
    many = MAX_ITEMS - 1
    rules = [
        f"start: {SUMMARY} LABEL {DECISIONS} strings {ACTIONS} actions {OPEN_POINTS} strings {STOP}",
        f'strings: (string ("," string){{0,{many}}})?',
        r'string: "\"" LABEL "\""',
        f'actions: (action ("," action){{0,{many}}})?',
        f"action: {WHO} who {WHAT} LABEL {WHEN} when {CLOSE}",
        "who: " + " | ".join(['""', *(_quoted(name) for name in speakers), "NAME"]),
        'when: "" | WHEN',
        *_terminal("LABEL", parts, LABEL_SHAPE),
        *_terminal("NAME", parts, NAME_SHAPE),
        *_terminal("WHEN", parts, WHEN_SHAPE),
    ]
    return "\n".join([OPTIONS, *rules]) + "\n"


def diagram_request(text: str) -> dict[str, Any]:
    """The fields of a chat completion that draws `text`; the answer is the compact graph of DESIGN §4.

    `text` must hold at least one word.
    """
    shaped = read_text(text)
    return _request("frigo:diagram", shaped, diagram_grammar(shaped))


def minutes_request(transcript: str) -> dict[str, Any]:
    """The fields of a chat completion that sums up a transcript given as lines « Nom: phrase »."""
    shaped = read_text(transcript)
    return _request("frigo:minutes", shaped, minutes_grammar(shaped))


def _request(task: str, shaped: str, grammar: str) -> dict[str, Any]:
    return {
        "messages": [{"role": "system", "content": task}, {"role": "user", "content": shaped}],
        "structured_outputs": {"grammar": grammar},
        "temperature": 0,
        "max_tokens": MAX_TOKENS,
    }


def _edges(number: int) -> list[str]:
    """The rules of the edges of a graph of `number` nodes."""
    if number == 1:
        return ['edges1: ""']
    ends = f"{FROM} ID{number} {TO} ID{number}"
    return [
        f'edges{number}: edge{number} ("," edge{number}){{0,{2 * number}}}',
        f"edge{number}: {ends} ({ANSWER_KEY} ANSWER)? {CLOSE}",
        f"ID{number}: " + " | ".join(f'"n{one}"' for one in range(1, number + 1)),
    ]


def _terminal(name: str, parts: list[list[str]], shape: str) -> list[str]:
    """One terminal that matches contiguous chunks of any one of these sentences, and `shape`."""
    lines = [f"{name}_{index}: %regex {_json(chunks)}" for index, chunks in enumerate(parts)]
    union = " | ".join(f"{name}_{index}" for index in range(len(parts)))
    return [*lines, f"{name}: ({union}) & /{shape}/"]


def _json(chunks: list[str]) -> str:
    return json.dumps({"substring_chunks": chunks}, ensure_ascii=False)


def _groups(parts: list[list[str]], count: int) -> list[list[list[str]]]:
    """Neighbouring sentences together, at most `count` groups."""
    size = max(1, -(-len(parts) // count))
    return [parts[start : start + size] for start in range(0, len(parts), size)]
