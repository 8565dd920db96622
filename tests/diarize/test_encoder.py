"""The speaker encoder against torch's own layers with the same weights."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from diarize.engines.embedded.checkpoint import CheckpointError, read_checkpoint
from diarize.engines.embedded.convert import convert, wheel_file
from diarize.engines.embedded.encoder import MelStream, SpeakerEncoder, mel_filters

torch = pytest.importorskip("torch", reason="torch is only in the development environment")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "sub" / "resemblyzer.onnx"
    convert(wheel_file(), path)
    return path


def test_the_safe_reader_gives_what_torch_gives() -> None:
    expected = torch.load(wheel_file(), weights_only=True, map_location="cpu")["model_state"]
    read = read_checkpoint(wheel_file())["model_state"]
    assert read.keys() == expected.keys()
    for name, value in expected.items():
        assert np.array_equal(read[name], value.numpy())


def test_embeddings_equal_torchs(weights: Path) -> None:
    state = torch.load(wheel_file(), weights_only=True, map_location="cpu")["model_state"]
    lstm = torch.nn.LSTM(40, 256, 3, batch_first=True)
    lstm.load_state_dict({k.removeprefix("lstm."): v for k, v in state.items() if k.startswith("lstm.")})
    windows = np.random.default_rng(0).random((19, 120, 40), np.float32) ** 4
    with torch.no_grad():
        _, (hidden, _) = lstm(torch.from_numpy(windows))
        raw = torch.relu(hidden[-1] @ state["linear.weight"].T + state["linear.bias"])
        expected = (raw / raw.norm(dim=1, keepdim=True)).numpy()
    assert np.abs(SpeakerEncoder(weights).raw(windows) - expected).max() < 1e-5


def test_mel_features_equal_torchs_spectrogram() -> None:
    samples = np.random.default_rng(1).normal(0, 0.1, 8_000).astype(np.float32)
    window = torch.hann_window(400, periodic=True)
    spectrum = torch.stft(
        torch.from_numpy(samples), 400, 160, window=window, center=True, pad_mode="constant", return_complex=True
    )
    expected = (spectrum.abs() ** 2).numpy().T @ mel_filters().T
    stream = MelStream()
    parts = [stream.push(samples[at : at + size]) for at, size in ((0, 10), (10, 500), (510, 7_490))]
    mels, powers = (np.concatenate(rows) for rows in zip(*parts, stream.finish(), strict=True))
    assert np.allclose(mels, expected, rtol=1e-3, atol=1e-5)
    assert np.allclose(powers[:50], np.mean(np.square(samples.reshape(50, 160)), axis=1), rtol=1e-5)


def test_mel_filters_are_slaneys() -> None:
    filters = mel_filters()
    assert filters.shape == (40, 201)
    peaks = filters.argmax(axis=1) * 40.0
    assert np.all(np.diff(peaks) >= 0)
    assert peaks[0] == pytest.approx(80, abs=40)
    areas = filters.sum(axis=1) * 40.0
    assert areas[20:] == pytest.approx(np.ones(20), rel=0.05)  # unit area where bins are fine enough


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (eval, ("__import__('os').abort()",))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", pickle.dumps(_Evil(), 2), pickle.dumps(_Evil(), 4)])
def test_a_hostile_or_broken_checkpoint_is_refused_without_running_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "evil.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError):
        read_checkpoint(path)
    with pytest.raises(CheckpointError):
        convert(path, tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "short.pt"
    path.write_bytes(wheel_file().read_bytes()[:1_000_000])
    with pytest.raises(CheckpointError):
        read_checkpoint(path)
