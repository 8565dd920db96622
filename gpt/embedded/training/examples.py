"""The mixture of tasks that frigo-mini is trained on, made on the fly from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from gpt.embedded.training.about import chat
from gpt.embedded.training.documents import diagram
from gpt.embedded.training.english import English
from gpt.embedded.training.french import French
from gpt.embedded.training.lexicon import english_wide, french_wide
from gpt.embedded.training.minutes import minutes

FORM_WEIGHTS = {
    "prose": 0.34,
    "numbered": 0.06,
    "bullets": 0.05,
    "lines": 0.04,
    "dialogue": 0.11,
    "asr": 0.07,
    "asr_dialogue": 0.33,
}
Messages = list[dict[str, str]]


class Mixture:
    """An endless source of conversations; `progress` from 0 (short texts) to 1 (everything)."""

    def __init__(self, seed: int, dictionaries: Path, corpus: Path | None) -> None:
        self.rng = random.Random(seed)
        self.french = French(self.rng, french_wide(dictionaries / "french", corpus))
        self.english = English(self.rng, english_wide(dictionaries / "american-english"))

    def one(self, progress: float) -> Messages:
        rng = self.rng
        task = rng.random()
        if progress < 0.15 and rng.random() < 0.1:
            return self.copy()
        if task < 0.70:
            longest = 3 + int(9 * min(1.0, progress * 2.5))
            form = rng.choices(list(FORM_WEIGHTS), list(FORM_WEIGHTS.values()))[0]
            if progress < 0.15 and rng.random() < 0.5:
                form = "prose"
            english = rng.random() < (0.8 if form.startswith("asr") else 0.36)
            size = rng.randint(1, longest) if rng.random() < 0.9 else rng.randint(longest, longest + 6)
            text, answer = diagram(rng, self.english if english else self.french, size, form)
            return _task("frigo:diagram", text, answer)
        language = self.english if rng.random() < 0.5 else self.french
        language.new_text(rng.choice([0.0, 0.2, 0.5, 0.8]))
        if task < 0.88:
            longest = 3 + int(8 * min(1.0, progress * 2.5))
            text, answer = minutes(
                rng, language, rng.randint(1, longest), rng.random() < (0.65 if language is self.english else 0.25)
            )
            return _task("frigo:minutes", text, answer)
        return chat(rng, language)

    def copy(self) -> Messages:
        """Plain repetition: early in training it teaches to copy much sooner than labels alone do."""
        language = self.english if self.rng.random() < 0.45 else self.french
        text, _ = diagram(self.rng, language, self.rng.randint(1, 3), self.rng.choice(["prose", "asr", "lines"]))
        return _task("frigo:copy", text, text)

    def stream(self, progress: float = 1.0) -> Iterator[Messages]:
        while True:
            yield self.one(progress)


def _task(name: str, text: str, answer: str) -> Messages:
    return [
        {"role": "system", "content": name},
        {"role": "user", "content": text},
        {"role": "assistant", "content": answer},
    ]
