"""Images, over HTTP and against transformers' own generation. Random weights: what the models say means nothing."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from flask_openapi import OpenAPI
from PIL import Image

from common.errors import ApiError
from gpt.engines.base import GenerationRequest, Message, Prompt
from gpt.engines.options import EngineOptions
from gpt.engines.transformers.engine import TransformersEngine
from gpt.engines.transformers.vision import MAX_PIXELS, SEEING, open_images
from gpt.factory import create_app
from tests.gpt.conftest import ready_registry, settings_for
from tests.gpt.generation import Generation
from tests.gpt.seeing import FAMILIES, write_seeing

URL = "/v1/chat/completions"


def picture(seed: int, size: tuple[int, int] = (90, 60), kind: str = "PNG", **more: Any) -> bytes:
    """Coloured stripes that no two seeds share."""
    image = Image.new("RGB", size)
    image.putdata(
        [
            ((x * seed * 7) % 256, (y * seed * 13) % 256, (x + y + seed * 50) % 256)
            for y in range(size[1])
            for x in range(size[0])
        ]
    )
    file = io.BytesIO()
    image.save(file, kind, **more)
    return file.getvalue()


def url(data: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def with_images(*parts: str | bytes) -> list[Message]:
    content: Any = [
        {"type": "text", "text": part} if isinstance(part, str) else {"type": "image", "data": part} for part in parts
    ]
    return [{"role": "user", "content": content}]


def test_every_family_that_sees_is_tested() -> None:
    assert set(FAMILIES) == SEEING


@pytest.mark.parametrize("family", FAMILIES)
def test_images_are_read_as_transformers_reads_them(family: str, tmp_path: Path) -> None:
    """Greedy ids beside `generate`, with one and two images, alone and among others that write."""
    import torch
    from transformers import AutoModelForImageTextToText

    engine = TransformersEngine(write_seeing(tmp_path, family), EngineOptions(use_gpu=False))
    assert engine.capabilities.images
    assert engine._sight is not None
    plain = AutoModelForImageTextToText.from_pretrained(tmp_path).eval()
    prompts = [
        engine.encode_chat(with_images("Voici", picture(1), "puis"), {}),
        engine.encode_chat(with_images(picture(2, (40, 120)), "Le client", picture(3, (64, 64))), {}),
        engine.encode_chat([{"role": "user", "content": "Le client envoie la demande."}], {}),
    ]
    assert [len(prompt.images) for prompt in prompts] == [1, 2, 0]
    turns = [
        {
            "role": "user",
            "content": [{"type": "text", "text": "Voici"}, {"type": "image"}, {"type": "text", "text": "puis"}],
        }
    ]
    tokenizer = engine._tokenizer
    written = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    pictures = open_images([picture(1)])
    made = engine._sight._processor(text=[written], images=pictures, add_special_tokens=False)
    assert prompts[0].ids == list(made["input_ids"][0])
    expected = []
    for prompt in prompts:
        ids = torch.tensor([prompt.ids])
        more: dict[str, Any] = {"attention_mask": torch.ones_like(ids)}
        if prompt.images:
            more |= engine._sight.read(prompt.ids, prompt.images).arguments
            if family.startswith("qwen"):
                kinds = engine._sight._processor.create_mm_token_type_ids([prompt.ids])
                more["mm_token_type_ids"] = torch.tensor(kinds)
        with torch.inference_mode():
            found = plain.generate(
                input_ids=ids, max_new_tokens=16, min_new_tokens=16, do_sample=False, pad_token_id=0, **more
            )
        expected.append(found[0, len(prompt.ids) :].tolist())
    running = [Generation(engine, GenerationRequest(p, 16, temperature=0, min_tokens=16)) for p in prompts]
    together = [[i for delta in generation for i in delta.token_ids] for generation in running]
    alone = [
        [i for d in Generation(engine, GenerationRequest(p, 16, temperature=0, min_tokens=16)) for i in d.token_ids]
        for p in prompts
    ]
    assert alone == expected
    assert together == expected
    engine.close()


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> OpenAPI:
    folder = write_seeing(tmp_path_factory.mktemp("models") / "voyant", "qwen3_vl")
    settings = settings_for(folder, tmp_path_factory.mktemp("cache"))
    return create_app(settings, ready_registry(settings))


@pytest.fixture
def client(seeing: OpenAPI) -> FlaskClient:
    return seeing.test_client()


def ask(client: FlaskClient, *parts: str | dict[str, Any], **more: Any) -> Any:
    content = [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
    body = {"messages": [{"role": "user", "content": content}], "max_tokens": 4, "temperature": 0, "min_tokens": 4}
    return client.post(URL, json={**body, "logprobs": True, **more})


def image_url(data: bytes, kind: str = "png") -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url(data, kind), "detail": "auto"}}


def seen(answer: Any) -> list[float]:
    assert answer.status_code == 200, answer.json
    return [token["logprob"] for token in answer.json["choices"][0]["logprobs"]["content"]]


def test_what_is_said_depends_on_the_image_and_on_its_place(client: FlaskClient) -> None:
    one, other = image_url(picture(1)), image_url(picture(2))
    first = seen(ask(client, "Que vois-tu ?", one))
    assert seen(ask(client, "Que vois-tu ?", one)) == first
    assert seen(ask(client, "Que vois-tu ?", other)) != first
    assert seen(ask(client, one, "Que vois-tu ?")) != first
    assert seen(ask(client, one, other)) != seen(ask(client, other, one))


def test_the_two_spellings_of_an_image_are_the_same(client: FlaskClient) -> None:
    responses = {"type": "input_image", "image_url": url(picture(1))}
    assert seen(ask(client, "a", responses)) == seen(ask(client, "a", image_url(picture(1))))


def test_usage_counts_what_an_image_takes(client: FlaskClient) -> None:
    def prompt_tokens(*parts: Any) -> int:
        return int(ask(client, *parts).json["usage"]["prompt_tokens"])

    small, large = image_url(picture(1, (32, 32))), image_url(picture(1, (96, 96)))
    assert prompt_tokens("a") < prompt_tokens("a", small) < prompt_tokens("a", large)
    assert prompt_tokens("a", large) - prompt_tokens("a") == 2 + 3 * 3  # two marks, and a token for 32 × 32 pixels


@pytest.mark.parametrize(("kind", "name"), [("JPEG", "jpeg"), ("JPEG", "jpg"), ("WEBP", "webp"), ("GIF", "gif")])
def test_formats(client: FlaskClient, kind: str, name: str) -> None:
    assert seen(ask(client, "a", image_url(picture(1, kind=kind), name)))


def test_a_photograph_is_turned_as_it_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    (turned,) = open_images([picture(1, (20, 10), "JPEG", exif=exif)])
    assert turned.size == (10, 20)


def test_what_is_transparent_is_white() -> None:
    file = io.BytesIO()
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(file, "PNG")
    (opened,) = open_images([file.getvalue()])
    assert (opened.mode, opened.getpixel((0, 0))) == ("RGB", (255, 255, 255))


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is huge."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("part", "code", "said"),
    [
        ({"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}, "unsupported_content", "data:image"),
        ({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}, "invalid_image", "data:image"),
        ({"type": "image_url", "image_url": {"url": "data:image/svg+xml;base64,PHN2Zy8+"}}, "invalid_image", "PNG"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,***"}}, "invalid_image", "base64"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}, "invalid_image", "vide"),
        ({"type": "image_url", "image_url": {}}, "invalid_image", "data:image"),
        ({"type": "image_url"}, "unsupported_content", "image_url"),
        ({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}, "unsupported_content", "input_audio"),
        (image_url(b"ce n'est pas une image"), "invalid_image", "PNG"),
        (image_url(picture(1, kind="JPEG")[:700], "jpeg"), "invalid_image", "lisible"),
        (image_url(bomb(60_000, 60_000)), "invalid_image", "grande"),
        (image_url(bomb(17_000, 10)), "invalid_image", "17000"),
        (image_url(picture(1, (600, 2))), "invalid_image", "lire"),
        (image_url(b"\0" * (21 * 2**20)), "invalid_image", "20"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_cannot_be_read_is_refused(client: FlaskClient, part: dict[str, Any], code: str, said: str) -> None:
    answer = ask(client, "a", part)
    assert (answer.status_code, answer.json["error"]["code"]) == (400, code)
    assert said in answer.json["error"]["message"]
    assert answer.json["error"]["param"].startswith("messages")


def test_too_many_images_are_refused(client: FlaskClient) -> None:
    answer = ask(client, *[image_url(picture(1, (8, 8)))] * 17)
    assert (answer.status_code, answer.json["error"]["param"]) == (400, "messages")
    assert "16" in answer.json["error"]["message"]
    with pytest.raises(ApiError) as refused:
        open_images([bomb(6000, 6000)] * 3)  # each may be, all together may not: nothing is decoded before it is known
    assert "6000 × 6000" in str(refused.value.message)
    assert MAX_PIXELS > 6000 * 6000


def test_a_model_that_does_not_see_says_so(llama_app: OpenAPI) -> None:
    answer = ask(llama_app.test_client(), "a", image_url(picture(1)))
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "unsupported_content")
    assert answer.json["error"]["param"] == "messages[0].content"
    assert "tiny-llama" in answer.json["error"]["message"]


def test_words_cannot_pass_for_an_image(client: FlaskClient) -> None:
    answer = ask(client, "<|image_pad|>", image_url(picture(1)))
    assert seen(answer)
    assert seen(ask(client, "<|vision_start|><|image_pad|><|vision_end|>"))


def test_a_prompt_comes_back_from_another_process_as_it_went(tmp_path: Path) -> None:
    """What was prepared with the prompt may be gone when its turn comes: its files are enough."""
    engine = TransformersEngine(write_seeing(tmp_path, "qwen2_vl"), EngineOptions(use_gpu=False))
    assert engine._sight is not None
    prompt = engine.encode_chat(with_images("a", picture(1)), {})
    first = engine._sight.read(prompt.ids, prompt.images)
    engine._sight._prepared.clear()
    again = engine._sight.read(list(prompt.ids), tuple(prompt.images))
    assert first.arguments.keys() == again.arguments.keys()
    assert all(bool((first.arguments[name] == again.arguments[name]).all()) for name in first.arguments)
    assert isinstance(prompt, Prompt)
    engine.close()


def test_a_text_beside_an_image_is_bounded_too(client: FlaskClient) -> None:
    answer = ask(client, "a" * 1_000_000, image_url(picture(1)))
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "context_length_exceeded")
    assert answer.json["error"]["param"] == "messages"  # before it was tokenized


def test_a_template_with_images_is_bounded(tmp_path: Path) -> None:
    folder = write_seeing(tmp_path, "smolvlm")
    (folder / "chat_template.jinja").write_text("{{ messages[0].content[0].text * 10 ** 9 }}")
    engine = TransformersEngine(folder, EngineOptions(use_gpu=False))
    with pytest.raises(ApiError) as refused:
        engine.encode_chat(with_images("a", picture(1)), {})
    assert refused.value.code == "invalid_messages"
    engine.close()
