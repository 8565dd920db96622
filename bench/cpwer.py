"""cpWER: the word error rate of who said what, as CHiME-6 and meeteval define it.

All that one speaker says is put end to end; hypothesis speakers are paired with reference speakers so that the word
errors are fewest in all (Hungarian), a speaker without a partner against silence; cpWER is those errors over the
reference's words. Somebody else's word costs one deletion and one insertion.

    python -m bench.cpwer REF HYP       two files, .stm or .json (meeteval's SegLST, or a meeting exported by Frigo)
    python -m bench.cpwer               what Frigo's join of words to turns costs: bench/results/cpwer.json
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rapidfuzz.distance import Levenshtein
from scipy.optimize import linear_sum_assignment

Streams = dict[str, list[str]]  # speaker → words in the order of time


@dataclass(frozen=True)
class CpWer:
    """Errors under the best pairing; `pairs` are (reference speaker, hypothesis speaker), None for nobody."""

    substitutions: int
    insertions: int
    deletions: int
    words: int
    pairs: tuple[tuple[str | None, str | None], ...] = ()

    @property
    def errors(self) -> int:
        return self.substitutions + self.insertions + self.deletions

    @property
    def rate(self) -> float:
        return self.errors / self.words if self.words else float(self.errors > 0)

    def __add__(self, other: CpWer) -> CpWer:
        return CpWer(
            self.substitutions + other.substitutions,
            self.insertions + other.insertions,
            self.deletions + other.deletions,
            self.words + other.words,
        )


def cpwer(reference: Mapping[str, Sequence[str]], hypothesis: Mapping[str, Sequence[str]]) -> CpWer:
    """Concatenated minimum-permutation word error rate of one session."""
    said, heard = sorted(reference), sorted(hypothesis)
    size = max(len(said), len(heard))
    rows: list[str | None] = [*said, *[None] * (size - len(said))]
    columns: list[str | None] = [*heard, *[None] * (size - len(heard))]
    cost = np.zeros((size, size), int)
    for r, who in enumerate(rows):
        for c, found in enumerate(columns):
            cost[r, c] = Levenshtein.distance(_words(reference, who), _words(hypothesis, found))
    counts = {"replace": 0, "insert": 0, "delete": 0}
    chosen = linear_sum_assignment(cost) if size else ((), ())
    pairs = []
    for r, c in zip(*chosen, strict=True):
        pairs.append((rows[r], columns[c]))
        for edit in Levenshtein.editops(_words(reference, rows[r]), _words(hypothesis, columns[c])):
            counts[edit.tag] += 1
    total = sum(len(words) for words in reference.values())
    return CpWer(counts["replace"], counts["insert"], counts["delete"], total, tuple(pairs))


def _words(streams: Mapping[str, Sequence[str]], speaker: str | None) -> list[str]:
    return [] if speaker is None else list(streams[speaker])


def normalised(text: str) -> list[str]:
    """The words that count: lower case, no punctuation, hyphens and apostrophes of any kind as blanks."""
    return re.sub(r"[^\w]+|_", " ", text.lower()).split()


def read(path: Path) -> dict[str, Streams]:
    """Session → speaker → words, from STM or JSON. Raises ValueError for another shape."""
    text = path.read_text(encoding="utf-8")
    found = _stm(text) if path.suffix == ".stm" else _json(json.loads(text), path.stem)
    sessions: dict[str, Streams] = defaultdict(lambda: defaultdict(list))
    for session, speaker, _start, said in sorted(found, key=lambda item: item[2]):
        sessions[session][speaker] += normalised(said)
    return {session: dict(streams) for session, streams in sessions.items()}


Line = tuple[str, str, float, str]  # session, speaker, start, words


def _stm(text: str) -> list[Line]:
    lines = []
    for line in text.splitlines():
        if not line.strip() or line.startswith(";;"):
            continue
        fields = line.split(maxsplit=5)
        if len(fields) < 5:
            raise ValueError(f"not a line of STM: {line}")
        said = re.sub(r"^<[^>]*>\s*", "", fields[5]) if len(fields) > 5 else ""
        lines.append((fields[0], fields[2], float(fields[3]), said))
    return lines


def _json(data: Any, name: str) -> list[Line]:
    if isinstance(data, list):  # SegLST
        return [
            (str(item["session_id"]), str(item["speaker"]), float(item.get("start_time", at)), str(item["words"]))
            for at, item in enumerate(data)
        ]
    if isinstance(data, dict) and "segments" in data:  # a meeting, or an answer in diarized_json
        return [(name, str(s["speaker"]), float(s["start"]), str(s["text"])) for s in data["segments"]]
    if isinstance(data, dict) and all(isinstance(said, str) for said in data.values()):  # speaker → all of the words
        return [(name, str(speaker), 0.0, said) for speaker, said in data.items()]
    raise ValueError("neither SegLST, nor a meeting's segments, nor words by speaker")


def scored(reference: Path, hypothesis: Path) -> dict[str, CpWer]:
    """The score of each session of the reference; a single one on each side is compared whatever it is called."""
    said, heard = read(reference), read(hypothesis)
    if len(said) == len(heard) == 1:
        heard = {next(iter(said)): next(iter(heard.values()))}
    return {session: cpwer(streams, heard.get(session, {})) for session, streams in said.items()}


def shown(score: CpWer) -> dict[str, Any]:
    """A score as it is published, the rate in per cent."""
    return {
        "cpwer": round(100 * score.rate, 2),
        "words": score.words,
        "substitutions": score.substitutions,
        "insertions": score.insertions,
        "deletions": score.deletions,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, metavar="REF HYP")
    files = parser.parse_args().files
    if not files:
        from bench.join_quality import measure

        measure()
        return
    if len(files) != 2:
        parser.error("two files, or none")
    total = CpWer(0, 0, 0, 0)
    for session, score in scored(*files).items():
        total += score
        pairs = ", ".join(f"{said or '—'} = {heard or '—'}" for said, heard in score.pairs)
        print(f"{session}: {shown(score)['cpwer']:.2f} %  ({score.errors}/{score.words})  {pairs}")
    print(f"cpWER {100 * total.rate:.2f} %  {json.dumps(shown(total))}")


if __name__ == "__main__":
    main()
