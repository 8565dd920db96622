"""python -m chat.cli in pipes: what goes to stdout, what to stderr, the exit status."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from chat.cli.__main__ import main
from chat.cli.options import help_text, read_options
from tests.chat.cli.running import piped
from tests.chat.fake_gpt import FakeGpt
from tests.chat.scripted_gpt import ScriptedGpt, call
from tests.chat.test_generate import GRAPH, TEXT

KEY = {"OPENAI_API_KEY": "k1"}
Run = Callable[..., tuple[int, str, str]]


def test_a_question_and_what_the_pipe_brings(chat_url: str, scripted: ScriptedGpt, tmp_path: Path) -> None:
    scripted.enqueue(["Été.\x1b[31m"])
    done = piped(f"{chat_url}/v1", tmp_path, "Résume", "ceci", "-s", "Sois bref.", given="un long texte\n", **KEY)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Été.\x1b[31m\n", "")
    (asked,) = scripted.requests
    assert asked["messages"] == [
        {"role": "system", "content": "Sois bref."},
        {"role": "user", "content": "Résume ceci\n\nun long texte"},
    ]


def test_all_that_is_known_in_json(chat_url: str, scripted: ScriptedGpt, tmp_path: Path) -> None:
    """The token that `make run` keeps is enough on its own machine."""
    scripted.enqueue([call("calculatrice", expression="0,1+0,2")], ["0,3"])
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "service_token").write_text("s3cret\n")
    done = piped(chat_url, tmp_path, "--json", "--outils", "calculatrice", given="Combien ?")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert (told["content"], told["finish_reason"], told["usage"]["total_tokens"]) == ("0,3", "stop", 33)
    assert told["tool_runs"][0]["result"] == "= 0,3"


def test_a_drawing_in_a_pipe(chat_url: str, gpt: FakeGpt, tmp_path: Path) -> None:
    gpt.enqueue(GRAPH)
    done = piped(chat_url, tmp_path, "--diagramme", "--direction", "LR", given=TEXT, **KEY)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("flowchart LR\n")
    assert done.stdout.endswith("\n")


@pytest.fixture
def run(chat_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run in this process, without a pipe: (status, stdout, stderr)."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "SERVICE_TOKEN", "SERVICE_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CHAT_API_URL", chat_url)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setattr("sys.stdin", None)

    def start(*arguments: str) -> tuple[int, str, str]:
        status = main(list(arguments))
        return status, *capsys.readouterr()

    return start


def test_a_drawing_that_fails_writes_nothing(run: Run, gpt: FakeGpt) -> None:
    status, out, error = run("--cle", "k1", "--diagramme", "--type", "dessin", "Il range.")
    assert (status, out) == (1, "")
    assert "dessin" in error
    assert error.count("\n") == 1


def test_what_goes_wrong_is_one_sentence(run: Run, scripted: ScriptedGpt, free_port: int, tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port}"
    binary = tmp_path / "a.bin"
    binary.write_bytes(b"\xff\xfe\x00")
    for arguments, said in (
        (("--url", nowhere, "x"), f"Frigo ne répond pas à {nowhere}. Est-il démarré (make run) ?"),
        (("x",), "Clé API absente. Donnez une clé : OPENAI_API_KEY ou --cle."),
        (("--cle", "k2", "x"), "Clé API incorrecte."),
        (("--cle", "k1", "--outils", "magie", "x"), "Outil inconnu : « magie »."),
        (("--cle", "k1"), "Rien à demander"),
        (("--cle", "k1", "--diagramme"), "Rien à dessiner"),
        (("--cle", "k1", "-f", str(tmp_path / "absent"), "x"), "Fichier illisible"),
        (("--cle", "k1", "-f", str(binary), "x"), "n'est pas un texte"),
    ):
        status, out, error = run(*arguments)
        assert (status, out) == (1, ""), arguments
        assert error.startswith(said) or said in error, error
        assert error.count("\n") == 1


def test_an_error_in_the_middle_keeps_what_was_said(run: Run, scripted: ScriptedGpt) -> None:
    error = {"message": "Plus de place.", "type": "server_error", "param": None, "code": "x"}
    scripted.enqueue(["Voyons.", call("calculatrice", expression="1")], (500, {"error": error}))
    status, out, said = run("--cle", "k1", "--outils", "calculatrice", "?")
    assert (status, out, said) == (1, "Voyons.", "Plus de place.\n")


def test_files_are_joined(run: Run, scripted: ScriptedGpt, tmp_path: Path) -> None:
    notes, image = tmp_path / "notes.txt", tmp_path / "a.png"
    notes.write_text("du lait", encoding="utf-8-sig")
    image.write_bytes(b"\x89PNG")
    assert run("--cle", "k1", "-f", str(notes), "-f", str(image), "Quoi ?")[0] == 0
    picture, text = scripted.requests[0]["messages"][0]["content"]
    assert picture["image_url"]["url"] == "data:image/png;base64,iVBORw=="
    assert text["text"] == "Fichier « notes.txt » :\n\ndu lait\n\nQuoi ?"


def test_a_services_token_is_never_sent_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"SERVICE_TOKEN": "s3cret", "OPENAI_BASE_URL": "https://frigo.exemple.fr/v1/"}
    options = read_options(["x"], environ)
    assert (options.url, options.service_token) == ("https://frigo.exemple.fr", None)
    assert read_options(["--url", "http://localhost:5000", "x"], environ).service_token == "s3cret"


@pytest.mark.parametrize("arguments", [["--url", "frigo"], ["--consigne", "x"], ["--direction", "UP"], ["--magie"]])
def test_wrong_options_are_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err


def test_the_guide_quotes_the_help() -> None:
    guide = (Path(__file__).resolve().parents[3] / "docs" / "terminal.md").read_text(encoding="utf-8")
    lines = [line for line in help_text().splitlines() if "python -m" in line or line.lstrip().startswith("-")]
    assert len(lines) > 15
    for option in {word.strip(",") for line in lines for word in line.split() if word.startswith("--")}:
        assert option in guide
