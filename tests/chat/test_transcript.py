"""Transcripts of every shape: who speaks, when, and the way back from a passage to its seconds."""

from __future__ import annotations

import pytest

from chat.minutes.transcript import LINE_CHARS, Segment, Transcript, Word, of_segments, of_text


def moment(transcript: Transcript, passage: str) -> tuple[float, float | None] | None:
    begin = transcript.text.index(passage)
    return transcript.moment(begin, begin + len(passage))


def test_segments_are_lines_by_speaker() -> None:
    transcript = of_segments([Segment(text="a\nb"), Segment(speaker="Zoé", text=""), Segment(speaker="A  B", text="c")])
    assert transcript.numbered(transcript.lines) == "[1] a b\n[2] A B: c"
    assert transcript.plain(transcript.lines) == "a b\nA B: c"


def test_words_make_seconds_exact_in_a_long_segment() -> None:
    words = [Word(word=f"mot{n}", start=n * 2.0, end=n * 2.0 + 1.5) for n in range(100)]
    text = " ".join(word.word for word in words)
    exact = of_segments([Segment(text="Bonjour", start=0, end=1), Segment(text=text, start=0, end=200, words=words)])
    assert moment(exact, "mot40 mot41") == (80.0, 83.5)
    begin = exact.text.index("mot40")
    assert exact.place(begin, begin + 5) == (1, text.index("mot40"), text.index("mot40") + 5)


def test_without_words_a_long_segment_is_shared_out_and_a_short_one_is_a_moment() -> None:
    text = " ".join(f"mot{n:03}" for n in range(100))
    begin, end = moment(of_segments([Segment(text=text, start=100, end=300)]), "mot050") or (0, 0)
    assert begin == pytest.approx(200, abs=2)
    assert end == pytest.approx(202, abs=2)
    assert moment(of_segments([Segment(text=text, start=100, end=120)]), "mot050") == (100, 120)


def test_segments_without_times_have_none() -> None:
    assert moment(of_segments([Segment(text="Bonjour Zoé")]), "Zoé") is None


@pytest.mark.parametrize(
    "text",
    [
        "[00:12] Zoé: Je réserve.\n[01:10] Marc : C'est voté.\n",
        "(0:12) Zoé: Je réserve.\n(1:10) Marc : C'est voté.",
        "00:12 Zoé: Je réserve.\n\n01:10 - Marc : C'est voté.",
        "**Zoé** (00:12) : Je réserve.\n\n**Marc** (01:10) : C'est voté.",
        "1\n00:00:12,000 --> 00:00:14,000\nZoé: Je réserve.\n\n2\n00:01:10,000 --> 00:01:12,000\nC'est voté.\n",
        "WEBVTT\r\n\r\n00:12.000 --> 00:14.000\r\nZoé: Je réserve.\r\n\r\n01:10.000 --> 01:12.000\r\nC'est voté.\r\n",
    ],
)
def test_times_written_in_a_text_are_read(text: str) -> None:
    transcript = of_text(text)
    assert (moment(transcript, "réserve") or (None,))[0] == 12
    assert (moment(transcript, "voté") or (None,))[0] == 70
    assert len(transcript.lines) == 2
    assert transcript.text == text, "offsets are those of what was given"


@pytest.mark.parametrize(
    "text", ["12:30 on déjeune.\nPuis on part.\nFin.", "Zoé: rendez-vous à 12:30.", "10:00 x\n09:00 y"]
)
def test_hours_in_a_text_are_not_times_of_a_recording(text: str) -> None:
    assert of_text(text).moment(0, len(text)) is None


def test_long_lines_are_cut_and_keep_their_speaker() -> None:
    text = "Zoé: " + "Nous rangeons la caisse du fond. " * 40
    lines = of_text(text).lines
    assert len(lines) > 3
    assert all(line.end - line.at <= LINE_CHARS and line.speaker == "Zoé" for line in lines)
    assert of_text(text).numbered(lines[1:2]).startswith("[1] Zoé: Nous"), "a part that begins in a turn names it"
    assert " ".join(of_text(text).plain(lines).split()) == " ".join(text.split())


def test_a_passage_over_two_turns_is_cut_to_the_longer() -> None:
    transcript = of_segments(
        [
            Segment(speaker="A", text="un deux", start=0, end=1),
            Segment(speaker="B", text="trois quatre cinq", start=9, end=12),
        ]
    )
    start, end = transcript.narrowed(transcript.text.index("deux"), len(transcript.text))
    assert (transcript.text[start:end], transcript.moment(start, end)) == ("trois quatre cinq", (9, 12))


def test_words_that_are_not_a_segment_s_are_given_up() -> None:
    absent = [Word(word="absent", start=0, end=1)]
    last = [Word(word="deux", start=2, end=3)]
    some = of_segments([Segment(text="un deux", start=0, end=90, words=absent * 9 + last)])
    assert some.moment(3, 7) == (2, 3)
    many = of_segments([Segment(text="un deux", start=0, end=90, words=absent * 900 + last)])
    assert many.moment(3, 7) != (2, 3)
