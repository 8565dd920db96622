"""An asr service whose engine is scripted: everything around the engine is real."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask_openapi import OpenAPI

from asr.diarized import Diarizer
from asr.engines.base import Capabilities, Chunk, Heard, Task, Word
from asr.routes.openai import openai_blueprint
from asr.routes.transcribe import transcribe_blueprint
from asr.service import AsrService
from asr.settings import AsrSettings
from common.audio.decode import AudioReader
from common.errors import ApiError
from common.models.catalogue import Catalogue, load_catalogue
from common.models.registry import Lease
from common.settings import load
from common.web.client import Peer
from common.web.factory import create_service
from tests.common.audio_files import wav_bytes

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "app" / "sample" / "reunion-exemple.ogg"
TEXT = "Bonjour à tous . La maquette est prête , nous la montrons lundi ."


def sample(start: float, end: float) -> bytes:
    """Seconds of the meeting that comes with the project, as a WAV: Julia until 7.1, David from 8.1 to 18.2."""
    return wav_bytes(AudioReader(SAMPLE).read()[round(start * 16_000) : round(end * 16_000)])


@dataclass
class Speaking:
    """Says `text`, spread over each chunk, whatever it hears."""

    capabilities: Capabilities
    text: str = TEXT
    confidence: float | None = 0.5
    detected: str | None = None
    name: str = "scripted"
    demo: bool = False
    max_chunk_seconds: float = 30.0
    tasks: list[Task] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)
    during: Callable[[], None] = lambda: None

    def transcribe(self, chunks: Iterable[Chunk], task: Task) -> Iterator[Heard]:
        self.tasks.append(task)
        for chunk in chunks:
            self.chunks.append(chunk)
            self.during()
            tokens = self.text.split()
            step = chunk.seconds / max(1, len(tokens))
            words = [
                Word(token, chunk.start + i * step, chunk.start + (i + 0.9) * step, self.confidence)
                for i, token in enumerate(tokens)
            ]
            yield Heard(chunk, words, self.detected)

    def close(self) -> None:
        pass


class OneEngine:
    """A registry that holds one ready engine."""

    def __init__(self, engine: Speaking) -> None:
        self.engine = engine
        self.catalogue: Catalogue = load_catalogue(ROOT / "asr" / "models.toml")
        self.asked: list[str | None] = []
        self.users = 0

    @contextmanager
    def use(self, name: str | None = None, *_gone: Any) -> Iterator[Lease[Any]]:
        self.asked.append(name)
        if name not in (None, "canary-180m-flash"):
            raise ApiError(404, "model_not_found", "?", "model")
        self.users += 1
        try:
            entry = next(entry for entry in self.catalogue if entry.key == "canary-180m-flash")
            yield Lease(entry, self.engine)
        finally:
            self.users -= 1


def speaking_app(engine: Speaking, folder: Path, diarize_url: str = "http://127.0.0.1:9") -> tuple[OpenAPI, OneEngine]:
    """The service's application around `engine`."""
    settings = load(AsrSettings, data_dir=folder, max_upload_mb=8, max_audio_minutes=3)
    registry = OneEngine(engine)
    service = AsrService(settings, registry)  # type: ignore[arg-type]  # what the service uses of a registry
    app = create_service("asr", settings)
    app.register_api(transcribe_blueprint(service))
    app.register_api(openai_blueprint(service, Diarizer(Peer("diarize", diarize_url)), settings.max_audio_seconds))
    return app, registry
