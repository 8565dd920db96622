"""What chat asks of the embedded model: short task names, and grammars that leave it only choices.

frigo-mini is far too small to follow instructions or to spell. A grammar (llguidance's Lark dialect) fixes the JSON frame,
numbers the nodes, lets edges join only nodes that exist, and forces every label to be contiguous words of one sentence of the
text: the model only chooses. A label comes back with the space that stands before it in the text: strip it.
"""

from __future__ import annotations

import json
import re
from typing import Any

MAX_NODES = 32
MAX_GROUPS = 24  # of sentences, in the grammar of a diagram
MAX_CHARACTERS = 5_000  # about 1,300 pieces; beyond, the end of the text is not read
LABEL_SHAPE = r"[^,;.:!?].{0,158}[^\s,;.:!?(«]"  # no sign at either end
WHEN_SHAPE = r"[^,;.:!?].{0,38}[^\s,;.:!?(«]"
MAX_TOKENS = 640
NAME_SHAPE = " [^ ]{2,30}( [^ ]{2,30})?"
SENTENCE_END = re.compile(r"(?<=[^\s.]{2}[.!?;:…]) +(?=\S)|(?<= [!?;:]) +")
LINE_HEAD = re.compile(r"^ (?:[-*•–—] |\d{1,3}(?:[.)]| -) |[^\s:.,;?!]{1,30}(?: [^\s:.,;?!]{1,30})? ?: )")
CHUNK = re.compile(r" ?[^\W\d_]+['’]?| ?\d+| ?\\(?:u[0-9a-f]{4}|.)| ?[^\s]")


def read_text(text: str) -> str:
    """The text in the shape on which the model was trained: one space before every line, JSON escapes, single spaces.

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
    """The chunks (words with the space before them, and single signs) of each sentence, without list marks and speakers."""
    found = []
    for line in shaped.split("\n"):
        body = LINE_HEAD.sub("", line, count=1)
        body = body if body.startswith(" ") else " " + body
        for sentence in SENTENCE_END.split(body):
            chunks = CHUNK.findall(" " + sentence.strip())
            if chunks:
                found.append(chunks)
    return found


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _terminal(name: str, parts: list[list[str]], shape: str) -> list[str]:
    """One terminal that matches contiguous chunks of any one of these sentences, and `shape`."""
    lines = [f"{name}_{index}: %regex {json.dumps({'substring_chunks': chunks}, ensure_ascii=False)}" for index, chunks in enumerate(parts)]
    union = " | ".join(f"{name}_{index}" for index in range(len(parts)))
    return [*lines, f"{name}: ({union}) & /{shape}/"]


def _groups(parts: list[list[str]], count: int) -> list[list[list[str]]]:
    """Neighbouring sentences together, at most `count` groups."""
    size = -(-len(parts) // count)
    return [parts[start : start + size] for start in range(0, len(parts), size)]


def diagram_grammar(shaped: str) -> str:
    """Lark grammar of the compact graph.

    Node k may be the last; its label stands in the sentence of node k - 1 or in a later one (nodes come in reading order);
    edges join nodes 1 to k only.
    """
    parts = sentences(shaped)
    groups = _groups(parts, MAX_GROUPS)
    most = min(MAX_NODES, 1 + sum(len(chunks) for chunks in parts) // 2)
    rules = ["start: " + _quoted('{"nodes":[{"id":"n1","label":"') + " pick1_0"]
    for number in range(1, most + 1):
        last = f"{_quoted('],' + chr(34) + 'edges' + chr(34) + ':[')} edges{number} {_quoted(']}')}"
        for place in range(len(groups)):
            later = f" | pick{number}_{place + 1}" if place + 1 < len(groups) else ""
            again = f"{_quoted(f',{{{NODE_ID}{number + 1}{NODE_LABEL}')} pick{number + 1}_{place} | " if number < most else ""
            rules.append(f"pick{number}_{place}: LABEL{place} kind ({again}{last}){later}")
        if number == 1:
            rules.append('edges1: ""')
            continue
        rules.append(f'edges{number}: edge{number} ("," edge{number}){{0,{2 * number}}}')
        rules.append(
            f"edge{number}: {_quoted(EDGE_FROM)} ID{number} {_quoted(EDGE_TO)} ID{number} ({_quoted(EDGE_LABEL)} ANSWER)? {_quoted(QUOTE_END)}"
        )
        rules.append(f"ID{number}: " + " | ".join(f'"n{one}"' for one in range(1, number + 1)))
    rules.append(f"kind: {_quoted(QUOTE_KIND)} KIND {_quoted(QUOTE_ACTOR)} ACTOR {_quoted(QUOTE_END)}")
    rules.append('KIND: "start" | "action" | "decision" | "end"')
    rules.append('ACTOR: "human" | "system" | "ai" | "goal"')
    rules.append('ANSWER: "oui" | "non" | "yes" | "no"')
    for place, group in enumerate(groups):
        rules += _terminal(f"LABEL{place}", group, LABEL_SHAPE)
    return "\n".join(rules) + "\n"


NODE_ID = '"id":"n'
NODE_LABEL = '","label":"'
QUOTE_KIND = '","kind":"'
QUOTE_ACTOR = '","actor":"'
QUOTE_END = '"}'
EDGE_FROM = '{"from":"'
EDGE_TO = '","to":"'
EDGE_LABEL = '","label":"'


def minutes_grammar(shaped: str, max_items: int = 12) -> str:
    """Lark grammar of the compact minutes; every string is contiguous words of one sentence, or (who, when) empty."""
    speakers = sorted(
        {match.group(1) for match in re.finditer(r"(?m)^( [^\s:.,;?!]{1,30}(?: [^\s:.,;?!]{1,30})?) ?: ", shaped)}
    )
    who = " | ".join(['""', *(_quoted(name) for name in speakers), "NAME"])
    string = f'"\\"" LABEL "\\""'
    many = max_items - 1
    parts = sentences(shaped)
    rules = [
        f"start: {_quoted('{' + chr(34) + 'summary' + chr(34) + ':' + chr(34))} LABEL {_quoted(chr(34) + ',' + chr(34) + 'decisions' + chr(34) + ':[')} strings "
        f"{_quoted('],' + chr(34) + 'actions' + chr(34) + ':[')} actions {_quoted('],' + chr(34) + 'open_points' + chr(34) + ':[')} strings {_quoted(']}')}",
        f'strings: (string ("," string){{0,{many}}})?',
        f"string: {string}",
        f'actions: (action ("," action){{0,{many}}})?',
        f"action: {_quoted('{' + chr(34) + 'who' + chr(34) + ':' + chr(34))} who {_quoted(chr(34) + ',' + chr(34) + 'what' + chr(34) + ':' + chr(34))} LABEL "
        f"{_quoted(chr(34) + ',' + chr(34) + 'when' + chr(34) + ':' + chr(34))} when {_quoted(QUOTE_END)}",
        f"who: {who}",
        'when: "" | WHEN',
        *_terminal("LABEL", parts, LABEL_SHAPE),
        *_terminal("NAME", parts, NAME_SHAPE),
        *_terminal("WHEN", parts, WHEN_SHAPE),
    ]
    return "\n".join(rules) + "\n"


def _request(task: str, shaped: str, grammar: str) -> dict[str, Any]:
    return {
        "messages": [{"role": "system", "content": task}, {"role": "user", "content": shaped}],
        "structured_outputs": {"grammar": grammar},
        "temperature": 0,
        "max_tokens": MAX_TOKENS,
    }


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
