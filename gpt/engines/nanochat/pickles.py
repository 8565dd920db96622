"""Reads a pickle as a description, never as a program: nothing is imported, called or instantiated.

A pickle is a program for a small stack machine. This is that machine with its dangerous half cut off: it builds
strings, bytes, numbers, tuples, lists and dictionaries. A class or function that the caller knows *by name* comes out
as a `Name`, what the pickle would have made with it as a `Made` (the name and the arguments); any other name, and any
other instruction, is refused.

Opcodes and their arguments: `pickletools` of the standard library, which only parses.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

MAX_BYTES = 16 * 2**20  # the tokenizer of 65,536 tokens takes 1.2 MB
MAX_STEPS = 1_000_000  # instructions; three a token
MAX_DEPTH = 64  # containers being built inside one another
_MAX_INT_BYTES = 16


class PickleError(ValueError):
    """The pickle is damaged, too big, or asks for more than plain values. The message says what, in English."""


@dataclass(frozen=True)
class Name:
    """A class or function that the pickle names; it is not looked up."""

    module: str
    name: str


@dataclass
class Made:
    """What the pickle would have made by giving `arguments` to `of`, and `state` that it would have set on it."""

    of: Name
    arguments: tuple[Any, ...]
    items: dict[Any, Any] = field(default_factory=dict)
    state: Any = None


_MARK = object()
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}
_LITERALS = frozenset(
    {
        *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
        *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    }
)
_PUTS = frozenset({"BINPUT", "LONG_BINPUT"})
_GETS = frozenset({"BINGET", "LONG_BINGET"})
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_SILENT = frozenset({"PROTO", "FRAME"})


def read_pickle(data: bytes, names: frozenset[Name], persistent: bool = False) -> Any:
    """The value that `data` describes. Only `names` may be named; `persistent` lets ids of outside objects through,
    as ``Made(Name("", "persistent"), (id,))``. Raises `PickleError`."""
    if len(data) > MAX_BYTES:
        raise PickleError(f"{len(data)} bytes, at most {MAX_BYTES}")
    return _Machine(names, persistent).run(data)


def _instructions(data: bytes) -> Iterator[tuple[str, Any, int]]:
    try:
        for opcode, argument, position in pickletools.genops(data):
            yield opcode.name, argument, position or 0
    except (ValueError, EOFError, OverflowError) as error:  # genops' own complaints: cut short, bad length, not UTF-8
        raise PickleError(f"damaged: {error}") from error


class _Machine:
    def __init__(self, names: frozenset[Name], persistent: bool) -> None:
        self._names = names
        self._persistent = persistent
        self._stack: list[Any] = []
        self._marks = 0
        self._memo: dict[int, Any] = {}
        self._steps: dict[str, Callable[[Any], None]] = {
            "MARK": self._mark,
            "TUPLE": lambda _: self._stack.append(tuple(self._since_mark())),
            "APPEND": lambda _: self._append([self._pop()]),
            "APPENDS": lambda _: self._append(self._since_mark()),
            "SETITEM": self._set_item,
            "SETITEMS": lambda _: self._set_items(self._since_mark()),
            "MEMOIZE": lambda _: self._put(len(self._memo)),
            "GLOBAL": lambda argument: self._name(*str(argument).split(" ", 1)),
            "STACK_GLOBAL": self._stack_global,
            "NEWOBJ": self._make,
            "REDUCE": self._make,
            "BUILD": self._build,
            "BINPERSID": self._outside,
        }

    def run(self, data: bytes) -> Any:
        for step, (name, argument, position) in enumerate(_instructions(data)):
            if step > MAX_STEPS:
                raise PickleError(f"more than {MAX_STEPS} instructions")
            if name == "STOP":
                value = self._pop()
                if self._stack or self._marks:
                    raise PickleError("damaged: something is left at the end")
                return value
            try:
                self._step(name, argument)
            except PickleError as refused:
                raise PickleError(f"{refused} (at byte {position})") from None
        raise PickleError("damaged: no end")

    def _step(self, name: str, argument: Any) -> None:
        if name in _SILENT:
            return
        if name in _LITERALS:
            if name == "LONG1" and abs(argument).bit_length() > 8 * _MAX_INT_BYTES:
                raise PickleError("an integer of more than 16 bytes")
            self._stack.append(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name]())
        elif name in _PUTS:
            self._put(argument)
        elif name in _GETS:
            if argument not in self._memo:
                raise PickleError("damaged: an empty memo entry is read")
            self._stack.append(self._memo[argument])
        elif name in _TUPLES:
            self._stack.append(tuple(self._last(_TUPLES[name])))
        elif name in self._steps:
            self._steps[name](argument)
        else:
            raise PickleError(f"instruction {name}")

    def _pop(self) -> Any:
        return self._last(1)[0]

    def _last(self, count: int) -> list[Any]:
        """The top `count` values, taken off. A mark is not a value."""
        values = self._stack[-count:]
        if len(values) < count or any(value is _MARK for value in values):
            raise PickleError("damaged: a value is missing")
        del self._stack[-count:]
        return values

    def _mark(self, _: Any) -> None:
        self._marks += 1
        if self._marks > MAX_DEPTH:
            raise PickleError(f"more than {MAX_DEPTH} values inside one another")
        self._stack.append(_MARK)

    def _since_mark(self) -> list[Any]:
        at = len(self._stack) - 1
        while at >= 0 and self._stack[at] is not _MARK:
            at -= 1
        if at < 0:
            raise PickleError("damaged: a mark is missing")
        values = self._stack[at + 1 :]
        del self._stack[at:]
        self._marks -= 1
        return values

    def _top(self) -> Any:
        if not self._stack or self._stack[-1] is _MARK:
            raise PickleError("damaged: a value is missing")
        return self._stack[-1]

    def _put(self, index: int) -> None:
        self._memo[index] = self._top()

    def _append(self, values: list[Any]) -> None:
        target = self._top()
        if type(target) is not list:
            raise PickleError("damaged: what is appended to is not a list")
        target.extend(values)

    def _set_item(self, _: Any) -> None:
        self._set_items(self._last(2))

    def _set_items(self, values: list[Any]) -> None:
        target = self._top()
        if isinstance(target, Made):
            target = target.items
        if type(target) is not dict or len(values) % 2:
            raise PickleError("damaged: what is filled is not a dictionary")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if type(key) not in (str, bytes, int):
                raise PickleError(f"a key of type {type(key).__name__}")
            target[key] = value

    def _stack_global(self, _: Any) -> None:
        self._name(*self._last(2))

    def _name(self, module: Any, name: Any = "") -> None:
        if type(module) is not str or type(name) is not str or Name(module, name) not in self._names:
            raise PickleError(f"it names {str(module)[:80]}.{str(name)[:80]}")
        self._stack.append(Name(module, name))

    def _make(self, _: Any) -> None:
        of, arguments = self._last(2)
        if not isinstance(of, Name) or type(arguments) is not tuple:
            raise PickleError("damaged: what is made has no class")
        self._stack.append(Made(of, arguments))

    def _build(self, _: Any) -> None:
        state = self._pop()
        target = self._top()
        if not isinstance(target, Made):
            raise PickleError("damaged: a plain value has no state")
        target.state = state

    def _outside(self, _: Any) -> None:
        if not self._persistent:
            raise PickleError("instruction BINPERSID")
        self._stack.append(Made(Name("", "persistent"), (self._pop(),)))
