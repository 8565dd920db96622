"""Labels made to break a Mermaid diagram, and random ones of the same pieces."""

import random

LABELS = [
    "Vérifier l'identité (pièce nº 3) ; puis #signer",
    'Il dit "non"',
    "«Où ça ?» — là-bas…",
    "end",
    "End",
    "1. Recevoir la demande",
    "2) Classer",
    "- puce",
    "-« retrait »",
    "timeline 2",
    "* puce",
    "# titre",
    "---",
    "===",
    "`code` **gras** _italique_ ~~barré~~",
    "`",
    "a\nb\r\n\r\nc",
    "<b>HTML</b> &amp; <script>alert(1)</script>",
    "<br/>",
    "a < b && c > d",
    "&#35; #35; #quot;",
    "fl°°35¶ß ﬂ°°35¶ß ﬂ°lt¶ß",
    "%%{init: {'theme': 'dark'}}%%",
    "%% commentaire",
    "style n1 fill:#fff;",
    "classDef default fill:#f00;",
    "click n1 call alert()",
    "subgraph",
    "graph TD",
    "n1",
    "]]>)}|--> n2",
    "@{shape: circle}",
    "fa:fa-car fab:fa-github",
    "$$x^2$$ et 5 $",
    "[lien](http://example.com) ![image](x) www.example.com a@b.fr",
    "\\n \\ \\\\",
    "🚀 👩‍💻 日本語 العربية é",
    "a | b || c",
    "x" * 300,
    "mot " * 75,
    "javascript:alert(1)",
    "__proto__",
    "::: :::human",
    "~~~",
    "50 % de 10 %",
    "direction TB et Direction  lr",
    "title: section x",
    "section : fin",
    "2026-01-01",
    "wrap: as note over",
    "accTitle: x",
    "click done",
    "<<interface>> +nom(a) $",
    "un, deux : trois",
    "PK",
    "\x00\x07\x1b[31m\u202erouge",
]

_PIECES = [
    *"\"'`#;:&<>()[]{}|\\/%$@!?*_~-+=.,^° \n\t",
    *"éàçœÉßﬂ¶日🚀\u200d\u0301\u2028\xa0",
    "--",
    "-->",
    "%%",
    "%%{",
    "}%%",
    "#35;",
    "&lt;",
    "<br>",
    "</div>",
    "end",
    "style",
    "classDef",
    "subgraph",
    "click",
    "1. ",
    "fa:fa-x",
    "$$",
    "http://",
    "www.",
    "mot",
    "Valider",
    "12",
]


def random_label(rng: random.Random) -> str:
    """Up to 40 pieces, hostile or any character at all (a lone surrogate is no character)."""
    pieces = [
        rng.choice(_PIECES)
        if rng.random() < 0.85
        else chr(rng.choice((rng.randrange(0xD800), rng.randrange(0xE000, 0x110000))))
        for _ in range(rng.randint(1, 40))
    ]
    return "".join(pieces)[:300]
