"""The readable text of a page: its title, its headings, paragraphs, lists and tables, without what surrounds them.

HTML is read event by event, without a tree: nothing in it makes that slower than its length.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field

from lxml import etree  # type: ignore[import-untyped]

from chat.tools.page.fetch import Fetched

LEAST_OF_MAIN = 200
"""Characters from which a <main> or an <article> is taken for the page."""
_FED_CHARS = 16 * 1024
_SKIPPED = {
    *("script", "style", "noscript", "template", "svg", "math", "iframe", "object", "canvas", "video", "audio", "map"),
    *("form", "button", "select", "textarea", "nav", "footer", "aside", "dialog", "head"),
}
_ROWS = {"li", "tr", "dt", "dd"}
_PARAGRAPHS = {
    *("p", "div", "section", "article", "main", "header", "ul", "ol", "dl", "table", "thead", "tbody", "blockquote"),
    *("pre", "figure", "figcaption", "details", "summary", "address", "hr", "h1", "h2", "h3", "h4", "h5", "h6"),
}
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]{1,40})", re.I)
_CHARSETS = re.compile(r"(utf|iso|windows|cp|latin|us-?ascii|ascii|koi8|shift|sjis|euc|gb|big5|mac)[a-z0-9_.-]*")
_SPACES = re.compile(r"[^\S\n]+")
_LINES = re.compile(r"\n{3,}")


def readable_text(page: Fetched) -> str:
    """What a person would read of `page`."""
    text = _decoded(page)
    if page.kind in {"text/html", "application/xhtml+xml"} or (not page.kind and "<html" in text[:2000].lower()):
        return _of_html(text)
    if page.kind.endswith("json"):
        try:
            return json.dumps(json.loads(text), ensure_ascii=False)  # no indent: deep in brackets, it fills the memory
        except (ValueError, RecursionError):
            return text
    if page.kind.endswith("xml"):
        return _of_html(text)
    return text.replace("\x00", "").strip()


def _decoded(page: Fetched) -> str:
    """In the charset that the page says, UTF-8 if it can be, else Windows' for the west."""
    marked = _META_CHARSET.search(page.data[:4096])
    for name in (page.charset, marked[1].decode() if marked else None, "utf-8"):
        try:
            if name and _CHARSETS.fullmatch(name.lower()):
                return page.data.decode(name, "strict" if page.whole and name == "utf-8" else "replace")
        except (LookupError, UnicodeError):
            continue
    return page.data.decode("cp1252", "replace")


@dataclass
class _Piece:
    """Text inside a <main> or an <article>, or of all the page."""

    parts: list[str] = field(default_factory=list)

    def text(self) -> str:
        lines = (line.strip() for line in _SPACES.sub(" ", "".join(self.parts)).split("\n"))
        return _LINES.sub("\n\n", "\n".join(lines)).strip()


class _Reader:
    """lxml's target: called for each tag and each text."""

    def __init__(self) -> None:
        self.title: list[str] = []
        self.page, self.main = _Piece(), _Piece()
        self._skipped = 0
        self._in_main = 0
        self._in_title = False
        self._open: list[tuple[str, bool, bool]] = []  # tag, skips, is the main one

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.lower() if isinstance(tag, str) else ""
        hidden = "hidden" in attributes or attributes.get("aria-hidden") == "true"
        skips = name in _SKIPPED or hidden
        main = name in {"main", "article"} or attributes.get("role") == "main"
        if name not in _VOID:
            self._open.append((name, skips, main))
            self._skipped += skips
            self._in_main += main
        if name == "title" and not self.title:
            self._in_title = True
        if name in _PARAGRAPHS or name in _ROWS:
            self._write("\n" if name in _ROWS else "\n\n")
        if name == "br":
            self._write("\n")
        elif name in {"td", "th"}:
            self._write(" | ")
        elif name == "li":
            self._write("- ")
        elif len(name) == 2 and name[0] == "h" and name[1].isdigit():
            self._write("#" * int(name[1]) + " ")

    def end(self, tag: str) -> None:
        name = tag.lower() if isinstance(tag, str) else ""
        if name in _VOID:
            return
        while self._open:
            opened, skips, main = self._open.pop()
            self._skipped -= skips
            if opened == name or not self._open:
                if name in _PARAGRAPHS:
                    self._write("\n\n")
                self._in_main -= main
                break
            self._in_main -= main
        if name == "title":
            self._in_title = False

    def data(self, text: str) -> None:
        if self._in_title:
            self.title.append(text)
        else:
            self._write(re.sub(r"\s+", " ", text) if "\n" in text else text)

    def comment(self, _text: str) -> None:
        """Nothing to read."""

    def pi(self, _target: str, _data: str | None = None) -> None:
        """Nothing to read."""

    def close(self) -> None:
        """Everything is in `title`, `page` and `main`."""

    def _write(self, text: str) -> None:
        if self._skipped:
            return
        self.page.parts.append(text)
        if self._in_main:
            self.main.parts.append(text)


def _of_html(text: str) -> str:
    reader = _Reader()
    parser = etree.HTMLParser(target=reader, no_network=True)
    try:
        whole = text.replace("\x00", "")
        for start in range(0, len(whole), _FED_CHARS):
            parser.feed(whole[start : start + _FED_CHARS])
            time.sleep(0)  # other requests of this process go on meanwhile
        parser.close()
    except etree.XMLSyntaxError:
        if not reader.page.parts:
            return ""
    main = reader.main.text()
    body = main if len(main) >= LEAST_OF_MAIN else reader.page.text()
    title = " ".join("".join(reader.title).split())
    return f"{title}\n\n{body}" if title and not body.startswith(f"# {title}") else body
