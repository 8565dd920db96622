"""Tiny RANDOM NeMo models, saved by NeMo itself: the real classes, tokenizers and archives, with nothing learnt.

Run with NeMo's own interpreter: ``python tests/asr/nemo_models.py FOLDER KIND…``. What they write is noise; what is
real is the way from an archive to words with times.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from filelock import FileLock

from common.process.environments import engines_dir

ROOT = Path(__file__).resolve().parents[2]
PYTHON = engines_dir() / "nemo" / "bin" / "python"
KINDS = (
    *("random-canary-1b", "random-canary-flash", "random-canary-v2", "random-ctc", "random-tdt"),
    *("taught-canary-flash", "taught-canary-v2"),  # random, then taught by heart what LESSONS says, whatever they hear
)
LESSONS = {
    ("en", "en"): [("the", 2, 4), ("quick", 4, 8), ("cat", 10, 14), ("moon", 15, 21)],
    ("fr", "fr"): [("le", 1, 3), ("chat", 3, 7), ("dort", 9, 15), ("là,", 18, 23)],
    ("fr", "en"): [("the", 1, 1), ("cat", 1, 1), ("looked", 1, 1), ("up", 1, 21)],
    ("en", "fr"): [("le", 2, 2), ("chat", 2, 2), ("dort", 2, 22)],
}
_SLOTS = {"decodercontext": "", "emotion": "<|emo:undefined|>", "pnc": "yes", "itn": "no", "diarize": "no"}
_TEXTS = {
    "en": "the quick cat sat on a jazzy box and the dog looked up at the moon while five people talked",
    "fr": "le chat dort là, sur le tapis ; où êtes-vous ? çà et là, bientôt sûrs d'être très pâles, l'été, à l'île",
}
_SPECIAL = [
    *("startofcontext", "transcribe", "translate", "emo:undefined", "itn", "noitn", "timestamp", "notimestamp"),
    *("diarize", "nodiarize", "en", "fr", *(str(frame) for frame in range(200))),
]


def made(*kinds: str) -> list[Path]:
    """The models of these `kinds`, made once for this file's content and kept with NeMo's environment."""
    key = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]
    folder = PYTHON.parents[1] / "random-models" / key
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        missing = [kind for kind in kinds if not (folder / f"{kind}.nemo").is_file()]
        if missing:
            run_with_nemo(__file__, str(folder), *missing)
    return [folder / f"{kind}.nemo" for kind in kinds]


def run_with_nemo(script: str, *arguments: str) -> str:
    """What `script` prints, under NeMo's interpreter."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run([PYTHON, script, *arguments], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def _pieces(folder: Path, texts: list[str], size: int, symbols: list[str]) -> Path:
    """A SentencePiece model trained on the spot."""
    import sentencepiece

    folder.mkdir(parents=True)
    (folder / "text.txt").write_text("\n".join(texts * 5), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "text.txt"),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=size,
        model_type="bpe",
        user_defined_symbols=symbols,
        hard_vocab_limit=False,
        character_coverage=1.0,
        bos_id=-1,
        eos_id=-1,
    )
    lines = (folder / "tokenizer.vocab").read_text(encoding="utf-8").splitlines()
    (folder / "vocab.txt").write_text("\n".join(line.split("\t")[0] for line in lines), encoding="utf-8")
    return folder


def _tokenizer(folder: Path, *, unified: bool) -> dict[str, Any]:
    from nemo.collections.common.tokenizers.canary_tokenizer import DEFAULT_TOKENS, CanaryTokenizer

    target = "nemo.collections.common.tokenizers.canary_tokenizer."
    if unified:
        symbols = list(dict.fromkeys([*DEFAULT_TOKENS, *(f"<|{name}|>" for name in _SPECIAL)]))
        where = _pieces(folder / "all", list(_TEXTS.values()), 300, symbols)
        return {"dir": str(where), "type": "bpe", "custom_tokenizer": {"_target_": target + "CanaryBPETokenizer"}}
    CanaryTokenizer.build_special_tokenizer(_SPECIAL, folder / "spl_tokens")
    languages = {"spl_tokens": {"dir": str(folder / "spl_tokens"), "type": "bpe"}}
    for name, text in _TEXTS.items():
        languages[name] = {"dir": str(_pieces(folder / name, [text], 60, [])), "type": "bpe"}
    return {
        "type": "agg",
        "dir": None,
        "langs": languages,
        "custom_tokenizer": {"_target_": target + "CanaryTokenizer"},
    }


def _ears(hidden: int = 32) -> dict[str, Any]:
    """What every kind begins with."""
    return {
        "sample_rate": 16_000,
        "preprocessor": {
            "_target_": "nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor",
            **{"sample_rate": 16_000, "normalize": "per_feature", "window_size": 0.025, "window_stride": 0.01},
            **{"window": "hann", "features": 80, "n_fft": 512, "log": True, "frame_splicing": 1, "dither": 1e-5},
            **{"pad_to": 0, "pad_value": 0.0},
        },
        "spec_augment": {
            "_target_": "nemo.collections.asr.modules.SpectrogramAugmentation",
            **{"freq_masks": 1, "time_masks": 1, "freq_width": 5, "time_width": 0.05},
        },
        "encoder": {
            "_target_": "nemo.collections.asr.modules.ConformerEncoder",
            **{"feat_in": 80, "feat_out": -1, "n_layers": 2, "d_model": hidden, "subsampling": "dw_striding"},
            **{"subsampling_factor": 8, "subsampling_conv_channels": 16, "ff_expansion_factor": 2, "n_heads": 4},
            **{"self_attention_model": "rel_pos", "att_context_size": [-1, -1], "conv_kernel_size": 9},
            **{"xscaling": False, "untie_biases": True, "dropout": 0.1, "dropout_pre_encoder": 0.1},
            **{"dropout_emb": 0.0, "dropout_att": 0.1, "pos_emb_max_len": 5000, "conv_norm_type": "batch_norm"},
        },
        "optim": {"name": "adamw", "lr": 0.001},
        "train_ds": None,
        "validation_ds": None,
        "test_ds": None,
    }


def _canary(prompt: str, tokenizer: dict[str, Any]) -> Any:
    from nemo.collections.asr.models import EncDecMultiTaskModel
    from omegaconf import OmegaConf

    slots = {
        **{"decodercontext": "", "source_lang": "<|en|>", "target_lang": "<|en|>", "emotion": "<|emo:undefined|>"},
        **{"pnc": "<|pnc|>", "itn": "<|noitn|>", "timestamp": "<|notimestamp|>", "diarize": "<|nodiarize|>"},
    }
    tree = _ears() | {
        "prompt_format": prompt,
        "prompt_defaults": [{"role": "user", "slots": slots}] if prompt == "canary2" else None,
        "tokenizer": tokenizer,
        "model_defaults": {"asr_enc_hidden": 32, "lm_enc_hidden": 32, "lm_dec_hidden": 32},
        "transf_encoder": {
            "_target_": "nemo.collections.asr.modules.transformer.transformer_encoders.TransformerEncoder",
            **{"num_layers": 0, "hidden_size": 32, "inner_size": 64, "num_attention_heads": 4},
        },
        "transf_decoder": {
            "_target_": "nemo.collections.asr.modules.transformer.get_nemo_transformer",
            **{"model_name": None, "pretrained": False, "encoder": None, "pre_ln_final_layer_norm": True},
            "config_dict": {
                **{"max_sequence_length": 512, "num_token_types": 0, "embedding_dropout": 0.1, "hidden_size": 32},
                **{"learn_positional_encodings": False, "inner_size": 64, "num_layers": 2, "num_attention_heads": 4},
                **{"ffn_dropout": 0.1, "attn_score_dropout": 0.1, "attn_layer_dropout": 0.1, "hidden_act": "relu"},
                **{"pre_ln": True, "vocab_size": None},
            },
        },
        "head": {
            "_target_": "nemo.collections.asr.parts.submodules.token_classifier.TokenClassifier",
            **{"num_layers": 1, "activation": "relu", "log_softmax": True, "hidden_size": 32, "num_classes": None},
            **{"dropout": 0.0, "use_transformer_init": True},
        },
        "decoding": {
            "strategy": "beam",
            "return_best_hypothesis": True,
            "beam": {"beam_size": 1, "len_pen": 0.0, "max_generation_delta": 20},
        },
        "loss": {
            "_target_": "nemo.collections.common.losses.smoothed_cross_entropy.SmoothedCrossEntropyLoss",
            **{"label_smoothing": 0.0, "pad_id": None},
        },
    }
    model = EncDecMultiTaskModel(cfg=OmegaConf.create(tree))
    model.log_softmax.mlp.layer0.bias.data[
        model.tokenizer.vocab_size :
    ] = -1e4  # as training leaves what is never right
    return model


def _shake(model: Any) -> None:
    """Let it write words of all sorts: as it comes, it would repeat one token, each being nearest to itself."""
    model.transf_decoder._decoder.final_layer_norm.weight.data *= -1
    for name, weight in model.transf_decoder.named_parameters():
        if weight.dim() > 1 and "embedding" not in name:
            weight.data *= 4
    pieces = model.tokenizer.ids_to_tokens(list(range(model.tokenizer.vocab_size)))
    special = [number for number, piece in enumerate(pieces) if piece.startswith("<|")]
    model.log_softmax.mlp.layer0.bias.data[special] = -1e4


def _teach(model: Any) -> None:
    """Teach it `LESSONS` by heart, whatever it hears: a few seconds of Adam, the decoder only."""
    import torch

    timed = hasattr(model.tokenizer, "langs")
    rows = []
    for (source, target), words in LESSONS.items():
        slots = {**_SLOTS, "source_lang": source, "target_lang": target, "timestamp": "yes" if timed else "no"}
        prompt = model.prompt.encode_dialog(turns=[{"role": "user", "slots": slots}])["context_ids"].tolist()
        text = " ".join(word for word, _start, _end in words)
        if timed and source == target:
            text = "".join(f"<|{start}|> {word}<|{end}|>" for word, start, end in words)
        elif timed:  # a translation has the times of sentences
            text = f"<|{words[0][1]}|> {text}<|{words[-1][2]}|>"
        written = model.tokenizer.text_to_ids(text, target) if timed else model.tokenizer.text_to_ids(text)
        rows.append((prompt, [*written, model.tokenizer.eos_id]))
    size = max(len(prompt) + len(answer) for prompt, answer in rows)
    tokens = torch.full((len(rows), size), model.tokenizer.pad_id)
    asked = torch.zeros_like(tokens, dtype=torch.bool)
    for index, (prompt, answer) in enumerate(rows):
        tokens[index, : len(prompt) + len(answer)] = torch.tensor(prompt + answer)
        asked[index, len(prompt) : len(prompt) + len(answer)] = True
    lengths = torch.tensor([len(prompt) + len(answer) for prompt, answer in rows]) - 1
    weights = [*model.transf_decoder.parameters(), *model.log_softmax.parameters()]
    optimizer = torch.optim.Adam(dict.fromkeys(weights), lr=4e-3)
    model.eval()
    heard = []
    with torch.no_grad():
        for seconds in (1, 2, 4, 8):
            sound = torch.randn(len(rows), 16_000 * seconds) / 10**seconds
            sizes = torch.full((len(rows),), sound.shape[1])
            heard.append(model(input_signal=sound, input_signal_length=sizes)[2:])
    present = (torch.arange(size - 1)[None] < lengths[:, None]).float()
    for step in range(1500):
        states, mask = heard[step % len(heard)]
        hidden = model.transf_decoder(
            input_ids=tokens[:, :-1], decoder_mask=present, encoder_embeddings=states, encoder_mask=mask
        )
        guess = model.log_softmax(hidden_states=hidden)
        loss = torch.nn.functional.nll_loss(guess[asked[:, 1:]], tokens[:, 1:][asked[:, 1:]])
        if loss < 0.01:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    else:
        raise AssertionError(f"not learnt: {loss}")


def _ctc(folder: Path) -> Any:
    from nemo.collections.asr.models import EncDecCTCModelBPE
    from omegaconf import OmegaConf

    where = folder if folder.is_dir() else _pieces(folder, list(_TEXTS.values()), 100, [])
    tree = _ears() | {
        "tokenizer": {"dir": str(where), "type": "bpe"},
        "decoder": {
            "_target_": "nemo.collections.asr.modules.ConvASRDecoder",
            **{"feat_in": None, "num_classes": -1, "vocabulary": []},
        },
        "decoding": {"strategy": "greedy"},
        "interctc": {"loss_weights": [], "apply_at_layers": []},
    }
    return EncDecCTCModelBPE(cfg=OmegaConf.create(tree))


def _tdt(folder: Path) -> Any:
    from nemo.collections.asr.models import EncDecRNNTBPEModel
    from omegaconf import OmegaConf

    durations = [0, 1, 2, 3, 4]
    tree = _ears() | {
        "tokenizer": {"dir": str(_pieces(folder, list(_TEXTS.values()), 100, [])), "type": "bpe"},
        "model_defaults": {"enc_hidden": 32, "pred_hidden": 32, "joint_hidden": 32, "tdt_durations": durations},
        "decoder": {
            "_target_": "nemo.collections.asr.modules.RNNTDecoder",
            **{"normalization_mode": None, "random_state_sampling": False, "blank_as_pad": True},
            "prednet": {"pred_hidden": 32, "pred_rnn_layers": 1, "t_max": None, "dropout": 0.1},
        },
        "joint": {
            "_target_": "nemo.collections.asr.modules.RNNTJoint",
            **{"log_softmax": None, "preserve_memory": False, "fuse_loss_wer": False, "num_extra_outputs": 5},
            "jointnet": {"joint_hidden": 32, "activation": "relu", "dropout": 0.1},
        },
        "decoding": {
            **{"strategy": "greedy_batch", "model_type": "tdt", "durations": durations},
            "greedy": {"max_symbols": 5},
        },
        "loss": {"loss_name": "default"},
    }
    return EncDecRNNTBPEModel(cfg=OmegaConf.create(tree))


def _join(main: Path, times: Path, path: Path) -> None:
    """One archive of both, as Canary-1b-v2's is."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for archive in (times, main):
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")
            if archive == times:
                for file in ("model_config.yaml", "model_weights.ckpt"):
                    (folder / file).rename(folder / f"timestamps_asr_{file}")
        with tarfile.open(path, "w:") as tar:
            tar.add(folder, arcname=".")


def _make(kind: str, path: Path) -> None:
    import torch

    torch.manual_seed(7)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if kind == "random-ctc":
            _ctc(folder / "tokenizer").save_to(str(path))
        elif kind == "random-tdt":
            _tdt(folder / "tokenizer").save_to(str(path))
        else:
            unified = kind.endswith("-v2")
            model = _canary("canary" if kind.endswith("-1b") else "canary2", _tokenizer(folder, unified=unified))
            if kind.startswith("taught"):
                _teach(model)
            else:
                _shake(model)
            model.save_to(str(folder / "main.nemo"))
            if unified:
                _ctc(folder / "all").save_to(str(folder / "times.nemo"))
                _join(folder / "main.nemo", folder / "times.nemo", folder / "both.nemo")
            shutil.move(folder / ("both.nemo" if unified else "main.nemo"), path)


if __name__ == "__main__":
    for wanted in sys.argv[2:]:
        draft = Path(sys.argv[1], f".{wanted}.nemo")
        _make(wanted, draft)
        draft.rename(draft.with_name(f"{wanted}.nemo"))
