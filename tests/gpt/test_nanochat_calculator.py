"""The calculator of nanochat: what Python's own eval answers where upstream allows it, and nothing else."""

from __future__ import annotations

import random
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from gpt.engines.nanochat.calculator import MAX_LENGTH, calculate

REFUSED = ["__", "import", "exec", "eval", "compile", "open", "file", "input", "raw_input", "globals", "locals"]
REFUSED += ["vars", "dir", "getattr", "setattr", "delattr", "hasattr"]


def upstream(expression: str) -> str | None:
    """use_calculator of nanochat/engine.py, with its eval; what is not a number is no answer."""
    expression = expression.replace(",", "")
    if all(c in "0123456789*+-/.() " for c in expression):
        if "**" in expression:
            return None
    else:
        allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'\"()._ "
        if not all(c in allowed for c in expression) or any(word in expression.lower() for word in REFUSED):
            return None
        if ".count(" not in expression:
            return None
    try:
        value = eval(expression, {"__builtins__": {}}, {})
    except (SyntaxError, ValueError, TypeError, ArithmeticError, NameError, AttributeError, MemoryError):
        return None
    return str(value) if type(value) in (int, float) else None


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("12+30", "42"),
        ("45*7", "315"),
        ("1,200 * 2", "2400"),
        ("7/2", "3.5"),
        ("6/2", "3.0"),
        ("-7//2", "-4"),
        ("2*-3", "-6"),
        ("--3", "3"),
        ("1 - 2 - 3", "-4"),
        ("2+3*4", "14"),
        ("(2+3)*4", "20"),
        ("0.1+0.2", "0.30000000000000004"),
        (".5+1.", "1.5"),
        ("007.5", "7.5"),
        ("00", "0"),
        ("'strawberry'.count('r')", "3"),
        ("'a,b'.count('')", "3"),
        ("'''it's'''.count(\"'\")", "1"),
    ],
)
def test_computes(expression: str, answer: str) -> None:
    assert calculate(expression) == answer


def test_adjacent_strings_are_one_as_in_python() -> None:
    assert calculate("'ab' 'ab'.count('ab')") == upstream("'ab' 'ab'.count('ab')") == "2"


@pytest.mark.parametrize(
    "expression",
    [
        *(
            "",
            " ",
            "2**3",
            "2 ** 3",
            "1/0",
            "1//0",
            "1.0/0",
            "3-",
            "()",
            "...",
            "(",
            ")",
            "2(3)",
            "(1)(2)",
            "007",
            "1 2",
        ),
        *(
            "1 2",
            "1.2.3",
            "1e5",
            "0x10",
            "1_000",
            "5 / / 2",
            "'a'.upper()",
            "'a'.count",
            "'a'.count()",
        ),
        *(
            "'a'.count('a').real",
            "'a'+'b'.count('a')",
            "a.count('a')",
            "'a'.index('a')",
            "__import__('os').count('a')",
            "'a\\x41'.count('A')",
        ),
        *("'direction'.count('i')", "'openfile'.count('e')"),  # upstream's own list of words
        *("'a'. count('a')", "'a'.count ('a')", "2\n+3", "٣+1", "lambda: 1", "[1]", "'a'.count('a'", "1" * 400 + "/3."),
    ],
)
def test_has_no_answer(expression: str) -> None:
    assert calculate(expression) is None


@pytest.mark.parametrize("seed", range(4))
def test_answers_what_upstream_answers(seed: int) -> None:
    """Thousands of expressions, most of them broken, against Python's own eval."""
    draw = random.Random(seed)
    pieces = ["1", "0", "12", "3.5", ".5", "7.", "007", "00", "+", "-", "*", "/", "//", "(", ")", " ", ",", "9" * 30]
    strings = ["'a'", '"b a"', "'''a'''", '"', "'", ".count(", ".count( ", ")", "(", " ", "a", "."]
    answered = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        for _ in range(6000):
            expression = "".join(draw.choice(pieces) for _ in range(draw.randrange(1, 9)))
            if draw.random() < 0.4:
                literal = [draw.choice(strings) for _ in range(draw.randrange(4))]
                expression = f"'{'ab' * draw.randrange(3)}'{''.join(literal)}.count('a'{draw.choice(['', ' ', ')'])})"
            expected = upstream(expression)
            answered += expected is not None
            assert calculate(expression) == expected, expression
    assert answered > 500


@pytest.mark.parametrize(
    "expression",
    [
        "9*" * (MAX_LENGTH // 2) + "9",
        "-" * (MAX_LENGTH - 1) + "1",
        "(" * (MAX_LENGTH // 2) + "1" + ")" * (MAX_LENGTH // 2 - 1),
        "9" * MAX_LENGTH,
        "9" * 10**6,
        "(" * 10**6,
        "'" * MAX_LENGTH,
        "'a'" * 300 + ".count('a')",
        "'" + "a" * 900 + "'.count('aaaa')",
    ],
)
def test_whatever_is_written_ends_at_once_in_any_thread(expression: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        answers = set(threads.map(calculate, [expression] * 8))
    assert len(answers) == 1
    assert all(answer is None or len(answer) <= 2 * MAX_LENGTH for answer in answers)


def test_too_long_has_no_answer() -> None:
    assert calculate("1" + "+1" * (MAX_LENGTH // 2 - 1)) is not None
    assert calculate("1" + "+1" * (MAX_LENGTH // 2 + 1)) is None


def test_parentheses_have_a_depth() -> None:
    assert calculate("(" * 100 + "1" + ")" * 100) == "1"
    assert calculate("(" * 101 + "1" + ")" * 101) is None
