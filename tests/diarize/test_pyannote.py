"""pyannote's real code on small pipelines with random weights (`pyannote_models`): they open, run and answer.

Their turns mean nothing: the weights have learnt nothing. Skipped where pyannote's environment is not installed.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from tests.diarize.pyannote_env import pyannote_python, run

FILES = [
    "shell",
    "class",
    "module",
    "no-form",
    "other-shape",
    "no-task",
    "old-pickle",
    "cut",
    "empty",
    "text",
    "absent",
]
SWAPPED = ["encoder-as-segmentation", "segmentation-as-encoder"]
PLDA = [f"plda-{name}" for name in ("objects", "cut", "words", "absent", "zip")]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the model's process did, all at once: importing pyannote takes seconds."""
    python = pyannote_python()
    folder = tmp_path_factory.mktemp("pyannote")
    said: dict[str, Any] = json.loads(run(python, "pyannote_checks.py", str(folder)))
    return said


def speakers(spans: list[list[float]]) -> set[float]:
    return {speaker for speaker, _start, _end in spans}


@pytest.mark.parametrize("name", ["free", "1-1", "2-2", "3-4", "3.1", "short"])
def test_turns_are_in_the_recording_and_the_exclusive_ones_one_at_a_time(told: dict[str, Any], name: str) -> None:
    found = told["found"][name]
    assert found["turns"]
    assert found["exclusive"]
    seconds = {"free": 14.0, "short": 10.0}.get(name, 12.0)
    assert all(0 <= start < end <= seconds + 0.1 for _speaker, start, end in found["turns"])
    alone = sorted(found["exclusive"], key=lambda span: span[1])
    assert all(before[2] <= after[1] + 1e-6 for before, after in pairwise(alone))
    assert speakers(alone) <= speakers(found["turns"])
    spoken = sum(end - start for _speaker, start, end in found["turns"])
    assert sum(end - start for _speaker, start, end in alone) <= spoken + 1e-6


@pytest.mark.parametrize(("name", "least", "most"), [("1-1", 1, 1), ("2-2", 2, 2), ("3-4", 3, 4), ("3.1", 2, 2)])
def test_bounds_of_the_count_are_kept(told: dict[str, Any], name: str, least: int, most: int) -> None:
    assert least <= len(speakers(told["found"][name]["turns"])) <= most


def test_more_speakers_than_windows_of_speech_gives_those_there_are(told: dict[str, Any]) -> None:
    assert told["bounded"]
    assert 1 <= len(speakers(told["found"]["short"]["turns"])) < 9


@pytest.mark.parametrize("name", ["nothing", "nobody"])
def test_silence_has_no_speaker(told: dict[str, Any], name: str) -> None:
    assert told["found"][name] == {"turns": [], "exclusive": [], "voices": {}}
    assert told["no-voice"] is None


def test_voices_have_a_vector_of_length_one(told: dict[str, Any]) -> None:
    found = told["found"]["2-2"]
    assert {int(key) for key in found["voices"]} == speakers(found["turns"])
    for vector in (*found["voices"].values(), *told["voices"]):
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    once, again, other = map(np.asarray, told["voices"])
    assert once @ again == pytest.approx(1, abs=1e-5)
    assert not np.allclose(once, other, atol=1e-4)
    assert told["space"][0] == told["space"][1]  # the same weights, in both layouts
    assert told["space"][0].startswith("WeSpeakerResNet34:")


def test_progress_goes_from_nothing_to_nearly_all(told: dict[str, Any]) -> None:
    assert told["shares"] == sorted(told["shares"])
    assert (told["shares"][0], told["shares"][-1]) == (0.0, 0.97)


def test_voices_taken_in_one_pass_are_pyannotes_own(told: dict[str, Any]) -> None:
    assert told["difference"] < 1e-5


def test_requests_have_their_turn_in_the_order_they_came(told: dict[str, Any]) -> None:
    assert told["order"] == [0, 1, 2, 3, 4]


def test_the_recordings_files_are_gone_and_nobody_called_the_network(told: dict[str, Any]) -> None:
    assert told["left"] == []
    assert told["network"] == []


@pytest.mark.parametrize("name", [*FILES, *SWAPPED, *PLDA])
def test_a_hostile_or_broken_file_is_refused_and_nothing_of_it_runs(told: dict[str, Any], name: str) -> None:
    assert told["refusals"][name].startswith("422 model_unusable Ce modèle pyannote n'est pas accepté : ")
    assert told["executed"] is False


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("shell", "il contient autre chose que des poids"),
        ("old-pickle", "il contient autre chose que des poids"),
        ("class", "« subprocess.Popen »"),
        ("module", "« evil.PyanNet »"),
        ("absent", "il manque"),
        ("encoder-as-segmentation", "WeSpeakerResNet34 » ; attendu : PyanNet"),
    ],
)
def test_a_refusal_says_what_is_wrong(told: dict[str, Any], name: str, said: str) -> None:
    assert said in told["refusals"][name]
