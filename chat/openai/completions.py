"""What a body for gpt (chat, text, embeddings) gets: used by the routes of /v1, and by what asks on its own."""

from __future__ import annotations

from flask import Response

from chat.keys.account import current
from chat.openai.aliases import Chooser
from chat.openai.asked import looked_at
from chat.openai.relay import relay
from chat.tools import asked
from chat.tools.server import ServerTools
from common.web.client import Peer
from common.web.leaving import stop_if_client_leaves

CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"
EMBEDDINGS = "/v1/embeddings"
_JSON = {"Content-Type": "application/json"}


class Completions:
    """Answers for the caller of the request at hand, whose key is checked and counted."""

    def __init__(self, gpt: Peer, chooser: Chooser, tools: ServerTools) -> None:
        self._gpt = gpt
        self._tools = tools
        self._chooser = chooser

    def respond(self, data: bytes, path: str = CHAT, *, watched: bool = True) -> Response:
        """gpt's answer to the JSON body `data`, or its refusal, as the client gets it.

        gpt checks the body and says what is wrong; here it is read only for a key that is counted, or for aliases.
        The answer ends when the client leaves, unless it is not `watched`. Tools of the server that it asks for are run
        (chat.tools).
        """
        account = current.get()
        body, hide = looked_at(data, account, self._chooser)
        request = None
        if path == CHAT:
            body, request = asked.read(body, self._tools.toolbox)
        if watched:
            stop_if_client_leaves()
        if request is not None:
            return self._tools.respond(request, account, hide_usage=hide)
        return relay(self._gpt.stream("POST", path, body=body, headers=_JSON, again=True), account, hide_usage=hide)
