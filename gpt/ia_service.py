"""From a request to a running answer: which model, whether it can, how long it may be. No Flask here."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from common.errors import ApiError
from common.messages import _
from common.models.catalogue import ModelEntry
from common.models.registry import Registry
from gpt.engines.base import Constraint, Delta, GenerationRequest, LanguageEngine, Prompt, context_exceeded
from gpt.engines.generation import Generation
from gpt.metrics import FIRST_TOKEN, TOKENS
from gpt.wire.requests import ChatBody, CompletionBody, Sampling

COMPLETION_MAX_TOKENS = 16  # OpenAI's default for /v1/completions; a chat turn may fill the context


class Job:
    """A running answer: one generation per choice, and the lease on the model, given back by `close`."""

    def __init__(self, kind: str, entry: ModelEntry) -> None:
        self.id = f"{kind}-{uuid.uuid4().hex}"
        self.created = int(time.time())
        self.entry = entry
        self.prompt_tokens = 0
        self.echoes: list[str] = []  # per choice, what goes before the answer
        self._generations: list[Generation] = []
        self._held = ExitStack()
        self._began: float | None = time.monotonic()

    def hold(self, lease: ExitStack) -> None:
        """Keep the model in use until `close`."""
        self._held = lease

    def add(self, generation: Generation, echo: str = "") -> None:
        """One more choice."""
        self._generations.append(generation)
        self.echoes.append(echo)

    def __len__(self) -> int:
        return len(self._generations)

    def deltas(self, gone: Callable[[], bool]) -> Iterator[tuple[int, Delta]]:
        """Every choice's deltas. Choices are computed together and read in order.

        Raises (to nobody) as soon as `gone` says that the client has left.
        """
        try:
            TOKENS.labels(self.entry.key, "prompt").inc(self.prompt_tokens)
            for index, generation in enumerate(self._generations):
                for delta in generation:
                    if gone():
                        raise ApiError(499, "client_closed_request", _("Le client est parti avant la fin."))
                    self._measure(delta)
                    yield index, delta
        finally:
            self.close()

    def _measure(self, delta: Delta) -> None:
        if self._began is not None:
            FIRST_TOKEN.labels(self.entry.key).observe(time.monotonic() - self._began)
            self._began = None
        TOKENS.labels(self.entry.key, "completion").inc(len(delta.token_ids))

    def close(self) -> None:
        """Stop what still runs within one token, and let the model go. May be called twice."""
        for generation in self._generations:
            generation.close()
        self._held.close()


class IaService:
    """What the routes of /v1 call."""

    def __init__(self, registry: Registry[LanguageEngine]) -> None:
        self._registry = registry

    def chat(self, body: ChatBody) -> Job:
        """Start a chat answer. Raises 400, 404, 503 before anything is computed."""
        body.refuse_unsupported()
        turns = body.turns()
        with ExitStack() as stack:
            lease = stack.enter_context(self._registry.use(body.model))
            prompt = lease.engine.encode_chat(turns, body.chat_template_kwargs or {})
            limit = body.max_completion_tokens if body.max_completion_tokens is not None else body.max_tokens
            name = "max_completion_tokens" if body.max_completion_tokens is not None else "max_tokens"
            room = _room(lease.engine, prompt, limit, name, "messages", default=lease.engine.context)
            alternatives = (body.top_logprobs or 0) if body.logprobs else None
            job = Job("chatcmpl", lease.entry)
            _start(job, lease.engine, body, [(prompt, "")], room, alternatives)
            job.hold(stack.pop_all())
            return job

    def completion(self, body: CompletionBody) -> Job:
        """Start one continuation per prompt and choice. Raises as `chat`."""
        body.refuse_unsupported(allowed=frozenset({"echo"}))
        with ExitStack() as stack:
            lease = stack.enter_context(self._registry.use(body.model))
            engine = lease.engine
            prompts: list[tuple[Prompt, str]] = []
            room = engine.context
            for given in body.prompts():
                prompt = engine.encode(given) if isinstance(given, str) else engine.encode_ids(given)
                room = min(
                    room, _room(engine, prompt, body.max_tokens, "max_tokens", "prompt", default=COMPLETION_MAX_TOKENS)
                )
                echo = (given if isinstance(given, str) else engine.decode(given)) if body.echo else ""
                prompts.append((prompt, echo))
            job = Job("cmpl", lease.entry)
            _start(job, engine, body, prompts, room, body.logprobs)
            job.hold(stack.pop_all())
            return job


def _start(
    job: Job,
    engine: LanguageEngine,
    body: Sampling,
    prompts: Sequence[tuple[Prompt, str]],
    room: int,
    alternatives: int | None,
) -> None:
    """Queue every generation of `job`; none is left behind when one is refused."""
    constraint = body.constraint()
    _check_capabilities(engine, body, constraint, alternatives)
    choices = body.n or 1
    usual = engine.defaults
    try:
        for prompt, echo in prompts:
            job.prompt_tokens += len(prompt.ids)
            for choice in range(choices):
                request = GenerationRequest(
                    prompt=prompt,
                    max_tokens=room,
                    temperature=usual.temperature if body.temperature is None else body.temperature,
                    top_p=usual.top_p if body.top_p is None else body.top_p,
                    top_k=usual.top_k if body.top_k is None else max(0, body.top_k),
                    stop=body.stops(),
                    seed=None if body.seed is None else body.seed + choice,
                    constraint=constraint,
                    presence_penalty=body.presence_penalty or 0.0,
                    frequency_penalty=body.frequency_penalty or 0.0,
                    logit_bias=body.biases(),
                    logprobs=alternatives,
                )
                job.add(Generation(engine, request), echo)
    except BaseException:
        job.close()
        raise


def _room(engine: LanguageEngine, prompt: Prompt, limit: int | None, name: str, param: str, *, default: int) -> int:
    """How many tokens may be sampled: `limit`, or less when the context ends before.

    Raises 400 when `limit` is more than any answer of this model, or when the prompt alone fills the context.
    """
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


def _check_capabilities(
    engine: LanguageEngine, body: Sampling, constraint: Constraint | None, alternatives: int | None
) -> None:
    """Raise 400 for what the engine says it cannot do."""
    can = engine.capabilities.parameters
    asked = {
        "logprobs": alternatives is not None,
        "presence_penalty": bool(body.presence_penalty),
        "frequency_penalty": bool(body.frequency_penalty),
        "logit_bias": bool(body.logit_bias),
        "seed": body.seed is not None,
    }
    lacking = [name for name, wanted in asked.items() if wanted and name not in can]
    if constraint is not None:
        imposed = "json_schema" if constraint.kind in {"json_schema", "json_object"} else "grammar"
        lacking += [constraint.param] if imposed not in can else []
    for param in lacking:
        message = _("Le moteur %(engine)s ne sait pas honorer « %(name)s ».", engine=engine.name, name=param)
        raise ApiError(400, "unsupported_parameter", message, param)
