"""The model class that the engine's own process opens: which family a folder is of."""

from __future__ import annotations

from pathlib import Path

from asr.engines.base import Task
from asr.engines.process.spec import Facts, Opening, Said, SpeechModel, Utterance
from asr.engines.transformers.families import checked, family_of, read_config
from asr.engines.transformers.opening import is_silent


class TransformersModel:
    """A Canary, a Parakeet or a Whisper of transformers' own classes, in a local folder."""

    facts: Facts

    def __init__(self, path: Path, opening: Opening) -> None:
        """Raises `ApiError` 422 when the folder holds nothing that can be opened safely, with the reason."""
        config = read_config(path)
        kind = checked(config, path.name)
        self._model = _open(path, opening, kind, str(family_of(config)))
        self.facts = self._model.facts

    def transcribe(self, batch: list[Utterance], task: Task) -> list[Said]:
        """See `SpeechModel`. What is silent says nothing, and is not shown to the model."""
        answers = [Said()] * len(batch)
        heard = [place for place, utterance in enumerate(batch) if not is_silent(utterance)]
        if heard:
            for place, said in zip(heard, self._model.transcribe([batch[p] for p in heard], task), strict=True):
                answers[place] = said
        return answers

    def close(self) -> None:
        """See `SpeechModel`."""
        self._model.close()


def _open(path: Path, opening: Opening, kind: str, family: str) -> SpeechModel:
    if family == "canary":
        from asr.engines.transformers.canary import Canary

        return Canary(path, opening)
    if family == "whisper":
        from asr.engines.transformers.whisper import Whisper

        return Whisper(path, opening)
    from asr.engines.transformers.parakeet import Parakeet

    return Parakeet(path, opening, kind)
