"""RTTM as NIST's tools read it: ten fields, separated by blanks, whatever people call their files and themselves."""

from __future__ import annotations

import pytest

from common.speech.rttm import rttm
from diarize.diarizer import Segment

TURNS = [Segment("SPEAKER_00", 0.5, 1.75), Segment("SPEAKER_01", 1.5, 3.0)]


def test_one_line_per_turn_of_ten_fields() -> None:
    lines = rttm(TURNS, "reunion").splitlines()
    assert lines == [
        "SPEAKER reunion 1 0.500 1.250 <NA> <NA> SPEAKER_00 <NA> <NA>",
        "SPEAKER reunion 1 1.500 1.500 <NA> <NA> SPEAKER_01 <NA> <NA>",
    ]


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("Comité du 3 mai", "Comité_du_3_mai"),
        ("a\nSPEAKER b 1 0 9 <NA> <NA> x <NA> <NA>", "a_SPEAKER_b_1_0_9_NA_NA_x_NA_NA"),
        ("  ", "audio"),
        (";; un commentaire", "un_commentaire"),
        ("a\x00\u2028b\tc", "a_b_c"),
        ("<NA>", "NA"),
        ("x" * 300, "x" * 120),
    ],
)
def test_the_name_of_the_file_is_one_field(given: str, written: str) -> None:
    for line in rttm(TURNS, given).splitlines():
        assert line.split(" ")[1] == written
        assert len(line.split()) == 10


def test_known_speakers_are_written_by_name() -> None:
    lines = rttm(TURNS, "a", {"SPEAKER_00": "Léa <Martin>", "SPEAKER_01": "\u3000"}).splitlines()
    assert [line.split()[7] for line in lines] == ["Léa_Martin", "SPEAKER_01"]
    assert {len(line.split()) for line in lines} == {10}
