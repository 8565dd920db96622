"""The rounds of one answer: what gpt is asked in each, what the tools said so far, what all of it used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from chat.keys.account import Account
from chat.keys.usage import Usage, usage_of
from chat.tools.asked import ToolRequest, spoken
from chat.tools.reading import Round, add_usage
from chat.tools.toolbox import Asked, Told, Toolbox
from common.web.client import Peer, PeerStream

MOST_ROUNDS = 8
"""Rounds in which tools are run; then the model has to answer with what it has."""
SHARE_OF_ROUND = 2 / 3
MOST_CHARS, LEAST_CHARS = 24_000, 200
"""Of the results of one round."""
_PATH = "/v1/chat/completions"


class Rounds:
    """`room`: characters for all results together."""

    def __init__(self, gpt: Peer, toolbox: Toolbox, request: ToolRequest, room: int, account: Account | None) -> None:
        self._gpt = gpt
        self._toolbox = toolbox
        self._request = request
        self._body = dict(request.body)
        self._messages = list(messages) if isinstance(messages := request.body.get("messages"), list) else []
        self._room = room
        self._account = account
        self._number = 0
        self._said = False
        self._this: Round | None = None
        self.usage: dict[str, Any] | None = None
        """Of all rounds, as OpenAI tells it."""

    def ask_usage(self) -> None:
        """Have streams tell what they use."""
        options = self._body.get("stream_options")
        if isinstance(options, dict | None):  # anything else is refused by gpt
            self._body["stream_options"] = {**(options or {}), "include_usage": True}

    def ask(self) -> tuple[PeerStream, Round]:
        """The next round: gpt's answer, and what will read it."""
        self._number += 1
        last = self._number > MOST_ROUNDS
        if self._number > 1:
            self._body["messages"] = self._messages
            self._body["tool_choice"] = "none" if last else self._free_choice()
        self._this = Round(self._request, self._number, last=last, after_text=self._said)
        return self._gpt.stream("POST", _PATH, json=self._body, again=True), self._this

    def _free_choice(self) -> str | dict[str, Any]:
        """What was imposed has been done; what was allowed still is, and nothing else."""
        choice = self._request.body.get("tool_choice")
        if not isinstance(choice, dict) or not isinstance(choice.get("allowed_tools"), dict):
            return "auto"
        return {**choice, "allowed_tools": {**choice["allowed_tools"], "mode": "auto"}}

    def run(self, asked: Sequence[Asked]) -> Iterator[Told | None]:
        """Run a round's calls: each result as it comes, None now and then meanwhile."""
        share = max(LEAST_CHARS, min(MOST_CHARS, int(self._room * SHARE_OF_ROUND)))
        for told in self._toolbox.run(asked, self._request.server, share):
            self._room -= len(told.result) if told is not None else 0
            yield told

    def go_on(self, this: Round, told: Sequence[Told]) -> None:
        """Give the model what the tools said, in the order of its calls."""
        order = [one.id for one in this.asked]
        self._said = self._said or bool(this.text)
        self._messages += spoken(this.text, sorted(told, key=lambda one: order.index(one.asked.id)), this.thought)

    def used(self, usage: Any) -> None:
        """A round has told its usage, which is counted."""
        self.usage = add_usage(self.usage, usage)
        if self._this is not None:
            self._this.pieces = 0
        if self._account is not None:
            self._account.count(usage_of({"usage": usage}))

    def ended(self) -> None:
        """Count a round that did not tell its usage: a token for each piece of text that went by."""
        if self._account is not None and self._this is not None and self._this.pieces:
            self._account.count(Usage(completion_tokens=self._this.pieces))
            self._this.pieces = 0

    def running(self, asked: Asked) -> dict[str, Any]:
        """A run that begins, as the client is told."""
        shown = {"id": asked.id, "round": self._number, "name": asked.name, "arguments": asked.arguments}
        return {**shown, "state": "running"}

    def run_of(self, told: Told) -> dict[str, Any]:
        """A run that has ended, as the client is told."""
        return {**self.running(told.asked), "state": "done" if told.ok else "error", "result": told.result}
