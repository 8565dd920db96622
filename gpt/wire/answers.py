"""A running job as OpenAI's answers, built with the `openai` package's own types."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from openai.types import Completion, CompletionUsage
from openai.types import CompletionChoice as TextChoice
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessage, ChatCompletionTokenLogprob
from openai.types.chat.chat_completion import Choice as ChatChoice
from openai.types.chat.chat_completion import ChoiceLogprobs
from openai.types.chat.chat_completion_chunk import Choice as ChunkChoice
from openai.types.chat.chat_completion_chunk import ChoiceDelta
from openai.types.chat.chat_completion_chunk import ChoiceLogprobs as ChunkLogprobs
from openai.types.chat.chat_completion_token_logprob import TopLogprob
from openai.types.completion_choice import Logprobs as TextLogprobs

from gpt.engines.base import FinishReason, TokenLogprob
from gpt.ia_service import Job

Gone = Callable[[], bool]


class _Choice:
    """One choice, gathered."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.finish: FinishReason = "stop"
        self.logprobs: list[TokenLogprob] = []


def _gather(job: Job, gone: Gone) -> tuple[list[_Choice], CompletionUsage]:
    """Run the job to its end."""
    choices = [_Choice(echo) for echo in job.echoes]
    sampled = 0
    for index, delta in job.deltas(gone):
        choice = choices[index]
        choice.text += delta.text
        choice.logprobs.extend(delta.logprobs)
        choice.finish = delta.finish_reason or choice.finish
        sampled += delta.usage.completion_tokens if delta.usage else 0
    return choices, _usage(job, sampled)


def _usage(job: Job, sampled: int) -> CompletionUsage:
    return CompletionUsage(
        prompt_tokens=job.prompt_tokens, completion_tokens=sampled, total_tokens=job.prompt_tokens + sampled
    )


def chat_answer(job: Job, gone: Gone) -> dict[str, Any]:
    """The whole answer at once."""
    choices, usage = _gather(job, gone)
    answer = ChatCompletion(
        id=job.id,
        object="chat.completion",
        created=job.created,
        model=job.entry.key,
        choices=[
            ChatChoice(
                index=index,
                message=ChatCompletionMessage(role="assistant", content=choice.text, refusal=None),
                logprobs=_chat_logprobs(choice.logprobs),
                finish_reason=choice.finish,
            )
            for index, choice in enumerate(choices)
        ],
        usage=usage,
    )
    return answer.model_dump(mode="json", exclude_unset=True)


def chat_chunks(job: Job, gone: Gone, *, include_usage: bool) -> Iterator[dict[str, Any]]:
    """The answer as it comes: the role first, then text, then the reason it ended, then usage if asked for."""

    def chunk(choices: list[ChunkChoice], **more: Any) -> dict[str, Any]:
        made = ChatCompletionChunk(
            id=job.id,
            object="chat.completion.chunk",
            created=job.created,
            model=job.entry.key,
            choices=choices,
            **more,
        )
        return made.model_dump(mode="json", exclude_unset=True)

    sampled, begun = 0, -1
    for index, delta in job.deltas(gone):
        if index != begun:
            begun = index
            first = ChoiceDelta(role="assistant", content="")
            yield chunk([ChunkChoice(index=index, delta=first, logprobs=None, finish_reason=None)])
        if delta.text or delta.logprobs:
            logprobs = ChunkLogprobs(content=_token_logprobs(delta.logprobs)) if delta.logprobs else None
            content = ChoiceDelta(content=delta.text)
            yield chunk([ChunkChoice(index=index, delta=content, logprobs=logprobs, finish_reason=None)])
        if delta.finish_reason is not None:
            sampled += delta.usage.completion_tokens if delta.usage else 0
            last = ChunkChoice(index=index, delta=ChoiceDelta(), logprobs=None, finish_reason=delta.finish_reason)
            yield chunk([last])
    if include_usage:
        yield chunk([], usage=_usage(job, sampled))


def completion_answer(job: Job, gone: Gone) -> dict[str, Any]:
    """All continuations at once."""
    choices, usage = _gather(job, gone)
    made = [
        _text_choice(index, choice.text, choice.finish, choice.logprobs, len(job.echoes[index]))
        for index, choice in enumerate(choices)
    ]
    return _completion(job, made, usage=usage)


def completion_chunks(job: Job, gone: Gone, *, include_usage: bool) -> Iterator[dict[str, Any]]:
    """Continuations as they come, the echoed prompt first."""
    sampled, begun, offset = 0, -1, 0
    for index, delta in job.deltas(gone):
        if index != begun:
            begun, offset = index, len(job.echoes[index])
            if job.echoes[index]:
                yield _completion(job, [_text_choice(index, job.echoes[index], None, (), 0)])
        if delta.text or delta.logprobs or delta.finish_reason:
            yield _completion(job, [_text_choice(index, delta.text, delta.finish_reason, delta.logprobs, offset)])
        offset += len(delta.text)
        sampled += delta.usage.completion_tokens if delta.usage else 0
    if include_usage:
        yield _completion(job, [], usage=_usage(job, sampled))


def _completion(job: Job, choices: list[TextChoice], **more: Any) -> dict[str, Any]:
    answer = Completion(
        id=job.id, object="text_completion", created=job.created, model=job.entry.key, choices=choices, **more
    )
    return answer.model_dump(mode="json", exclude_unset=True)


def _text_choice(
    index: int,
    text: str,
    finish: FinishReason | None,
    logprobs: list[TokenLogprob] | tuple[TokenLogprob, ...],
    offset: int,
) -> TextChoice:
    # a chunk has no finish reason yet, which the package's type does not foresee: hence model_construct
    return TextChoice.model_construct(
        index=index, text=text, logprobs=_text_logprobs(logprobs, offset) if logprobs else None, finish_reason=finish
    )


def _text_logprobs(tokens: list[TokenLogprob] | tuple[TokenLogprob, ...], offset: int) -> TextLogprobs:
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token.text)
    return TextLogprobs(
        tokens=[token.text for token in tokens],
        token_logprobs=[token.logprob for token in tokens],
        top_logprobs=[{text: value for _id, text, _raw, value in token.top} for token in tokens],
        text_offset=offsets,
    )


def _chat_logprobs(tokens: list[TokenLogprob]) -> ChoiceLogprobs | None:
    return ChoiceLogprobs(content=_token_logprobs(tokens), refusal=None) if tokens else None


def _token_logprobs(tokens: list[TokenLogprob] | tuple[TokenLogprob, ...]) -> list[ChatCompletionTokenLogprob]:
    return [
        ChatCompletionTokenLogprob(
            token=token.text,
            bytes=list(token.raw),
            logprob=token.logprob,
            top_logprobs=[
                TopLogprob(token=text, bytes=list(raw), logprob=value) for _id, text, raw, value in token.top
            ],
        )
        for token in tokens
    ]
