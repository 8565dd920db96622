"""A parser that computes as it reads. No `eval`: what is not arithmetic cannot be said.

Time is bounded by the length of the expression and by the digits that a number may have (chat.tools.calculator.amount).
nanochat's calculator is another one on purpose: its model was trained on the answers of Python's floats.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from fractions import Fraction
from typing import NoReturn

from chat.tools.calculator.amount import Amount, combined, power
from chat.tools.calculator.functions import CONSTANTS, FUNCTIONS, NAMES, factorial, modulo
from chat.tools.calculator.symbols import Symbol, symbols
from chat.tools.tool import ToolError
from common.messages import _

MAX_LENGTH = 1000
MAX_DEPTH = 50
_END = Symbol("")
_SUMS = {"+": operator.add, "-": operator.sub}
_PRODUCTS = {"*": operator.mul, "/": operator.truediv, "//": operator.floordiv}
_OF = {"de", "of"}
_SEVERAL = {name for name, function in FUNCTIONS.items() if function.most != 1}
_EXPONENTS = {"²": 2, "³": 3}


def calculate(expression: str) -> Amount:
    """What `expression` is worth. Raises `ToolError` with what is wrong with it."""
    expression = expression.strip().rstrip("= ")
    if len(expression) > MAX_LENGTH:
        raise ToolError(_("Expression trop longue : %(most)s caractères au plus.", most=MAX_LENGTH))
    return _Parser(symbols(expression, _SEVERAL)).value()


@dataclass(frozen=True)
class _Term:
    """`percent`: a percentage alone, which cannot be added to a number without saying of what it is."""

    amount: Amount
    percent: bool = False


class _Parser:
    def __init__(self, found: list[Symbol]) -> None:
        self._symbols = found
        self._at = 0
        self._depth = 0

    def value(self) -> Amount:
        if not self._symbols:
            raise ToolError(_("Il n'y a rien à calculer."))
        value = self._sum()
        if self._next is not _END:
            self._unexpected()
        return value

    @property
    def _next(self) -> Symbol:
        return self._symbols[self._at] if self._at < len(self._symbols) else _END

    def _take(self, text: str) -> bool:
        """Whether the next symbol is that sign, which is then read."""
        if self._next.value is None and self._next.text == text:
            self._at += 1
            return True
        return False

    def _unexpected(self) -> NoReturn:
        if self._next is _END:
            raise ToolError(_("L'expression n'est pas finie."))
        raise ToolError(
            _("« %(sign)s » n'est pas attendu là ; il manque peut-être un opérateur.", sign=self._next.text)
        )

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ToolError(_("Refusé : plus de %(most)s niveaux de parenthèses ou d'exposants.", most=MAX_DEPTH))

    def _sum(self) -> Amount:
        left = self._product()
        while self._next.value is None and (symbol := self._next.text) in _SUMS:
            self._at += 1
            right = self._product()
            if right.percent and not left.percent and left.amount.value != 1:
                raise ToolError(_("Pourcentage de quoi ? Écrivez par exemple 200 * (1 + 10 %)."))
            left = _Term(combined(_SUMS[symbol], left.amount, right.amount), left.percent and right.percent)
        return left.amount

    def _product(self) -> _Term:
        left = self._signed()
        while self._next.value is None and ((symbol := self._next.text) in _PRODUCTS or symbol in _OF | {"%", "x"}):
            self._at += 1
            if symbol == "%":
                left = _Term(modulo(left.amount, self._signed().amount))
                continue
            right = self._signed().amount
            left = _Term(combined(_PRODUCTS.get(symbol, operator.mul), left.amount, right))
        return left

    def _signed(self) -> _Term:
        negative = False
        while self._next.value is None and self._next.text in _SUMS:
            negative ^= self._next.text == "-"
            self._at += 1
        term = self._powered()
        return _Term(Amount(-term.amount.value, term.amount.exact), term.percent) if negative else term

    def _powered(self) -> _Term:
        amount = self._suffixed()
        if self._take("**"):
            self._deeper()
            amount = power(amount, self._signed().amount)
            self._depth -= 1
        if self._is_percentage():
            self._at += 1
            return _Term(combined(operator.truediv, amount, Amount(Fraction(100))), percent=True)
        return _Term(amount)

    def _is_percentage(self) -> bool:
        """Whether a `%` comes that is no modulo: nothing that begins a number follows it."""
        if self._next.value is not None or self._next.text != "%":
            return False
        after = self._symbols[self._at + 1] if self._at + 1 < len(self._symbols) else _END
        if after.value is not None or after.text in {"(", "√"}:
            return False
        return not (after.text[:1].isalpha() and after.text not in _OF | {"x"})

    def _suffixed(self) -> Amount:
        amount = self._atom()
        while self._next.value is None:
            if self._take("!"):
                amount = factorial(amount)
            elif self._next.text in _EXPONENTS:
                amount = power(amount, Amount(Fraction(_EXPONENTS[self._next.text])))
                self._at += 1
            else:
                break
        return amount

    def _atom(self) -> Amount:
        symbol = self._next
        self._at += 1
        if symbol.value is not None:
            return Amount(symbol.value)
        if symbol.text == "(":
            self._deeper()
            value = self._sum()
            self._close()
            return value
        if symbol.text == "√":
            self._deeper()
            value = FUNCTIONS["√"].compute([self._suffixed()])
            self._depth -= 1
            return value
        if symbol.text in FUNCTIONS:
            return self._call(symbol.text)
        if symbol.text in CONSTANTS:
            return Amount(CONSTANTS[symbol.text], exact=False)
        if symbol.text[:1].isalpha():
            known = [*NAMES, "pi", "e"]
            raise ToolError(_("Nom inconnu : « %(name)s ». Connus : %(known)s.", name=symbol.text, known=known))
        self._at -= 1
        self._unexpected()

    def _close(self) -> None:
        if not self._take(")"):
            if self._next is _END:
                raise ToolError(_("Il manque une parenthèse fermante."))
            self._unexpected()
        self._depth -= 1

    def _call(self, name: str) -> Amount:
        if not self._take("("):
            raise ToolError(_("« %(name)s » demande des parenthèses : %(name)s(…).", name=name))
        self._deeper()
        given = [self._sum()]
        while self._take(";") or self._take(","):
            given.append(self._sum())
        self._close()
        function = FUNCTIONS[name]
        if len(given) < function.least or (function.most is not None and len(given) > function.most):
            raise ToolError(_("« %(name)s » n'a pas le bon nombre d'arguments.", name=name))
        return function.compute(given)
