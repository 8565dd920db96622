"""Images for the models that see: opened within bounds, prepared by the model's own processor, placed in the prompt.

The processor's classes are transformers'; a folder only brings their settings. torchvision is not needed.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image, ImageOps
from transformers import AutoImageProcessor
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

from common.errors import ApiError
from common.messages import Text, _
from gpt.engines.base import Message, Prompt
from gpt.engines.prompter import Prompter
from gpt.engines.template import chosen_template, open_template, refused
from gpt.engines.transformers.runner import ImageInputs

# Families whose images are read in order like words, as our attention does; others (gemma3, paligemma) let an
# image's parts see each other both ways, and are served for their text alone.
SEEING = frozenset(
    {"idefics3", "llava", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe", "smolvlm"},
)
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
MAX_PIXELS = 40_000_000  # of an image, checked before anything is decompressed; the file says its size first
MAX_ALL_PIXELS = 80_000_000  # of a request
MAX_SIDE = 16_384
_KEPT = 4  # prompts whose prepared images wait for their turn
_NOT_ARGUMENTS = frozenset({"input_ids", "attention_mask", "mm_token_type_ids", "token_type_ids"})
_log = logging.getLogger("frigo.gpt")


class Sight:
    """A model's eyes: conversations with images to prompts, and their images to the model's arguments."""

    def __init__(self, processor: Any, model: Any, device: torch.device) -> None:
        self._processor = processor
        self._model = model
        self._device = device
        self._dtype = model.dtype
        self._prepared: OrderedDict[bytes, dict[str, torch.Tensor]] = OrderedDict()
        self._lock = threading.Lock()
        self.marks = [str(processor.image_token)]
        source = chosen_template(processor.chat_template) or chosen_template(processor.tokenizer.chat_template)
        self._template = open_template(source, processor.tokenizer.special_tokens_map)

    def encode(self, messages: Sequence[Message], options: Mapping[str, Any], prompter: Prompter) -> Prompt:
        """The conversation, each image where it stands among the words.

        Raises 400 on an image that cannot be read, or when the template refuses the messages.
        """
        images: list[bytes] = []
        shown: list[Message] = []
        for message in messages:
            content = message["content"]
            if isinstance(content, str):
                content = [{"type": "text", "text": content}]
            images += [part["data"] for part in content if part["type"] == "image"]
            parts: Any = [{"type": "image"} if part["type"] == "image" else part for part in content]
            shown.append({**message, "content": parts})
        turns, options = prompter.with_tools(shown, options)
        pictures = open_images(images)
        if self._template is None:
            raise refused(ValueError("no chat template"))
        text = self._template.render(turns, options)
        try:
            made = self._processor(text=[text], images=pictures, return_tensors="pt", add_special_tokens=False)
        except (ValueError, IndexError, ZeroDivisionError) as error:
            raise _refused(_("ce modèle ne peut pas la lire (%(reason)s)", reason=str(error)[:200])) from error
        ids = [int(i) for i in made["input_ids"][0]]
        self._keep(_key(ids, images), self._arguments(made))
        return prompter.finished(ids, text, turns, options, tuple(images))

    def read(self, ids: Sequence[int], images: tuple[bytes, ...]) -> ImageInputs:
        """What the model's forward wants of a prompt's images; positions too, where they are not simply counted."""
        key = _key(ids, images)
        with self._lock:
            arguments = self._prepared.get(key)
        if arguments is None:
            made = self._processor.image_processor(images=open_images(list(images)), return_tensors="pt")
            arguments = self._arguments(made)
            self._keep(key, arguments)
        arguments = {name: value.to(self._device) for name, value in arguments.items()}
        arguments = {
            name: value.to(self._dtype) if value.is_floating_point() else value for name, value in arguments.items()
        }
        index = getattr(getattr(self._model, "model", None), "get_rope_index", None)
        if index is None:
            return ImageInputs(arguments)
        tokens = torch.tensor([list(ids)], device=self._device)
        kinds = torch.tensor(self._processor.create_mm_token_type_ids([list(ids)]), device=self._device)
        positions, offset = index(
            tokens, mm_token_type_ids=kinds, image_grid_thw=arguments.get("image_grid_thw"), attention_mask=None
        )
        return ImageInputs(arguments, positions, int(offset.reshape(-1)[0]))

    def _arguments(self, made: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        unused = set(getattr(self._processor, "unused_input_names", ()) or ())
        return {
            name: value
            for name, value in made.items()
            if name not in _NOT_ARGUMENTS | unused and isinstance(value, torch.Tensor)
        }

    def _keep(self, key: bytes, arguments: dict[str, torch.Tensor]) -> None:
        with self._lock:
            self._prepared[key] = arguments
            self._prepared.move_to_end(key)
            while len(self._prepared) > _KEPT:
                self._prepared.popitem(last=False)


def open_sight(folder: Path, model: Any, tokenizer: Any, device: torch.device) -> Sight | None:
    """The eyes of the model of `folder`, or None when it has none that can be used here (the log says why)."""
    family = model.config.model_type
    if getattr(model.config, "vision_config", None) is None:
        return None
    if family not in SEEING:
        _log.info("images are not read", extra={"reason": f"family {family}"})
        return None
    try:
        return Sight(_open_processor(folder, family, tokenizer), model, device)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, ImportError, ApiError) as error:
        _log.warning("images are not read", extra={"reason": str(error).replace(str(folder), folder.name)[:300]})
        return None


def open_images(files: Sequence[bytes]) -> list[Image.Image]:
    """The pictures in `files`, upright, in RGB; the first one of an animation. Raises 400 `invalid_image`."""
    opened = [_opened(data) for data in files]  # their headers only
    pixels = 0
    for image in opened:
        width, height = image.size
        pixels += width * height
        if width * height > MAX_PIXELS or pixels > MAX_ALL_PIXELS or max(width, height) > MAX_SIDE:
            raise _refused(_("elle est trop grande (%(w)s × %(h)s pixels)", w=width, h=height))
    return [_loaded(image) for image in opened]


def _opened(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise _refused(_("elle est beaucoup trop grande")) from error
    except Exception as error:  # Pillow's decoders raise nearly anything on a broken file
        raise _unreadable() from error


def _loaded(image: Image.Image) -> Image.Image:
    try:
        image.load()
        return _upright(image)
    except Exception as error:  # the same
        raise _unreadable() from error


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF data says, on white where it is transparent."""
    try:
        turned = ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001  broken EXIF data: the picture is as it is
        turned = image
    if turned.mode in {"RGBA", "LA", "PA"} or "transparency" in turned.info:
        whole = turned.convert("RGBA")
        white = Image.new("RGBA", whole.size, "white")
        return Image.alpha_composite(white, whole).convert("RGB")
    return turned.convert("RGB")


def _open_processor(folder: Path, family: str, tokenizer: Any) -> Any:
    """The family's processor with the folder's settings. Built by hand, because `AutoProcessor` wants torchvision for
    the videos that nobody sends here."""
    kind = getattr(transformers, PROCESSOR_MAPPING_NAMES[family])
    images = AutoImageProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False, backend="pil")
    parts = {"image_processor": images, "tokenizer": tokenizer}
    without_videos: Any = type(kind.__name__, (kind,), {"check_argument_for_proper_class": lambda *_all: None})
    settings, _rest = kind.get_processor_dict(folder, local_files_only=True)
    settings = {**settings, "chat_template": settings.get("chat_template") or _template(folder)}
    made = without_videos.from_args_and_dict([parts.get(name) for name in kind.get_attributes()], settings)
    return made[0] if isinstance(made, tuple) else made


def _template(folder: Path) -> str | None:
    """An older folder's template for messages with images, beside the tokenizer's own."""
    try:
        found = json.loads((folder / "chat_template.json").read_text(encoding="utf-8"))["chat_template"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def _key(ids: Sequence[int], images: Sequence[bytes]) -> bytes:
    digest = hashlib.sha256(repr(list(ids)).encode())
    for data in images:
        digest.update(hashlib.sha256(data).digest())
    return digest.digest()


def _unreadable() -> ApiError:
    return _refused(_("ce n'est pas un PNG, JPEG, WebP ou GIF lisible"))


def _refused(reason: Text) -> ApiError:
    return ApiError(400, "invalid_image", _("Une image n'est pas utilisable : %(reason)s.", reason=reason), "messages")
