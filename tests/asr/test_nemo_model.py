"""What `NemoModel` reads is what NeMo itself reads, in a batch as alone; its archives stay shut."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from asr.engines.nemo.archive import TIMES_WEIGHTS, WEIGHTS
from asr.engines.nemo.backend import NemoBackend
from asr.engines.process.client import ProcessEngine
from asr.engines.process.spec import Opening
from common.errors import ApiError
from common.hub.hub import Hub
from common.models.backends import Placement
from common.models.catalogue import ModelEntry
from tests.asr.nemo_models import PYTHON, ROOT, made, run_with_nemo

pytestmark = [
    pytest.mark.skipif(not PYTHON.is_file(), reason="NeMo's environment is not here: make run MOTEURS=nemo"),
    pytest.mark.slow,
    pytest.mark.timeout(1200),  # NeMo alone takes 8 s of processor to import
]


CASES = [
    ("random-canary-1b", "fr", "-"),
    ("random-canary-1b", "fr", "en"),
    ("random-canary-flash", "en", "-"),
    ("random-canary-v2", "fr", "en"),
    ("taught-canary-flash", "en", "-"),
    ("taught-canary-v2", "en", "-"),
    ("random-ctc", "-", "-"),
    ("random-tdt", "-", "-"),
]
SECONDS = (3.0, 5.317, 1.0, 2.2, 0.4)  # of nemo_plain's sounds


@pytest.fixture(scope="module")
def all_compared(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, str], Any]:
    """`nemo_plain` on all `CASES`, in one process."""
    folder = tmp_path_factory.mktemp("archives")
    arguments = []
    for kind, language, target in CASES:
        (archive,) = made(kind)
        if not (folder / archive.name).exists():
            shutil.copy(archive, folder / archive.name)
        arguments += [str(folder / archive.name), language, target]
    found = json.loads(run_with_nemo(str(ROOT / "tests" / "asr" / "nemo_plain.py"), *arguments).splitlines()[-1])
    assert found["reached"] == []  # no telemetry, no hub
    return dict(zip(CASES, found["cases"], strict=True))


def text(said: dict[str, Any]) -> str:
    """What was said, without spaces, nor the special tokens that NeMo leaves in its texts."""
    return "".join(re.sub(r"<[|][^|]*[|]>", "", said["text"]).split())


@pytest.mark.parametrize("case", CASES)
def test_a_sound_says_the_same_alone_and_in_a_batch(case: tuple[str, str, str], all_compared: Any) -> None:
    found = all_compared[case]
    assert [said["text"] for said in found["ours"]] == [said["text"] for said in found["alone"]]
    for mine, theirs in zip(found["ours"], found["alone"], strict=True):
        assert [word[0] for word in mine["words"]] == [word[0] for word in theirs["words"]]
        for a, b in zip(mine["words"], theirs["words"], strict=True):
            assert a[1:] == pytest.approx(b[1:], abs=1e-3)


@pytest.mark.parametrize("case", [case for case in CASES if case[0].startswith("random-canary")])
def test_a_random_canary_says_what_it_says_under_nemo(case: tuple[str, str, str], all_compared: Any) -> None:
    """It never ends by itself: NeMo stops all of a batch where the longest must, ours each where it would alone."""
    found = all_compared[case]
    assert len({letter for said in found["ours"] for letter in text(said)}) >= 3
    for ours, plain in zip(found["ours"], found["plain"], strict=True):
        assert len(text(ours)) > 10
        assert text(plain).startswith(text(ours))


@pytest.mark.parametrize("case", [case for case in CASES if case[0].startswith("taught")])
def test_times_are_those_of_nemo(case: tuple[str, str, str], all_compared: Any) -> None:
    """NeMo's words and times, within the sound. Under a second, NeMo counts from the silence that it adds."""
    found = all_compared[case]
    assert [one["text"] for one in found["ours"]] == [one["text"] for one in found["plain"]]
    for seconds, ours, plain in zip(SECONDS, found["ours"], found["plain"], strict=True):
        assert [word[0] for word in ours["words"]] == [word[0] for word in plain["words"]]
        for mine, theirs in zip(ours["words"], plain["words"], strict=True):
            if seconds >= 1:
                assert mine[1:3] == pytest.approx([min(time, seconds) for time in theirs[1:3]], abs=0.011)
            assert 0 <= mine[1] <= mine[2] <= seconds
            assert 0 < mine[3] <= 1


@pytest.mark.parametrize("case", [case for case in CASES if case[1] == "-"])
def test_parakeets_kinds_say_what_they_say_under_nemo(case: tuple[str, str, str], all_compared: Any) -> None:
    found = all_compared[case]
    assert [one["text"] for one in found["ours"]] == [one["text"] for one in found["plain"]]
    assert any(one["text"] for one in found["ours"])


class Harm:
    """What a pickle runs when it is opened."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self.proof,)


@pytest.mark.parametrize("weights", [WEIGHTS, TIMES_WEIGHTS])
def test_a_pickle_in_the_weights_is_refused_and_not_run(weights: str, tmp_path: Path) -> None:
    import torch

    (archive,) = made("taught-canary-v2")
    folder = tmp_path / "model"
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    proof = tmp_path / "ran"
    torch.save({"weight": Harm(proof)}, folder / weights)
    with pytest.raises(ApiError) as refused:
        ProcessEngine("nemo", folder, Opening(use_gpu=False), python=str(PYTHON))
    assert (refused.value.status, refused.value.code) == (422, "model_unusable")
    assert not proof.exists()


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    one, other = made("taught-canary-v2", "random-ctc")
    folder = tmp_path / "model"
    for archive, names in ((one, None), (other, [f"./{WEIGHTS}"])):
        with tarfile.open(archive) as tar:
            tar.extractall(folder, members=names and [tar.getmember(name) for name in names], filter="data")
    entry = ModelEntry(key="mixed", family="canary", parameters=0, licence="", path=folder)
    with pytest.raises(ApiError, match="ne vont pas ensemble"):
        NemoBackend(Hub(tmp_path)).open(entry, Placement())
