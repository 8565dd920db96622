"""A language model on a GPU that is lent for one call: `spaces.GPU` runs the call in a process that has it.

Such a process cannot share the engines' own threads and processes, so transformers generates here, in one piece, with
the project's constraints (llguidance). Outside a ZeroGPU Space the decorator does nothing, and the same code runs on
whatever device there is.
"""

from __future__ import annotations

import json
from typing import Any

import spaces
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LogitsProcessor

from chat.llm import Answer, Model
from common.errors import ApiError
from common.messages import _
from gpt.engines.constraint import Constrainer, TokenMask
from gpt.wire.constraints import Constrained

MOST_TOKENS = 4096
_START_SECONDS = 15  # of a call: the weights travel to the GPU
_TOKENS_PER_SECOND = 25  # a low estimate for 4 billion parameters
_MOST_SECONDS = 120  # what a ZeroGPU Space lends at once


class ZeroModel:
    """What `chat.llm.LanguageModel` is to chat's work, over one model of the hub (or a folder)."""

    def __init__(self, name: str, *, device: str = "cuda", dtype: torch.dtype = torch.bfloat16) -> None:
        self.name = name
        self._tokenizer: Any = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        self._model: Any = AutoModelForCausalLM.from_pretrained(
            name, dtype=dtype, use_safetensors=True, trust_remote_code=False
        ).to(device)  # at start: ZeroGPU keeps the weights at hand for the processes that it lends GPUs to
        self._model.eval()
        ends = self._model.generation_config.eos_token_id
        self._ends = list(ends) if isinstance(ends, list) else [ends]
        self._constrainer = Constrainer(self._tokenizer.backend_tokenizer.to_str(), self._ends)
        self._context = int(self._model.config.max_position_embeddings)
        _models[name] = self

    def model(self, _name: str | None) -> Model:
        """The only one there is."""
        return Model(self.name, embedded=False, context=self._context)

    def complete(self, body: dict[str, Any]) -> Answer:
        """One chat completion. Raises `ApiError` 400 `context_length_exceeded`."""
        text, cut, read = generate(self.name, json.dumps(body))
        return Answer(text, self.name, cut, read)

    def generate(self, body: dict[str, Any]) -> tuple[str, bool, int]:
        """The text, whether it was cut, and the tokens that were read."""
        ids = self._tokenizer.apply_chat_template(
            body["messages"], add_generation_prompt=True, enable_thinking=False, return_tensors="pt", return_dict=True
        )["input_ids"]
        room = self._context - ids.shape[1]
        asked = int(body.get("max_tokens") or body.get("max_completion_tokens") or MOST_TOKENS)
        if room < 1:
            message = _(
                "Ce modèle tient %(context)s tokens, la demande en fait %(tokens)s.",
                context=self._context,
                tokens=ids.shape[1],
            )
            raise ApiError(400, "context_length_exceeded", message, "messages")
        form = Constrained.model_validate(
            {name: value for name, value in body.items() if name in Constrained.model_fields}
        ).constraint()
        processors = [_Imposed(self._constrainer.start(form), ids.shape[1])] if form else []
        temperature = float(body.get("temperature") or 0.0)
        if body.get("seed") is not None:
            torch.manual_seed(int(body["seed"]))
        sampling = {"do_sample": True, "temperature": temperature} if temperature > 0 else {"do_sample": False}
        with torch.inference_mode():
            written = self._model.generate(
                input_ids=ids.to(self._model.device),
                attention_mask=torch.ones_like(ids).to(self._model.device),
                max_new_tokens=min(room, asked),
                logits_processor=processors,
                pad_token_id=self._ends[0],
                **sampling,
            )[0, ids.shape[1] :].tolist()
        ended = bool(written) and written[-1] in self._ends
        return self._tokenizer.decode(written, skip_special_tokens=True), not ended, int(ids.shape[1])


class _Imposed(LogitsProcessor):  # type: ignore[misc]  # transformers has no types here
    """Only what the form allows may come next."""

    def __init__(self, mask: TokenMask, prompt: int) -> None:
        self._mask = mask
        self._read = prompt

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self._mask.accept(ids[0, self._read :].tolist())
        self._read = ids.shape[1]
        allowed = torch.from_numpy(self._mask.allowed()).to(scores.device)
        refused = torch.ones(scores.shape[1], dtype=torch.bool, device=scores.device)  # padded vocabularies too
        refused[: allowed.shape[0]] = ~allowed
        return scores.masked_fill(refused, float("-inf"))


_models: dict[str, ZeroModel] = {}


def seconds_for(_name: str, body: str) -> int:
    """How long the GPU is asked for."""
    asked = json.loads(body)
    tokens = int(asked.get("max_tokens") or asked.get("max_completion_tokens") or MOST_TOKENS)
    return min(_MOST_SECONDS, _START_SECONDS + tokens // _TOKENS_PER_SECOND)


@spaces.GPU(duration=seconds_for)  # type: ignore[untyped-decorator]
def generate(name: str, body: str) -> tuple[str, bool, int]:
    """Answer in the process that has the GPU: plain values go in and come out."""
    return _models[name].generate(json.loads(body))
