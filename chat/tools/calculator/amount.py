"""Numbers of the calculator: fractions, exact until a root or a logarithm is taken, never of more than 1,000 digits."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import isqrt

from chat.tools.tool import ToolError
from common.messages import _

MAX_DIGITS = 1000
"""Of a numerator or a denominator."""
_MAX: int = 10**MAX_DIGITS
_BITS: int = _MAX.bit_length()
_PRECISION = 50
_SHOWN = 20
"""Significant digits of what is not exact."""
_CONTEXT = decimal.Context(
    prec=_PRECISION, Emax=10**7, Emin=-(10**7), traps=[decimal.Overflow, decimal.InvalidOperation]
)


@dataclass(frozen=True)
class Amount:
    """A value; `exact` until something was rounded to 50 digits on the way."""

    value: Fraction
    exact: bool = True

    def __post_init__(self) -> None:
        if abs(self.value.numerator) >= _MAX or self.value.denominator >= _MAX:
            raise too_large()

    @property
    def integer(self) -> int | None:
        """The value when it is a whole number."""
        return self.value.numerator if self.value.denominator == 1 else None


def too_large() -> ToolError:
    return ToolError(_("Refusé : le résultat ou une étape a plus de %(digits)s chiffres.", digits=MAX_DIGITS))


def zero_division() -> ToolError:
    return ToolError(_("Division par zéro."))


def combined(operation: Callable[[Fraction, Fraction], Fraction | int], left: Amount, right: Amount) -> Amount:
    """A sum, a difference, a product, a quotient."""
    try:
        value = Fraction(operation(left.value, right.value))
    except ZeroDivisionError as error:
        raise zero_division() from error
    return settled(value, exact=left.exact and right.exact)


def settled(value: Fraction, *, exact: bool) -> Amount:
    """A value that is not exact is kept with 50 digits: more would be digits of nothing."""
    return Amount(value) if exact else approximate(lambda: as_decimal(value))


def as_decimal(value: Fraction) -> Decimal:
    return _CONTEXT.divide(Decimal(value.numerator), Decimal(value.denominator))


def approximate(compute: Callable[[], Decimal]) -> Amount:
    """What `compute` gives with 50 digits."""
    try:
        with decimal.localcontext(_CONTEXT):
            found = +compute()
    except decimal.Overflow as error:
        raise too_large() from error
    except decimal.InvalidOperation as error:
        raise ToolError(_("Ce calcul n'a pas de résultat réel.")) from error
    if found and abs(found.adjusted()) >= MAX_DIGITS:
        raise too_large()
    return Amount(Fraction(found), exact=False)


def fits(base: Amount, exponent: int) -> bool:
    """Whether a whole power is of a size worth computing."""
    bits = max(abs(base.value.numerator).bit_length(), base.value.denominator.bit_length()) - 1
    return bits * abs(exponent) <= _BITS and abs(exponent) <= _BITS


def power(base: Amount, exponent: Amount) -> Amount:
    """`base` to the `exponent`, exact where that is a number of a reasonable size."""
    if base.value == 0:
        if exponent.value < 0:
            raise zero_division()
        return Amount(Fraction(exponent.value == 0), base.exact and exponent.exact)
    whole = exponent.integer
    if whole is not None and exponent.exact:
        if fits(base, whole):
            return settled(base.value**whole, exact=base.exact)
        if base.integer is not None and abs(base.integer) > 1:
            raise too_large()
        if abs(base.value) == 1:
            return Amount(base.value ** (whole % 2), base.exact)
    elif base.value < 0:
        raise ToolError(_("Ce calcul n'a pas de résultat réel."))
    elif base.exact and exponent.exact and exponent.value in (Fraction(1, 2), Fraction(-1, 2)):
        half = root(base, 2)
        return half if exponent.value > 0 else Amount(1 / half.value, half.exact)
    return approximate(lambda: _CONTEXT.power(as_decimal(base.value), as_decimal(exponent.value)))


def root(of: Amount, degree: int) -> Amount:
    """The real root of a degree from 2 to 100, exact where it is."""
    if not 2 <= degree <= 100:
        raise ToolError(_("Une racine va du degré 2 au degré 100."))
    negative = of.value < 0
    if negative and degree % 2 == 0:
        raise ToolError(_("Ce calcul n'a pas de résultat réel."))
    value = abs(of.value)
    top, bottom = _whole_root(value.numerator, degree), _whole_root(value.denominator, degree)
    if top is not None and bottom is not None:
        return Amount(Fraction(-top if negative else top, bottom), of.exact)
    found = approximate(lambda: _CONTEXT.power(as_decimal(value), _CONTEXT.divide(Decimal(1), Decimal(degree))))
    return Amount(-found.value, exact=False) if negative else found


def _whole_root(value: int, degree: int) -> int | None:
    """The root of a whole number when it is one."""
    if degree == 2:
        guess = isqrt(value)
        return guess if guess * guess == value else None
    guess = 1 << (value.bit_length() // degree + 1)
    while (better := ((degree - 1) * guess + value // guess ** (degree - 1)) // degree) < guess:  # Newton's
        guess = better
    return guess if guess**degree == value else None


def written(amount: Amount, *, point: str) -> str:
    """``= 0,3``, ``= 1/3 ≈ 0,33333333333333333333``, ``≈ 1,4142135623730950488``."""
    if not amount.exact:
        return f"≈ {_decimal(amount.value, point)}"
    if (whole := amount.integer) is not None:
        return f"= {whole}"
    places = _places(amount.value.denominator)
    if places is not None and places <= _PRECISION:
        sign, digits = "-" * (amount.value < 0), str(abs(amount.value * 10**places).numerator)
        digits = digits.rjust(places + 1, "0")
        return f"= {sign}{digits[:-places]}{point}{digits[-places:]}"
    near = _decimal(amount.value, point)
    fraction = f"{amount.value.numerator}/{amount.value.denominator}"
    return f"= {fraction} ≈ {near}" if len(fraction) <= 60 else f"≈ {near}"


def _places(denominator: int) -> int | None:
    """Decimals that writing it exactly takes; None when it never ends."""
    twos = fives = 0
    while denominator % 2 == 0:
        denominator, twos = denominator // 2, twos + 1
    while denominator % 5 == 0:
        denominator, fives = denominator // 5, fives + 1
    return max(twos, fives) if denominator == 1 else None


def _decimal(value: Fraction, point: str) -> str:
    """20 significant digits, trailing zeros left out; with an exponent when it is very large or very small."""
    rounded = decimal.Context(prec=_SHOWN).plus(as_decimal(value))
    if rounded and not -7 <= rounded.adjusted() < _SHOWN:
        text = f"{rounded.normalize():E}".replace("E+", "E")
        mantissa, _e, exponent = text.partition("E")
        return f"{mantissa.replace('.', point)} × 10^{exponent}"
    text = f"{rounded:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace(".", point)
