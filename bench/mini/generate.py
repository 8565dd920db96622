"""Greedy decoding under an llguidance grammar, in process: what gpt does with the same request, without the server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import llguidance.hf
import numpy as np
import torch
from llguidance import LLMatcher
from transformers import AutoModelForCausalLM, AutoTokenizer


class Mini:
    """The folder loaded once; answers requests of `chat.embedded_prompts`."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.matcher_tokenizer = llguidance.hf.from_tokenizer(self.tokenizer)
        self.end = int(self.model.generation_config.eos_token_id)

    @torch.inference_mode()
    def answer(self, messages: list[dict[str, str]], grammar: str | None = None, max_tokens: int = 800) -> str:
        """The assistant's text. Raises ValueError when the grammar is refused."""
        prompt = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        ids: list[int] = self.tokenizer.encode(prompt, add_special_tokens=False)
        matcher = LLMatcher(self.matcher_tokenizer, grammar) if grammar else None
        if matcher is not None and matcher.is_error():
            raise ValueError(matcher.get_error())
        output = self.model(input_ids=torch.tensor([ids]), use_cache=True)
        written: list[int] = []
        while len(written) < min(max_tokens, 2048 - len(ids)):
            scores = output.logits[0, -1]
            if matcher is not None:
                bits = np.unpackbits(np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8), bitorder="little")
                scores[torch.from_numpy(bits[: scores.shape[0]] == 0)] = float("-inf")
            token = int(scores.argmax())
            if token == self.end:
                break
            written.append(token)
            if matcher is not None:
                matcher.consume_token(token)
                if matcher.is_stopped():
                    break
            output = self.model(
                input_ids=torch.tensor([[token]]), past_key_values=output.past_key_values, use_cache=True
            )
        return str(self.tokenizer.decode(written, skip_special_tokens=True))

    def request(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """The parsed answer to a request of `chat.embedded_prompts`; None when it was cut before its end."""
        text = self.answer(request["messages"], request["structured_outputs"]["grammar"], request["max_tokens"])
        try:
            parsed: dict[str, Any] = json.loads(text)
        except ValueError:
            return None
        return parsed
