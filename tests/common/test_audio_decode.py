"""Decoding strangers' files: every usual format, every way to be broken, nothing opened but the file itself."""

from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from common.audio.decode import AudioReader
from common.audio.wav import write_wav
from common.errors import ApiError
from tests.common.audio_files import LongSilence, encoded, silent_film, tone, wav_bytes

ROOT = Path(__file__).resolve().parents[2]
FORMATS = [
    ("wav", "pcm_s16le", 16_000, "mono"),
    ("wav", "pcm_f32le", 96_000, "stereo"),
    ("wav", "pcm_s24le", 48_000, "5.1"),
    ("wav", "pcm_mulaw", 8_000, "mono"),
    ("mp3", "libmp3lame", 44_100, "stereo"),
    ("ogg", "libopus", 48_000, "mono"),
    ("flac", "flac", 44_100, "stereo"),
    ("ipod", "aac", 44_100, "stereo"),
    ("webm", "libopus", 48_000, "mono"),
    ("adts", "aac", 22_050, "mono"),
]


class CountingFile(io.BytesIO):
    """Counts the bytes that are read."""

    bytes_read = 0

    def read(self, size: int | None = -1) -> bytes:  # type: ignore[override]  # io's own parameter is positional
        data = super().read(size)
        self.bytes_read += len(data)
        return data


def survives(data: bytes) -> None:
    """Read it, or refuse it by name: nothing else."""
    source = reader(data, max_seconds=600.0)
    try:
        source.probe()
        total = sum(block.size for block in source.blocks())
    except ApiError as error:
        if error.code not in {"invalid_audio", "empty_file", "empty_audio", "no_audio_track", "audio_too_long"}:
            raise
    else:
        assert total / 16_000 < 60


def reader(data: bytes, **options: float) -> AudioReader:
    return AudioReader(io.BytesIO(data), **options)  # type: ignore[arg-type]


def refusal(data: bytes, **options: float) -> ApiError:
    with pytest.raises(ApiError) as caught:
        list(reader(data, **options).blocks())
    return caught.value


@pytest.mark.parametrize(("container", "codec", "rate", "layout"), FORMATS)
def test_every_usual_format_gives_the_tone_back(container: str, codec: str, rate: int, layout: str) -> None:
    source = reader(encoded(tone(2.0, rate=rate), container, codec, rate=rate, layout=layout))
    samples = source.read()
    assert samples.dtype == np.float32
    assert samples.size / 16_000 == pytest.approx(2.0, abs=0.12)
    middle = samples[8_000:24_000]
    assert np.argmax(np.abs(np.fft.rfft(middle))) == pytest.approx(440, abs=2)
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.15)
    assert source.warnings == []


@pytest.mark.parametrize(("container", "codec"), [("mp4", "aac"), ("matroska", "libopus"), ("webm", "libopus")])
def test_a_video_gives_its_sound(container: str, codec: str) -> None:
    samples = reader(encoded(tone(1.5, rate=48_000), container, codec, video=True)).read()
    assert samples.size / 16_000 == pytest.approx(1.5, abs=0.12)


def test_blocks_have_the_asked_size_and_can_be_read_twice() -> None:
    source = reader(wav_bytes(tone(2.3)))
    sizes = [block.size for block in source.blocks(0.5)]
    assert sizes == [8_000] * 4 + [4_800]
    assert source.seconds == pytest.approx(2.3)
    assert [block.size for block in source.blocks(0.5)] == sizes


def test_a_path_works_like_a_file_object(tmp_path: Path) -> None:
    path = tmp_path / "sans-extension"
    with path.open("wb") as file:
        write_wav(file, [tone(0.1)], 16_000)
    assert AudioReader(path).probe().seconds == pytest.approx(0.1)
    assert AudioReader(path).read().size == 1_600


def test_written_wav_is_clipped_not_wrapped(tmp_path: Path) -> None:
    path = tmp_path / "fort.wav"
    assert write_wav(path, [np.array([2.0, -2.0, 0.5], np.float32)], 16_000) == 3
    assert AudioReader(path).read() == pytest.approx([1.0, -1.0, 0.5], abs=1e-3)


def test_probe_tells_what_the_header_says() -> None:
    info = reader(encoded(tone(1.0, rate=44_100), "flac", "flac", rate=44_100, layout="stereo")).probe()
    assert (info.codec, info.rate, info.channels, info.seconds) == ("flac", 44_100, 2, 1.0)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_file"),
        (b"ceci n'est pas du son " * 400, "invalid_audio"),
        (b"%PDF-1.7\n" + bytes(range(256)) * 40, "invalid_audio"),
        (wav_bytes(np.zeros(0, np.float32)), "empty_audio"),
        (wav_bytes(tone(1.0))[:20], "invalid_audio"),
        (encoded(tone(1.0, rate=48_000), "ipod", "aac")[:4000], "invalid_audio"),
        (silent_film(), "no_audio_track"),
    ],
)
def test_what_is_not_a_recording_is_refused_with_its_own_code(data: bytes, code: str) -> None:
    error = refusal(data)
    assert (error.status, error.code, error.param) == (400, code, "file")
    with pytest.raises(ApiError) as probed:
        reader(data).probe()
    assert probed.value.code == code


def test_playlists_and_session_files_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.wav"
    secret.write_bytes(wav_bytes(tone(1.0)))
    for text in (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://{secret}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {secret}\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
        f"<?xml version='1.0'?><MPD><Period><BaseURL>file://{secret}</BaseURL></Period></MPD>",
    ):
        path = tmp_path / "liste.m3u8"
        path.write_text(text)
        assert refusal(text.encode()).code == "invalid_audio"
        with pytest.raises(ApiError, match="invalid_audio"):
            AudioReader(path).read()


def test_a_truncated_mp3_gives_what_is_there_and_says_so() -> None:
    whole = encoded(tone(6.0, rate=44_100), "mp3", "libmp3lame", rate=44_100)
    source = reader(whole[: len(whole) // 2])
    samples = source.read()
    assert 2.0 < samples.size / 16_000 < 4.0
    assert "tronqué" in str(source.warnings[0])


def test_a_truncated_wav_gives_what_is_there() -> None:
    assert reader(wav_bytes(tone(4.0))[:64_000]).read().size / 16_000 == pytest.approx(2.0, abs=0.1)


def test_a_truncated_flac_says_so() -> None:
    whole = encoded(tone(6.0, rate=44_100), "flac", "flac", rate=44_100)
    source = reader(whole[: len(whole) // 2])
    assert 2.0 < source.read().size / 16_000 < 4.0
    assert len(source.warnings) == 1


def test_noise_in_the_middle_of_an_mp3_is_survived() -> None:
    whole = bytearray(encoded(tone(6.0, rate=44_100), "mp3", "libmp3lame", rate=44_100))
    third = len(whole) // 3
    whole[third : third + 2000] = bytes(np.random.default_rng(1).integers(0, 256, 2000, np.uint8))
    assert reader(bytes(whole)).read().size / 16_000 > 5.0


def test_the_length_bound_stops_the_decoding_whatever_the_header_says() -> None:
    ten_hours = LongSilence.of("flac", "flac")
    lying = bytearray(wav_bytes(tone(3.0)))
    lying[40:44] = struct.pack("<I", 1000)  # announces 31 ms
    assert len(ten_hours) < 6_000_000
    announced = reader(ten_hours).probe().seconds
    assert announced is not None
    assert announced < 1.0
    error = refusal(ten_hours, max_seconds=1200.0)
    assert (error.status, error.code) == (413, "audio_too_long")
    assert reader(bytes(lying), max_seconds=60.0).read().size < 48_001


@pytest.mark.parametrize(("container", "codec"), [("ogg", "libopus"), ("wav", "pcm_mulaw")])
def test_ten_hours_that_are_really_there_are_refused_at_once(container: str, codec: str) -> None:
    data = LongSilence.of(container, codec)
    long = CountingFile(data)
    with pytest.raises(ApiError) as caught:
        AudioReader(long, max_seconds=3600.0).probe()
    assert (caught.value.status, caught.value.code) == (413, "audio_too_long")
    assert long.bytes_read < max(500_000, len(data) // 4), "the file was read to its end to know its length"


def test_ten_hours_announced_by_a_header_that_lies_are_decoded_as_they_are() -> None:
    lying = bytearray(wav_bytes(tone(30.0)))
    lying[40:44] = struct.pack("<I", 36_000 * 32_000)
    lying[4:8] = struct.pack("<I", 36_000 * 32_000 + 36)
    assert len(lying) < 1_000_000
    source = reader(bytes(lying), max_seconds=3600.0)
    source.probe()
    assert source.read().size / 16_000 == pytest.approx(30.0)


def test_the_memory_of_a_long_recording_is_that_of_a_short_one() -> None:
    long, short = LongSilence.of("flac", "flac"), encoded(np.zeros(8_000 * 20, np.float32), "flac", "flac", rate=8_000)
    code = (
        "import io, resource, sys\n"
        "from common.audio.decode import AudioReader\n"
        "data = sys.stdin.buffer.read()\n"
        "blocks = AudioReader(io.BytesIO(data)).blocks()\n"
        "count = sum(block.size for block, _number in zip(blocks, range(1800)))\n"
        "print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )

    def measure(data: bytes) -> tuple[int, int]:
        done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True, cwd=ROOT)
        samples, kilobytes = done.stdout.split()
        return int(samples), int(kilobytes) - len(data) // 1024

    (many, peak), (few, least) = measure(long), measure(short)
    assert many > 50 * few
    assert peak < least + 20_000


@pytest.mark.parametrize(("container", "codec", "rate", "layout"), FORMATS)
def test_a_file_cut_anywhere_is_read_as_far_as_it_goes_or_refused(
    container: str, codec: str, rate: int, layout: str
) -> None:
    whole = encoded(tone(2.0, rate=rate), container, codec, rate=rate, layout=layout)
    for share in (0.001, 0.02, 0.3, 0.6, 0.9, 0.99):
        survives(whole[: round(len(whole) * share)])


@pytest.mark.parametrize("container", sorted({(c, k, r, la) for c, k, r, la in FORMATS}))
def test_damage_of_every_kind_is_survived(container: tuple[str, str, int, str]) -> None:
    name, codec, rate, layout = container
    whole = encoded(tone(1.0, rate=rate), name, codec, rate=rate, layout=layout)
    chance = random.Random(7)
    for _case in range(12):
        data = bytearray(whole)
        for _flip in range(chance.choice([1, 20, 200])):
            data[chance.randrange(min(len(data), chance.choice([60, len(data)])))] = chance.randrange(256)
        at = chance.randrange(len(data))
        data[at:at] = chance.randbytes(chance.choice([0, 0, 700]))
        survives(bytes(data))


@pytest.mark.parametrize("seed", [6, 11, 89])
def test_a_track_that_appears_on_the_way_does_not_stop_the_reading(seed: int) -> None:
    """An MPEG transport stream may grow tracks; PyAV knows those of the beginning only, and stops at another."""
    chance = random.Random(seed)
    whole = bytearray(encoded(tone(2.0, rate=48_000), "mpegts", "mp2", rate=48_000))
    for _flip in range(20):
        whole[chance.randrange(len(whole))] = chance.randrange(256)
    assert reader(bytes(whole)).read().size / 16_000 > 1.8


def test_a_header_that_cuts_the_sound_into_crumbs_is_refused() -> None:
    """One sample for each packet: hours of work for a small file, and no format of this world."""
    whole = bytearray(encoded(tone(3.0), "caf", "pcm_s16le", rate=16_000))
    description = whole.index(b"desc") + 12
    whole[description + 16 : description + 20] = struct.pack(">I", 2)  # bytes per packet
    whole[description + 20 : description + 24] = struct.pack(">I", 256)  # frames per packet, which they are not
    assert refusal(bytes(whole)).code == "invalid_audio"


def test_nonsense_samples_do_not_get_through() -> None:
    wild = np.array([np.nan, np.inf, -np.inf, 1e30, 0.25] * 1000, np.float32)
    header = bytearray(wav_bytes(np.zeros(wild.size * 2, np.float32)))[:44]
    header[20:22] = struct.pack("<H", 3)  # IEEE float
    header[28:32] = struct.pack("<I", 64_000)
    header[32:36] = struct.pack("<HH", 4, 32)
    samples = reader(bytes(header) + wild.tobytes()).read()
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() <= 8.0
