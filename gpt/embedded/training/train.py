"""Train frigo-mini from nothing: `python -m gpt.embedded.training.train --minutes 75 --out DIR`.

Data is generated on the fly. Loss on the answers only. Muon for the matrices, AdamW for embeddings and norms. The
learning rate warms up, stays, and falls over the last third, by the clock: a busy machine trains less but still ends
well. A checkpoint and a ready-to-serve folder are written every few minutes; `--resume` goes on from the checkpoint.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

from gpt.embedded.training.examples import Messages, Mixture
from gpt.embedded.training.tokens import save_tokenizer, train_tokenizer

Example = tuple[list[int], list[int]]  # ids, and the positions whose next token is learnt


def encode(tokenizer: Tokenizer, messages: Messages) -> Example:
    ids: list[int] = []
    learnt: list[int] = []
    for message in messages:
        piece = tokenizer.encode(f"<|{message['role']}|>{message['content']}<|end|>").ids
        if message["role"] == "assistant":
            learnt.extend(range(len(ids), len(ids) + len(piece) - 1))
        ids += piece
    return ids, learnt


def batches(examples: list[Example], budget: int, rng: random.Random) -> list[list[Example]]:
    """Groups of like length, each at most `budget` padded tokens."""
    groups: list[list[Example]] = []
    current: list[Example] = []
    for example in sorted(examples, key=lambda item: len(item[0])):
        if current and (len(current) + 1) * len(example[0]) > budget:
            groups.append(current)
            current = []
        current.append(example)
    groups.append(current)
    rng.shuffle(groups)
    return groups


def loss_of(model: LlamaForCausalLM, batch: list[Example]) -> torch.Tensor:
    longest = max(len(ids) for ids, _ in batch)
    longest = (longest + 15) // 16 * 16
    tokens = torch.zeros(len(batch), longest, dtype=torch.long)
    rows, columns = [], []
    for row, (ids, learnt) in enumerate(batch):
        tokens[row, : len(ids)] = torch.tensor(ids)
        rows += [row] * len(learnt)
        columns += learnt
    row_index, column_index = torch.tensor(rows), torch.tensor(columns)
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.model(input_ids=tokens, use_cache=False).last_hidden_state
        logits = model.lm_head(hidden[row_index, column_index])
    loss: torch.Tensor = torch.nn.functional.cross_entropy(logits.float(), tokens[row_index, column_index + 1])
    return loss


class LeanNorm(torch.nn.Module):
    """Llama's norm with one cast to bfloat16 instead of one per projection: a tenth of the step on a CPU."""

    def __init__(self, weight: torch.nn.Parameter, epsilon: float) -> None:
        super().__init__()
        self.weight, self.epsilon = weight, epsilon

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.rms_norm(hidden.float(), (hidden.shape[-1],), self.weight, self.epsilon).bfloat16()


class LeanRotary(torch.nn.Module):
    """Rotary tables in bfloat16, so that queries and keys stay there."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, hidden: torch.Tensor, position_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        cosine, sine = self.inner(hidden, position_ids)
        return cosine.bfloat16(), sine.bfloat16()


@torch.no_grad()
def start_copying(model: LlamaForCausalLM, seed: int) -> None:
    """Begin with the circuit that copies, instead of waiting millions of tokens for it to appear.

    Dimension 0 is a constant and dimensions 1 to 127 a random ±1 code of the token. Head 0 of layer 0 looks at the
    previous token (its rotary phases agree at distance 1) and writes its code to 128-191; head 0 of layer 1 looks for
    a place whose previous token is the present one (on rotary pairs too slow to matter) and writes the code found
    there to 192-255, which the output layer reads. Everything stays trainable.
    """
    embed, head = model.model.embed_tokens.weight, model.lm_head.weight
    size, width, half = embed.shape[0], 64, 32
    code = torch.randint(0, 2, (size, 127), generator=torch.Generator().manual_seed(seed)).float() * 2 - 1
    embed.normal_(0, 0.02)
    embed[:, 0] = 2.0
    embed[:, 1:128] += 0.5 * code
    head.normal_(0, 0.02)
    head[:, 192:256] += 0.094 * code[:, :width]
    theta = model.config.rope_parameters["rope_theta"]
    first, second = (layer.self_attn for layer in model.model.layers[:2])
    for name in ("q_proj", "k_proj", "v_proj"):
        for attention in (first, second):
            getattr(attention, name).weight[:width] = 0
    for pair in range(12):
        angle = theta ** (-pair / half)
        first.k_proj.weight[pair, 0] = 1.44
        first.q_proj.weight[pair, 0] = 1.44 * math.cos(angle)
        first.q_proj.weight[pair + half, 0] = -1.44 * math.sin(angle)
    for pair in range(16, half):
        for row, place in ((pair, pair - 16), (pair + half, pair)):
            second.q_proj.weight[row, 1 + place] = 1.7
            second.k_proj.weight[row, 128 + place] = 1.7
    for row in range(width):
        first.v_proj.weight[row, 1 + row] = 1.0
        first.o_proj.weight[128 + row, row] = 0.37
        second.v_proj.weight[row, 1 + row] = 1.0
        second.o_proj.weight[192 + row, row] = 0.72


def lighten(model: LlamaForCausalLM) -> None:
    """Swap in the lean modules; parameter names do not change."""
    epsilon = model.config.rms_norm_eps
    for layer in model.model.layers:
        layer.input_layernorm = LeanNorm(layer.input_layernorm.weight, epsilon)
        layer.post_attention_layernorm = LeanNorm(layer.post_attention_layernorm.weight, epsilon)
    model.model.norm = LeanNorm(model.model.norm.weight, epsilon)
    model.model.rotary_emb = LeanRotary(model.model.rotary_emb)


def export(model: LlamaForCausalLM, tokenizer: Tokenizer, folder: Path) -> None:
    """A normal Hugging Face folder: float16 on disk, float32 in memory."""
    save_tokenizer(tokenizer, folder)
    model.config.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config["dtype"] = "float32"
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    state = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    generation: dict[str, object] = {"eos_token_id": 1, "pad_token_id": 0, "do_sample": False, "max_new_tokens": 1024}
    ids = {name: tokenizer.token_to_id(name) for name in ("<|end|>", "<|pad|>")}
    generation.update(eos_token_id=ids["<|end|>"], pad_token_id=ids["<|pad|>"])
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")


def rate(progress: float, step: int) -> float:
    """Warm-up, plateau, linear fall over the last third."""
    fall = 1.0 if progress < 0.66 else max(0.03, (1 - progress) / 0.34)
    return min(1.0, (step + 1) / 120) * fall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=75)
    parser.add_argument(
        "--dictionaries", type=Path, default=Path("/usr/share/dict"), help="Debian's wfrench and wamerican"
    )
    parser.add_argument("--corpus", type=Path, help="folder of French prose (*.txt) for noun phrases and distractors")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--vocabulary", type=int, default=8192)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--batch", type=int, default=2048, help="padded tokens per step")
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--save-every", type=float, default=5, help="minutes")
    parser.add_argument("--resume", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    checkpoint = args.out / "checkpoint.pt"
    state = torch.load(checkpoint) if args.resume and checkpoint.is_file() else None

    mixture = Mixture(args.seed + (state["step"] if state else 0), args.dictionaries, args.corpus)
    if (args.out / "tokenizer.json").is_file():
        tokenizer = Tokenizer.from_file(str(args.out / "tokenizer.json"))
    else:
        sample = (
            message["content"]
            for messages in itertools.islice(mixture.stream(), 60_000)
            for message in messages
            if message["role"] != "system" and not message["content"].startswith("{")
        )
        words = (" " + word for wide in (mixture.french.wide, mixture.english.wide) for word in wide.words[:12_000])
        tokenizer = train_tokenizer(itertools.chain(sample, words), args.vocabulary)
        tokenizer.save(str(args.out / "tokenizer.json"))
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=args.hidden,
        intermediate_size=args.hidden * 11 // 4,
        num_hidden_layers=args.layers,
        num_attention_heads=args.hidden // 64,
        num_key_value_heads=args.hidden // 64,
        max_position_embeddings=2048,
        tie_word_embeddings=False,
        rope_theta=1_000_000.0,
        bos_token_id=None,
        eos_token_id=tokenizer.token_to_id("<|end|>"),
        pad_token_id=tokenizer.token_to_id("<|pad|>"),
        attn_implementation="sdpa",
    )
    model = LlamaForCausalLM(config)
    start_copying(model, args.seed)
    lighten(model)
    matrices = [p for name, p in model.named_parameters() if "proj" in name]
    others = [p for name, p in model.named_parameters() if "proj" not in name]
    muon = torch.optim.Muon(matrices, lr=args.lr, weight_decay=0.02, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.AdamW(others, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.0)
    step, seen, before = 0, 0, 0.0
    if state:
        model.load_state_dict(state["model"])
        muon.load_state_dict(state["muon"])
        adam.load_state_dict(state["adam"])
        step, seen, before = state["step"], state["seen"], state["elapsed"]
    export(model, tokenizer, args.out / "start")
    print(
        f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, {tokenizer.get_vocab_size()} pieces",
        flush=True,
    )

    start = saved = logged = time.monotonic()
    losses: list[float] = []
    logged_seen = seen
    rng = random.Random(args.seed + step)
    while True:
        progress = (before + time.monotonic() - start) / 60 / args.minutes
        examples = [encode(tokenizer, mixture.one(progress)) for _ in range(384)]
        examples = [example for example in examples if len(example[0]) <= 1400]
        for batch in batches(examples, args.batch, rng):
            progress = (before + time.monotonic() - start) / 60 / args.minutes
            for optimizer in (muon, adam):
                for group in optimizer.param_groups:
                    group["lr"] = args.lr * rate(progress, step)
            loss = loss_of(model, batch)
            loss.backward()  # type: ignore[no-untyped-call]  # torch's own
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in (muon, adam):
                optimizer.step()  # type: ignore[no-untyped-call]  # Muon's is untyped
                optimizer.zero_grad(set_to_none=True)
            step += 1
            seen += sum(len(ids) for ids, _ in batch)
            losses.append(loss.item())
            now = time.monotonic()
            if now - logged > 20:
                print(
                    f"step {step} progress {progress:.3f} loss {sum(losses) / len(losses):.4f} "
                    f"tokens {seen / 1e6:.2f}M {(seen - logged_seen) / (now - logged):.0f}/s",
                    flush=True,
                )
                losses, logged, logged_seen = [], now, seen
            done = progress >= 1
            if done or now - saved > args.save_every * 60:
                export(model, tokenizer, args.out / "export")
                state = {
                    "model": model.state_dict(),
                    "muon": muon.state_dict(),
                    "adam": adam.state_dict(),
                    "step": step,
                    "seen": seen,
                    "elapsed": before + now - start,
                }
                torch.save(state, checkpoint.with_suffix(".new"))
                checkpoint.with_suffix(".new").replace(checkpoint)
                saved = now
            if done:
                return


if __name__ == "__main__":
    main()
