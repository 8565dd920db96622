"""The transformers engine's models in this process: random weights, real code, compared with the library's own ways."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from asr.engines.base import Task
from asr.engines.process.spec import Opening, Said, Utterance
from asr.engines.transformers.model import TransformersModel
from common.errors import ApiError
from tests.asr import hf_models
from tests.asr.hf_tones import WORDS, play

RATE = 16_000
FRENCH = Task(language="fr")
ON_CPU = Opening(use_gpu=False)
BUILDERS: dict[str, Callable[[Path], Path]] = {
    "ctc": lambda folder: hf_models.random_parakeet(folder, "ctc"),
    "rnnt": lambda folder: hf_models.random_parakeet(folder, "rnnt"),
    "tdt": lambda folder: hf_models.random_parakeet(folder, "tdt"),
    "canary": hf_models.random_canary,
    "whisper": hf_models.random_whisper,
}
Samples = np.ndarray[Any, np.dtype[np.float32]]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """So small that a second thread costs more than it computes. (Opening a model asks for all cores.)"""
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("asr.engines.transformers.opening.usable_cpus", lambda: 1)
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a random model of that kind, made once."""
    made: dict[str, Path] = {}

    def of(kind: str) -> Path:
        if kind not in made:
            made[kind] = BUILDERS[kind](tmp_path_factory.mktemp("models") / f"random-{kind}")
        return made[kind]

    return of


@pytest.fixture(scope="module")
def model(folder: Callable[[str], Path]) -> Callable[[str], TransformersModel]:
    opened: dict[str, TransformersModel] = {}

    def of(kind: str) -> TransformersModel:
        if kind not in opened:
            opened[kind] = TransformersModel(folder(kind), ON_CPU)
        return opened[kind]

    return of


def sounds() -> list[Samples]:
    """Four sounds of different lengths: tones, noise, and both."""
    rng = np.random.default_rng(4)
    noise = (0.1 * rng.standard_normal(int(0.7 * RATE))).astype(np.float32)
    tones = [play(list(words), rng)[0] for words in (WORDS[:3], WORDS[3:5], WORDS[2:6])]
    return [tones[0], noise, tones[1], tones[2]]


def uttered(samples: Samples) -> Utterance:
    return Utterance(samples.astype(np.float32).tobytes())


def text_of(said: Said) -> str:
    return said.text or " ".join(word for word, *_times in said.words)


@pytest.mark.parametrize("kind", BUILDERS)
def test_a_batch_gives_what_each_utterance_gives_alone(kind: str, model: Callable[[str], TransformersModel]) -> None:
    batch = [uttered(sound) for sound in sounds()]
    together = model(kind).transcribe(batch, FRENCH)
    alone = [model(kind).transcribe([one], FRENCH)[0] for one in batch]
    assert [text_of(one) for one in together] == [text_of(one) for one in alone]
    assert len({text_of(one) for one in together}) > 1  # what is heard matters, random as it is
    for one, same in zip(together, alone, strict=True):
        for (_word, *times), (_same, *other) in zip(one.words, same.words, strict=True):
            assert times == pytest.approx(other, abs=2e-3)


def test_whisper_reads_no_more_windows_at_once_than_a_batch_is_long(
    model: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eighty sounds of one second are a batch of eighty seconds, and eighty windows of thirty."""
    whisper, rows = model("whisper")._model, []
    read = whisper._read
    monkeypatch.setattr(whisper, "_read", lambda batch, task: rows.append(len(batch)) or read(batch, task))
    sound = uttered(sounds()[1])
    said = model("whisper").transcribe([sound] * 5, FRENCH)
    assert rows == [2, 2, 1]
    assert len({text_of(one) for one in said}) == 1


@pytest.mark.parametrize("kind", ["ctc", "rnnt", "tdt", "whisper"])
def test_word_times_go_forward_and_stay_within_the_sound(kind: str, model: Callable[[str], TransformersModel]) -> None:
    batch = [uttered(sound) for sound in sounds()]
    said = model(kind).transcribe(batch, FRENCH)
    assert sum(len(one.words) for one in said) >= 4
    for one, utterance in zip(said, batch, strict=True):
        before = 0.0
        for _word, start, end, confidence in one.words:
            assert before <= start <= end <= utterance.seconds
            assert confidence is not None
            assert 0 < confidence <= 1
            before = start


@pytest.mark.parametrize("kind", BUILDERS)
def test_silence_gives_nothing_and_the_shortest_sound_is_no_trouble(
    kind: str, model: Callable[[str], TransformersModel]
) -> None:
    quiet = [np.zeros(RATE * 2, np.float32), np.full(RATE, 3e-5, np.float32), np.zeros(0, np.float32)]
    said = model(kind).transcribe([*map(uttered, quiet), uttered(sounds()[0])], FRENCH)
    assert said[:3] == [Said()] * 3
    assert text_of(said[3])
    click = model(kind).transcribe([uttered(np.full(40, 0.5, np.float32))], FRENCH)
    assert len(click) == 1


def test_ctc_writes_what_the_library_writes(folder: Callable[[str], Path], model: Callable[[str], Any]) -> None:
    from transformers import AutoModelForCTC, AutoProcessor

    processor, plain = AutoProcessor.from_pretrained(folder("ctc")), AutoModelForCTC.from_pretrained(folder("ctc"))
    inputs = processor(sounds(), sampling_rate=RATE)
    written = processor.decode(plain.generate(**inputs), skip_special_tokens=True)
    said = model("ctc").transcribe([uttered(sound) for sound in sounds()], Task())
    assert [text_of(one).replace(" ", "") for one in said] == [text.replace(" ", "") for text in written]


@pytest.mark.parametrize("kind", ["rnnt", "tdt"])
def test_transducers_emit_the_tokens_of_the_library_at_its_times(
    kind: str, folder: Callable[[str], Path], model: Callable[[str], Any]
) -> None:
    from transformers import AutoProcessor

    processor, loaded = AutoProcessor.from_pretrained(folder(kind)), model(kind)._model._loaded
    inputs = processor(sounds(), sampling_rate=RATE)
    with torch.inference_mode():
        theirs = loaded.model.generate(**inputs, decoder_start_token_id=loaded.model.config.blank_token_id)
        read = loaded.model.encoder(inputs["input_features"], attention_mask=inputs["attention_mask"])
        ours = model(kind)._model._transducer(read.last_hidden_state, read.attention_mask)
    _text, times = processor.decode(theirs.sequences, durations=theirs.durations, skip_special_tokens=True)
    blank, pad = loaded.model.config.blank_token_id, loaded.model.config.pad_token_id
    frames = inputs["attention_mask"].sum(-1)
    ends = loaded.model.encoder._get_subsampling_output_length(frames).tolist()
    for row, emitted in enumerate(ours):
        at, expected = 0, []
        for token, move in zip(theirs.sequences[row].tolist(), theirs.durations[row].tolist(), strict=True):
            if token not in (blank, pad) and at < ends[row]:
                expected.append((token, at))
            at += move
        assert [(one.id, one.frame) for one in emitted if one.id != pad] == expected
        assert len(expected) > 3
        starts = [one.frame * 0.08 for one in emitted if one.id not in (blank, pad)]
        assert min(starts) == pytest.approx(min(token["start"] for token in times[row]))


def test_tdt_leaves_a_frame_where_it_would_stay_for_ever(tmp_path: Path) -> None:
    from transformers import ParakeetForTDT

    folder = hf_models.random_parakeet(tmp_path / "random-tdt", "tdt")
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    index = vocabulary["z"]
    stuck = ParakeetForTDT.from_pretrained(folder)
    with torch.no_grad():  # always the same token, never moving on
        stuck.joint.head.bias[index] += 100
        stuck.joint.head.bias[stuck.config.vocab_size] += 100
    stuck.save_pretrained(folder)
    sound = uttered(sounds()[0])
    said = TransformersModel(folder, ON_CPU).transcribe([sound], Task())[0]
    frames = int(sound.seconds / 0.08) + 1
    assert 0 < text_of(said).count("z") <= frames * stuck.config.max_symbols_per_step


def test_canary_is_asked_as_the_library_asks_it(folder: Callable[[str], Path], model: Callable[[str], Any]) -> None:
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(folder("canary"))
    for source, target in (("fr", None), ("fr", "en"), ("en", "de")):
        inputs = processor.apply_transcription_request(
            audio=sounds()[0], source_language=source, target_language=target, sampling_rate=RATE
        )
        asked = model("canary")._model.prompt(Task(language=source, target=target))
        assert inputs["decoder_input_ids"][0].tolist() == asked


def test_canary_writes_what_the_library_writes(folder: Callable[[str], Path], model: Callable[[str], Any]) -> None:
    from transformers import AutoProcessor

    loaded = model("canary")._model._loaded
    processor = AutoProcessor.from_pretrained(folder("canary"))
    inputs = processor.apply_transcription_request(audio=sounds()[3], source_language="fr", sampling_rate=RATE)
    special = model("canary")._model._never
    ids = loaded.model.generate(**inputs, max_new_tokens=200, suppress_tokens=special)[0].tolist()
    asked = inputs["decoder_input_ids"].shape[1]
    ours = model("canary").transcribe([uttered(sounds()[3])], FRENCH)[0].text
    theirs = loaded.text(ids[asked:]).strip()
    assert ours
    assert theirs.startswith(ours)  # ours stops where it begins to repeat itself, theirs writes on


def test_canary_needs_a_language_that_it_knows(model: Callable[[str], TransformersModel]) -> None:
    facts = model("canary").facts.capabilities
    assert facts.languages == {"de", "en", "fr"}  # there are tokens for ru and zh, and no letters
    assert facts.translations == {("de", "en"), ("en", "de"), ("fr", "en"), ("en", "fr")}
    assert (facts.detects_language, facts.punctuates, facts.word_times) == (False, True, False)
    for task, code in (
        (Task(), "language_required"),
        (Task(language="zh"), "unsupported_language"),
        (Task(language="fr", target="de"), "unsupported_translation"),
    ):
        with pytest.raises(ApiError) as caught:
            model("canary").transcribe([uttered(sounds()[0])], task)
        assert (caught.value.status, caught.value.code) == (400, code)


def test_temperature_samples_and_nothing_runs_away(model: Callable[[str], TransformersModel]) -> None:
    torch.manual_seed(0)
    sound = uttered(sounds()[3])
    read = {text_of(model("canary").transcribe([sound], Task(language="fr", temperature=1.0))[0]) for _try in range(3)}
    assert len(read) == 3
    bound = int(sound.seconds * 12.5) + 30
    assert all(len(text) <= bound * 8 for text in read)  # eight letters, the longest token


def test_parakeet_says_what_its_letters_let_it_write(tmp_path: Path, model: Callable[[str], TransformersModel]) -> None:
    facts = model("tdt").facts.capabilities
    assert {"de", "en", "fr"} <= facts.languages
    assert not {"pl", "ru", "es"} & facts.languages
    assert (facts.detects_language, facts.punctuates, facts.word_times) == (True, True, True)
    english = hf_models.random_parakeet(tmp_path / "random-english", "ctc", text=hf_models.ENGLISH)
    facts = TransformersModel(english, ON_CPU).facts.capabilities
    assert facts.languages == {"en"}
    assert not facts.punctuates


def test_whisper_finds_the_language_or_is_told(tmp_path: Path, model: Callable[[str], TransformersModel]) -> None:
    facts = model("whisper").facts.capabilities
    assert facts.languages == {"de", "en", "fr", "zh"}
    assert facts.translations == {("de", "en"), ("fr", "en"), ("zh", "en")}
    assert (facts.detects_language, facts.prompt, facts.temperature) == (True, True, True)
    found = model("whisper").transcribe([uttered(sounds()[0])], Task())[0]
    assert found.language in facts.languages
    assert model("whisper").transcribe([uttered(sounds()[0])], FRENCH)[0].language is None
    english = TransformersModel(hf_models.random_whisper(tmp_path / "random-english", several=False), ON_CPU)
    assert english.facts.capabilities.languages == {"en"}
    assert english.facts.capabilities.translations == frozenset()
    assert english.transcribe([uttered(sounds()[0])], Task(language="en"))[0].language is None


def test_whisper_writes_what_the_library_writes(folder: Callable[[str], Path], model: Callable[[str], Any]) -> None:
    from transformers import AutoProcessor

    loaded = model("whisper")._model._loaded
    processor = AutoProcessor.from_pretrained(folder("whisper"))
    inputs = processor(sounds()[3], sampling_rate=RATE, return_tensors="pt")
    ids = loaded.model.generate(inputs["input_features"], language="fr", task="transcribe", max_new_tokens=60)[0]
    theirs = "".join(loaded.text(ids.tolist()).split())
    ours = "".join(text_of(model("whisper").transcribe([uttered(sounds()[3])], FRENCH)[0]).split())
    assert ours
    assert theirs.startswith(ours)
    prompted = model("whisper")._model._prompt("fr", Task(language="fr", prompt="Frigo", target="en"))
    written = loaded.tokenizer.convert_ids_to_tokens(prompted)
    assert written[0] == "<|startofprev|>"
    assert written[-4:] == ["<|startoftranscript|>", "<|fr|>", "<|translate|>", "<|notimestamps|>"]


def test_ids_that_the_model_does_not_have_are_no_trouble(model: Callable[[str], Any]) -> None:
    whisper = model("whisper")._model
    sound = uttered(sounds()[0])
    before = text_of(whisper.transcribe([sound], FRENCH)[0])
    never = whisper._never
    whisper._never = [-1, *never, 10**6]  # as old configurations and extended tokenizers have them
    try:
        assert text_of(whisper.transcribe([sound], FRENCH)[0]) == before
    finally:
        whisper._never = never


def test_what_is_not_a_safe_speech_model_is_refused(tmp_path: Path, folder: Callable[[str], Path]) -> None:
    import shutil

    def changed(name: str, change: Callable[[Path], object]) -> Path:
        copy = tmp_path / name
        shutil.copytree(folder("ctc"), copy)
        change(copy)
        return copy

    def config(path: Path, **values: Any) -> None:
        said = json.loads((path / "config.json").read_text())
        (path / "config.json").write_text(json.dumps(said | values))

    cases = {
        "pickles": (lambda path: (path / "model.safetensors").rename(path / "pytorch_model.bin"), "no_safetensors"),
        "llama": (lambda path: config(path, model_type="llama"), "model_unusable"),
        "noise": (lambda path: (path / "model.safetensors").write_bytes(b"\0" * 100), "model_unusable"),
        "no-config": (lambda path: (path / "config.json").unlink(), "model_unusable"),
        "no-words": (lambda path: (path / "tokenizer.json").unlink(), "model_unusable"),
        "other-shape": (lambda path: config(path, vocab_size=33), "model_unusable"),
    }
    for name, (change, code) in cases.items():
        with pytest.raises(ApiError) as caught:
            TransformersModel(changed(name, change), ON_CPU)
        assert (caught.value.status, caught.value.code) == (422, code), name
        assert str(tmp_path) not in str(caught.value.message)


def test_code_in_a_folder_is_never_run(tmp_path: Path) -> None:
    folder = hf_models.random_parakeet(tmp_path / "random-code", "ctc")
    flag = tmp_path / "it-ran"
    (folder / "modeling_evil.py").write_text(f"open({str(flag)!r}, 'w').close()\n")
    for name in ("config.json", "tokenizer_config.json", "processor_config.json"):
        said = json.loads((folder / name).read_text())
        kinds = ("AutoConfig", "AutoModelForCTC", "AutoTokenizer", "AutoProcessor")
        said["auto_map"] = dict.fromkeys(kinds, "modeling_evil.Evil")
        (folder / name).write_text(json.dumps(said))
    assert TransformersModel(folder, ON_CPU).transcribe([uttered(sounds()[0])], Task())[0].words
    assert not flag.exists()
