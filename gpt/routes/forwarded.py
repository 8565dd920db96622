"""An answer computed by another server, as Flask sends it: status, type and bytes unchanged."""

from __future__ import annotations

from flask import Response

from common.web.sse import sse_polled
from gpt.forwarded import Forwarded
from gpt.job import Gone


def forwarded_response(answer: Forwarded, gone: Gone) -> Response:
    """Wait for the answer to begin, then pass it on. Raises the server's refusal."""
    answer.wait(gone)
    if not answer.streams:
        return Response(answer.whole(gone), content_type=answer.content_type)
    response = sse_polled(answer.events(gone), on_close=answer.close)
    response.content_type = answer.content_type
    return response
