"""The calculator inside generation: what is between two marks is computed, and its result is put in the model's mouth.

In the text that a person reads, a computation stands between brackets: ``[12+30 = 42] Le résultat est 42.`` An answer
that comes back in a later turn is read the same way, so that the model sees its own marks again.

Source: RowState and Engine.generate of nanochat/engine.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from gpt.engines.nanochat.calculator import calculate
from gpt.engines.nanochat.tokenizer import OUTPUT_END, OUTPUT_START, PYTHON_END, PYTHON_START, NanochatTokenizer

_SHOWN = re.compile(r"\[([^\[\]\n=]+) = ([^\[\]\n=]+)\]")


class ToolUse:
    """Follows one answer token by token."""

    def __init__(self, tokenizer: NanochatTokenizer) -> None:
        self._tokenizer = tokenizer
        self._special = tokenizer.special
        self._expression: list[int] | None = None  # None: outside of a computation

    def push(self, token: int) -> list[int]:
        """The ids that must follow the sampled `token`: a result between its marks, or nothing."""
        if token == self._special[PYTHON_START]:
            self._expression = []
        elif self._expression is None:
            return []
        elif token == self._special[PYTHON_END]:
            expression, self._expression = self._expression, None
            result = calculate(self._tokenizer.decode(expression)) if expression else None
            if result is not None:
                return [self._special[OUTPUT_START], *self._tokenizer.encode(result), self._special[OUTPUT_END]]
        else:
            self._expression.append(token)
        return []


class Reader:
    """Ids to the text that a person reads: computations in brackets, other marks left out."""

    def __init__(self, tokenizer: NanochatTokenizer) -> None:
        self._tokenizer = tokenizer
        special = tokenizer.special
        self._begin, self._end = special[PYTHON_START], special[PYTHON_END]
        self._result, self._result_end = special[OUTPUT_START], special[OUTPUT_END]
        self.silent = frozenset(special.values()) - {self._begin, self._end, self._result, self._result_end}

    def text(self, ids: Iterable[int]) -> str:
        """The text of `ids`. What comes after the end of a computation decides how it is written, so a computation
        that ends `ids` is still open."""
        return b"".join(self._pieces(ids)).decode("utf-8", errors="replace")

    def _pieces(self, ids: Iterable[int]) -> Iterator[bytes]:
        computed = False
        for token in ids:
            if token == self._result:
                yield b" = " if computed else b"["
            elif computed:
                yield b"]"
            computed = token == self._end
            if token == self._begin:
                yield b"["
            elif token == self._result_end:
                yield b"]"
            elif token not in self.silent and token not in {self._end, self._result}:
                yield self._tokenizer.token_bytes(token)


def with_marks(text: str, tokenizer: NanochatTokenizer) -> list[int]:
    """The ids of an earlier answer as `Reader` wrote it: computations that the calculator confirms get their marks."""
    special = tokenizer.special
    ids: list[int] = []
    done = 0
    for shown in _SHOWN.finditer(text):
        expression, result = shown.groups()
        if calculate(expression) != result:
            continue
        ids += tokenizer.encode(text[done : shown.start()])
        ids += [special[PYTHON_START], *tokenizer.encode(expression), special[PYTHON_END]]
        ids += [special[OUTPUT_START], *tokenizer.encode(result), special[OUTPUT_END]]
        done = shown.end()
    return ids + tokenizer.encode(text[done:])
