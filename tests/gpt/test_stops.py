"""A stop string is never seen, whole or in part, and nothing before it is lost."""

from __future__ import annotations

import random

import pytest

from gpt.engines.stops import StopCutter


def run(pieces: list[str], *stops: str) -> tuple[list[str], bool]:
    cutter = StopCutter(stops)
    given = []
    for piece in pieces:
        given.append(cutter.push(piece))
        if cutter.stopped:
            return given, True
    given.append(cutter.flush())
    return given, False


def test_it_cuts_where_the_stop_begins() -> None:
    assert run(["un deux STOP trois"], "STOP") == (["un deux "], True)


def test_it_holds_back_what_could_become_a_stop() -> None:
    given, stopped = run(["a\n", "\nUtil", "isateur : b"], "\n\nUtilisateur :")
    assert stopped
    assert "".join(given) == "a"


def test_it_lets_go_of_a_false_start() -> None:
    assert run(["a ST", "ART"], "STOP") == (["a ", "START", ""], False)


def test_an_answer_that_ends_on_a_false_start_is_whole() -> None:
    given, stopped = run(["a ST"], "STOP")
    assert ("".join(given), stopped) == ("a ST", False)


def test_the_first_of_several_stops_wins() -> None:
    assert run(["abXcdY"], "Y", "X") == (["ab"], True)


def test_no_stop_lets_everything_through() -> None:
    assert run(["abc"], "") == (["abc", ""], False)


@pytest.mark.parametrize("seed", range(20))
def test_however_the_text_is_cut_the_result_is_the_same(seed: int) -> None:
    rng = random.Random(seed)
    text = "".join(rng.choice("ab") for _ in range(60)) + "abba" + "aaa"
    stops = ("abba", "bbbbb")
    expected = text[: min(at for stop in stops if (at := text.find(stop)) >= 0)]
    pieces, rest = [], text
    while rest:
        size = rng.randint(1, 7)
        pieces.append(rest[:size])
        rest = rest[size:]
    given, stopped = run(pieces, *stops)
    assert stopped
    assert "".join(given) == expected
