"""Decode any usual audio or video file to mono float32, block by block, in constant memory.

Files come from strangers. They are always handed to FFmpeg as an open file object, and only formats that carry
their own sound are recognised: playlists and session descriptions (HLS, DASH, concat, SDP...) that would make FFmpeg
open other files or addresses are refused like any file that is not audio.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from common.errors import ApiError
from common.messages import Figure, Text, _

if TYPE_CHECKING:
    from av.container import InputContainer

FloatArray = npt.NDArray[np.float32]

SPEECH_RATE = 16_000
_FORMATS = (
    "wav,w64,mp3,flac,ogg,aac,ac3,eac3,aiff,amr,au,caf,asf,avi,flv,ape,wv,tta,mpeg,mpegts,"
    "matroska,webm,mov,mp4,m4a,3gp,3g2"
)
_CONTAINER_OPTIONS = {"format_whitelist": _FORMATS, "protocol_whitelist": "none"}
_AVERAGE = {"rematrix_maxval": "1.0"}  # channels are averaged, not summed
_RATES = range(2_000, 768_001)
_MAX_BAD_PACKETS = 50
_MOST_STRANGE = 10_000  # packets of unknown tracks in a row
_TINY_FRAMES, _TINY_SAMPLES = 20_000, 16  # so many frames that hold so little each are a header that lies
_SEARCH_SECONDS = 60.0  # how far beyond the longest length a frame is looked for
_SEEKABLE = {"wav", "w64", "flac", "ogg", "mp3", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2"}
_MOST_HELD = 256 * 1024  # samples of all channels that wait for the resampler
_FULL_SCALE = 8.0  # float files may exceed 1.0; beyond this the sample is nonsense


@dataclass(frozen=True)
class AudioInfo:
    """What the header says. `seconds` is the announced length: it may be missing, and it may be wrong."""

    container: str
    codec: str
    rate: int
    channels: int
    seconds: float | None


@dataclass
class _Damage:
    """How many packets could not be read."""

    count: int = 0


@dataclass
class AudioReader:
    """One audio file, readable several times from its beginning.

    `source` is a path or a seekable binary file object. `max_seconds` bounds the decoded length, whatever the
    header says. After a whole pass `seconds` is the decoded length and `warnings` tells what was damaged.
    """

    source: Path | BinaryIO
    rate: int = SPEECH_RATE
    max_seconds: float | None = None
    param: str = "file"
    seconds: float = 0.0
    warnings: list[Text] = field(default_factory=list)

    def probe(self) -> AudioInfo:
        """Open the file and decode its first frame; and, when it announces more than `max_seconds`, one beyond them.

        Raises ApiError 400: empty_file, invalid_audio, no_audio_track or empty_audio; 413 audio_too_long.
        """
        with self._file() as file, self._container(file) as container:
            info = self._info(container)
            for _frame in self._frames(container, _Damage()):
                self._check_announced(container, info)
                return info
        raise self._empty()

    def blocks(self, seconds: float = 1.0) -> Iterator[FloatArray]:
        """Yield mono float32 blocks of `seconds` (the last one may be shorter).

        Raises ApiError as `probe` does, and 413 audio_too_long once `max_seconds` have been decoded.
        """
        size = max(1, round(seconds * self.rate))
        damage = _Damage()
        self.seconds, self.warnings = 0.0, []
        pending, held, total = [], 0, 0
        with self._file() as file, self._container(file) as container:
            announced = self._info(container).seconds
            for piece in self._resampled(self._frames(container, damage), damage):
                total += piece.size
                self._check_length(total)
                pending.append(piece)
                held += piece.size
                if held >= size:
                    joined = np.concatenate(pending)
                    whole = held // size * size
                    for start in range(0, whole, size):
                        yield joined[start : start + size]
                    pending, held = [joined[whole:]], held - whole
        if held:
            yield np.concatenate(pending)
        self.seconds = total / self.rate
        if total == 0:
            raise self._invalid() if damage.count else self._empty()
        if damage.count or (announced is not None and announced - self.seconds > max(0.5, 0.02 * announced)):
            self.warnings.append(
                _(
                    "Le fichier est abîmé ou tronqué : seules %(seconds)s secondes ont pu être lues.",
                    seconds=Figure(self.seconds, 1),
                )
            )

    def read(self) -> FloatArray:
        """The whole file in memory, for short recordings."""
        return np.concatenate(list(self.blocks(10.0)))

    @contextlib.contextmanager
    def _file(self) -> Iterator[BinaryIO]:
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(self.source.open("rb")) if isinstance(self.source, Path) else self.source
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            if size == 0:
                raise ApiError(400, "empty_file", _("Le fichier est vide."), self.param)
            yield file

    @contextlib.contextmanager
    def _container(self, file: BinaryIO) -> Iterator[InputContainer]:
        import av

        av.logging.set_level(None)
        try:
            container = av.open(file, mode="r", container_options=_CONTAINER_OPTIONS, metadata_errors="replace")
        except (av.FFmpegError, ValueError, EOFError) as error:
            raise self._invalid() from error
        with container:
            if not container.streams.audio:
                if container.streams.video:
                    raise ApiError(400, "no_audio_track", _("Cette vidéo n'a pas de piste sonore."), self.param)
                raise self._invalid()
            yield container

    def _info(self, container: InputContainer) -> AudioInfo:
        stream = container.streams.audio[0]
        codec = stream.codec_context
        length = None
        if stream.duration is not None and stream.time_base is not None:
            length = float(stream.duration * stream.time_base)
        elif container.duration is not None:
            length = container.duration / 1_000_000
        try:
            rate, channels, name = int(codec.sample_rate), int(codec.channels), codec.name
        except AttributeError as error:  # no decoder for this codec
            raise self._invalid() from error
        return AudioInfo(container.format.name, name, rate, channels, length)

    def _frames(self, container: InputContainer, damage: _Damage) -> Iterator[Any]:
        """Decoded frames of the first audio track. Packets that can't be read are skipped and counted."""
        import av

        stream = container.streams.audio[0]
        packets = container.demux(stream)
        decoded = samples = strange = 0
        while strange < _MOST_STRANGE:
            try:
                packet = next(packets, None)
                strange = 0
            except (av.FFmpegError, EOFError):
                damage.count += 1
                break
            except IndexError:  # a track that appears on the way, which PyAV does not know; what follows is read
                damage.count += 1
                strange += 1
                packets = container.demux(stream)
                continue
            if packet is None:
                break
            try:
                frames = packet.decode()
            except (av.FFmpegError, EOFError):
                damage.count += 1
                if damage.count > _MAX_BAD_PACKETS and decoded < damage.count:
                    break
                continue
            for frame in frames:
                if frame.samples > 0 and frame.sample_rate in _RATES:
                    decoded += 1
                    samples += frame.samples
                    yield frame
            if decoded >= _TINY_FRAMES and samples < decoded * _TINY_SAMPLES:
                raise self._invalid()
        if damage.count and not decoded:
            raise self._invalid()

    def _resampled(self, frames: Iterator[Any], damage: _Damage) -> Iterator[FloatArray]:
        """Mono float32 at `rate`, a second or so at a time: what costs is the number of calls, not of samples.

        The resampler is rebuilt when the track changes its format on the way.
        """
        resampler: _Resampler | None = None
        shape: tuple[str, str, int] | None = None
        for frame in frames:
            frame.pts = None
            now = (frame.format.name, frame.layout.name, frame.sample_rate)
            if resampler is None or now != shape:
                if resampler is not None:
                    yield from resampler.finish()
                resampler, shape = _Resampler(self.rate, damage), now
            yield from resampler.push(frame)
            if damage.count > _MAX_BAD_PACKETS and resampler.hopeless:
                raise self._invalid()
        if resampler is not None:
            yield from resampler.finish()

    def _check_announced(self, container: InputContainer, info: AudioInfo) -> None:
        """Refuse at once a file that is as long as it says; one that lies is measured while it is decoded."""
        import av

        limit = self.max_seconds
        if limit is None or info.seconds is None or info.seconds <= limit or info.container not in _SEEKABLE:
            return
        stream = container.streams.audio[0]
        if stream.time_base is None:
            return
        begin = stream.start_time or 0
        try:
            container.seek(begin + int(limit / stream.time_base), stream=stream)
            for packet in container.demux(stream):
                for frame in packet.decode():
                    if frame.pts is not None and (frame.pts - begin) * stream.time_base >= limit:
                        raise self._too_long()
                if packet.pts is not None and (packet.pts - begin) * stream.time_base > limit + _SEARCH_SECONDS:
                    return
        except (av.FFmpegError, EOFError, IndexError):
            return

    def _check_length(self, samples: int) -> None:
        if self.max_seconds is not None and samples > self.max_seconds * self.rate:
            raise self._too_long()

    def _too_long(self) -> ApiError:
        message = _(
            "L'enregistrement dure plus de %(minutes)s minutes, la limite de ce service.",
            minutes=f"{(self.max_seconds or 0) / 60:g}",
        )
        return ApiError(413, "audio_too_long", message, self.param)

    def _empty(self) -> ApiError:
        return ApiError(400, "empty_audio", _("Le fichier ne contient aucun son."), self.param)

    def _invalid(self) -> ApiError:
        return ApiError(
            400,
            "invalid_audio",
            _("Ce fichier n'est pas un enregistrement audio lisible (WAV, MP3, OGG, FLAC, M4A, WebM…)."),
            self.param,
        )


class _Resampler:
    """Frames of one shape in, mono float32 out. What can't be mixed (a layout of no sense) is left out and counted."""

    def __init__(self, rate: int, damage: _Damage) -> None:
        import av

        self._resampler = av.AudioResampler(format="flt", layout="mono", rate=rate, options=_AVERAGE)
        self._held = av.AudioFifo()
        self._damage = damage
        self.hopeless = False

    def push(self, frame: Any) -> Iterator[FloatArray]:
        self._held.write(frame)
        if self._held.samples * frame.layout.nb_channels >= min(frame.sample_rate, _MOST_HELD):
            yield from self._resample(self._held.read(self._held.samples))

    def finish(self) -> Iterator[FloatArray]:
        if self._held.samples:
            yield from self._resample(self._held.read(self._held.samples))
        if not self.hopeless:
            yield from self._resample(None)

    def _resample(self, joined: Any) -> Iterator[FloatArray]:
        import av

        try:
            frames = self._resampler.resample(joined)
        except (av.FFmpegError, ValueError):
            self._damage.count += 1
            self.hopeless = True
            return
        self.hopeless = False
        yield from _samples(frames)


def _samples(frames: list[Any]) -> Iterator[FloatArray]:
    for frame in frames:
        samples = np.ascontiguousarray(frame.to_ndarray()[0], dtype=np.float32)
        if not np.isfinite(samples).all():
            samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
        if samples.size:
            yield np.clip(samples, -_FULL_SCALE, _FULL_SCALE)
