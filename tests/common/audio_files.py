"""Recordings made on the spot: a tone in any container, by PyAV and by the standard library."""

from __future__ import annotations

import io
import wave
from fractions import Fraction
from typing import Any, ClassVar

import av
import numpy as np

RATE = 16_000


class LongSilence:
    """Ten hours of silence in any container, made once: encoded a little, then repeated packet by packet."""

    _made: ClassVar[dict[str, bytes]] = {}

    @classmethod
    def of(cls, container: str, codec: str) -> bytes:
        if container not in cls._made:
            cls._made[container] = cls._repeated(container, codec)
        return cls._made[container]

    @staticmethod
    def _repeated(container: str, codec: str, seconds: int = 36_000) -> bytes:
        buffer, rate = io.BytesIO(), 11_025 if codec == "flac" else 8_000
        with av.open(buffer, "w", format=container) as out:
            stream: Any = out.add_stream(codec, rate=rate, layout="mono")
            if codec == "libopus":
                stream.options = {"frame_duration": "120"}
            stream.codec_context.open()
            samples = stream.codec_context.frame_size or 65_000
            frame = av.AudioFrame.from_ndarray(np.zeros((1, samples), np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
            packets = [*stream.encode(frame), *stream.encode(None)]
            packet = packets[0]
            data, length = bytes(packet), samples
            for number in range(seconds * rate // length):
                again = av.Packet(data)
                again.stream, again.time_base = stream, Fraction(1, rate)
                again.pts = again.dts = number * length
                again.duration = length
                out.mux(again)
        return buffer.getvalue()


def tone(seconds: float, *, rate: int = RATE, hertz: float = 440.0, level: float = 0.3) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def wav_bytes(samples: np.ndarray, rate: int = RATE, channels: int = 1) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        pcm = (np.repeat(samples[:, None], channels, axis=1) * 32767).astype("<i2")
        file.writeframes(pcm.tobytes())
    return out.getvalue()


def encoded(
    samples: np.ndarray, container: str, codec: str, *, rate: int = 48_000, layout: str = "mono", video: bool = False
) -> bytes:
    """`samples` (at `rate`) in a container, optionally beside a few black pictures."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        stream: Any = out.add_stream(codec, rate=rate, layout=layout)
        picture: Any = None
        if video:
            picture = out.add_stream("mpeg4" if container != "webm" else "libvpx", rate=10)
            picture.width, picture.height, picture.pix_fmt = 32, 32, "yuv420p"
            _add_pictures(out, picture)
        channels = stream.codec_context.layout.nb_channels
        planes = np.repeat(samples[None], channels, axis=0)
        resampler = av.AudioResampler(
            format=stream.codec_context.format, layout=layout, rate=rate, frame_size=stream.codec_context.frame_size
        )
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    return buffer.getvalue()


def silent_film() -> bytes:
    """An MP4 with pictures and no sound."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        picture: Any = out.add_stream("mpeg4", rate=10)
        picture.width, picture.height, picture.pix_fmt = 32, 32, "yuv420p"
        _add_pictures(out, picture)
    return buffer.getvalue()


def _add_pictures(out: Any, stream: Any) -> None:
    for _number in range(10):
        stream_frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        out.mux(stream.encode(stream_frame))
    out.mux(stream.encode(None))
