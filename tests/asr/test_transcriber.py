"""From sound to transcript, word by word, on beeps that a perfect model reads (`tests.asr.tones`)."""

from __future__ import annotations

import io
import math
import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.signal import resample_poly

from asr.engines.base import Chunk, Word
from asr.tasks import Ask, plan
from asr.transcription import speech
from asr.transcription.transcriber import transcribe
from asr.transcription.transcript import Partial, Transcript
from common.audio.decode import AudioReader, FloatArray
from common.audio.progress import Progress
from common.errors import ApiError
from common.models.catalogue import Catalogue
from tests.asr import tones
from tests.asr.hearing import ToneEngine, steps, texts, transcript
from tests.common.audio_files import tone, wav_bytes

MIXED = tones.WORDS[::5]


@pytest.fixture(autouse=True)
def _beeps_are_voices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "SpeechDetector", tones.BeepDetector)


def recording(seed: int, count: int = 60, pauses: float = 0.05) -> tuple[FloatArray, list[tones.Spoken], random.Random]:
    chance = random.Random(seed)
    words = [chance.choice(MIXED) for _ in range(count)]
    silences = {at: chance.uniform(0.1, 3.0) for at in range(count) if chance.random() < pauses}
    return *tones.spoken(words, pauses=silences), chance


@pytest.mark.parametrize("seed", range(12))
def test_every_word_is_there_once_in_order_and_at_its_time(seed: int) -> None:
    samples, said, chance = recording(seed, count=120, pauses=0.02)
    engine = ToneEngine(max_chunk_seconds=chance.choice([6.0, 10.0, 20.0]))
    found = transcript(engine, samples)
    assert texts(found.words) == [word.word for word in said]
    assert all(
        abs(w.start - s.start) < 0.03 and abs(w.end - s.end) < 0.03 for w, s in zip(found.words, said, strict=True)
    )
    assert found.speech.undecoded == ()
    assert found.duration == pytest.approx(samples.size / 16_000, abs=0.001)
    assert found.speech.voiced_seconds + found.speech.dropped_seconds <= found.duration + 0.01
    assert all(end - start <= engine.max_chunk_seconds for start, end in engine.seen)


def unsteady(chunk: Chunk, words: list[Word]) -> list[Word]:
    """Times that are off by a quarter of a second, one way or the other, from one chunk to the next."""
    by = 0.25 if int(chunk.start * 1000) % 2 else -0.25
    return [Word(word.word, word.start + by, word.end + by) for word in words]


@pytest.mark.parametrize("seed", range(12))
def test_times_that_are_off_lose_no_word_even_over_a_new_start(seed: int) -> None:
    samples, said, chance = recording(seed, count=100, pauses=0.02)
    whole = steps(ToneEngine(change=unsteady), samples)
    final = whole[-1]
    assert isinstance(final, Transcript)
    assert texts(final.words) == [word.word for word in said]
    partials = [step for step in whole if isinstance(step, Partial)]
    stop = chance.randrange(len(partials))
    before = [word for partial in partials[: stop + 1] for word in partial.words]
    resumed = transcript(ToneEngine(change=unsteady), samples, start=partials[stop].through)
    assert texts([*before, *resumed.words]) == [word.word for word in said]


@pytest.mark.parametrize("seed", range(6))
def test_words_without_times_are_spread_and_said_to_be(seed: int) -> None:
    samples, said, _chance = recording(seed, count=120, pauses=0.02)
    found = transcript(ToneEngine(word_times=False), samples)
    assert texts(found.words) == [word.word for word in said]
    assert not found.word_times
    assert any("estimés" in str(warning) for warning in found.warnings)
    assert all(abs(w.start - s.start) < 2.0 for w, s in zip(found.words, said, strict=True))
    assert all(a.start <= b.start for a, b in pairwise(found.words))


@pytest.mark.parametrize("seed", range(8))
def test_partial_words_are_final_and_a_new_start_goes_on_exactly_there(seed: int) -> None:
    samples, said, chance = recording(seed, count=100, pauses=0.03)
    spread = seed % 4 == 3
    whole = steps(ToneEngine(word_times=not spread), samples)
    partials = [step for step in whole if isinstance(step, Partial)]
    final = whole[-1]
    assert isinstance(final, Transcript)
    assert [word for partial in partials for word in partial.words] == final.words
    throughs = [partial.through for partial in partials]
    assert throughs == sorted(throughs)
    stop = chance.randrange(len(partials))
    before = [word for partial in partials[: stop + 1] for word in partial.words]
    engine = ToneEngine(word_times=not spread)
    resumed = transcript(engine, samples, start=throughs[stop])
    assert texts([*before, *resumed.words]) == [word.word for word in said]
    assert all(end > throughs[stop] for _start, end in engine.seen)


def test_a_start_after_the_end_decodes_nothing() -> None:
    samples, _said, _chance = recording(1)
    engine = ToneEngine()
    found = transcript(engine, samples, start=1e5)
    assert (found.text, found.words, engine.seen) == ("", [], [])


def test_progress_goes_from_nothing_to_the_end_with_a_rate() -> None:
    samples, _said, _chance = recording(2, count=120)
    progress = [step for step in steps(ToneEngine(), samples) if isinstance(step, Progress)]
    total = samples.size / 16_000
    assert progress[0] == Progress(0.0, pytest.approx(total))
    done = [step.done for step in progress]
    assert done == sorted(done)
    assert done[-1] == pytest.approx(total, abs=1.0)
    assert all(step.rate > 0 for step in progress[1:])


@pytest.mark.parametrize("samples", [np.zeros(48_000, np.float32), np.full(48_000, 0.5, np.float32), tone(0.01)])
def test_silence_is_an_empty_text_and_asks_nothing_of_the_model(samples: FloatArray) -> None:
    engine = ToneEngine()
    found = transcript(engine, samples)
    assert (found.text, found.words, found.segments, engine.seen) == ("", [], [], [])
    assert found.language == "fr"
    assert found.speech.voiced_seconds == 0.0
    assert found.speech.dropped_seconds == found.duration


def test_what_was_not_speech_is_counted() -> None:
    samples, _said = tones.spoken([MIXED[3]] * 20, start=30.0)
    found = transcript(ToneEngine(), samples)
    assert found.speech.dropped_seconds == pytest.approx(30.0, abs=0.6)
    assert found.speech.voiced_seconds == pytest.approx(20 * 0.33, abs=0.5)


# --- what the model missed, or made up ------------------------------------------------------------------------


def forgetting(first: float, last: float, times: int = 1) -> Any:
    """A model that skips what is said between two instants, so many times."""
    left = {"times": times}

    def change(chunk: Chunk, words: list[Word]) -> list[Word]:
        if chunk.start < last and chunk.end > first and left["times"]:
            left["times"] -= 1
            return [word for word in words if not first <= word.start < last]
        return words

    return change


def test_speech_that_gave_no_words_is_asked_again_in_smaller_pieces() -> None:
    samples, said = tones.spoken(MIXED[:60])
    engine = ToneEngine(max_chunk_seconds=20.0, change=forgetting(4.0, 9.0))
    found = transcript(engine, samples)
    assert texts(found.words) == [word.word for word in said]
    assert found.speech.undecoded == ()
    again = [(start, end) for start, end in engine.seen if 3.0 < start < 9.0]
    assert again
    assert all(end - start <= 10.5 for start, end in again)


def test_what_stays_silent_is_reported_with_a_warning_and_asked_only_twice() -> None:
    samples, said = tones.spoken(MIXED[:60])
    engine = ToneEngine(max_chunk_seconds=20.0, change=forgetting(4.0, 9.0, times=100))
    found = transcript(engine, samples)
    (stretch,) = found.speech.undecoded
    assert stretch == pytest.approx((4.3, 8.7), abs=0.7)
    assert any("aucun mot" in str(warning) and "00:04-00:0" in str(warning) for warning in found.warnings)
    assert texts(found.words) == [word.word for word in said if not 4.0 <= word.start < 9.0]
    assert sum(start < 9.0 < end or 4.0 <= start < 9.0 for start, end in engine.seen) <= 4


def test_a_rough_engine_is_not_asked_twice() -> None:
    samples, said = tones.spoken(MIXED[:60])
    engine = ToneEngine(max_chunk_seconds=20.0, change=forgetting(4.0, 9.0))
    engine.demo = True
    found = transcript(engine, samples)
    assert sum(start < 9.0 and end > 4.0 for start, end in engine.seen) == 1
    assert len(found.speech.undecoded) == 1
    assert any("aucun mot" in str(warning) for warning in found.warnings)
    assert texts(found.words) == [word.word for word in said if not 4.0 <= word.start < 9.0]


def test_a_whole_chunk_without_words_is_asked_again() -> None:
    samples, said = tones.spoken(MIXED[:20])
    found = transcript(ToneEngine(change=forgetting(0.0, 60.0)), samples)
    assert texts(found.words) == [word.word for word in said]


def test_a_model_that_goes_round_in_circles_is_asked_again() -> None:
    samples, said = tones.spoken(MIXED[:30])
    turns = {"left": 1}

    def loop(chunk: Chunk, words: list[Word]) -> list[Word]:
        if not turns["left"]:
            return words
        turns["left"] -= 1
        step = (chunk.seconds - 2.0) / 60
        circle = [
            Word(("je", "ne", "sais")[n % 3], chunk.start + 1 + n * step, chunk.start + 1 + (n + 1) * step)
            for n in range(60)
        ]
        return circle

    found = transcript(ToneEngine(change=loop), samples)
    plain = texts(found.words)
    assert plain.count("sais") <= 1
    assert [word for word in plain if word not in {"je", "ne", "sais"}] == [
        word.word for word in said if word.word in plain
    ]
    assert len(plain) > 25


@pytest.mark.parametrize(
    "line",
    [
        "Sous-titres réalisés par la communauté d'Amara.org",
        "Sous-titrage ST' 501",
        "Merci d'avoir regardé cette vidéo !",
        "Thanks for watching!",
        "Thank you so much for watching.",
        "Abonnez-vous !",
    ],
)
def test_a_credit_line_that_nobody_had_time_to_say_is_left_out(line: str) -> None:
    samples = np.concatenate([tones.silence(2.0), tone(0.15), tones.silence(4.0)])  # a click taken for a voice
    credit = line.split()

    def dream(chunk: Chunk, words: list[Word]) -> list[Word]:
        step = chunk.seconds / len(credit)
        return [Word(word, chunk.start + n * step, chunk.start + (n + 1) * step, 0.9) for n, word in enumerate(credit)]

    for timed in (True, False):
        found = transcript(ToneEngine(change=dream, word_times=timed), samples)
        assert (found.text, found.words) == ("", [])


def test_someone_who_does_say_thanks_for_watching_is_heard() -> None:
    samples, said = tones.spoken(MIXED[:12])
    line = ["merci", "d'avoir", "regardé", "cette", "vidéo"]

    def says(chunk: Chunk, words: list[Word]) -> list[Word]:
        return [*words[:-5], *(Word(w, old.start, old.end) for w, old in zip(line, words[-5:], strict=True))]

    assert transcript(ToneEngine(change=says), samples).text.endswith("merci d'avoir regardé cette vidéo")
    assert len(said) == 12


def test_words_far_from_any_voice_are_left_out() -> None:
    samples, said = tones.spoken(MIXED[:8], pauses={4: 8.0})

    def dream(chunk: Chunk, words: list[Word]) -> list[Word]:
        return [*words, Word("fantôme", chunk.end - 0.1, chunk.end)]

    engine = ToneEngine(max_chunk_seconds=30.0, change=dream)
    found = transcript(engine, samples)
    assert "fantôme" in texts(found.words)  # beside a voice it may be true
    far = Word("fantôme", 5.0, 5.4)
    engine = ToneEngine(
        max_chunk_seconds=200.0, change=lambda chunk, words: sorted([*words, far], key=lambda w: w.start)
    )
    assert texts(transcript(engine, samples).words) == [word.word for word in said]


# --- languages ------------------------------------------------------------------------------------------------


def asked(engine: ToneEngine, default: str | None = None, **ask: Any) -> Any:
    return plan(Ask(**ask), engine, Catalogue([]), default)


def refusal(engine: ToneEngine, default: str | None = None, **ask: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        asked(engine, default, **ask)
    return caught.value


def test_the_language_asked_is_the_one_the_model_is_told() -> None:
    found = asked(ToneEngine(), language="en")
    assert (found.task.language, found.language, found.warnings) == ("en", "en", ())


def test_a_language_the_model_does_not_know_is_refused_with_those_it_knows() -> None:
    error = refusal(ToneEngine(languages=["fr", "de"]), language="ja")
    assert (error.status, error.code, error.param) == (400, "unsupported_language", "language")
    assert "allemand, français" in str(error.message)


def test_no_language_is_left_to_a_model_that_hears_it() -> None:
    found = asked(ToneEngine(detects_language=True), default="en")
    assert (found.task.language, found.warnings) == (None, ())


def test_no_language_and_a_single_one_known_is_that_one() -> None:
    assert asked(ToneEngine(languages=["de"])).task.language == "de"


def test_no_language_is_the_services_own() -> None:
    found = asked(ToneEngine(), default="en")
    assert (found.task.language, found.warnings) == ("en", ())


def test_no_language_at_all_is_french_and_the_answer_says_so() -> None:
    found = asked(ToneEngine())
    assert found.task.language == "fr"
    (warning,) = found.warnings
    assert "français" in str(warning)


@pytest.mark.parametrize("default", [None, "fr"])
def test_no_language_that_could_be_assumed_is_refused(default: str | None) -> None:
    error = refusal(ToneEngine(languages=["de", "en"]), default)
    assert (error.status, error.code, error.param) == (400, "language_required", "language")
    assert "allemand, anglais" in str(error.message)


def test_two_languages_in_one_recording_are_heard_chunk_by_chunk() -> None:
    samples, said = tones.spoken(MIXED[:40], pauses={10: 3.0})
    edge = said[10].start - 1.0
    engine = ToneEngine(detects_language=True, language=lambda chunk: "fr" if chunk.start < edge else "en")
    found = transcript(engine, samples, language=None)
    assert (found.language, found.languages) == ("en", ("en", "fr"))
    assert all(task.language is None for task in engine.tasks)


def test_a_model_that_hears_a_language_without_naming_it_is_known_by_what_it_wrote() -> None:
    little = ["das", "ist", "nicht", "der", "und", "die", "wir", "es", "mit", "auf", "für"]

    def german(_chunk: Chunk, words: list[Word]) -> list[Word]:
        return [replace(word, word=little[index % len(little)]) for index, word in enumerate(words)]

    samples, _said = tones.spoken(MIXED[:20])
    engine = ToneEngine(detects_language=True, languages=["fr", "de"], change=german)
    assert transcript(engine, samples, language=None).language == "de"
    assert transcript(engine, samples, language="fr").language == "fr"


def test_a_translation_the_model_knows_is_asked_of_it() -> None:
    pairs = [("fr", "en"), ("en", "fr")]
    assert asked(ToneEngine(translations=pairs), language="fr", translate=True).task.target == "en"
    assert asked(ToneEngine(translations=pairs), language="en", translate=True).task.target is None
    assert asked(ToneEngine(translations=pairs), language="en", translate=True, target="fr").task.target == "fr"
    detecting = ToneEngine(translations=pairs, detects_language=True)
    assert asked(detecting, translate=True).task.target == "en"


def test_a_translation_the_model_does_not_know_is_refused_with_those_it_knows() -> None:
    error = refusal(ToneEngine(translations=[("fr", "en")]), language="fr", translate=True, target="de")
    assert (error.status, error.code, error.param) == (400, "unsupported_translation", "target")
    assert "fr→en" in str(error.message)
    assert refusal(ToneEngine(), language="fr", translate=True).code == "unsupported_translation"


def test_translated_words_have_no_times_of_their_own() -> None:
    samples, said = tones.spoken(MIXED[:10])
    found = transcript(ToneEngine(translations=[("fr", "en")]), samples, translate=True)
    assert (found.language, found.target, found.word_times) == ("fr", "en", False)
    assert len(found.words) == len(said)


@pytest.mark.parametrize(("name", "value"), [("prompt", "Frigo"), ("temperature", 0.2)])
def test_a_parameter_the_model_does_not_take_is_refused_by_name(name: str, value: object) -> None:
    error = refusal(ToneEngine(), language="fr", **{name: value})
    assert (error.status, error.code, error.param) == (400, "unsupported_parameter", name)
    taken = asked(ToneEngine(prompt=True, temperature=True), language="fr", **{name: value})
    assert getattr(taken.task, name) == value


def test_an_empty_prompt_and_a_temperature_of_zero_ask_for_nothing() -> None:
    assert asked(ToneEngine(), language="fr", prompt="  ", temperature=0.0).task.prompt == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("vad_threshold", 0.04),
        ("vad_threshold", 0.96),
        ("vad_threshold", float("nan")),
        ("start", -1.0),
        ("start", float("inf")),
        ("temperature", 1.5),
        ("temperature", float("nan")),
    ],
)
def test_values_that_mean_nothing_are_refused_by_name(name: str, value: float) -> None:
    error = refusal(ToneEngine(temperature=True), language="fr", **{name: value})
    assert (error.status, error.code, error.param) == (400, "invalid_value", name)


@pytest.mark.parametrize(("threshold", "found"), [(0.9, 8), (None, 8), (0.05, 8)])
def test_the_threshold_reaches_the_detector(threshold: float | None, found: int) -> None:
    samples, _said = tones.spoken(MIXED[:8])
    assert len(transcript(ToneEngine(), samples, vad_threshold=threshold).words) == found


def test_a_threshold_above_what_is_heard_leaves_all_out(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unsure(tones.BeepDetector):
        def push(self, block: FloatArray) -> FloatArray:
            return super().push(block) * 0.5

    monkeypatch.setattr(speech, "SpeechDetector", Unsure)
    samples, _said = tones.spoken(MIXED[:8])
    assert transcript(ToneEngine(), samples, vad_threshold=0.6).words == []
    assert len(transcript(ToneEngine(), samples, vad_threshold=0.4).words) == 8


# --- recordings that are not as they should be ----------------------------------------------------------------


def distorted() -> Iterator[tuple[str, FloatArray]]:
    samples, _said = tones.spoken(MIXED[:20])
    yield "clipped", np.clip(samples * 40, -1, 1).astype(np.float32)
    yield "offset", (samples * 0.5 + 0.4).astype(np.float32)
    yield "whispered", (samples * 0.004).astype(np.float32)


@pytest.mark.parametrize(("name", "samples"), list(distorted()))
def test_clipped_shifted_and_faint_recordings_are_read_all_the_same(name: str, samples: FloatArray) -> None:
    found = transcript(ToneEngine(), samples)
    assert texts(found.words) == list(MIXED[:20])


@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000])
def test_any_rate_gives_the_same_words_at_the_same_times(rate: int) -> None:
    samples, said = tones.spoken(MIXED[:20])
    step = math.gcd(rate, 16_000)
    other = resample_poly(samples, rate // step, 16_000 // step).astype(np.float32)
    reader = AudioReader(io.BytesIO(wav_bytes(other, rate)))
    found = list(transcribe(ToneEngine(), reader, asked(ToneEngine(), language="fr")))[-1]
    assert isinstance(found, Transcript)
    assert texts(found.words) == [word.word for word in said]
    assert all(abs(w.start - s.start) < 0.05 for w, s in zip(found.words, said, strict=True))


def test_a_tenth_of_a_second_is_an_empty_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the real detector
    found = transcript(ToneEngine(), tone(0.1))
    assert found.duration == pytest.approx(0.1)
    assert (found.text, found.speech.dropped_seconds) == ("", 0.1)


# --- segments -------------------------------------------------------------------------------------------------


def test_segments_hold_every_word_and_stay_short() -> None:
    samples, _said, _chance = recording(3, count=200, pauses=0.05)
    found = transcript(ToneEngine(), samples)
    assert " ".join(segment.text for segment in found.segments).split() == texts(found.words)
    assert all(segment.end - segment.start <= 12.0 and len(segment.text) <= 168 for segment in found.segments)
