"""Labels written so that Mermaid shows them as they were given: what it would read otherwise becomes an entity.

Entities are Mermaid's (`#34;`). It puts them aside before it parses and back when it draws, so that a quote, a colon
or a keyword written that way is never syntax, in any kind of diagram.
"""

import re

from chat.diagrams.labels import clean_label

# Written as entities everywhere: quotes, entities, HTML, Markdown.
_ALWAYS = re.compile(r"[\"#&<>`*_~\\]")
_LIST = re.compile(r"^(\d+)([.)])(?=\s|$)|^([-+])(?=\s|$)", re.M)  # Markdown: "1. ", "- "
_RULE = re.compile(r"^[-=+ ]+$", re.M)  # Markdown: rules and underlined titles
_PAIRS = re.compile(r"%(?=[%{])|\[(?=[^\]]*\]\s*[(\[:])|!(?=\[)|@(?=\w)")  # directives, links
_COLON = re.compile(r":(?=//)")  # bare addresses
_WWW = re.compile(r"(?<=\bwww)\.", re.I)
_DIRECTION = re.compile(r"direction(?=\s+(?:TB|BT|RL|LR|TD))", re.I)  # a statement wherever it stands in its line
# Read by Mermaid after it has put entities back (its own marks for them, formulas, icons): parted, invisibly.
_MARKS = re.compile(r"(?<=ﬂ)(?=°)|(?<=¶)(?=ß)|(?<=\$)(?=\$)|(?<=fa)(?=:fa-)|(?<=fa[bklrs])(?=:fa-)")
_STYLE_WORDS = re.compile(r"style|classDef")  # Mermaid rewrites "style…:…#…;" wherever it stands in a line
# Outside quotes: any sign that some kind of diagram reads.
_UNQUOTED = re.compile(r"[^\w\s',.!?/()-]|[_:;]", re.A)


def quote(label: str, *, signs: str = "") -> str:
    """`label` as a quoted Mermaid string that shows exactly its (cleaned) text; lines are kept as line breaks.

    `signs` are more signs to write as entities.
    """
    text = _MARKS.sub("\u200c", clean_label(label))
    special = _special(text) | {i for i, char in enumerate(text) if char in signs}
    if _STYLE_WORDS.search(text):
        special.update(i for i, char in enumerate(text) if char == ":")
    return '"' + (_written(text, special).replace("\n", "<br/>") or " ") + '"'


def plain(label: str, *, keywords: re.Pattern[str] | None = None, signs: str = "", lines: str = "<br/>") -> str:
    """`label` where Mermaid has no quotes, showing exactly its (cleaned) text.

    `keywords` matches a beginning that would be read as a statement, `signs` are more signs to write as entities, and
    `lines` is what a line break becomes. Around it, a colon that is syntax is followed by a space (see `_STYLE_WORDS`).
    """
    text = _MARKS.sub("\u200c", clean_label(label))
    special = _special(text)
    special.update(i for i, char in enumerate(text) if char in signs or (char.isascii() and _UNQUOTED.match(char)))
    if keywords is not None and keywords.match(text):
        special.add(0)
    return _written(text, special).replace("\n", lines) or " "


def _special(text: str) -> set[int]:
    """Where `text` has a character that Mermaid would not show as it is, even in quotes."""
    special: set[int] = set()
    for pattern in (_ALWAYS, _PAIRS, _COLON, _WWW, _DIRECTION):
        special.update(found.start() for found in pattern.finditer(text))
    special.update(found.end() - 1 for found in _LIST.finditer(text))
    special.update(found.start() for found in _RULE.finditer(text))
    return special


def _written(text: str, special: set[int]) -> str:
    return "".join(f"#{ord(char)};" if i in special else char for i, char in enumerate(text))
