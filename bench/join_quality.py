"""What the join of words to speakers costs, with words as a perfect ASR would give them: bench/results/cpwer.json.

On fr-two-speakers (../shared/data): the reference's words, spread over its turns. On made-up conversations with
interruptions: their own. Word times are off by up to so many seconds (or, harder, by Gaussian noise of that
deviation), independently of each other; turns are the reference's, the embedded diarizer's, or
the reference's with edges that are off. Each is joined by the services' own code (`common.speech.join`), word by word
without regard to sentences, and sentence by sentence as many tools do.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.conversations import Conversation, converse, diarized, exclusive, heard
from bench.cpwer import CpWer, cpwer, normalised, shown
from bench.der import read_rttm
from common.speech.join import attribute, group, join, smooth
from common.speech.words import Segment, Spoken, Turn, Word, spread

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data" / "speech" / "fr-two-speakers"
RESULTS = ROOT / "bench" / "results" / "cpwer.json"
JITTERS = (0.0, 0.1, 0.2, 0.3)
SEEDS = range(20)
_PAUSE = 0.7

Joiner = Callable[[Sequence[Word], Sequence[Turn]], list[Segment]]


def by_word(words: Sequence[Word], turns: Sequence[Turn]) -> list[Segment]:
    """Each word to the speaker who covers it most: no sentences, no pauses."""
    return group(smooth(attribute(words, turns)))


def by_segment(words: Sequence[Word], turns: Sequence[Turn]) -> list[Segment]:
    """Each stretch between two pauses to the one who covers it most, as segment-level joins do."""
    stretches: list[list[Word]] = []
    for word in words:
        if not stretches or word.start - stretches[-1][-1].end >= _PAUSE:
            stretches.append([])
        stretches[-1].append(word)
    spoken: list[Spoken] = []
    for stretch in stretches:
        whole = attribute([Word("", stretch[0].start, max(word.end for word in stretch))], turns)[0]
        spoken += [Spoken(word, whole.speaker, whole.share) for word in stretch]
    return group(spoken)


JOINERS: dict[str, Joiner] = {"join": join, "by_word": by_word, "by_segment": by_segment}


def score(reference: dict[str, list[str]], segments: Sequence[Segment]) -> CpWer:
    """cpWER of joined segments."""
    streams: dict[str, list[str]] = {}
    for segment in segments:
        streams.setdefault(segment.speaker, []).extend(normalised(segment.text))
    said = {speaker: normalised(" ".join(words)) for speaker, words in reference.items()}
    return cpwer(said, streams)


def sample() -> tuple[dict[str, list[str]], list[Word], list[Turn]]:
    """fr-two-speakers: words by speaker, the words spread over the turns of the RTTM, and those turns."""
    texts = json.loads((DATA / "transcript_by_speaker.json").read_text(encoding="utf-8"))
    turns = [Turn(*turn) for turn in read_rttm(DATA / "fr_two_speakers.rttm")["fr_two_speakers"]]
    reference, words = {}, []
    for speaker, text in texts.items():
        reference[speaker] = text.split()
        mine = sorted((turn for turn in turns if turn.speaker == speaker), key=lambda turn: turn.start)
        total, at = sum(turn.end - turn.start for turn in mine), 0
        for number, turn in enumerate(mine, start=1):
            share = sum(t.end - t.start for t in mine[:number]) / total
            until = len(reference[speaker]) if number == len(mine) else round(share * len(reference[speaker]))
            words += spread(" ".join(reference[speaker][at:until]), turn.start, turn.end)
            at = until
    return reference, words, turns


def embedded_turns() -> list[Turn]:
    """Who speaks when in fr-two-speakers, by the diarizer that ships with Frigo; the count is not told."""
    from common.audio.decode import AudioReader
    from common.audio.level import LevelledAudio
    from diarize.engines.base import Found, SpeakerRange
    from diarize.engines.embedded.convert import convert, wheel_file
    from diarize.engines.embedded.engine import EmbeddedEngine

    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "weights.npz"
        convert(wheel_file(), weights)
        engine = EmbeddedEngine(weights)
        audio = LevelledAudio(AudioReader(DATA / "fr_two_speakers.wav"))
        found = next(step for step in engine.process(audio, SpeakerRange()) if isinstance(step, Found))
    return [Turn(str(turn.speaker), turn.start, turn.end) for turn in found.exclusive]


def on_sample(turns: Sequence[Turn], joiner: Joiner, jitter: float, *, gaussian: bool = False) -> CpWer:
    """All seeds together."""
    reference, words, _turns = sample()
    total = CpWer(0, 0, 0, 0)
    for seed in SEEDS:
        total += score(reference, joiner(heard(words, jitter, random.Random(seed), gaussian=gaussian), turns))
    return total


def on_conversations(joiner: Joiner, jitter: float, slack: float, seeds: Sequence[int], **made: Any) -> CpWer:
    """Made-up conversations: words off by `jitter`, turns off by `slack`."""
    total = CpWer(0, 0, 0, 0)
    for seed in seeds:
        total += on_conversation(converse(seed, **made), joiner, jitter, slack, random.Random(seed + 1000))
    return total


def on_conversation(talk: Conversation, joiner: Joiner, jitter: float, slack: float, rng: random.Random) -> CpWer:
    """One of them."""
    words = heard([word for turn in talk.said for word in turn.words], jitter, rng)
    turns = exclusive(diarized(talk.turns(), slack, rng) if slack else talk.turns())
    return score(talk.reference(), joiner(words, turns))


def table(measured: Callable[[Joiner, float], CpWer]) -> dict[str, Any]:
    """Joiner → jitter → score."""
    return {
        name: {str(jitter): shown(measured(joiner, jitter)) for jitter in JITTERS} for name, joiner in JOINERS.items()
    }


def measure() -> None:
    """Write and print every figure."""
    results: dict[str, Any] = {
        "about": "cpWER in per cent, words as a perfect ASR gives them; columns: seconds by which their times are off",
        "seeds": len(SEEDS),
    }
    if DATA.is_dir():
        reference_turns = sample()[2]
        found = embedded_turns()
        results["fr-two-speakers, reference turns"] = table(lambda joiner, j: on_sample(reference_turns, joiner, j))
        results["fr-two-speakers, embedded diarizer"] = table(lambda joiner, j: on_sample(found, joiner, j))
        results["fr-two-speakers, reference turns, Gaussian"] = table(
            lambda joiner, j: on_sample(reference_turns, joiner, j, gaussian=True)
        )
    seeds = list(SEEDS)
    cases: dict[str, tuple[float, dict[str, Any]]] = {
        "conversations without overlap, reference turns": (0.0, {"cut_in": 0.0, "aside": 0.0}),
        "conversations without overlap, edges off by 0.4 s": (0.4, {"cut_in": 0.0, "aside": 0.0}),
        "conversations with overlap and asides, reference turns": (0.0, {}),
        "conversations with overlap and asides, edges off by 0.4 s": (0.4, {}),
    }
    for name, (slack, made) in cases.items():
        results[name] = table(lambda joiner, j, s=slack, m=made: on_conversations(joiner, j, s, seeds, **m))  # type: ignore[misc]
    for name, rows in results.items():
        if isinstance(rows, dict):
            print(name)
            for joiner, columns in rows.items():
                print(f"  {joiner:12}", "  ".join(f"{j}: {cell['cpwer']:5.2f} %" for j, cell in columns.items()))
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(results, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
