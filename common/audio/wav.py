"""Write 16-bit mono WAV."""

from __future__ import annotations

import wave
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from common.audio.decode import FloatArray


def pcm16(samples: FloatArray) -> bytes:
    """Little-endian 16-bit PCM of float samples; what is outside [-1, 1] is clipped."""
    return (np.clip(samples, -1.0, 1.0) * 32767.0).round().astype("<i2").tobytes()


def write_wav(target: Path | BinaryIO, blocks: Iterable[FloatArray], rate: int) -> int:
    """Write the blocks one after the other. Returns how many samples were written."""
    count = 0
    with wave.open(str(target) if isinstance(target, Path) else target, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        for block in blocks:
            out.writeframes(pcm16(block))
            count += block.size
    return count
