"""The calculator: exact, in French or in programmers' writing, and bounded."""

from __future__ import annotations

import json
import random
from fractions import Fraction

import pytest

from chat.tools.calculator.parser import calculate
from chat.tools.calculator.tool import CALCULATOR
from chat.tools.tool import Call, ToolError
from common.web import context


def said(expression: str) -> str:
    return CALCULATOR(json.dumps({"expression": expression}), Call())


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("0,1 + 0,2", "= 0,3"),
        ("0.1+0.2 =", "= 0,3"),
        ("1 234 567,89 × 2", "= 2469135,78"),
        ("1\u202f000 ÷ 8", "= 125"),
        ("1'000'000/4", "= 250000"),
        ("100 : 8", "= 12,5"),
        ("5 x 4 − 1", "= 19"),
        ("1/3", "= 1/3 ≈ 0,33333333333333333333"),
        ("-2^2", "= -4"),
        ("2**3**2", "= 512"),
        ("2 ** -1", "= 0,5"),
        ("3² + 2³", "= 17"),
        ("7 // 2", "= 3"),
        ("-7 % 3", "= 2"),
        ("15 % de 240", "= 36"),
        ("12,5 %", "= 0,125"),
        ("10 % + 5 %", "= 0,15"),
        ("200 * (1 + 10 %)", "= 220"),
        ("1e3", "= 1000"),
        ("1,5e-3", "= 0,0015"),
        ("20! / 18!", "= 380"),
        ("√9", "= 3"),
        ("racine(16/9)", "= 4/3 ≈ 1,3333333333333333333"),
        ("racine(27; 3)", "= 3"),
        ("sqrt(2)", "≈ 1,4142135623730950488"),
        ("4^0,5", "= 2"),
        ("2^(1/3)", "≈ 1,2599210498948731648"),
        ("1,0001^36500", "≈ 38,467645531150542402"),
        ("max(1,5; 2,5)", "= 2,5"),
        ("max(1, 5)", "= 5"),
        ("max(1.5,2)", "= 2"),
        ("round(3.141,2)", "= 3,14"),
        ("arrondi(2,675; 2)", "= 2,68"),
        ("arrondi(-1/2)", "= -1"),
        ("abs(-2,5)", "= 2,5"),
        ("moyenne(1; 2; 6)", "= 3"),
        ("pgcd(12; 18) + ppcm(4; 6)", "= 18"),
        ("log(1000)", "= 3"),
        ("log(8; 2)", "= 3"),
        ("comb(49; 6)", "= 13983816"),
        ("sin(pi/2)", "≈ 1"),
        ("0^0", "= 1"),
    ],
)
def test_what_it_is_worth(expression: str, result: str) -> None:
    assert said(expression) == result


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("9**9**9", "1000 chiffres"),
        ("2**10**9", "1000 chiffres"),
        ("10^1000", "1000 chiffres"),
        ("400!*400!", "1000 chiffres"),
        ("9" * 990 + "*10^11", "1000 chiffres"),
        ("500!", "400!"),
        ("9!!!", "400!"),
        ("1e99999", "Exposant"),
        ("exp(20000)", "exp"),
        ("(" * 60 + "1" + ")" * 60, "niveaux"),
        ("2" + "^1" * 60, "niveaux"),
        ("√" * 60 + "2", "niveaux"),
        ("1+" * 600 + "1", "trop longue"),
        ("max(1,5)", "ambiguë"),
        ("somme(1,2,3)", "ambiguë"),
        ("1,234.56", "ambigu"),
        ("1.2.3", "ambigu"),
        ("200 + 10 %", "Pourcentage de quoi"),
        ("1/0", "zéro"),
        ("0^-1", "zéro"),
        ("5 % 0", "zéro"),
        ("racine(-1)", "réel"),
        ("(-8)^(1/3)", "réel"),
        ("ln(0)", "réel"),
        ("12 34", "opérateur"),
        ("2(3)", "opérateur"),
        ("1+", "pas finie"),
        ("(1", "parenthèse"),
        ("racine 2", "parenthèses"),
        ("min()", "attendu"),
        ("arrondi(1; 2; 3)", "arguments"),
        ("__import__('os')", "inattendu"),
        ("os(1)", "Nom inconnu"),
        ("", "rien"),
    ],
)
def test_what_is_refused_and_why(expression: str, reason: str) -> None:
    with pytest.raises(ToolError) as refused:
        said(expression)
    assert reason in str(refused.value)


def test_it_agrees_with_fractions_on_random_expressions() -> None:
    """Python's own arithmetic on fractions is the reference."""
    source = random.Random(5)

    def expression(depth: int) -> str:
        if depth == 0:
            return source.choice([str(source.randint(0, 99)), f"{source.randint(0, 9)}.{source.randint(0, 99):02}"])
        left, right = expression(depth - 1), expression(depth - 1)
        return source.choice([f"({left} {source.choice('+-*/')} {right})", f"-{left}", f"{left} - {right}"])

    checked = 0
    for _turn in range(300):
        text = expression(source.randint(1, 4))
        python = "".join(f"F('{piece}')" if piece[0].isdigit() else piece for piece in _pieces(text))
        try:
            expected = eval(python, {"F": Fraction})
        except ZeroDivisionError:
            with pytest.raises(ToolError):
                calculate(text)
            continue
        assert calculate(text).value == expected, text
        checked += 1
    assert checked > 250


def _pieces(text: str) -> list[str]:
    found: list[str] = []
    for sign in text:
        if found and (sign.isdigit() or sign == ".") and found[-1][0].isdigit():
            found[-1] += sign
        else:
            found.append(sign)
    return found


def test_english_readers_get_points() -> None:
    token = context.language.set("en")
    try:
        assert said("0,1 + 0,2") == "= 0.3"
    finally:
        context.language.reset(token)
