"""Constrained decoding with llguidance: a request's imposed form becomes a mask over the next token. No torch here."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
from llguidance import LLMatcher, LLTokenizer
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask
from numpy.typing import NDArray

from common.errors import ApiError
from common.messages import _
from gpt.engines.base import Constraint

_MAX_REASON = 300
MAX_FORM = 200_000  # characters; the diagrams' grammars take half of that
# llguidance walks chains of rules by recursion: in an ordinary thread's 8 MB, 3,000 rules that only name the next one
# end the process. Only pages really used take memory.
_COMPILER_STACK = 512 * 2**20
_stack_size = threading.Lock()  # threading.stack_size is the process's
_NO_FREE_SPACE = {"whitespace_flexible": False}  # small models wander in free white space


class TokenMask:
    """The state of one constrained answer."""

    def __init__(self, matcher: LLMatcher, vocabulary: int, param: str) -> None:
        self._matcher = matcher
        self._param = param
        self._vocabulary = vocabulary
        self._bits = allocate_token_bitmask(1, vocabulary)

    def allowed(self) -> NDArray[np.bool_]:
        """Which ids may come next, one flag per id of the tokenizer."""
        fill_next_token_bitmask(self._matcher, self._bits, 0)
        self._check()
        flags = np.unpackbits(self._bits.view(np.uint8), bitorder="little")[: self._vocabulary]
        return flags.astype(np.bool_, copy=False).reshape(-1)

    def forced(self) -> list[int]:
        """The ids that can only come next, so that the model need not be asked."""
        return list(self._matcher.compute_ff_tokens())

    def accept(self, ids: Sequence[int]) -> None:
        """Move on by `ids`."""
        self._matcher.consume_tokens(list(ids))
        self._check()

    @property
    def finished(self) -> bool:
        """True when the form is complete and nothing more may come."""
        return bool(self._matcher.is_stopped())

    def _check(self) -> None:
        if self._matcher.is_error():
            raise _refused(self._param, self._matcher.get_error())


class Constrainer:
    """Compiles constraints for one tokenizer. Built once per model (about a second for a large vocabulary)."""

    def __init__(self, tokenizer_json: str, eos_ids: Sequence[int]) -> None:
        self._tokenizer = LLTokenizer(tokenizer_json, eos_token=list(eos_ids) or None)

    def token_bytes(self, token: int) -> bytes:
        """The bytes that `token` stands for."""
        return bytes(self._tokenizer.decode_bytes([token]))

    def start(self, constraint: Constraint) -> TokenMask:
        """A fresh mask. Raises 400 with the compiler's reason when the schema or grammar is not usable."""
        try:
            grammar = _grammar(constraint)
        except (ValueError, TypeError, RecursionError) as error:
            raise _refused(constraint.param, str(error)) from error
        if len(grammar) > MAX_FORM:
            message = _("La forme demandée dépasse %(limit)s caractères.", limit=MAX_FORM)
            raise ApiError(400, "invalid_constraint", message, constraint.param)
        return _with_deep_stack(lambda: self._compile(grammar, constraint.param))

    def _compile(self, grammar: str, param: str) -> TokenMask:
        matcher = LLMatcher(self._tokenizer, grammar, log_level=0)
        if matcher.is_error():
            raise _refused(param, matcher.get_error())
        mask = TokenMask(matcher, self._tokenizer.vocab_size, param)
        if not mask.finished:
            mask.allowed()  # what is too complex, or allows nothing at all, shows at the first token
        return mask


def _with_deep_stack(work: Callable[[], TokenMask]) -> TokenMask:
    """The result of `work`, run in a thread whose stack is deep enough for whatever `MAX_FORM` lets in."""
    done: Future[TokenMask] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001  raised again in the caller's thread
            done.set_exception(error)

    with _stack_size:
        before = threading.stack_size(_COMPILER_STACK)
        try:
            threading.Thread(target=run, name="grammar", daemon=True).start()
        finally:
            threading.stack_size(before)
    return done.result()


def _grammar(constraint: Constraint) -> Any:
    """llguidance's form of the constraint. Raises ValueError or TypeError on a value of the wrong kind."""
    value: Any = constraint.value
    match constraint.kind:
        case "json_schema":
            if isinstance(value, str):
                value = json.loads(value)
            if not isinstance(value, dict):
                raise TypeError("a JSON schema is an object")
            return LLMatcher.grammar_from_json_schema(value, overrides=_NO_FREE_SPACE)
        case "json_object":
            return LLMatcher.grammar_from_json_schema({"type": "object"}, overrides=_NO_FREE_SPACE)
        case "grammar":
            return LLMatcher.grammar_from_lark(str(value))
        case "regex":
            return LLMatcher.grammar_from_regex(str(value))
        case "choice":
            if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
                raise TypeError("choice is a list of non-empty strings")
            return LLMatcher.grammar_from_lark(
                "start: " + " | ".join(json.dumps(item, ensure_ascii=False) for item in value)
            )


def _refused(param: str, reason: str) -> ApiError:
    message = _("La forme demandée n'est pas utilisable : %(reason)s", reason=_short(reason))
    return ApiError(400, "invalid_constraint", message, param)


def _short(reason: str) -> str:
    line = " ".join(reason.partition("<state>")[0].split())  # llguidance adds its inner state
    return line if len(line) <= _MAX_REASON else line[: _MAX_REASON - 1] + "…"
