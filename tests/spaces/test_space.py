"""What the Space runs: a folder that needs nothing else of the project, a drawing that is talked to, a lent GPU."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chat.diagrams.parser import MermaidParser
from common.errors import ApiError
from tests.conftest import ROOT
from tests.spaces.conftest import packaged

TEXT = "Le client passe une commande. Le vendeur vérifie le stock. Si le produit manque, il prévient le client."
_TALK = """
import json, os, space
from frigo_space.drawing import Studio, Work, parser
from frigo_space.hardware import detect
llm, model = space.drawing_model(detect())
studio, said = Studio(llm, parser()), []
reply = studio.reply({text!r}, Work())
for message in ("plus horizontal", "  ", "{{}}", "x" * 100_001):
    said.append([reply.work.mermaid, reply.said])
    reply = studio.reply(message, reply.work)
said.append([reply.work.mermaid, reply.said])
board = studio.reply('{{"1. Utilisateur Cible": "Les petites équipes."}}', Work())
said.append([board.work.mermaid, board.said])
print("SAID" + json.dumps({{"model": model, "said": said}}), flush=True)
os._exit(0)
"""


def test_the_folder_that_is_sent_draws_by_itself(sent: Path, tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), "HF_HUB_OFFLINE": "1", "IA_USE_GPU": "false"}
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    command = [sys.executable, "-c", _TALK.format(text=TEXT)]
    done = subprocess.run(command, cwd=sent, env=env, capture_output=True, text=True, check=False, timeout=240)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("SAID")] or [done.stderr[-2000:]]
    told = json.loads(line.removeprefix("SAID"))
    assert told["model"] == "frigo-mini"
    drawn, turned, empty, refused, long, board = told["said"]
    assert drawn[0].startswith("flowchart TD")
    assert "Le client passe une commande" in drawn[0]
    assert turned[0].startswith("flowchart LR")
    assert turned[0].splitlines()[1:] == drawn[0].splitlines()[1:]
    assert {mermaid for mermaid, _said in (empty, refused, long)} == {turned[0]}, "nothing is lost by a bad message"
    assert "Écrivez" in empty[1]
    assert "100000 caractères" in long[1]
    assert "Sections absentes" in board[1]
    parser = MermaidParser()
    assert all(parser.check(mermaid).valid for mermaid, _said in (drawn, turned, board))


def test_nothing_of_this_checkout_s_own_is_sent(tmp_path: Path) -> None:
    sent = packaged(tmp_path / "sent")  # one in which nothing ran: a model is converted where it is
    paths = [path.relative_to(sent) for path in sent.rglob("*") if "node_modules" not in path.parts]
    assert not [path for path in paths if path.suffix in {".env", ".db", ".pyc", ".log"} or path.name.startswith(".")]
    assert not [path for path in paths if path.name.startswith("ctranslate2-")]
    assert (sent / "gpt/embedded/frigo-mini/chat_template.jinja").is_file()


@pytest.fixture
def zero(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The model of a ZeroGPU Space, on a processor; `spaces` itself is only there on Spaces."""
    lent: list[int] = []

    def gpu(duration: Callable[..., int]) -> Callable[..., Any]:
        def decorate(task: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any) -> Any:
                lent.append(duration(*args))
                return task(*args)

            return call

        return decorate

    monkeypatch.setitem(sys.modules, "spaces", types.SimpleNamespace(GPU=gpu))  # type: ignore[arg-type]
    monkeypatch.syspath_prepend(str(ROOT / "spaces"))
    module = importlib.import_module("frigo_space.zero")
    import torch

    model = module.ZeroModel(str(ROOT / "gpt" / "embedded" / "frigo-mini"), device="cpu", dtype=torch.float32)
    model.lent = lent
    yield model
    for name in [name for name in sys.modules if name.startswith("frigo_space")]:
        del sys.modules[name]


def test_a_lent_gpu_writes_under_the_schema(zero: Any) -> None:
    schema = {"type": "object", "properties": {"sens": {"enum": ["TD", "LR"]}}, "required": ["sens"]}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {**schema, "additionalProperties": False}}}
    body = {"messages": [{"role": "user", "content": TEXT}], "max_tokens": 60, "response_format": form}
    answer = zero.complete(body)
    assert json.loads(answer.text)["sens"] in {"TD", "LR"}
    assert not answer.cut
    assert answer.prompt_tokens > 10
    assert zero.lent == [15 + 60 // 25]


def test_a_prompt_that_is_too_long_is_refused_and_a_cut_answer_says_so(zero: Any) -> None:
    with pytest.raises(ApiError, match="tient"):
        zero.complete({"messages": [{"role": "user", "content": "mot " * 5000}]})
    assert zero.complete({"messages": [{"role": "user", "content": "bonjour"}], "max_tokens": 4}).cut
