"""A running job as OpenAI's answers. They are plain objects, so that the service need not carry the `openai` package
in memory (17 MB); tests hold every one of them against that package's types.

A streamed chunk is mostly the same from one to the next: what does not change is encoded once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from json.encoder import encode_basestring
from typing import Any

from gpt.engines.base import TokenLogprob
from gpt.job import Gone, Job
from gpt.tools.reader import Part
from gpt.wire.choices import ChoiceReader

Chunks = Iterator[bytes | None]  # server-sent events; None: nothing has come for a moment


class _Choice:
    """One choice, gathered. `logprobs` are those of what is answered, `every` those of all that was sampled."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.thought = ""
        self.calls: list[dict[str, Any]] = []
        self.every: list[TokenLogprob] = []
        self.finish = "stop"
        self.logprobs: list[TokenLogprob] = []

    @property
    def likelihood(self) -> float:
        """Mean log-probability of its tokens."""
        return sum(token.logprob for token in self.every) / len(self.every) if self.every else float("-inf")

    def add(self, part: Part) -> None:
        """One more piece."""
        match part.kind:
            case "thought":
                self.thought += part.text
            case "text":
                self.text += part.text
            case "name":
                function = {"name": part.text, "arguments": ""}
                self.calls.append({"id": part.id, "type": "function", "function": function})
            case "arguments":
                self.calls[part.call]["function"]["arguments"] += part.text


def _gather(job: Job, gone: Gone) -> tuple[list[_Choice], dict[str, Any]]:
    """Run the job to its end, and keep the choices that are to be answered."""
    choices = [_Choice(echo) for echo in job.echoes]
    readers = [ChoiceReader(job.reading) for _echo in job.echoes]
    sampled = 0
    for item in job.deltas(gone):
        if item is None:
            continue
        index, delta = item
        choice, reader = choices[index], readers[index]
        for part in reader.read(delta):
            choice.add(part)
        choice.every.extend(delta.logprobs)
        choice.logprobs.extend(reader.logprobs())
        choice.finish = reader.reason(delta.finish_reason) or choice.finish
        sampled += delta.usage.completion_tokens if delta.usage else 0
        if reader.over:
            job.stop(index)
    if job.kept < job.computed:
        groups = (choices[at : at + job.computed] for at in range(0, len(choices), job.computed))
        choices = [best for group in groups for best in sorted(group, key=lambda c: -c.likelihood)[: job.kept]]
    return choices, _usage(job, sampled, readers)


def _usage(job: Job, sampled: int, readers: Iterable[ChoiceReader] = ()) -> dict[str, Any]:
    usage: dict[str, Any] = {
        "prompt_tokens": job.prompt_tokens,
        "completion_tokens": sampled,
        "total_tokens": job.prompt_tokens + sampled,
    }
    if job.reading.thinking is not None:
        thought = sum(reader.reasoning_tokens for reader in readers)
        usage["completion_tokens_details"] = {"reasoning_tokens": thought}
    return usage


def chat_answer(job: Job, gone: Gone) -> dict[str, Any]:
    """The whole answer at once."""
    choices, usage = _gather(job, gone)
    made = [
        {
            "index": index,
            "message": _message(choice, legacy=job.reading.legacy),
            "logprobs": {"content": _chat_logprobs(choice.logprobs), "refusal": None} if choice.logprobs else None,
            "finish_reason": choice.finish,
        }
        for index, choice in enumerate(choices)
    ]
    return {**_envelope(job, "chat.completion"), "choices": made, "usage": usage}


def _message(choice: _Choice, *, legacy: bool) -> dict[str, Any]:
    content = choice.text or (None if choice.calls else "")
    message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None}
    if choice.thought:
        message["reasoning_content"] = choice.thought
    if choice.calls and legacy:
        message["function_call"] = choice.calls[0]["function"]
    elif choice.calls:
        message["tool_calls"] = choice.calls
    return message


def chat_chunks(job: Job, gone: Gone, *, include_usage: bool) -> Chunks:
    """The answer as it comes: the role first, then its pieces, then the reason it ended, then usage if asked for."""
    wrap = _Wrap(job, "chat.completion.chunk", include_usage=include_usage)
    readers = [ChoiceReader(job.reading) for _echo in job.echoes]
    begun: set[int] = set()
    first = '{"role":"assistant","content":null}' if job.reading.imposed else '{"role":"assistant","content":""}'
    sampled = 0
    for item in job.deltas(gone):
        if item is None:
            yield None
            continue
        index, delta = item
        reader = readers[index]
        if index not in begun:
            begun.add(index)
            yield wrap.choice(_CHAT_CHOICE % (index, first, "null", "null"))
        parts = reader.read(delta)
        logprobs = reader.logprobs()
        if logprobs and not any(part.kind == "text" for part in parts):
            parts.append(Part("text", ""))
        for part in parts:
            said = "null"
            if logprobs and part.kind == "text":
                said, logprobs = _json({"content": _chat_logprobs(logprobs), "refusal": None}), []
            yield wrap.choice(_CHAT_CHOICE % (index, _piece(part, legacy=job.reading.legacy), said, "null"))
        if delta.finish_reason is not None:
            sampled += delta.usage.completion_tokens if delta.usage else 0
            yield wrap.choice(_CHAT_CHOICE % (index, "{}", "null", f'"{reader.reason(delta.finish_reason)}"'))
        if reader.over:
            job.stop(index)
    if include_usage:
        yield wrap.usage(_usage(job, sampled, readers))


def _piece(part: Part, *, legacy: bool) -> str:
    """A part of an answer as a delta, JSON."""
    if part.kind == "text":
        return '{"content":' + encode_basestring(part.text) + "}"
    if part.kind == "thought":
        return '{"reasoning_content":' + encode_basestring(part.text) + "}"
    named = part.kind == "name"
    function = {"name": part.text, "arguments": ""} if named else {"arguments": part.text}
    if legacy:
        return _json({"function_call": function})
    head = {"index": part.call, "id": part.id, "type": "function"} if named else {"index": part.call}
    return _json({"tool_calls": [{**head, "function": function}]})


def completion_answer(job: Job, gone: Gone) -> dict[str, Any]:
    """All continuations at once."""
    choices, usage = _gather(job, gone)
    made = []
    for index, choice in enumerate(choices):
        first = index * job.computed // job.kept
        told = [*job.echo_logprobs[first], *choice.logprobs] if job.show_logprobs else []
        offset = 0 if job.echo_logprobs[first] else len(job.echoes[first])
        logprobs = _text_logprobs(told, offset) if told else None
        made.append(
            {"index": index, "text": choice.text, "logprobs": logprobs, "finish_reason": choice.finish},
        )
    return {**_envelope(job, "text_completion"), "choices": made, "usage": usage}


def completion_chunks(job: Job, gone: Gone, *, include_usage: bool) -> Chunks:
    """Continuations as they come, the echoed prompt first."""
    wrap = _Wrap(job, "text_completion", include_usage=include_usage)
    offsets: dict[int, int] = {}
    sampled = 0
    for item in job.deltas(gone):
        if item is None:
            yield None
            continue
        index, delta = item
        if index not in offsets:
            offsets[index] = len(job.echoes[index])
            if job.echoes[index]:
                before = job.echo_logprobs[index]
                told = _json(_text_logprobs(before, 0)) if before else "null"
                yield wrap.choice(_TEXT_CHOICE % (index, encode_basestring(job.echoes[index]), told, "null"))
        if delta.text or delta.logprobs or delta.finish_reason:
            logprobs = _json(_text_logprobs(delta.logprobs, offsets[index])) if delta.logprobs else "null"
            finish = f'"{delta.finish_reason}"' if delta.finish_reason else "null"
            yield wrap.choice(_TEXT_CHOICE % (index, encode_basestring(delta.text), logprobs, finish))
        offsets[index] += len(delta.text)
        sampled += delta.usage.completion_tokens if delta.usage else 0
    if include_usage:
        yield wrap.usage(_usage(job, sampled))


_CHAT_CHOICE = '{"index":%d,"delta":%s,"logprobs":%s,"finish_reason":%s}'
_TEXT_CHOICE = '{"index":%d,"text":%s,"logprobs":%s,"finish_reason":%s}'


class _Wrap:
    """What goes around every chunk of one job. With `include_usage`, OpenAI gives each a null usage but the last."""

    def __init__(self, job: Job, kind: str, *, include_usage: bool) -> None:
        self._head = "data: " + _json(_envelope(job, kind))[:-1] + ',"choices":['
        self._tail = '],"usage":null}\n\n' if include_usage else "]}\n\n"

    def choice(self, choice: str) -> bytes:
        """An event with one choice, already JSON."""
        return (self._head + choice + self._tail).encode()

    def usage(self, usage: dict[str, Any]) -> bytes:
        """The last event."""
        return (self._head + '],"usage":' + _json(usage) + "}\n\n").encode()


def _envelope(job: Job, kind: str) -> dict[str, Any]:
    return {"id": job.id, "object": kind, "created": job.created, "model": job.model}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _text_logprobs(tokens: Sequence[TokenLogprob], offset: int) -> dict[str, Any]:
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token.text)
    return {
        "tokens": [token.text for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [{text: value for _id, text, _raw, value in token.top} for token in tokens],
        "text_offset": offsets,
    }


def _chat_logprobs(tokens: Sequence[TokenLogprob]) -> list[dict[str, Any]]:
    return [
        {
            "token": token.text,
            "bytes": list(token.raw),
            "logprob": token.logprob,
            "top_logprobs": [
                {"token": text, "bytes": list(raw), "logprob": value} for _id, text, raw, value in token.top
            ],
        }
        for token in tokens
    ]
