"""A turn of a conversation: the question is kept, the model is asked as /v1/chat/completions asks it, the answer is
kept as it comes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response

from chat.conversations.keeping import KEPT_SECONDS
from chat.conversations.models import ConversationMessage
from chat.conversations.reading import DONE
from chat.conversations.store import ConversationStore, Whole
from chat.conversations.tree import branch
from chat.conversations.writing import Writing, Writings
from chat.llm import LanguageModel, is_default
from chat.openai.aliases import ModelAliases
from chat.tools.asked import OLD_RESULT_CHARS
from common.errors import ApiError
from common.messages import _
from common.web.leaving import stop_if_client_leaves
from common.web.sse import encode

CHARS_PER_TOKEN = 4
"""More than most languages have: what a model could hold at best. It refuses by itself what it cannot."""
KEPT_OF_TOO_LONG = 0.7
ENDING_SECONDS = 2 * KEPT_SECONDS
FULL = "context_length_exceeded"

Respond = Callable[[bytes], Response]
Shown = Callable[[Whole, ConversationMessage], dict[str, Any]]
Turn = dict[str, Any]
"""`role`, `content`, and `tool_runs` of an answer when the question has tools."""


@dataclass(frozen=True)
class Asked:
    """What a turn asks. `content` None: another answer to a message that is there already."""

    content: str | None
    place: Mapping[str, str | None]
    """`parent_id`, when it was given."""
    model: str | None
    options: Mapping[str, Any]
    """The other fields of the body, for the model."""


class Talk:
    """`respond` answers a body of /v1/chat/completions for the caller of the request at hand, whom nobody watches."""

    def __init__(self, store: ConversationStore, llm: LanguageModel, aliases: ModelAliases, respond: Respond) -> None:
        self._store = store
        self._llm = llm
        self._aliases = aliases
        self._respond = respond
        self._writings = Writings(store)

    def answer(self, owner: str | None, conversation_id: str, asked: Asked, shown: Shown) -> Response:
        """The stream of the answer; its first event tells the messages, as `shown` writes them. Who leaves it does not
        stop it.

        Raises what asking raises; the error object then has `stored`, the question's ids, to ask again.
        """
        stop_if_client_leaves()
        whole, question = self._question(owner, conversation_id, asked)
        model = asked.model or whole.row.model
        turns = turns_of(branch(whole.messages, question.id), runs=bool(asked.options.get("tools")))
        values = {"asked_model": None if is_default(model) else model, "state": "writing"}
        place = {"role": "assistant", "parent_id": question.id}
        whole = self._store.add(owner, conversation_id, {**place, **values})
        answer = whole.messages[-1]
        writing = self._writings.start(conversation_id, answer.id, lambda: self._ask(turns, model, asked.options))
        try:
            writing.wait()
            answer.left_out = writing.left_out
            return self._stream(writing, encode(("message", shown(whole, question))))
        except ApiError as error:
            error.extra["stored"] = {"conversation_id": conversation_id, "message_id": question.id}
            raise
        except BaseException:  # the reader has left
            self._writings.left(writing)
            raise

    def stop(self, owner: str | None, conversation_id: str) -> int:
        """End the answers that are being written in a conversation. How many there were: they end by then."""
        count = self._store.stop(owner, conversation_id)
        here = self._writings.stop([conversation_id])
        for writing in here:
            writing.join(ENDING_SECONDS)
        if count > len(here):
            time.sleep(ENDING_SECONDS)  # another process sees it when it next keeps what it has
        return count

    def _question(self, owner: str | None, conversation_id: str, asked: Asked) -> tuple[Whole, ConversationMessage]:
        if asked.content is not None:
            values = {"role": "user", "content": asked.content, **asked.place}
            whole = self._store.add(owner, conversation_id, values, model=asked.model)
            return whole, whole.messages[-1]
        whole = self._store.whole(owner, conversation_id)
        question = _asked_again(whole, asked.place.get("parent_id"))
        self._store.read_on(owner, conversation_id, question.id, asked.model or whole.row.model)
        return whole, question

    def _ask(self, turns: list[Turn], model: str | None, options: Mapping[str, Any]) -> tuple[Response, int]:
        """An answer that has begun, and how many of the oldest turns were left out so that the rest fits."""
        system = [turn for turn in turns if turn["role"] == "system"]
        rest = [turn for turn in turns if turn["role"] != "system"]
        count = len(rest)
        rest = _latest(rest, self._room(model, options) - _size(system))
        while True:
            body = {**options, "messages": [*system, *joined(rest)], "stream": True}
            body["stream_options"] = {"include_usage": True}
            if not is_default(model):
                body["model"] = model
            response = self._respond(json.dumps(body).encode())
            if response.status_code < 400:
                return response, count - len(rest)
            error = _error_of(response)
            shorter = _latest(rest, int(_size(rest) * KEPT_OF_TOO_LONG))
            if error.code != FULL or len(shorter) == len(rest):
                raise error
            rest = shorter

    def _room(self, model: str | None, options: Mapping[str, Any]) -> int:
        """Characters that the model can be given, with some left for the answer."""
        try:
            context = self._llm.context(self._aliases.meant(model, self._llm.knows) if model else None)
        except ApiError:  # said better when it is asked
            return 2**31
        wanted = options.get("max_completion_tokens") or options.get("max_tokens") or 1024
        answer = min(context // 4, wanted if isinstance(wanted, int) else 1024)
        return (context - answer) * CHARS_PER_TOKEN

    def _stream(self, writing: Writing, first: bytes) -> Response:
        def left() -> None:
            self._writings.left(writing)

        def events() -> Iterator[bytes]:
            try:
                yield first
                yield from writing.read()
            finally:
                left()
            yield DONE + b"\n\n"  # once all is kept: who reads it may look at once

        answer = Response(events(), content_type="text/event-stream; charset=utf-8")
        answer.headers["X-Accel-Buffering"] = "no"
        answer.headers["Cache-Control"] = "no-cache"
        answer.call_on_close(left)  # even when not one event was read
        return answer


def turns_of(messages: Sequence[ConversationMessage], *, runs: bool = False) -> list[Turn]:
    """What goes to the model of a branch that ends with a question: all but drawings and empty answers.

    `runs`: with what the server's tools were asked and said.
    """
    *before, question = messages
    said = [message for message in before if message.tool is None and message.content.strip()]
    return [_turn(message, runs=runs) for message in [*said, question]]


def _turn(message: ConversationMessage, *, runs: bool) -> Turn:
    turn: Turn = {"role": message.role, "content": message.content}
    return {**turn, "tool_runs": message.tool_runs} if runs and message.tool_runs else turn


def joined(turns: Sequence[Turn]) -> list[Turn]:
    """Turns of the same role in a row as one, which many models insist on; the first is a question."""
    found: list[Turn] = []
    for turn in turns:
        if found and found[-1]["role"] == turn["role"]:
            runs = [*found[-1].get("tool_runs", ()), *turn.get("tool_runs", ())]
            content = f"{found[-1]['content']}\n\n{turn['content']}"
            found[-1] = {"role": turn["role"], "content": content, **({"tool_runs": runs} if runs else {})}
        else:
            found.append(turn)
    return found


def _latest(turns: list[Turn], size: int) -> list[Turn]:
    """The last turns that have no more than `size` characters, from a question on; at least the last question."""
    first = len(turns) - 1
    left = size - _size(turns[-1:])
    while first > 0 and (left := left - _size(turns[first - 1 : first])) >= 0:
        first -= 1
    while turns[first]["role"] != "user" and first < len(turns) - 1:
        first += 1
    return turns[first:]


def _size(turns: Iterable[Turn]) -> int:
    """Characters, of the runs too as the model is shown them."""
    runs = [run for turn in turns for run in turn.get("tool_runs", ())]
    shown = sum(len(str(run.get("arguments"))) + min(len(str(run.get("result"))), OLD_RESULT_CHARS) for run in runs)
    return shown + sum(len(turn["content"]) for turn in turns)


def _asked_again(whole: Whole, message_id: str | None) -> ConversationMessage:
    """The question to answer once more: the one named, or the latest."""
    path = branch(whole.messages, message_id or whole.row.current_id)
    if message_id is not None and (not path or path[-1].role != "user"):
        raise ApiError(404, "message_not_found", _("Il n'y a pas de question à cet endroit."), "parent_id")
    question = next((message for message in reversed(path) if message.role == "user"), None)
    if question is None:
        raise ApiError(400, "missing_field", _("Cette discussion n'a pas encore de question."), "content")
    return question


def _error_of(response: Response) -> ApiError:
    """The refusal that a response is, to be raised."""
    data = response.get_data()
    retry_after = response.headers.get("Retry-After")
    headers = {"Retry-After": retry_after} if retry_after else None
    try:
        error = json.loads(data)["error"]
        extra = {key: value for key, value in error.items() if key not in {"message", "param", "code"}}
        code, said = str(error["code"]), str(error["message"])
        return ApiError(response.status_code, code, said, error.get("param"), headers=headers, extra=extra)
    except (ValueError, KeyError, TypeError, AttributeError):
        message = _("Le service %(service)s a donné une réponse inattendue.", service="gpt")
        return ApiError(502, "peer_error", message)
