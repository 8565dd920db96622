"""Ask a model, read what it wrote, let the real parser judge it, and ask again with the reason at most twice."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from chat.diagrams import prompts
from chat.diagrams.kinds.base import Kind
from chat.diagrams.labels import Drawing, GraphError
from chat.diagrams.parser import MermaidParser, Verdict
from chat.language import Language
from chat.llm import Answer, LanguageModel, Model
from common.errors import ApiError
from common.messages import _

log = logging.getLogger(__name__)

MAX_REPAIRS = 2
T = TypeVar("T")
_FENCE = re.compile(r"```(?:mermaid)?[^\S\n]*\n(.*?)\n?[^\S\n]*```", re.S)
_THOUGHTS = re.compile(r"^\s*<think>.*?</think>", re.S)


@dataclass
class Written(Generic[T]):
    """What one request to the model gave; `answer` is its last one."""

    made: T
    model: str
    repairs: int
    answer: Answer


class Writer:
    """Plain service over gpt and the parser."""

    def __init__(self, llm: LanguageModel, parser: MermaidParser) -> None:
        self._llm = llm
        self._parser = parser

    def drawing(self, model: Model, kind: Kind, body: dict[str, Any], language: Language) -> Written[Drawing]:
        """The drawing that the answer to `body` is. One without any item is an answer."""

        def judged(answer: Answer) -> Drawing:
            drawing: Drawing = kind.read(answer.text, cut=answer.cut)
            if drawing.items():
                _accepted(self._parser.check(kind.serialize(drawing, None)))
            return drawing

        return self._write(model, body, language, judged)

    def mermaid(self, model: Model, kind: str, body: dict[str, Any], language: Language) -> Written[str]:
        """The diagram of `kind` that the answer to `body` is, as Mermaid."""

        def judged(answer: Answer) -> str:
            text = read_mermaid(answer.text)
            verdict = self._parser.check(text)
            _accepted(verdict)
            if verdict.kind not in {None, kind}:
                raise GraphError(f"It is a diagram of the kind {verdict.kind}; it must be {kind}.")
            return text

        return self._write(model, body, language, judged)

    def _write(
        self, model: Model, body: dict[str, Any], language: Language, judged: Callable[[Answer], T]
    ) -> Written[T]:
        asked = {**body, "model": model.id}
        problem = ""
        for repairs in range(MAX_REPAIRS + 1):
            answer = self._llm.complete(asked)
            try:
                return Written(judged(answer), answer.model, repairs, answer)
            except GraphError as error:
                problem = str(error)
            log.info("diagram refused", extra={"model": model.id, "attempt": repairs + 1, "problem": problem[:300]})
            if model.embedded:  # it cannot read a remark: draw another answer
                asked = {**asked, "temperature": 0.5, "seed": repairs + 1}
            else:
                asked = prompts.repair_request({**body, "model": model.id}, answer.text, problem, language)
        message = _(
            "Le modèle %(model)s n'a pas su écrire ce diagramme (%(tries)s essais) : %(problem)s",
            model=model.id,
            tries=MAX_REPAIRS + 1,
            problem=problem,
        )
        raise ApiError(422, "diagram_invalid", message, extra={"parser": problem})


def read_mermaid(written: str) -> str:
    """The diagram in a model's answer: without its thoughts, its fence, and what it says around them."""
    text = _THOUGHTS.sub("", written)
    fenced = _FENCE.search(text)
    text = (fenced.group(1) if fenced else text).strip("\n")
    if not text.strip():
        raise GraphError("The answer holds no diagram.")
    return text.rstrip() + "\n"


def _accepted(verdict: Verdict) -> None:
    """Raise `GraphError` with the parser's words when it refused."""
    if verdict.valid is False:
        raise GraphError(verdict.problem.message if verdict.problem else "The diagram is refused.")
