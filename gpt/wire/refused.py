"""Fields that would change the answer and that nothing here honours: refused by name, unless their value is neutral.

They are OpenAI's, vLLM's and llama.cpp's. What is neither in a body's own fields nor here is a hint (user, metadata,
store, service_tier, prompt_cache_key, safety_identifier, verbosity, moderation, prediction…): accepted and left alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from common.errors import ApiError
from common.messages import _

MAX_DEPTH = 100
# the values that change nothing; null never does
REFUSED: dict[str, tuple[object, ...]] = {
    "add_special_tokens": (),
    "allowed_token_ids": (),
    "chat_template": ("",),
    "documents": ([],),
    "dry_multiplier": (0,),
    "dynatemp_range": (0,),
    "grammar": ("",),
    "guided_json_object": (False,),
    "guided_whitespace_pattern": (),
    "include_stop_str_in_output": (False,),
    "json_schema": (),
    "length_penalty": (1,),
    "logits_processors": ([],),
    "mirostat": (0,),
    "mirostat_mode": (0,),
    "mm_processor_kwargs": ({},),
    "modalities": (["text"],),
    "prompt_embeds": (),
    "prompt_logprobs": (),
    "repeat_penalty": (1,),
    "return_tokens_as_token_ids": (False,),
    "skip_special_tokens": (True,),
    "tfs_z": (1,),
    "thinking_token_budget": (),
    "top_a": (0,),
    "truncate_prompt_tokens": (),
    "typical_p": (1,),
    "use_beam_search": (False,),
    "xtc_probability": (0,),
}
# as above, where only the other endpoint has them
REFUSED_IN_CHAT: dict[str, tuple[object, ...]] = {"best_of": (0, 1), "echo": (False,), "suffix": ("",)}
REFUSED_IN_COMPLETION: dict[str, tuple[object, ...]] = {
    "audio": (),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "web_search_options": (),
}
REFUSED_IN_MESSAGE: dict[str, tuple[object, ...]] = {"audio": ()}  # an answer that was spoken: it is not kept here


def refuse(given: Mapping[str, object] | None, refused: Mapping[str, tuple[object, ...]], where: str = "") -> None:
    """Raise 400 `unsupported_parameter` for the first of `given` that is refused; `where` comes before its name."""
    for name, value in (given or {}).items():
        if name not in refused or value is None or value in refused[name]:
            continue
        raise unsupported(where + name)


def deep(value: object) -> bool:
    """True when objects and lists are nested in `value` beyond `MAX_DEPTH`: what walks them later goes by recursion."""
    level: list[object] = [value]
    for _level in range(MAX_DEPTH):
        level = [
            item
            for one in level
            if isinstance(one, dict | list)
            for item in (one.values() if isinstance(one, dict) else one)
        ]
    return any(isinstance(item, dict | list) for item in level)


def refuse_deep(value: object, param: str) -> None:
    """Raise 400 when `value` is `deep`."""
    if deep(value):
        message = _("Champ « %(field)s » refusé : plus de %(limit)s niveaux imbriqués.", field=param, limit=MAX_DEPTH)
        raise ApiError(400, "invalid_value", message, param)


def unsupported(name: str) -> ApiError:
    """The 400 of a parameter that is not honoured."""
    message = _("Le paramètre « %(name)s » n'est pas pris en charge.", name=name)
    return ApiError(400, "unsupported_parameter", message, name)
