"""From a request to a running answer: which model, whether it can, how long it may be. No Flask here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, fields
from threading import Lock
from typing import Any, cast

from common.errors import ApiError, client_left
from common.messages import _
from common.models.registry import Registry
from gpt.adapters.service import AdapterService
from gpt.calling import imposed, reading_of
from gpt.engines.base import (
    Capabilities,
    Constraint,
    GenerationRequest,
    LanguageEngine,
    Prompt,
    ReadingEngine,
    TokenLogprob,
    context_exceeded,
)
from gpt.engines.forwarding import ForwardingEngine, GptEngine
from gpt.forwarded import Forwarded
from gpt.job import Gone, Job
from gpt.metrics import TOKENS
from gpt.wire.embeddings import EmbeddingBody, embeddings_answer
from gpt.wire.requests import ChatBody, CompletionBody, Sampling

MAX_EMBEDDED_TOKENS = 300_000  # OpenAI's
COMPLETION_MAX_TOKENS = 16  # OpenAI's default for /v1/completions; a chat turn may fill the context
# what every engine honours, and need not declare
_ALWAYS = frozenset({"prompt", "max_tokens", "temperature", "top_p", "top_k", "stop", "constraint", "shown"})
_DEFAULTS = {field.name: field.default for field in fields(GenerationRequest) if field.name not in _ALWAYS}
_DEFAULTS["logit_bias"] = {}  # made by a factory


@dataclass(frozen=True)
class _Start:
    """A prompt, and what of it goes before the answer."""

    prompt: Prompt
    echo: str | None = None


@dataclass(frozen=True)
class Use:
    """A model held for a request, under the name that its answer gives."""

    name: str
    engine: GptEngine
    adapter: str | None = None


class IaService:
    """What the routes of /v1 call."""

    def __init__(self, registry: Registry[GptEngine], adapters: AdapterService | None = None) -> None:
        self._registry = registry
        self._adapters = adapters
        self._together = Lock()  # answers of several choices enter the queue one after the other

    def chat(self, body: ChatBody, gone: Gone, payload: Mapping[str, Any]) -> Job | Forwarded:
        """Start a chat answer. Raises 400, 404, 503 before anything is computed.

        `payload` is the request as it was sent, for a model that another server computes.
        """
        with ExitStack() as stack:
            use = stack.enter_context(self._use(body.model, gone))
            engine = use.engine
            if isinstance(engine, ForwardingEngine):
                return _forward(use, engine, "/chat/completions", payload, stack.pop_all())
            body.refuse_unsupported()
            if (found := body.image()) is not None and not engine.capabilities.images:
                message = _(
                    "Le modèle %(model)s ne lit que du texte : « %(kind)s » n'est pas accepté.",
                    model=use.name,
                    kind=found[1],
                )
                raise ApiError(400, "unsupported_content", message, found[0])
            used = body.tool_use()
            options = body.template(engine.capabilities.template_options)
            asked = body.constraint()
            formed = asked is not None and asked.kind != "grammar"  # a grammar says all of the answer, thoughts too
            if formed and "enable_thinking" in engine.capabilities.template_options:
                options.setdefault("enable_thinking", False)  # who wants a form waits for it: thoughts are asked for
            if used.tools and (used.required or not engine.capabilities.dialect.unaware):
                options["tools"] = used.tools
            prompt = engine.encode_chat(body.turns(), options)
            room = _room(engine, prompt, body, "messages", default=engine.context)
            job = Job("chatcmpl", use.name)
            job.reading = reading_of(used, engine.capabilities.dialect, prompt.thinking)
            form = imposed(used, asked, engine.capabilities, prompt.thinking, engine.context)
            _start(job, engine, body, [_Start(prompt)], room, use.adapter, self._together, form)
            job.hold(stack.pop_all())
            return job

    def completion(self, body: CompletionBody, gone: Gone, payload: Mapping[str, Any]) -> Job | Forwarded:
        """Start one continuation per prompt and choice. As `chat`."""
        with ExitStack() as stack:
            use = stack.enter_context(self._use(body.model, gone))
            engine = use.engine
            if isinstance(engine, ForwardingEngine):
                return _forward(use, engine, "/completions", payload, stack.pop_all())
            body.refuse_unsupported()
            prompts: list[_Start] = []
            room = engine.context
            for given in body.prompts():
                prompt = _to_continue(engine, given, body.suffix)
                room = min(room, _room(engine, prompt, body, "prompt", default=COMPLETION_MAX_TOKENS))
                echo = (given if isinstance(given, str) else engine.decode(given)) if body.echo else None
                prompts.append(_Start(prompt, echo))
            job = Job("cmpl", use.name, computed=body.candidates(), kept=body.n or 1)
            _start(job, engine, body, prompts, room, use.adapter, self._together, body.constraint())
            job.hold(stack.pop_all())
            return job

    def embeddings(self, body: EmbeddingBody, gone: Gone, payload: Mapping[str, Any]) -> dict[str, Any] | Forwarded:
        """The vectors of texts. Raises 400 when the model gives none; 404 and 503 as `chat`."""
        with ExitStack() as stack:
            use = stack.enter_context(self._use(body.model, gone))
            engine = use.engine
            if isinstance(engine, ForwardingEngine):
                return _forward(use, engine, "/embeddings", payload, stack.pop_all())
            if not engine.capabilities.embeds:
                message = _(
                    "Le modèle %(model)s ne donne pas de vecteurs : le moteur %(engine)s ne sait pas les calculer.",
                    model=use.name,
                    engine=engine.name,
                )
                raise ApiError(400, "unsupported_model", message, "model")
            texts = [_ids_of(engine, text, at) for at, text in enumerate(body.texts())]
            total = sum(map(len, texts))
            if total > MAX_EMBEDDED_TOKENS:
                message = _(
                    "Les textes font %(tokens)s tokens : au plus %(limit)s sont acceptés dans une demande.",
                    tokens=total,
                    limit=MAX_EMBEDDED_TOKENS,
                )
                raise ApiError(400, "invalid_value", message, "input")
            reader = cast("ReadingEngine", engine)
            vectors = []
            for ids in texts:
                if gone():
                    raise client_left()
                vectors.append(body.shaped(reader.embed(ids, use.adapter)))
            TOKENS.labels(use.name, "prompt").inc(total)
            return embeddings_answer(use.name, [body.encoded(vector) for vector in vectors], total)

    @contextmanager
    def _use(self, name: str | None, gone: Gone) -> Iterator[Use]:
        """Hold the model that `name` designates, with the adapter when it designates one."""
        adapter = self._adapters.find(name) if self._adapters is not None else None
        if self._adapters is None or adapter is None:
            with self._registry.use(name, gone) as lease:
                yield Use(lease.entry.key, lease.engine)
            return
        with self._registry.use(adapter.parent, gone) as lease, self._adapters.use(adapter, lease.engine):
            yield Use(adapter.name, lease.engine, adapter.name)


def _forward(use: Use, engine: ForwardingEngine, path: str, payload: Mapping[str, Any], lease: ExitStack) -> Forwarded:
    return Forwarded(use.name, lambda: engine.forward(path, payload, use.adapter), lease)


def _start(
    job: Job,
    engine: LanguageEngine,
    body: Sampling,
    prompts: Sequence[_Start],
    room: int,
    adapter: str | None,
    together: Lock,
    form: Constraint | None,
) -> None:
    """Queue every generation of `job`; none is left behind when one is refused.

    Jobs of several generations take turns (`together`): were they to queue them one by one beside each other, they
    would fill the queue with parts of each and all be refused.
    """
    asked = {**body.sampling(), "adapter": adapter, "constraint": form}
    asked["logprobs"] = body.alternatives()
    job.show_logprobs = asked["logprobs"] is not None
    _refuse_what_lacks(engine, asked)
    if job.kept < job.computed and not job.show_logprobs:
        if "logprobs" not in engine.capabilities.parameters:
            raise _lacking(engine, "best_of")
        asked["logprobs"] = 0  # the best is told by them
    for name in ("temperature", "top_p", "top_k"):
        asked.setdefault(name, getattr(engine.defaults, name))
    seed = asked.pop("seed", None)
    shown = {} if job.reading.plain else engine.capabilities.dialect.hidden
    try:
        judged = [_echo_logprobs(engine, start, body.alternatives(), adapter) for start in prompts]
        with together if len(prompts) * body.candidates() > 1 else nullcontext():
            for start, logprobs in zip(prompts, judged, strict=True):
                job.prompt_tokens += len(start.prompt.ids)
                for choice in range(body.candidates()):
                    own = None if seed is None else seed + choice
                    request = GenerationRequest(start.prompt, room, seed=own, shown=shown, **asked)
                    job.add(engine, request, start.echo or "", logprobs)
    except BaseException:
        job.close()
        raise


def _ids_of(engine: LanguageEngine, text: str | list[int], at: int) -> list[int]:
    """The tokens of a text to read. Raises 400 on an empty one, and one that the model cannot hold."""
    if not text:
        raise ApiError(400, "invalid_value", _("Un texte vide n'a pas de vecteur."), f"input[{at}]")
    try:
        ids = (engine.encode(text) if isinstance(text, str) else engine.encode_ids(text)).ids
    except ApiError as error:  # it names the field of the other endpoint
        raise ApiError(error.status, error.code, error.message, f"input[{at}]") from error
    if len(ids) > engine.context:
        raise context_exceeded(len(ids), engine.context, f"input[{at}]")
    return ids


def _to_continue(engine: LanguageEngine, given: str | list[int], suffix: str | None) -> Prompt:
    if not isinstance(given, str):
        return engine.encode_ids(given)
    return engine.encode_infill(given, suffix) if suffix else engine.encode(given)


def _echo_logprobs(
    engine: LanguageEngine, start: _Start, alternatives: int | None, adapter: str | None
) -> tuple[TokenLogprob, ...]:
    """The log-probabilities of the text that is given back before its continuation."""
    if start.echo is None or alternatives is None:
        return ()
    if not engine.capabilities.scores:
        raise _lacking(engine, "echo")
    return cast("ReadingEngine", engine).score(start.prompt, alternatives, adapter)


def _room(engine: LanguageEngine, prompt: Prompt, body: Sampling, param: str, *, default: int) -> int:
    """How many tokens may be sampled: what the body says, or less when the context ends before.

    Raises 400 when it says more than any answer of this model, or when the prompt alone fills the context.
    """
    limit, name = body.limit()
    if limit is not None and limit > engine.context:
        message = _(
            "%(name)s vaut %(value)s : ce modèle s'arrête à %(limit)s tokens.",
            name=name,
            value=limit,
            limit=engine.context,
        )
        raise ApiError(400, "invalid_value", message, name)
    left = engine.context - len(prompt.ids)
    if left < (1 if limit is None else min(1, limit)):
        raise context_exceeded(len(prompt.ids), engine.context, param)
    return min(default if limit is None else limit, left)


def _refuse_what_lacks(engine: LanguageEngine, asked: dict[str, Any]) -> None:
    """Raise 400 for the first field of `GenerationRequest` that differs from its default and that `engine` does not
    declare; `GenerationRequest` itself is the table."""
    capabilities: Capabilities = engine.capabilities
    for name, value in asked.items():
        if name in _DEFAULTS and value != _DEFAULTS[name] and name not in capabilities.parameters:
            raise _lacking(engine, name)
    constraint = asked.get("constraint")
    if constraint is not None:
        imposed = "json_schema" if constraint.kind in {"json_schema", "json_object"} else "grammar"
        if imposed not in capabilities.parameters:
            raise _lacking(engine, constraint.param)


def _lacking(engine: LanguageEngine, param: str) -> ApiError:
    message = _("Le moteur %(engine)s ne sait pas honorer « %(name)s ».", engine=engine.name, name=param)
    return ApiError(400, "unsupported_parameter", message, param)
