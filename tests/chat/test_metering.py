"""Events are passed on and counted alike, however many of them a read brings."""

from __future__ import annotations

from typing import Any, cast

import pytest

from chat.keys.account import Account
from chat.keys.usage import Usage
from chat.openai.metering import metered

HEAD = b'data: {"choices":[{"index":0,"delta":'
NULL = b',"usage":null}\n\n'
STREAM = (
    HEAD + b'{"role":"assistant","content":""}}]' + NULL,
    HEAD + b'{"content":"un \\"usage\\": null"}}]' + NULL,
    HEAD + b'{"reasoning_content":"hm"}}]' + NULL,
    HEAD + b'{"tool_calls":[{}]}}]' + NULL,
    b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n',
    b"data: [DONE]\n\n",
)


class Book:
    def __init__(self) -> None:
        self.used: list[Usage] = []

    def count(self, used: Usage) -> None:
        self.used.append(used)


def run(chunks: list[bytes], *, hide: bool) -> tuple[bytes, list[Usage]]:
    book: Any = Book()
    return b"".join(metered(chunks, cast(Account, book), hide=hide)), book.used


@pytest.mark.parametrize("hide", [True, False])
@pytest.mark.parametrize("cut", [False, True])
def test_a_stream_is_the_same_in_one_read_or_byte_by_byte(hide: bool, cut: bool) -> None:
    events = list(STREAM[:4] if cut else STREAM)
    whole = b"".join(events)
    ways = [events, [whole], [bytes([byte]) for byte in whole], [whole[:100], whole[100:]]]
    results = [run(way, hide=hide) for way in ways]
    assert all(result == results[0] for result in results)
    shown, used = results[0]
    assert (b'"usage":' in shown) == (not hide)
    assert b'\\"usage\\": null' in shown
    assert used == [Usage(completion_tokens=3) if cut else Usage(prompt_tokens=3, completion_tokens=4)]
