"""What `NemoModel` reads is what NeMo itself reads, in a batch as alone; its archives stay shut."""

from __future__ import annotations

import json
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
]


def compared(kind: str, folder: Path, language: str, target: str = "-") -> dict[str, Any]:
    (archive,) = made(kind)
    path = folder / archive.name
    shutil.copy(archive, path)
    script = str(ROOT / "tests" / "asr" / "nemo_plain.py")
    found: dict[str, Any] = json.loads(run_with_nemo(script, str(path), language, target).splitlines()[-1])
    assert found["reached"] == []  # no telemetry, no hub
    return found


def same(one: list[Any], other: list[Any]) -> None:
    """The same words, at the same times; confidences to a rounding error."""
    assert [said["text"] for said in one] == [said["text"] for said in other]
    for mine, theirs in zip(one, other, strict=True):
        assert [word[0] for word in mine["words"]] == [word[0] for word in theirs["words"]]
        for a, b in zip(mine["words"], theirs["words"], strict=True):
            assert a[1:] == pytest.approx(b[1:], abs=1e-3)


@pytest.mark.parametrize(
    ("kind", "language", "target"),
    [
        ("random-canary-1b", "fr", "-"),
        ("random-canary-1b", "fr", "en"),
        ("random-canary-flash", "en", "-"),
        ("random-canary-v2", "fr", "en"),
    ],
)
def test_a_random_canary_says_what_it_says_under_nemo(kind: str, language: str, target: str, tmp_path: Path) -> None:
    found = compared(kind, tmp_path, language, target)
    same(found["ours"], found["alone"])
    longest = 1  # NeMo lets all of a batch run as long as the longest may: the others are cut where they would be alone
    for index, (ours, plain) in enumerate(zip(found["ours"], found["plain"], strict=True)):
        theirs = "".join(plain["text"].split())
        assert "".join(ours["text"].split()) == theirs or (
            index != longest and ours["text"] and theirs.startswith("".join(ours["text"].split()))
        )


@pytest.mark.parametrize(("kind", "shortest"), [("taught-canary-flash", 0.0), ("taught-canary-v2", 0.0)])
def test_times_are_those_of_nemo(kind: str, shortest: float, tmp_path: Path) -> None:
    """NeMo's words and times, but for a sound under a second, whose times NeMo counts from the silence it adds."""
    found = compared(kind, tmp_path, "en")
    same(found["ours"], found["alone"])
    assert [one["text"] for one in found["ours"]] == [one["text"] for one in found["plain"]]
    for ours, plain in list(zip(found["ours"], found["plain"], strict=True))[:2]:
        assert [word[0] for word in ours["words"]] == [word[0] for word in plain["words"]]
        for mine, theirs in zip(ours["words"], plain["words"], strict=True):
            assert mine[1:3] == pytest.approx(theirs[1:3], abs=0.011)
            assert 0 < mine[3] <= 1
    assert all(end <= 0.4 for _word, _start, end, _confidence in found["ours"][-1]["words"])


@pytest.mark.parametrize("kind", ["random-ctc", "random-tdt"])
def test_parakeets_kinds_say_what_they_say_under_nemo(kind: str, tmp_path: Path) -> None:
    found = compared(kind, tmp_path, "-")
    same(found["ours"], found["alone"])
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
