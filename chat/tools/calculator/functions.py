"""The functions of the calculator, by their French and their usual names."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import reduce

from chat.tools.calculator.amount import Amount, approximate, as_decimal, combined, fits, root, settled, zero_division
from chat.tools.tool import ToolError
from common.messages import _

MAX_FACTORIAL = 400
"""Its factorial has 869 digits."""
PI = Fraction("3.14159265358979323846264338327950288419716939937510582097494459")
E = Fraction("2.71828182845904523536028747135266249775724709369995957496696763")
CONSTANTS = {"pi": PI, "π": PI, "e": E}


@dataclass(frozen=True)
class Function:
    """`most`: arguments; None: any number."""

    compute: Callable[[Sequence[Amount]], Amount]
    least: int = 1
    most: int | None = 1


def factorial(of: Amount) -> Amount:
    """Raises `ToolError` on what is no whole number from 0 to 400."""
    whole = of.integer
    if whole is None or not 0 <= whole <= MAX_FACTORIAL:
        raise ToolError(_("Une factorielle va de 0! à %(most)s!.", most=MAX_FACTORIAL))
    return Amount(Fraction(math.factorial(whole)), of.exact)


def modulo(left: Amount, right: Amount) -> Amount:
    return combined(lambda a, b: a % b, left, right)


def _exact(values: Sequence[Amount]) -> bool:
    return all(one.exact for one in values)


def _whole(amount: Amount) -> int:
    if (whole := amount.integer) is None:
        raise ToolError(_("Un nombre entier est attendu."))
    return whole


def _rounded(values: Sequence[Amount]) -> Amount:
    """As one rounds by hand: a half goes away from zero."""
    places = _whole(values[1]) if len(values) > 1 else 0
    if abs(places) > 100:
        raise ToolError(_("On arrondit à 100 décimales au plus."))
    scaled = values[0].value * Fraction(10) ** places
    whole = math.floor(abs(scaled) + Fraction(1, 2))
    return Amount(Fraction(-whole if scaled < 0 else whole) / Fraction(10) ** places)


def _sum(values: Sequence[Amount]) -> Amount:
    return reduce(lambda total, one: combined(operator.add, total, one), values)  # each step bounded


def _mean(values: Sequence[Amount]) -> Amount:
    return settled(_sum(values).value / len(values), exact=_exact(values))


def _median(values: Sequence[Amount]) -> Amount:
    ordered = sorted(values, key=lambda one: one.value)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else _mean(ordered[middle - 1 : middle + 1])


def _root(values: Sequence[Amount]) -> Amount:
    return root(values[0], _whole(values[1]) if len(values) > 1 else 2)


def _logarithm(values: Sequence[Amount]) -> Amount:
    """To the base 10, or the one given; exact for whole powers."""
    of, base = values[0], values[1] if len(values) > 1 else Amount(Fraction(10))
    if of.value <= 0 or base.value <= 0 or base.value == 1:
        raise ToolError(_("Ce calcul n'a pas de résultat réel."))
    found = approximate(lambda: as_decimal(of.value).ln() / as_decimal(base.value).ln())
    near = round(found.value)
    exact = of.exact and base.exact and fits(base, near) and base.value**near == of.value
    return Amount(Fraction(near)) if exact else found


def _natural(values: Sequence[Amount]) -> Amount:
    if values[0].value <= 0:
        raise ToolError(_("Ce calcul n'a pas de résultat réel."))
    return approximate(lambda: as_decimal(values[0].value).ln())


def _exponential(values: Sequence[Amount]) -> Amount:
    if abs(values[0].value) > 10_000:
        raise ToolError(_("exp() va de -10000 à 10000."))
    return approximate(lambda: as_decimal(values[0].value).exp())


def _by_float(compute: Callable[[float], float]) -> Function:
    """15 digits, of a number of a size at which they mean something."""

    def run(values: Sequence[Amount]) -> Amount:
        if abs(values[0].value) > 10**6:
            raise ToolError(_("Les fonctions trigonométriques prennent des radians, jusqu'à un million."))
        try:
            return approximate(lambda: Decimal(f"{compute(float(values[0].value)):.15g}"))
        except ValueError as error:
            raise ToolError(_("Ce calcul n'a pas de résultat réel.")) from error

    return Function(run)


def _angle(scale: Fraction) -> Function:
    return Function(lambda values: settled(values[0].value * scale, exact=False))


def _integers(operation: Callable[[int, int], int]) -> Function:
    def run(values: Sequence[Amount]) -> Amount:
        return Amount(Fraction(reduce(operation, map(_whole, values))))

    return Function(run, 2, None)


def _quotient(values: Sequence[Amount]) -> Amount:
    if values[1].value == 0:
        raise zero_division()
    return Amount(Fraction(values[0].value // values[1].value))


def _choose(values: Sequence[Amount]) -> Amount:
    of, taken = map(_whole, values)
    if not 0 <= of <= 10_000 or not 0 <= taken <= 10_000:
        raise ToolError(_("Les combinaisons vont de 0 à 10000."))
    return Amount(Fraction(math.comb(of, taken)))


_FUNCTIONS: dict[tuple[str, ...], Function] = {
    ("racine", "sqrt", "√"): Function(_root, 1, 2),
    ("min", "minimum"): Function(lambda values: min(values, key=lambda one: one.value), 1, None),
    ("max", "maximum"): Function(lambda values: max(values, key=lambda one: one.value), 1, None),
    ("arrondi", "arrondir", "round"): Function(_rounded, 1, 2),
    ("abs",): Function(lambda values: Amount(abs(values[0].value), values[0].exact)),
    ("plancher", "floor", "ent"): Function(lambda values: Amount(Fraction(math.floor(values[0].value)))),
    ("plafond", "ceil"): Function(lambda values: Amount(Fraction(math.ceil(values[0].value)))),
    ("somme", "sum"): Function(_sum, 1, None),
    ("moyenne", "mean", "average"): Function(_mean, 1, None),
    ("mediane", "médiane", "median"): Function(_median, 1, None),
    ("pgcd", "gcd"): _integers(math.gcd),
    ("ppcm", "lcm"): _integers(math.lcm),
    ("quotient", "div"): Function(_quotient, 2, 2),
    ("mod", "modulo", "reste"): Function(lambda values: modulo(*values), 2, 2),
    ("factorielle", "factorial"): Function(lambda values: factorial(values[0])),
    ("combinaison", "comb"): Function(_choose, 2, 2),
    ("ln",): Function(_natural),
    ("log",): Function(_logarithm, 1, 2),
    ("exp",): Function(_exponential),
    ("sin",): _by_float(math.sin),
    ("cos",): _by_float(math.cos),
    ("tan",): _by_float(math.tan),
    ("asin",): _by_float(math.asin),
    ("acos",): _by_float(math.acos),
    ("atan",): _by_float(math.atan),
    ("radians",): _angle(PI / 180),
    ("degres", "degrés", "degrees"): _angle(180 / PI),
}
FUNCTIONS = {name: function for names, function in _FUNCTIONS.items() for name in names}
NAMES = [names[0] for names in _FUNCTIONS]
