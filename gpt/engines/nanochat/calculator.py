"""The calculator behind nanochat's tool marks: arithmetic, and one `.count(` call on a string. No `eval`, no signal.

The model writes a Python expression between two marks and reads what it is worth. It was trained on what
`use_calculator` of nanochat/engine.py answers, so the answers here are the same, `None` (no answer) included:
- commas are taken out first, wherever they are;
- digits, ``+ - * / // ( ) .`` and spaces are arithmetic as Python does it, on integers and floats; ``**`` is refused;
- else one ``"text".count("part")``, without the words that nanochat refuses for fear of its own `eval`.

Where `eval` would answer something that is not a number (``()``, ``...``), there is no answer. Time and memory are
bounded by the length of the expression: without powers, a number has as many digits as were written.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable

MAX_LENGTH = 1000  # characters of an expression
MAX_DEPTH = 100  # parentheses inside one another
Number = int | float

_ARITHMETIC = re.compile(r"[0-9*+\-/.() ]*")
_NUMBER = re.compile(r"[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+")
_STRING_CHARACTERS = re.compile(r"[a-zA-Z0-9'\"()._ ]*")
_REFUSED_WORDS = (
    *("__", "import", "exec", "eval", "compile", "open", "file", "input", "raw_input", "globals", "locals", "vars"),
    *("dir", "getattr", "setattr", "delattr", "hasattr"),
)
_SUMS: dict[str, Callable[[Number, Number], Number]] = {"+": operator.add, "-": operator.sub}
_PRODUCTS: dict[str, Callable[[Number, Number], Number]] = {
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
}
_LITERAL = re.compile(r"'''(.*?)'''|\"\"\"(.*?)\"\"\"|(?!''')'([^']*)'|(?!\"\"\")\"([^\"]*)\"")
_CALL = re.compile(r" *\. *count *\( *")


def calculate(expression: str) -> str | None:
    """What `expression` is worth, written as Python writes it, or None when it is worth nothing."""
    expression = expression.replace(",", "")
    if len(expression) > MAX_LENGTH:
        return None
    try:
        if _ARITHMETIC.fullmatch(expression):
            return str(_Arithmetic(expression).value())
        return str(_count(expression))
    except (SyntaxError, ArithmeticError):  # not an expression; divided by zero, or too big for a float
        return None


class _Arithmetic:
    """A parser that computes as it reads: sums of products of signed numbers."""

    def __init__(self, text: str) -> None:
        self._symbols = _symbols(text)
        self._at = 0
        self._depth = 0

    def value(self) -> Number:
        value = self._sum()
        if self._at < len(self._symbols):
            raise SyntaxError
        return value

    def _next(self) -> str:
        return self._symbols[self._at] if self._at < len(self._symbols) else ""

    def _sum(self) -> Number:
        value = self._product()
        while (symbol := self._next()) in _SUMS:
            self._at += 1
            value = _SUMS[symbol](value, self._product())
        return value

    def _product(self) -> Number:
        value = self._signed()
        while (symbol := self._next()) in _PRODUCTS:
            self._at += 1
            value = _PRODUCTS[symbol](value, self._signed())
        return value

    def _signed(self) -> Number:
        negative = signed = False
        while (symbol := self._next()) in _SUMS:
            negative ^= symbol == "-"
            signed = True
            self._at += 1
        value = self._atom()
        if negative:
            return -value
        return +value if signed else value

    def _atom(self) -> Number:
        symbol = self._next()
        self._at += 1
        if symbol == "(":
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise SyntaxError
            value = self._sum()
            if self._next() != ")":
                raise SyntaxError
            self._at += 1
            self._depth -= 1
            return value
        if "." in symbol:
            return float(symbol)
        if not symbol.isdecimal() or (symbol[0] == "0" and symbol.strip("0")):  # Python has no 007
            raise SyntaxError
        return int(symbol)


def _symbols(text: str) -> list[str]:
    symbols = []
    at = 0
    while at < len(text):
        if text[at] == " ":
            at += 1
        elif number := _NUMBER.match(text, at):
            symbols.append(number[0])
            at = number.end()
        elif text.startswith("**", at) or text[at] == ".":
            raise SyntaxError
        else:
            size = 2 if text.startswith("//", at) else 1
            symbols.append(text[at : at + size])
            at += size
    return symbols


def _count(text: str) -> int:
    """``"text".count("part")``, strings in any of Python's quotes and in as many pieces."""
    lowered = text.lower()
    if not _STRING_CHARACTERS.fullmatch(text) or any(word in lowered for word in _REFUSED_WORDS):
        raise SyntaxError
    whole, after = _string(text, 0)
    call = _CALL.match(text, after)
    if call is None or ".count(" not in text:
        raise SyntaxError
    part, end = _string(text, call.end())
    if text[end:].replace(" ", "") != ")":
        raise SyntaxError
    return whole.count(part)


def _string(text: str, at: int) -> tuple[str, int]:
    """The string literals that follow one another from `at`, joined, and where they end."""
    pieces = []
    while True:
        begin = at
        while begin < len(text) and text[begin] == " ":
            begin += 1
        literal = _LITERAL.match(text, begin)
        if literal is None:
            break
        pieces.append(next(group for group in literal.groups() if group is not None))
        at = literal.end()
    if not pieces:
        raise SyntaxError
    return "".join(pieces), at
