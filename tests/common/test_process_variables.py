"""The variables that a model's process starts with."""

from __future__ import annotations

import pytest

from common.errors import ApiError
from common.machine.resources import usable_cpus
from common.process.variables import model_variables


@pytest.mark.parametrize(
    ("seen", "ids", "given"),
    [(None, (1, 3), "1,3"), ("4,5,6,7", (1, 3), "5,7"), ("GPU-aa, GPU-bb", (1,), "GPU-bb"), ("2,3", (), None)],
)
def test_gpus_are_positions_among_those_that_the_service_sees(
    seen: str | None, ids: tuple[int, ...], given: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if seen is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)
    assert model_variables(use_gpu=True, gpu_device_ids=ids).get("CUDA_VISIBLE_DEVICES") == given
    assert model_variables(use_gpu=False, gpu_device_ids=ids)["CUDA_VISIBLE_DEVICES"] == ""


def test_a_gpu_that_is_not_seen_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    with pytest.raises(ApiError, match="gpu_missing"):
        model_variables(use_gpu=True, gpu_device_ids=(2,))


def test_threads_are_those_asked_for_or_all() -> None:
    assert model_variables(use_gpu=False, threads=3)["OMP_NUM_THREADS"] == "3"
    assert model_variables(use_gpu=False)["MKL_NUM_THREADS"] == str(usable_cpus())
    assert model_variables(use_gpu=False)["OMP_WAIT_POLICY"] == "passive"
