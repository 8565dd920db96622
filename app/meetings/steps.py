"""The work of one meeting: asr and diarize side by side, words joined to turns, minutes, diagram.

Each step's result is recorded as it ends; a meeting that is taken again goes on from there. A service that is down
makes its step wait, up to MEETING_PEER_WAIT_S. Minutes or a diagram that cannot be made leave a warning: what was
said is never lost for them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from app.meetings import calls, view
from app.meetings.calls import Call
from app.meetings.leases import Job
from app.meetings.parts import Keeper, continued
from app.meetings.patience import Patience
from app.meetings.record import LostError, Record
from app.meetings.sentences import punctuate
from app.meetings.transcript import Transcript, transcript
from app.peers import Peers
from common.errors import ApiError
from common.messages import Text, _
from common.speech.join import group, speakers_of
from common.speech.words import Segment, Turn, Word, spread
from common.web import context

_log = logging.getLogger("frigo.meetings")
_WATCH_SECONDS = 0.5
_LAST_WORDS_SECONDS = 2.0
"""How long a step that is cut off may take to keep what it has found."""
_SETTLED_SECONDS = 1.5
"""An attempt that has lasted this long has found its service: the step no longer waits."""


class StoppedError(Exception):
    """The worker is being stopped; the meeting goes back to the queue."""


@dataclass(frozen=True)
class Outcome:
    """What a step found."""

    result: Any
    model: str | None = None
    warnings: list[Text | str] = field(default_factory=list)


Action = Callable[[Call], Outcome]


class Work:
    """One meeting, from where it stands to its end."""

    def __init__(self, job: Job, record: Record, peers: Peers, *, peer_wait: float, stop: threading.Event) -> None:
        self._job = job
        self._record = record
        self._peers = peers
        self._peer_wait = peer_wait
        self._stop = stop
        self._results: dict[str, Any] = dict(job.done)

    def run(self) -> None:
        """Do what is left to do, and record how it ended. Nothing is raised but bugs."""
        try:
            self._do()
        except LostError:
            _log.info("meeting given up", extra={"meeting": self._job.id})
        except StoppedError:
            self._record.release()
        except ApiError as error:
            self._record.finish(error)
        else:
            self._record.finish()

    def _do(self) -> None:
        if not self._job.recording.is_file() and not {"asr", "diarize"} <= self._results.keys():
            raise ApiError(410, "recording_missing", _("L'enregistrement n'est plus sur le disque."))
        self._together({"asr": self._transcribe, "diarize": self._diarize})
        self._together({"join": self._join})
        segments = _segments(self._results["join"]["segments"])
        if not segments:
            for name in ("minutes", "diagram"):
                if name not in self._results:
                    self._record.done(name, None, seconds=0.0)
            return
        language = self._record.language()
        self._together({"minutes": lambda call: self._minutes(call, segments, language)}, optional=True)
        self._together({"diagram": lambda call: self._diagram(call, segments, language)}, optional=True)

    # -- the steps

    def _transcribe(self, call: Call) -> Outcome:
        """Goes on from the words that an attempt before this one found."""
        known, start = self._record.parts()
        fields = {"language": self._job.language_asked, "start": start or None}
        with Keeper(self._record) as keeper:
            found = calls.transcribe(
                self._peers.asr,
                call,
                self._job.recording,
                fields,
                lambda advance: self._record.progress("asr", advance),
                keeper.keep,
            )
        whole = continued(known, start, found)
        self._record.facts(duration=whole.duration, language=whole.language or self._job.language_asked)
        return Outcome(whole.model_dump(), whole.model, list(whole.warnings))

    def _diarize(self, call: Call) -> Outcome:
        job = self._job
        found = calls.diarize(
            self._peers.diarize,
            call,
            job.recording,
            {"num_speakers": job.num_speakers, "min_speakers": job.min_speakers, "max_speakers": job.max_speakers},
            lambda advance: self._record.progress("diarize", advance),
        )
        if found.names:
            self._record.recognised(found.names)
        return Outcome(found.model_dump(), found.model, list(found.warnings))

    def _join(self, _call: Call) -> Outcome:
        heard = calls.Transcription.model_validate(self._results["asr"])
        found = calls.Diarization.model_validate(self._results["diarize"])
        turns = found.exclusive or found.segments
        said = speakers_of(_words(heard), [Turn(turn.speaker, turn.start, turn.end) for turn in turns])
        segments = group(punctuate(said, heard.language))
        warnings: list[Text | str] = []
        if not segments:
            warnings.append(_("Aucune parole n'a été reconnue dans cet enregistrement."))
        return Outcome({"segments": [_segment_json(segment) for segment in segments]}, warnings=warnings)

    def _minutes(self, call: Call, segments: list[Segment], language: str | None) -> Outcome:
        speakers = list(dict.fromkeys(segment.speaker for segment in segments))
        defaults = view.default_names(speakers, self._job.messages_language)
        names = defaults | {key: name for key, name in self._record.speakers().items() if key in defaults}
        said = [_segment_json(segment) | {"speaker": names[segment.speaker]} for segment in segments]
        found = calls.minutes(
            self._peers.chat, call, said, language, lambda advance: self._record.progress("minutes", advance)
        )
        return Outcome(found | {"names": names}, found.get("model"), list(found.get("warnings") or []))

    def _diagram(self, call: Call, segments: list[Segment], language: str | None) -> Outcome:
        said = transcript(segments)
        found = calls.diagram(self._peers.chat, call, said.text, language)
        _add_seconds(found, said)
        return Outcome(found, found.get("model"), list(found.get("warnings") or []))

    # -- how steps are done

    def _together(self, actions: dict[str, Action], *, optional: bool = False) -> None:
        """Do the steps side by side, those that are done already left out. Raises the first failure."""
        todo = {name: action for name, action in actions.items() if name not in self._results}
        running = [_Attempts(self, name, action, optional=optional) for name, action in todo.items()]
        for attempts in running:
            attempts.thread.start()
        try:
            self._watch(running)
        finally:
            for attempts in running:
                attempts.call.cancel()
            for attempts in running:
                attempts.thread.join(_LAST_WORDS_SECONDS)
        self._results |= {attempts.name: attempts.result for attempts in running}

    def _watch(self, running: list[_Attempts]) -> None:
        """Wait for the end of all, or for a reason to stop: a failure, a cancellation, the worker's own end."""
        looked = time.monotonic()
        while any(attempts.thread.is_alive() for attempts in running):
            for attempts in running:
                attempts.thread.join(0.05)
            _raise_first(running)
            if self._stop.is_set():
                raise StoppedError
            if time.monotonic() - looked >= _WATCH_SECONDS:
                looked = time.monotonic()
                if not self._record.is_mine():
                    raise LostError(self._job.id)
        _raise_first(running)


class _Attempts:
    """One step in a thread of its own, tried until it succeeds, fails for good or is cancelled."""

    def __init__(self, work: Work, name: str, action: Action, *, optional: bool) -> None:
        self.name = name
        self.call = Call()
        self.result: Any = None
        self.error: Exception | None = None
        self._work = work
        self._action = action
        self._optional = optional
        self._began = 0.0
        self.thread = threading.Thread(target=self._run, name=f"meeting-{name}", daemon=True)

    def _run(self) -> None:
        job = self._work._job
        context.request_id.set(f"meeting-{job.id}-{self.name}")
        context.language.set(job.messages_language)
        try:
            self._until_done()
        except calls.CancelledError:
            pass
        except ApiError as error:
            self._give_up(error)
        except Exception as error:  # noqa: BLE001  carried over to the thread that waits for this one
            if not self.call.cancelled:  # else it is how a connection closed under a reader ends
                self.error = error

    def _until_done(self) -> None:
        record = self._work._record
        record.running(self.name)
        patience = Patience(self._work._peer_wait)
        while True:
            self._began = time.monotonic()
            try:
                outcome = self._attempt(waiting=patience.tried)
            except ApiError as error:
                if self.call.cancelled:
                    raise calls.CancelledError from error
                reached = record.through() if self.name == "asr" else 0.0
                if not calls.is_temporary(error) or patience.ended(error, reached):
                    raise
                record.waiting(self.name, error)
                self.call.sleep(patience.delay(error))
                continue
            seconds = time.monotonic() - self._began
            record.done(self.name, outcome.result, seconds=seconds, model=outcome.model, warnings=outcome.warnings)
            self.result = outcome.result
            return

    def _attempt(self, *, waiting: bool) -> Outcome:
        timer = threading.Timer(_SETTLED_SECONDS, self._settled)
        if waiting:
            timer.start()
        try:
            return self._action(self.call)
        finally:
            timer.cancel()

    def _settled(self) -> None:
        try:
            self._work._record.running(self.name)
        except LostError:
            self.call.cancel()

    def _give_up(self, error: ApiError) -> None:
        """Record the failure. One that an optional step may have (a refusal) leaves a warning, not an error."""
        seconds = time.monotonic() - self._began
        excused = self._optional and not calls.is_temporary(error)
        warning = _missing(self.name, error) if excused else None
        try:
            self._work._record.failed(self.name, error, seconds=seconds, warning=warning)
        except LostError as lost:
            self.error = lost
            return
        self.error = None if excused else error


def _raise_first(running: list[_Attempts]) -> None:
    for attempts in running:
        if attempts.error is not None:
            raise attempts.error


def _missing(name: str, error: ApiError) -> Text:
    if name == "minutes":
        return _("Le compte rendu n'a pas pu être écrit : %(reason)s", reason=error.message)
    return _("Le diagramme n'a pas pu être dessiné : %(reason)s", reason=error.message)


def _words(heard: calls.Transcription) -> list[Word]:
    """The words with their times; an engine that gives none has them spread over its segments."""
    if heard.words:
        return [Word(word.word.strip(), word.start, word.end) for word in heard.words]
    if heard.segments:
        return [word for segment in heard.segments for word in spread(segment.text, segment.start, segment.end)]
    return spread(heard.text, 0.0, heard.duration)


def _segment_json(segment: Segment) -> dict[str, Any]:
    return {
        "speaker": segment.speaker,
        "start": round(segment.start, 3),
        "end": round(segment.end, 3),
        "text": segment.text,
        "words": [{"word": w.word, "start": round(w.start, 3), "end": round(w.end, 3)} for w in segment.words],
    }


def _segments(stored: list[dict[str, Any]]) -> list[Segment]:
    return [Segment(item["speaker"], [Word(**word) for word in item["words"]]) for item in stored]


def _add_seconds(diagram: dict[str, Any], said: Transcript) -> None:
    """Give each node the moment at which its words were said, so that a click on it plays them."""
    for node in (diagram.get("graph") or {}).get("nodes", []):
        source = node.get("source")
        if not source or source.get("start") is None or source.get("end") is None:
            continue
        moment = said.seconds(source["start"], source["end"])
        if moment is not None:
            source["start_s"], source["end_s"] = round(moment[0], 3), round(moment[1], 3)
