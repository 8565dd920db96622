"""The real OpenAI client against app's public address: models listed, a chat streamed, errors it understands."""

import openai
import pytest

from tests.e2e.stack import Stack


@pytest.fixture
def client(stack: Stack) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{stack.app_url}/v1", api_key="none", max_retries=0, timeout=120)


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert "frigo-mini" in [model.id for model in client.models.list()]


def test_a_chat_is_streamed_with_its_true_usage(client: openai.OpenAI) -> None:
    text, finish, usage, pieces = "", None, None, 0
    with client.chat.completions.create(
        model="frigo-mini",
        messages=[{"role": "user", "content": "Que sait faire Frigo ?"}],
        temperature=0,
        max_tokens=60,
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        for chunk in stream:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                finish = choice.finish_reason or finish
                if choice.delta.content:
                    pieces += 1
                    text += choice.delta.content
    assert text.strip()
    assert pieces > 1, "the answer came in one piece"
    assert finish in {"stop", "length"}
    assert usage is not None
    assert 0 < usage.completion_tokens <= 60
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_the_same_chat_is_the_same_without_streaming(client: openai.OpenAI) -> None:
    def ask() -> str:
        answer = client.chat.completions.create(
            model="default", messages=[{"role": "user", "content": "Bonjour"}], temperature=0, max_tokens=20
        )
        assert answer.model == "frigo-mini", "the answer says which model served"
        return answer.choices[0].message.content or ""

    assert ask() == ask()


def test_leaving_a_stream_frees_the_model(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="frigo-mini", messages=[{"role": "user", "content": "Raconte"}], max_tokens=2000, stream=True
    )
    next(iter(stream))
    stream.close()
    short = client.with_options(timeout=30).chat.completions.create(
        model="frigo-mini", messages=[{"role": "user", "content": "Bonjour"}], max_tokens=3
    )
    assert short.usage is not None


def test_zero_tokens_are_legal(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="frigo-mini", messages=[{"role": "user", "content": "Bonjour"}], max_tokens=0
    )
    assert answer.choices[0].message.content == ""
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 0
    assert answer.usage.prompt_tokens > 0


def test_an_unknown_model_is_a_not_found_error(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(model="does-not-exist", messages=[{"role": "user", "content": "Bonjour"}])
    assert raised.value.code == "model_not_found"
    assert raised.value.param == "model"


@pytest.mark.parametrize(
    ("options", "param"),
    [({"max_tokens": -1}, "max_tokens"), ({"max_tokens": 10**9}, "max_tokens"), ({"temperature": -1}, "temperature")],
)
def test_a_value_that_makes_no_sense_is_a_bad_request_that_names_it(
    client: openai.OpenAI, options: dict[str, int], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(
            model="frigo-mini",
            messages=[{"role": "user", "content": "Bonjour"}],
            **options,  # type: ignore[call-overload]
        )
    assert raised.value.param == param


def test_an_empty_conversation_is_a_bad_request(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="frigo-mini", messages=[])
