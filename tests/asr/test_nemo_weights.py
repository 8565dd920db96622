"""The weights of a .nemo model: tensors, whole, or a refusal that says which of the two they are not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from asr.engines.nemo.restore import _weights
from common.errors import ApiError

TENSORS = {"one": torch.zeros(4000), "two": torch.ones(3)}


def saved(folder: Path, what: object) -> Path:
    path = folder / "weights.ckpt"
    torch.save(what, path)
    return path


def test_tensors_are_read(tmp_path: Path) -> None:
    assert torch.equal(_weights(saved(tmp_path, TENSORS))["two"], TENSORS["two"])


@pytest.mark.parametrize("kept", [0, 10, 5000, 15_000])
def test_weights_that_are_cut_short_are_refused(tmp_path: Path, kept: int) -> None:
    path = saved(tmp_path, TENSORS)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ApiError) as refused:
        _weights(path)
    assert (refused.value.status, refused.value.code) == (422, "model_unusable")


@pytest.mark.parametrize("what", [[TENSORS], {"name": "a model"}, Path("a pickled path")])
def test_anything_else_is_refused(tmp_path: Path, what: object) -> None:
    with pytest.raises(ApiError, match="tenseurs"):
        _weights(saved(tmp_path, what))
