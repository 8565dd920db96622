"""What of a request reaches the engine, and what an engine that declares nothing makes refused."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from itertools import groupby
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from common.errors import ApiError
from gpt.engines.base import (
    Capabilities,
    Constraint,
    Delta,
    Emit,
    GenerationRequest,
    Message,
    Prompt,
    SamplingDefaults,
    Usage,
)
from gpt.ia_service import IaService
from gpt.prompts import template_options
from gpt.wire.requests import ChatBody, CompletionBody

ALL = frozenset(field.name for field in fields(GenerationRequest)) | {"json_schema", "grammar"}
HELLO = [{"role": "user", "content": "Bonjour"}]
EVERYTHING: dict[str, Any] = {
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 7,
    "min_p": 0.1,
    "stop": "fin",
    "stop_token_ids": [4],
    "seed": 3,
    "presence_penalty": 0.5,
    "frequency_penalty": -0.5,
    "repetition_penalty": 1.2,
    "logit_bias": {"5": 1.5},
    "min_tokens": 2,
    "ignore_eos": True,
    "bad_words": ["zut"],
    "structured_outputs": {"regex": "a+"},
}


class Recorder:
    """An engine that keeps what it is asked and answers nothing."""

    name = "enregistreur"
    context = 100
    defaults = SamplingDefaults(temperature=0.6, top_p=0.95, top_k=20)
    load = (0, 0)

    def __init__(self, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self.requests: list[GenerationRequest] = []
        self.messages: Sequence[Message] = ()
        self.options: Mapping[str, Any] = {}

    def encode(self, text: str) -> Prompt:
        return Prompt(list(range(len(text))))

    def encode_ids(self, ids: Sequence[int]) -> Prompt:
        return Prompt(list(ids))

    def encode_chat(self, messages: Sequence[Message], options: Mapping[str, Any]) -> Prompt:
        self.messages, self.options = messages, options
        return Prompt([1, 2, 3])

    def decode(self, ids: Sequence[int]) -> str:
        return str(list(ids))

    def submit(self, request: GenerationRequest, emit: Emit) -> Callable[[], None]:
        self.requests.append(request)
        emit(Delta("x", (1,), (), "stop", Usage(3, 1)))
        return lambda: None

    def close(self) -> None: ...


def service(engine: Recorder) -> IaService:
    """The real service over one engine that is always ready."""

    @contextmanager
    def use(name: str | None, gone: Any) -> Any:
        yield SimpleNamespace(entry=SimpleNamespace(key="m"), engine=engine)

    return IaService(SimpleNamespace(use=use))  # type: ignore[arg-type]


def never() -> bool:
    return False


def asked(engine: Recorder, **body: Any) -> GenerationRequest:
    service(engine).chat(ChatBody.model_validate({"messages": HELLO, **body}), never, {}).close()
    return engine.requests[-1]


def test_everything_reaches_the_engine() -> None:
    request = asked(Recorder(Capabilities(parameters=ALL)), max_tokens=9, logprobs=True, top_logprobs=2, **EVERYTHING)
    assert request == GenerationRequest(
        Prompt([1, 2, 3]),
        9,
        temperature=0.5,
        top_p=0.9,
        top_k=7,
        stop=("fin",),
        seed=3,
        constraint=Constraint("regex", "a+", "structured_outputs"),
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        logit_bias={5: 1.5},
        logprobs=2,
        min_p=0.1,
        repetition_penalty=1.2,
        min_tokens=2,
        stop_token_ids=(4,),
        ignore_eos=True,
        bad_words=("zut",),
    )
    untested = {field.name for field in fields(GenerationRequest)} - {
        "prompt",
        "max_tokens",
        "logprobs",
        "adapter",
        "shown",
    }
    assert {"constraint" if name == "structured_outputs" else name for name in EVERYTHING} == untested


@pytest.mark.parametrize("name", sorted({*EVERYTHING, "logprobs"} - {"temperature", "top_p", "top_k", "stop"}))
def test_what_an_engine_does_not_declare_is_refused_by_name(name: str) -> None:
    engine = Recorder(Capabilities())
    with pytest.raises(ApiError) as refused:
        asked(engine, **{name: EVERYTHING.get(name, True)})
    assert (refused.value.status, refused.value.code, refused.value.param) == (400, "unsupported_parameter", name)
    assert "enregistreur" in str(refused.value.message)
    assert engine.requests == []


def test_a_model_is_sampled_as_its_authors_say_unless_told() -> None:
    engine = Recorder(Capabilities())
    usual = asked(engine)
    assert (usual.temperature, usual.top_p, usual.top_k, usual.max_tokens) == (0.6, 0.95, 20, 97)
    told = asked(engine, temperature=0, top_p=1, top_k=-1)
    assert (told.temperature, told.top_p, told.top_k) == (0, 1, 0)


def test_each_choice_draws_its_own_seed() -> None:
    engine = Recorder(Capabilities(parameters=ALL))
    asked(engine, n=3, seed=5)
    assert [request.seed for request in engine.requests] == [5, 6, 7]
    asked(engine, n=2)
    assert [request.seed for request in engine.requests[3:]] == [None, None]


def test_best_of_needs_log_probabilities() -> None:
    body = CompletionBody.model_validate({"prompt": "Le", "best_of": 2})
    with pytest.raises(ApiError) as refused:
        service(Recorder(Capabilities())).completion(body, never, {})
    assert refused.value.param == "best_of"


@pytest.mark.parametrize(
    ("template", "effort", "options"),
    [
        ("{{ reasoning_effort }}", "low", {"reasoning_effort": "low"}),
        ("{% if enable_thinking %}", "low", {"enable_thinking": True}),
        ("{% if enable_thinking %}", "none", {"enable_thinking": False}),
        ("{{ messages }}", "none", {}),
    ],
)
def test_reasoning_effort_is_the_templates(template: str, effort: str, options: dict[str, Any]) -> None:
    engine = Recorder(Capabilities(template_options=template_options(template)))
    asked(engine, reasoning_effort=effort)
    assert engine.options == options
    asked(engine, reasoning_effort=effort, chat_template_kwargs=dict.fromkeys(options, "dit"))
    assert engine.options == dict.fromkeys(options, "dit")


@pytest.mark.parametrize(
    "fields",
    [{"reasoning_effort": "low"}, {"continue_final_message": True}, {"add_generation_prompt": False}],
)
def test_what_a_template_cannot_do_is_refused_by_name(fields: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as refused:
        asked(Recorder(Capabilities()), **fields)
    assert refused.value.param == next(iter(fields))


def test_a_choice_that_fails_ends_the_answer_and_stops_the_others() -> None:
    class Failing(Recorder):
        cancelled = 0

        def submit(self, request: GenerationRequest, emit: Emit) -> Callable[[], None]:
            if self.requests:
                emit(ApiError(503, "engine_died", "mort"))
            self.requests.append(request)
            return self._cancel

        def _cancel(self) -> None:
            self.cancelled += 1

    engine = Failing(Capabilities(parameters=ALL))
    job = service(engine).chat(ChatBody.model_validate({"messages": HELLO, "n": 3}), never, {})
    with pytest.raises(ApiError, match="engine_died"):
        list(job.deltas(never))
    assert engine.cancelled == 3


def test_a_client_that_leaves_while_its_request_waits_is_noticed() -> None:
    class Silent(Recorder):
        cancelled = False

        def submit(self, request: GenerationRequest, emit: Emit) -> Callable[[], None]:
            return lambda: setattr(self, "cancelled", True)

    engine = Silent(Capabilities())
    job = service(engine).chat(ChatBody.model_validate({"messages": HELLO}), never, {})
    with pytest.raises(ApiError, match="client_closed_request"):
        list(job.deltas(lambda: True))
    assert engine.cancelled


def test_a_full_queue_leaves_nothing_behind() -> None:
    """One of the choices finds no place: the answer is the engine's 503, and the others are given up."""

    class Full(Recorder):
        cancelled = 0

        def submit(self, request: GenerationRequest, emit: Emit) -> Callable[[], None]:
            if len(self.requests) == 2:
                raise ApiError(503, "queue_full", "plein", headers={"Retry-After": "5"})
            return super().submit(request, emit) and self._cancel

        def _cancel(self) -> None:
            self.cancelled += 1

    engine = Full(Capabilities(parameters=ALL))
    with pytest.raises(ApiError) as refused:
        service(engine).chat(ChatBody.model_validate({"messages": HELLO, "n": 3}), never, {})
    assert refused.value.headers["Retry-After"] == "5"
    assert engine.cancelled == 2


def test_requests_of_several_choices_do_not_fill_the_queue_with_parts_of_each() -> None:
    """They enter one after the other: beside each other, all would be refused where half of them has room."""

    class Slow(Recorder):
        order: ClassVar[list[int]] = []

        def submit(self, request: GenerationRequest, emit: Emit) -> Callable[[], None]:
            self.order.append(threading.get_ident())
            time.sleep(0.002)  # a process away
            return lambda: None

    engine = Slow(Capabilities(parameters=ALL))
    gpt = service(engine)
    begin = threading.Barrier(4)

    def ask() -> None:
        begin.wait()
        gpt.chat(ChatBody.model_validate({"messages": HELLO, "n": 4}), never, {})

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(list(run)) for _thread, run in groupby(engine.order)] == [4, 4, 4, 4]
