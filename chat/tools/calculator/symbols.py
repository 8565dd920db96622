"""An expression cut into symbols: numbers as French and as programmers write them, names, operators.

A comma is a decimal comma, and inside a function's parentheses perhaps what parts two arguments: where both could be
meant, the expression is refused rather than guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction

from chat.tools.tool import ToolError
from common.messages import _

MAX_EXPONENT = 1000
_SPACES = " \t\n\u00a0\u202f\u2009"
_NUMBER = re.compile(
    rf"(?P<whole>\d{{1,3}}(?:[{_SPACES}']\d{{3}})+(?!\d)|\d+|(?=[.]\d))(?P<decimals>[.,]\d+|[.](?!\d))?(?P<rest>[.,]\d+)*"
    r"(?P<exponent>[eE][+-]?\d+)?"
)
_NAME = re.compile(r"[^\W\d_]+")
_SIGNS = {"−": "-", "–": "-", "×": "*", "·": "*", "⋅": "*", "÷": "/", ":": "/", "^": "**"}
_TWO = ("**", "//")
_ONE = "+-*/%!();,²³√"


@dataclass(frozen=True)
class Symbol:
    """`value` for a number; `text` is what was written."""

    text: str
    value: Fraction | None = None


def symbols(text: str, several: Collection[str]) -> list[Symbol]:
    """`several`: the functions of several arguments. Raises `ToolError` on what is no number, name or operator."""
    found: list[Symbol] = []
    calls: list[bool] = []  # of each open parenthesis: is it that of a function of several arguments?
    at = 0
    while at < len(text):
        if text[at] in _SPACES:
            at += 1
        elif (number := _NUMBER.match(text, at)) and number[0]:
            at = _read_number(text, number, found, inside_call=any(calls[-1:]))
        elif name := _NAME.match(text, at):
            found.append(Symbol(name[0].lower()))
            at = name.end()
        else:
            size = 2 if text[at : at + 2] in _TWO else 1
            sign = text[at : at + size]
            sign = _SIGNS.get(sign, sign)
            if sign not in _TWO and sign not in _ONE:
                raise ToolError(_("Caractère inattendu : « %(sign)s ».", sign=sign))
            if sign == "(":
                calls.append(bool(found) and found[-1].value is None and found[-1].text in several)
            elif sign == ")" and calls:
                calls.pop()
            found.append(Symbol(sign))
            at += size
    return found


def _read_number(text: str, number: re.Match[str], found: list[Symbol], *, inside_call: bool) -> int:
    """Add a number, and the argument after it where its comma parts two; where the next symbol begins."""
    decimals, rest = number["decimals"] or "", number["rest"] or ""
    if inside_call and (decimals.startswith(",") or rest):
        # `max(1.5,2)` has a point already, so that its comma parts two arguments; `max(1,5)` could be either.
        if not decimals.startswith(".") or rest.startswith("."):
            if _uses_semicolons(text, number.start()) and not rest:
                found.append(_number(number["whole"], decimals, number["exponent"]))
                return number.end()
            message = _("Virgule ambiguë dans « %(text)s » : séparez les arguments par « ; ».", text=number[0])
            raise ToolError(message)
        found.append(_number(number["whole"], decimals, None))
        return number.start("decimals") + len(decimals)
    if rest:
        message = _("Nombre ambigu : « %(text)s ». Écrivez 1234,56 ou 1 234,56.", text=number[0])
        raise ToolError(message)
    found.append(_number(number["whole"], decimals, number["exponent"]))
    return number.end()


def _uses_semicolons(text: str, at: int) -> bool:
    """Whether the parentheses around `at` hold a semicolon of their own."""
    for step, opening, closing in ((1, "(", ")"), (-1, ")", "(")):
        depth, place = 0, at
        while 0 <= place < len(text):
            sign = text[place]
            if sign == closing:
                if depth == 0:
                    break
                depth -= 1
            elif sign == opening:
                depth += 1
            elif sign == ";" and depth == 0:
                return True
            place += step
    return False


def _number(whole: str, decimals: str, exponent: str | None) -> Symbol:
    digits = re.sub(r"\D", "", whole) or "0"
    decimals = re.sub(r"\D", "", decimals)
    value = Fraction(int(digits + decimals), 10 ** len(decimals))
    if exponent:
        power = int(exponent[1:])
        if abs(power) > MAX_EXPONENT:
            raise ToolError(_("Exposant trop grand : « %(text)s ».", text=exponent))
        value *= Fraction(10) ** power
    return Symbol(whole + decimals, value)
