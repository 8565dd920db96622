"""What chat asks of the embedded model: short task names, and grammars that leave it only choices.

frigo-mini is far too small to follow instructions or to spell. A grammar (llguidance's Lark dialect) fixes the JSON
frame, numbers the nodes, lets edges join only nodes that exist, and forces every label to be contiguous words of one
sentence of the text: the model only chooses. A label comes back with the space that stands before it in the text: strip
it.
"""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass
from typing import Any

MAX_NODES = 32
EDGES_EACH = 3
MAX_CHUNKS = 400  # words and signs; llguidance overflows its stack with rules for 1,000
MAX_GROUPS = 24  # of sentences, in the grammar of a longer text
MAX_CHARACTERS = 5_000  # about 1,400 pieces; beyond, the end of the text is not read
MAX_TOKENS = 800
LABEL_SHAPE = r"[^,;.:!?].{0,158}[^\s,;.:!?(«]"  # no sign at either end
WHEN_SHAPE = r"[^,;.:!?].{0,38}[^\s,;.:!?(«]"
# words that link steps and begin none
_LINKS = """
puis ensuite enfin alors sinon et ou mais donc si s' quand lorsque dès pendant tandis dont que qu' qui then next
finally otherwise and or but so if when whenever once while whereas unless until because
"""
# words after which a step is not all said yet
_UNFINISHED = """
le la les l' un une des de du d' au aux à en dans sur par pour avec sans chez et ou mais que qu' qui ne n' s' se
son sa ses leur leurs ce cet cette si avant après puis jusqu' the a an of to at by with for from into and or but if
than before until unless when then their our any
"""
# words that stand where a name might
_NO_NAMES = """
je j' tu il elle on nous vous ils elles c' est ce ça pas oui non bonjour merci très bien aujourd' hui accord
parfait donc voilà entendu comment combien quand i we you he she it they this that today let thanks thank hello
good sure do does can fine ok okay yes no all what how who will not is are was
"""
NO_NAMES = frozenset(_NO_NAMES.split())
LINKS, UNFINISHED = frozenset(_LINKS.split()), frozenset(_UNFINISHED.split())
OPTIONS = (
    '%llguidance {"no_forcing": true}'  # else forced text is cut into other pieces than those that the model learnt
)
SENTENCE_END = re.compile(r"(?<=[^\s.]{2}[.!?;:…]) +(?=\S)|(?<= [!?;:]) +")
SPEAKER = r"[^\s:.,;?!]{1,30}(?: [^\s:.,;?!]{1,30})?"
LINE_HEAD = re.compile(rf"^ (?:[-*•–—] |\d{{1,3}}(?:[.)]| -) |{SPEAKER} ?: )")
SIGN = re.compile(r" ?(?:[^\w\\]|\\u[0-9a-f]{4}|\\.)$")
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
QUOTE = _quoted('"')
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

    The rules' parameter counts the nodes. Nodes come in reading order, and no word serves two of them (in a text too
    long for that, nodes only never go back to an earlier sentence). Edges come in the order of their first node, at
    most three from each, between nodes that exist.
    """
    parts = sentences(shaped)
    more = f"last::_ | more::_ NEXT::incr(_) %if lt(_, {MAX_NODES})"
    labels = _labels(parts, "::_", "kind ", more, "last::_", not_first=LINKS)
    rules = [OPTIONS, f"start: {GRAPH} {labels.first}::1", *labels.rules]
    heads = (_quoted(f',{{"id":"n{count + 1}","label":"') + f" %if eq(_, {count})" for count in range(1, MAX_NODES))
    rules.append("more::_: " + " | ".join(heads))
    rules.append(f"last::_: {EDGES} edges::_ {STOP}")
    rules.append('edges::_: "" | from1x0::_ %if gt(_, 1)')
    for number in range(1, MAX_NODES + 1):
        rules += _edges_from(number)
    rules.append("id::_: " + " | ".join(f'"n{number}" %if ge(_, {number})' for number in range(1, MAX_NODES + 1)))
    rules.append(f"answer: ({ANSWER_KEY} ANSWER)? {CLOSE}")
    rules.append(f"kind: {KIND_KEY} KIND {ACTOR_KEY} ACTOR {CLOSE}")
    rules.append('KIND: "start" | "action" | "decision" | "end"')
    rules.append('ACTOR: "human" | "system" | "ai" | "goal"')
    rules.append('ANSWER: "oui" | "non" | "yes" | "no"')
    return "\n".join([*rules, *labels.terminals]) + "\n"


def minutes_grammar(shaped: str) -> str:
    """Lark grammar of the compact minutes; every string is words of one sentence, or (who, when) empty.

    Each list goes forward in the transcript, as the nodes of a diagram do.
    """
    parts = sentences(shaped)
    speakers = sorted({match.group(1) for match in re.finditer(rf"(?m)^( {SPEAKER}) ?: ", shaped)})
    decided = _labels(parts, "", f"{QUOTE} ", '"" | ' + _quoted(',"') + " NEXT", '""', "decided")
    done = _labels(
        parts, "", f"{WHEN} when {CLOSE} ", '"" | ' + _quoted(',{"who":"') + f" who {WHAT} NEXT", '""', "done"
    )
    asked = _labels(parts, "", f"{QUOTE} ", '"" | ' + _quoted(',"') + " NEXT", '""', "asked")
    rules = [
        OPTIONS,
        f"start: {SUMMARY} SUMMARY {DECISIONS} ({QUOTE} {decided.first})? {ACTIONS} ({WHO} who {WHAT} {done.first})? "
        f"{OPEN_POINTS} ({QUOTE} {asked.first})? {STOP}",
        "who: " + " | ".join(['""', *(_quoted(name) for name in dict.fromkeys([*speakers, *_names(parts)]))]),
        'when: "" | WHEN',
        *decided.rules,
        *done.rules,
        *asked.rules,
        *dict.fromkeys([*decided.terminals, *done.terminals, *asked.terminals]),
        *_terminal("SUMMARY", parts, LABEL_SHAPE),
        *_terminal("WHEN", parts, WHEN_SHAPE),
    ]
    return "\n".join(rules) + "\n"


def _names(parts: list[list[str]]) -> list[str]:
    """Words that may be somebody's name: those with a capital, or any when the transcript has no capitals."""
    words = dict.fromkeys(chunk for chunks in parts for chunk in chunks if chunk.strip().isalpha() and len(chunk) > 3)
    known = [word for word in words if word.strip().lower() not in LINKS | UNFINISHED | NO_NAMES]
    return [word for word in known if word.strip()[0].isupper()] or known


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


def _edges_from(number: int) -> list[str]:
    """The rules of the edges that leave node `number`; `from{n}x{c}` has already written c of them."""
    rules = []
    head = _quoted(f'{{"from":"n{number}","to":"')
    skip = f"from{number + 1}x0::_ %if gt(_, {number})" if number < MAX_NODES else ""
    for count in range(EDGES_EACH):
        ways = [f'"," from{number}x{count + 1}::_'] if count + 1 < EDGES_EACH else [f'"," {skip}'] if skip else []
        one = f"{head} id::_ answer"
        if ways:
            rules.append(f"after{number}x{count}::_: " + " | ".join(['""', *ways]))
            one += f" after{number}x{count}::_"
        rules.append(f"from{number}x{count}::_: {one}" + (f" | {skip}" if skip else ""))
    return rules


@dataclass
class _Labels:
    """Rules that write labels one after the other, forward in the text; `first` is the rule to begin with."""

    first: str
    rules: list[str]
    terminals: list[str]


def _labels(
    parts: list[list[str]],
    parameter: str,
    after: str,
    more: str,
    end: str,
    name: str = "label",
    not_first: frozenset[str] = frozenset(),
) -> _Labels:
    """Labels in reading order.

    `after` follows each label; then comes `more`, where NEXT stands for the rule of the next label, or, when no word is
    left, `end`. `parameter` is the suffix of the rules ("::_" when they count). No label begins with a word of
    `not_first`.
    """
    if sum(len(chunks) for chunks in parts) > MAX_CHUNKS:
        return _labels_by_sentence(parts, parameter, after, more, name)
    words = [chunk for chunks in parts for chunk in chunks]
    ends = set(itertools.accumulate(len(chunks) for chunks in parts))
    bare = [word.strip().lower().replace("’", "'") for word in words]
    signs = [SIGN.match(word) is not None for word in words]
    begins = [not sign and word not in not_first for sign, word in zip(signs, bare, strict=True)]
    can_end = [not sign and word not in UNFINISHED for sign, word in zip(signs, bare, strict=True)]
    runs = [False] * (len(words) + 2)  # whether a label that holds the word before this place can be ended
    for place in range(len(words), 0, -1):
        runs[place] = can_end[place - 1] or (place not in ends and runs[place + 1])
    begins = [first and runs[place + 1] for place, first in enumerate(begins)]
    if not any(begins):  # nothing but links: better them than no answer
        begins = [not sign for sign in signs]
        can_end, runs = begins, [False, *begins, False]
    last = max((place for place, first in enumerate(begins) if first), default=-1)
    rules: list[str] = []
    terminals: dict[str, str] = {}
    for place, word in enumerate(words[: last + 1]):
        ways = [f"{_word(terminals, word)} {name}_run{place + 1}{parameter}"] if begins[place] else []
        if place < last:
            ways.append(f"{name}{place + 1}{parameter}")
        rules.append(f"{name}{place}{parameter}: " + " | ".join(ways))
    for place in range(1, len(words) + 1):
        if not runs[place]:
            continue
        ways = [after + (f"{name}_next{place}{parameter}" if place <= last else end)] if can_end[place - 1] else []
        if place not in ends and runs[place + 1]:
            ways.append(f"{_word(terminals, words[place])} {name}_run{place + 1}{parameter}")
        rules.append(f"{name}_run{place}{parameter}: " + " | ".join(ways))
        if place <= last:
            rules.append(f"{name}_next{place}{parameter}: " + more.replace("NEXT", f"{name}{place}"))
    return _Labels(f"{name}0", rules, [f"{terminal}: {_quoted(word)}" for word, terminal in terminals.items()])


def _labels_by_sentence(parts: list[list[str]], parameter: str, after: str, more: str, name: str) -> _Labels:
    """As `_labels`, but only sentences are in order: the other way needs a rule per word."""
    size = -(-len(parts) // MAX_GROUPS)
    groups = [parts[start : start + size] for start in range(0, len(parts), size)]
    rules: list[str] = []
    terminals: list[str] = []
    for place, group in enumerate(groups):
        later = f" | {name}{place + 1}{parameter}" if place + 1 < len(groups) else ""
        rules.append(f"{name}{place}{parameter}: LABEL{place} {after}{name}_next{place}{parameter}{later}")
        rules.append(f"{name}_next{place}{parameter}: " + more.replace("NEXT", f"{name}{place}"))
        terminals += _terminal(f"LABEL{place}", group, LABEL_SHAPE)
    return _Labels(f"{name}0", rules, terminals)


def _word(terminals: dict[str, str], word: str) -> str:
    return terminals.setdefault(word, f"W{word.encode().hex().upper()}")


def _terminal(name: str, parts: list[list[str]], shape: str) -> list[str]:
    """One terminal that matches contiguous chunks of any one of these sentences, and `shape`."""
    lines = [f"{name}_{index}: %regex {_json(chunks)}" for index, chunks in enumerate(parts)]
    union = " | ".join(f"{name}_{index}" for index in range(len(parts)))
    return [*lines, f"{name}: ({union}) & /{shape}/"]


def _json(chunks: list[str]) -> str:
    return json.dumps({"substring_chunks": chunks}, ensure_ascii=False)
