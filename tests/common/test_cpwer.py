"""cpWER as meeteval defines it: the best pairing of speakers, those without a partner counted in full."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import permutations
from pathlib import Path
from random import Random

import pytest
from rapidfuzz.distance import Levenshtein

from bench.cpwer import cpwer, normalised, read, scored

ROOT = Path(__file__).resolve().parents[2]


def score(reference: dict[str, str], hypothesis: dict[str, str]) -> tuple[int, int, int, int]:
    found = cpwer({k: v.split() for k, v in reference.items()}, {k: v.split() for k, v in hypothesis.items()})
    return found.substitutions, found.insertions, found.deletions, found.words


def test_names_of_speakers_do_not_matter() -> None:
    assert score({"A": "un deux", "B": "trois"}, {"x": "trois", "y": "un deux"}) == (0, 0, 0, 3)


def test_a_word_given_to_the_wrong_speaker_is_lost_by_one_and_added_to_the_other() -> None:
    assert score({"A": "un deux trois", "B": "quatre cinq"}, {"A": "un deux", "B": "trois quatre cinq"}) == (0, 1, 1, 5)


def test_two_speakers_taken_for_one() -> None:
    """meeteval's own case: the second speaker's words are insertions to the first, and all missing."""
    assert score({"A": "a b c", "B": "d e"}, {"x": "a b c d e"}) == (0, 2, 2, 5)


def test_one_speaker_taken_for_two() -> None:
    assert score({"A": "a b c d"}, {"x": "a b c", "y": "d"}) == (0, 1, 1, 4)


def test_nothing_heard_and_nothing_said() -> None:
    assert score({"A": "a b"}, {}) == (0, 0, 2, 2)
    assert score({}, {"x": "a b"}) == (0, 2, 0, 0)
    assert (cpwer({}, {}).rate, cpwer({}, {"x": ["a"]}).rate) == (0.0, 1.0)


def test_the_pairing_is_the_best_of_all() -> None:
    """Against every permutation."""
    rng = Random(7)
    for _case in range(30):
        said = [[rng.choice("abcd") for _ in range(rng.randrange(8))] for _ in range(3)]
        heard = [[rng.choice("abcd") for _ in range(rng.randrange(8))] for _ in range(3)]
        best = min(
            sum(Levenshtein.distance(a, heard[i]) for a, i in zip(said, order, strict=True))
            for order in permutations(range(3))
        )
        found = cpwer(dict(zip("ABC", said, strict=True)), dict(zip("xyz", heard, strict=True)))
        assert found.errors == best


def test_what_counts_as_a_word() -> None:
    assert normalised("L’état-major, «\u00a0d'accord\u00a0» !") == ["l", "état", "major", "d", "accord"]


def test_stm_seglst_and_a_meeting_read_alike(tmp_path: Path) -> None:
    (tmp_path / "a.stm").write_text(";; x\ns 1 B 2.0 3.0 <o,f0> oui\ns 1 A 0.0 1.0 bonjour\ns 1 A 4.0 5.0 Merci\n")
    lines = [("A", 4.0, "merci"), ("A", 0.0, "Bonjour,"), ("B", 2.0, "oui.")]
    seglst = [{"session_id": "s", "speaker": s, "start_time": t, "end_time": t + 1, "words": w} for s, t, w in lines]
    (tmp_path / "b.json").write_text(json.dumps(seglst))
    segments = [{"speaker": s, "start": t, "end": t + 1, "text": w} for s, t, w in lines]
    (tmp_path / "s.json").write_text(json.dumps({"segments": segments}))
    expected = {"s": {"A": ["bonjour", "merci"], "B": ["oui"]}}
    for name in ("a.stm", "b.json", "s.json"):
        assert read(tmp_path / name) == expected, name
    (found,) = scored(tmp_path / "a.stm", tmp_path / "s.json").values()
    assert (found.errors, found.words) == (0, 3)
    (tmp_path / "no.json").write_text("[1]")
    with pytest.raises((ValueError, TypeError)):
        read(tmp_path / "no.json")


def test_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text('{"A": "un deux trois quatre"}')
    (tmp_path / "h.json").write_text('{"x": "un deux trois"}')
    command = [sys.executable, "-m", "bench.cpwer", tmp_path / "r.json", tmp_path / "h.json"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "cpWER 25.00 %" in run.stdout
