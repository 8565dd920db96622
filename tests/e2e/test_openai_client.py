"""The real OpenAI client against app's public address: models, chats, transcriptions, errors that it understands."""

import base64
import io
import json

import openai
import pytest
from openai.types.audio import Transcription, TranscriptionDiarized, TranscriptionVerbose

from common.audio.decode import AudioReader
from scripts.environment import ROOT
from tests.common.audio_files import wav_bytes
from tests.e2e.stack import Stack


@pytest.fixture
def client(stack: Stack) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{stack.app_url}/v1", api_key="none", max_retries=0, timeout=120)


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert "frigo-mini" in [model.id for model in client.models.list()]


def test_a_chat_is_streamed_with_its_true_usage(client: openai.OpenAI) -> None:
    text, finish, usage, pieces = "", None, None, 0
    with client.chat.completions.create(
        model="frigo-mini",
        messages=[{"role": "user", "content": "Que sait faire Frigo ?"}],
        temperature=0,
        max_tokens=60,
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        for chunk in stream:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                finish = choice.finish_reason or finish
                if choice.delta.content:
                    pieces += 1
                    text += choice.delta.content
    assert text.strip()
    assert pieces > 1, "the answer came in one piece"
    assert finish in {"stop", "length"}
    assert usage is not None
    assert 0 < usage.completion_tokens <= 60
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_the_same_chat_is_the_same_without_streaming(client: openai.OpenAI) -> None:
    def ask() -> str:
        answer = client.chat.completions.create(
            model="default", messages=[{"role": "user", "content": "Bonjour"}], temperature=0, max_tokens=20
        )
        assert answer.model == "frigo-mini", "the answer says which model served"
        return answer.choices[0].message.content or ""

    assert ask() == ask()


def test_leaving_a_stream_frees_the_model(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="frigo-mini", messages=[{"role": "user", "content": "Raconte"}], max_tokens=2000, stream=True
    )
    next(iter(stream))
    stream.close()
    short = client.with_options(timeout=30).chat.completions.create(
        model="frigo-mini", messages=[{"role": "user", "content": "Bonjour"}], max_tokens=3
    )
    assert short.usage is not None


def test_zero_tokens_are_legal(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="frigo-mini", messages=[{"role": "user", "content": "Bonjour"}], max_tokens=0
    )
    assert answer.choices[0].message.content == ""
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 0
    assert answer.usage.prompt_tokens > 0


def test_an_unknown_model_is_a_not_found_error(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(model="does-not-exist", messages=[{"role": "user", "content": "Bonjour"}])
    assert raised.value.code == "model_not_found"
    assert raised.value.param == "model"


@pytest.mark.parametrize(
    ("options", "param"),
    [({"max_tokens": -1}, "max_tokens"), ({"max_tokens": 10**9}, "max_tokens"), ({"temperature": -1}, "temperature")],
)
def test_a_value_that_makes_no_sense_is_a_bad_request_that_names_it(
    client: openai.OpenAI, options: dict[str, int], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(
            model="frigo-mini",
            messages=[{"role": "user", "content": "Bonjour"}],
            **options,  # type: ignore[call-overload]
        )
    assert raised.value.param == param


def test_an_empty_conversation_is_a_bad_request(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="frigo-mini", messages=[])


@pytest.fixture(scope="module")
def meeting() -> bytes:
    """Eighteen seconds of the meeting that comes with the project: two English voices, one after the other."""
    return wav_bytes(AudioReader(ROOT / "app" / "sample" / "reunion-exemple.ogg").read()[: 18 * 16_000])


@pytest.fixture(scope="module")
def sentence(meeting: bytes) -> tuple[str, bytes]:
    """Its first words: "Welcome to this meeting"."""
    return "réunion.wav", wav_bytes(AudioReader(io.BytesIO(meeting)).read()[16_000 : 4 * 16_000])


def test_a_recording_is_transcribed_in_each_format(client: openai.OpenAI, sentence: tuple[str, bytes]) -> None:
    create = client.audio.transcriptions.create
    plain = create(model="whisper-1", file=sentence, language="en")
    assert isinstance(plain, Transcription)
    assert plain.text.strip()
    assert plain.usage is not None
    assert plain.usage.to_dict() == {"type": "duration", "seconds": 3}
    verbose = create(
        model="gpt-4o-transcribe",
        file=sentence,
        response_format="verbose_json",
        timestamp_granularities=["segment", "word"],
        temperature=0,
    )
    assert isinstance(verbose, TranscriptionVerbose)
    assert (verbose.text, verbose.language, verbose.duration) == (plain.text, "english", 3.0)
    assert verbose.words
    assert verbose.segments
    assert " ".join(word.word for word in verbose.words) == plain.text
    assert create(model="default", file=sentence, response_format="text") == f"{plain.text}\n"
    srt = create(model="default", file=sentence, response_format="srt")
    blocks = [block.split("\n", 2) for block in srt.strip().split("\n\n")]
    assert [number for number, _times, _text in blocks] == [str(n) for n in range(1, len(blocks) + 1)]
    assert " ".join(text for _number, _times, text in blocks).split() == plain.text.split()
    vtt = create(model="pocketsphinx", file=sentence, response_format="vtt")
    assert vtt.startswith("WEBVTT\n\n00:00:")
    logs = create(model="gpt-4o-mini-transcribe", file=sentence, include=["logprobs"], chunking_strategy="auto")
    assert logs.logprobs
    assert "".join(item.token or "" for item in logs.logprobs) == plain.text


def test_the_headers_tell_what_the_text_is_worth(client: openai.OpenAI, sentence: tuple[str, bytes]) -> None:
    raw = client.audio.transcriptions.with_raw_response.create(model="whisper-1", file=sentence)
    assert raw.headers["X-Frigo-Model"] == "pocketsphinx"
    assert "démonstration" in json.loads(raw.headers["X-Frigo-Warnings"])[0]


def test_a_transcription_is_streamed(client: openai.OpenAI, sentence: tuple[str, bytes]) -> None:
    with client.audio.transcriptions.create(model="gpt-4o-transcribe", file=sentence, stream=True) as stream:
        *deltas, done = list(stream)
    assert deltas
    assert done.type == "transcript.text.done"
    assert "".join(event.delta for event in deltas if event.type == "transcript.text.delta") == done.text


def test_who_said_what_with_a_voice_that_is_known(client: openai.OpenAI, meeting: bytes) -> None:
    samples = AudioReader(io.BytesIO(meeting)).read()
    david = wav_bytes(samples[round(8.2 * 16_000) : round(14.2 * 16_000)])
    answer = client.audio.transcriptions.create(
        model="gpt-4o-transcribe-diarize",
        file=("meeting.wav", meeting),
        response_format="diarized_json",
        chunking_strategy={"type": "server_vad", "threshold": 0.35},
        known_speaker_names=["David"],
        known_speaker_references=["data:audio/wav;base64," + base64.b64encode(david).decode()],
    )
    assert isinstance(answer, TranscriptionDiarized)
    assert answer.duration == pytest.approx(18.0)
    assert [segment.speaker for segment in answer.segments][:1] == ["A"]
    assert {segment.speaker for segment in answer.segments} == {"A", "David"}
    first = next(segment for segment in answer.segments if segment.speaker == "David")
    assert first.start == pytest.approx(8.1, abs=1.0)
    assert first.type == "transcript.text.segment"


def test_what_the_demonstration_engine_cannot_do_is_refused_clearly(
    client: openai.OpenAI, sentence: tuple[str, bytes]
) -> None:
    with pytest.raises(openai.BadRequestError) as translation:
        client.audio.translations.create(model="whisper-1", file=sentence)
    assert translation.value.code == "unsupported_translation"
    assert "ne traduit pas" in translation.value.message
    with pytest.raises(openai.BadRequestError) as prompt:
        client.audio.transcriptions.create(model="whisper-1", file=sentence, prompt="Frigo")
    assert (prompt.value.code, prompt.value.param) == ("unsupported_parameter", "prompt")
    with pytest.raises(openai.BadRequestError) as language:
        client.audio.transcriptions.create(model="whisper-1", file=sentence, language="klingon")
    assert (language.value.code, language.value.param) == ("invalid_language", "language")
    with pytest.raises(openai.BadRequestError) as broken:
        client.audio.transcriptions.create(model="whisper-1", file=("a.mp3", b"not a sound"))
    assert (broken.value.code, broken.value.param) == ("invalid_audio", "file")
    with pytest.raises(openai.NotFoundError):
        client.audio.transcriptions.create(model="whisper-9", file=sentence)
