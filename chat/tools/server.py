"""An answer in rounds: the model calls tools of the server, is given their results, and goes on until it has answered.

Each round is a chat completion of gpt's. The client sees one answer: one id, the texts one after another, each run of
a tool as it begins and as it ends, the usage of all rounds. A call of one of its own functions ends it, as usual.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

from flask import Response, jsonify

from chat.keys.account import Account
from chat.llm import UNKNOWN_CONTEXT, LanguageModel
from chat.openai.events import DONE, Events, as_object
from chat.openai.relay import EVENT_STREAM, KEPT_HEADERS, relay
from chat.parts import CHARS_PER_TOKEN
from chat.tools.asked import ToolRequest
from chat.tools.reading import Round
from chat.tools.rounds import Rounds
from chat.tools.toolbox import Toolbox
from common.errors import ApiError
from common.messages import _
from common.web import context
from common.web.client import Peer, PeerStream
from common.web.sse import encode

SHARE_OF_CONTEXT = 0.5
"""How much of the model's context results may take, all together."""
_ENVELOPE = ("id", "object", "created", "model", "system_fingerprint")
_PING = b": ping\n\n"


class ServerTools:
    """Answers requests that ask for tools of the server."""

    def __init__(self, gpt: Peer, llm: LanguageModel, toolbox: Toolbox) -> None:
        self._gpt = gpt
        self._llm = llm
        self.toolbox = toolbox

    def respond(self, request: ToolRequest, account: Account | None, *, hide_usage: bool) -> Response:
        """gpt's answer in rounds, counted for `account`, or its refusal of the first one.

        `hide_usage`: the reader of the stream did not ask for it. Raises `ApiError` where a later round fails.
        """
        rounds = Rounds(self._gpt, self.toolbox, request, self._room(request.body), account)
        options = request.body.get("stream_options")
        if request.body.get("stream") is True:
            rounds.ask_usage()
        answer, this = rounds.ask()
        if answer.status >= 400:
            return relay(answer)
        headers = {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}
        if not answer.headers.get("Content-Type", "").startswith(EVENT_STREAM):
            response = jsonify(_whole(rounds, answer, this, self._gpt.name))
            response.headers.update(headers)
            return response
        tell_usage = not hide_usage and isinstance(options, dict) and options.get("include_usage") is True
        response = Response(_Stream(rounds, tell_usage=tell_usage).events(answer, this), headers=headers)
        response.headers["X-Accel-Buffering"] = "no"
        response.headers["Cache-Control"] = "no-cache"
        response.call_on_close(answer.close)  # even when not one event was read
        return response

    def _room(self, body: dict[str, Any]) -> int:
        name = body.get("model")
        try:
            tokens = self._llm.context(name if isinstance(name, str) else None)
        except ApiError:  # gpt says it better
            tokens = UNKNOWN_CONTEXT
        return int(tokens * CHARS_PER_TOKEN * SHARE_OF_CONTEXT)


def _whole(rounds: Rounds, stream: PeerStream, this: Round, service: str) -> dict[str, Any]:
    """The answer in one piece."""
    texts: list[str] = []
    thoughts: list[str] = []
    runs: list[dict[str, Any]] = []
    while True:
        with stream:
            answer = stream.read().raise_for_status().json()
        choice, message = _choice(answer, service)
        rounds.used(answer.get("usage"))
        this.read_message(message, choice.get("finish_reason"))
        texts += filter(None, [this.text])
        thoughts += filter(None, [this.thought])
        told = [one for one in rounds.run(this.asked) if one is not None]
        order = [one.id for one in this.asked]
        told.sort(key=lambda one: order.index(one.asked.id))
        runs += map(rounds.run_of, told)
        if not told or this.client_calls:
            break
        rounds.go_on(this, told)
        stream, this = rounds.ask()
    message["content"] = "\n\n".join(texts) or (None if this.client_calls else "")
    if thoughts:
        message["reasoning_content"] = "\n\n".join(thoughts)
    message.pop("tool_calls", None)
    if this.client_calls:
        message["tool_calls"] = this.client_calls
    if runs:
        message["tool_runs"] = runs
    choice["finish_reason"] = this.ending
    whole: dict[str, Any] = {**answer, "choices": [choice]}
    if rounds.usage is not None:
        whole["usage"] = rounds.usage
    return whole


def _choice(answer: Any, service: str) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        choice, message = answer["choices"][0], answer["choices"][0]["message"]
    except (KeyError, IndexError, TypeError):
        choice = message = None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        said = _("Le service %(service)s a donné une réponse inattendue.", service=service)
        raise ApiError(502, "peer_error", said)
    return choice, message


class _Stream:
    """The answer as it is written."""

    def __init__(self, rounds: Rounds, *, tell_usage: bool) -> None:
        self._rounds = rounds
        self._tell_usage = tell_usage
        self._envelope: dict[str, Any] = {}

    def events(self, stream: PeerStream, this: Round) -> Iterator[bytes]:
        try:
            while (yield from self._round(stream, this)):
                stream, this = self._rounds.ask()
                if stream.status >= 400:
                    stream.read().raise_for_status()
        except ApiError as error:  # the answer has begun: its end can only be told in the stream
            yield encode(("error", error.body(context.language.get())))
        finally:
            stream.close()
            self._rounds.ended()

    def _round(self, stream: PeerStream, this: Round) -> Generator[bytes, None, bool]:
        """One round. Returns whether another one is needed."""
        failed = yield from self._said(stream, this)
        if failed:
            return False
        stream.close()
        self._rounds.ended()
        asked = this.asked
        for one in asked:
            yield self._event({"tool_run": self._rounds.running(one)})
        told = []
        for result in self._rounds.run(asked):
            if result is None:
                yield _PING
                continue
            told.append(result)
            yield self._event({"tool_run": self._rounds.run_of(result)})
        if told and not this.client_calls:
            self._rounds.go_on(this, told)
            return True
        yield self._event({}, finish=this.ending)
        if self._tell_usage and self._rounds.usage is not None:
            yield encode({**self._envelope, "choices": [], "usage": self._rounds.usage})
        yield encode(DONE)
        return False

    def _said(self, stream: PeerStream, this: Round) -> Generator[bytes, None, bool]:
        """What the model says as it says it. Returns whether gpt told an error."""
        events = Events()
        for chunk in stream:
            if chunk.startswith(b":"):
                yield _PING
            for data in events.feed(chunk):
                told = None if data == DONE else as_object(data)
                if told is None:
                    continue
                if "error" in told:
                    yield encode(("error", told))
                    return True
                if isinstance(told.get("usage"), dict):
                    self._rounds.used(told["usage"])
                for name in _ENVELOPE:
                    if name in told:
                        self._envelope.setdefault(name, told[name])
                for delta, logprobs in this.read_chunk(told):
                    yield self._event(delta, logprobs=logprobs)
        return False

    def _event(self, delta: dict[str, Any], *, finish: str | None = None, logprobs: Any = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": logprobs}
        return encode({**self._envelope, "choices": [choice]})
