"""Tools of the server and the command line, over the whole stack: page, gateway, chat, gpt and its model."""

import json
import os
import subprocess
import sys
import urllib.request
from typing import Any

from scripts.environment import ROOT
from tests.e2e.stack import Stack


def fetch(url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        told: dict[str, Any] = json.load(answer)
        return told


def test_a_tool_that_is_imposed_is_run(stack: Stack) -> None:
    """The grammar makes the smallest of models call it; what it then says of it is its own affair."""
    names = [tool["name"] for tool in fetch(f"{stack.app_url}/api/tools")["tools"] if tool["available"]]
    assert names == ["calculatrice", "date"]
    told = fetch(
        f"{stack.app_url}/v1/chat/completions",
        {
            "model": "default",
            "messages": [{"role": "user", "content": "3 + 4 ?"}],
            "tools": [{"type": "frigo", "name": "calculatrice"}],
            "tool_choice": "required",
            "max_tokens": 200,
            "temperature": 0,
        },
    )
    (choice,) = told["choices"]
    run = choice["message"]["tool_runs"][0]
    assert (run["name"], run["round"]) == ("calculatrice", 1)
    assert isinstance(json.loads(run["arguments"])["expression"], str)
    assert run["state"] in {"done", "error"}
    assert run["result"]
    assert "tool_calls" not in choice["message"]
    assert told["usage"]["prompt_tokens"] > 100


def test_a_diagram_in_a_pipe(stack: Stack) -> None:
    """Straight to chat, with the token that `make run` keeps for this machine."""
    done = subprocess.run(
        [sys.executable, "-m", "chat.cli", "--diagramme"],
        cwd=ROOT,
        env={**stack.env, "PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        input="Le client envoie sa demande, puis le service la vérifie.",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("flowchart ")
