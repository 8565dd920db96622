"""One choice as its deltas come: its parts, the log-probabilities of what it says, and why it ended."""

from __future__ import annotations

from gpt.engines.base import Delta, FinishReason, TokenLogprob
from gpt.tools.reader import Part, Reader, Reading


class ChoiceReader:
    """Reads deltas as `reading` says. Log-probabilities are told of the text alone, not of thoughts nor of calls."""

    def __init__(self, reading: Reading) -> None:
        self._legacy = reading.legacy
        self._reader = None if reading.plain else Reader(reading)
        self._waiting: list[TokenLogprob] = []
        self._told: list[TokenLogprob] = []

    def read(self, delta: Delta) -> list[Part]:
        """What `delta` adds to the answer."""
        if self._reader is None:
            self._told = list(delta.logprobs)
            return [Part("text", delta.text)] if delta.text else []
        thought = self._reader.thinking
        take = self._reader.finish if delta.finish_reason is not None else self._reader.push
        parts = take(delta.text, delta.token_ids)
        self._waiting.extend(delta.logprobs)
        self._told = []
        says = any(part.kind == "text" for part in parts)
        thought = thought or self._reader.thinking
        if says or not (delta.text or parts or thought):  # a character may take several tokens, its end takes one
            self._told, self._waiting = self._waiting, []
        elif not self._reader.holding:
            self._waiting = []
        return parts

    def logprobs(self) -> list[TokenLogprob]:
        """Those of the text that the last delta added."""
        return self._told

    def reason(self, reason: FinishReason | None) -> str | None:
        """Why the answer ended, in OpenAI's words."""
        if reason == "stop" and self._reader is not None and self._reader.calls:
            return "function_call" if self._legacy else "tool_calls"
        return reason

    @property
    def over(self) -> bool:
        """True when nothing more is wanted of this choice."""
        return self._reader is not None and self._reader.over

    @property
    def reasoning_tokens(self) -> int:
        """How many tokens were thought."""
        return self._reader.reasoning_tokens if self._reader is not None else 0
