"""The set-up: what runs on a bare Python, what it installs, and when it has nothing left to do."""

import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from scripts import checks, pip
from scripts import setup as installer
from scripts.commands import Log
from scripts.environment import ROOT, SetupError, local_port, read_env_file, service_url, variables
from scripts.lock import clean


def test_the_set_up_needs_nothing_but_the_standard_library() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import scripts.setup"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def bare_path(tmp_path: Path) -> Path:
    """A PATH with nothing but `sh` and what a test puts there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "sh").symlink_to(shutil.which("sh") or "/bin/sh")
    return folder


def find_python(folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    command = [str(folder / "sh"), str(ROOT / "scripts" / "find-python.sh")]
    return subprocess.run(command, env={"PATH": str(folder), **env}, capture_output=True, text=True)


def script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def test_a_recent_python_is_found(bare_path: Path) -> None:
    (bare_path / "python3").symlink_to(sys.executable)
    assert find_python(bare_path).stdout.strip() == str(bare_path / "python3")


def test_an_old_python_gets_one_sentence(bare_path: Path) -> None:
    script(bare_path / "python3", "echo 3.9")
    found = find_python(bare_path)
    assert found.returncode == 1
    assert "Frigo demande Python 3.11 ou plus récent ; trouvé : 3.9." in found.stderr
    assert len(found.stderr.strip().splitlines()) == 1


def test_no_python_gets_one_sentence(bare_path: Path) -> None:
    found = find_python(bare_path)
    assert found.returncode == 1
    assert found.stderr.startswith("Python est introuvable")


def test_a_python_without_venv_says_what_to_install(bare_path: Path) -> None:
    script(bare_path / "python3", "echo 3.12; exit 1")
    found = find_python(bare_path)
    assert found.returncode == 1
    assert "apt-get install python3-venv" in found.stderr


def test_a_full_disk_gets_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"Il faut 1000000\.0 Go libres dans .* ; il en reste"):
        checks.check_disk(tmp_path, 10**15)


def test_a_taken_port_is_named_with_its_service(free_port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SetupError, match=rf"^Le port {port} \(gpt\) est déjà pris .* GPT_API_URL\.$"):
            checks.check_ports(
                {"PORT": str(free_port), "GPT_API_URL": f"http://127.0.0.1:{port}"} | far("chat", "asr", "diarize")
            )


def far(*names: str) -> dict[str, str]:
    return {f"{name.upper()}_API_URL": f"http://{name}.example:5000" for name in names}


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"status": "ok", "service": "app"}')

    def log_message(self, *_: object) -> None:
        pass


def test_a_frigo_that_runs_already_is_recognised() -> None:
    server = HTTPServer(("127.0.0.1", 0), Health)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(SetupError, match="Frigo tourne déjà"):
            checks.check_ports({"PORT": str(server.server_port)} | far("chat", "gpt", "asr", "diarize"))
    finally:
        server.shutdown()
        server.server_close()


def test_two_services_cannot_share_a_port(free_port: int) -> None:
    env = {"PORT": str(free_port), "ASR_API_URL": f"http://127.0.0.1:{free_port}"} | far("chat", "gpt", "diarize")
    with pytest.raises(SetupError, match=f"app et asr demandent le même port {free_port}"):
        checks.check_ports(env)


def test_a_bad_port_names_its_variable() -> None:
    with pytest.raises(SetupError, match=r"^PORT : « cinq »"):
        local_port("app", {"PORT": "cinq"})


def test_a_bind_address_that_is_not_ours_names_its_variable(free_port: int) -> None:
    env = {"PORT": str(free_port), "HOST_BIND_ADDRESS": "192.0.2.1"} | far("chat", "gpt", "asr", "diarize")
    with pytest.raises(SetupError, match=r"^HOST_BIND_ADDRESS : « 192\.0\.2\.1 »"):
        checks.check_ports(env)


def test_a_service_elsewhere_is_not_served_here() -> None:
    assert local_port("gpt", far("gpt")) is None
    assert local_port("gpt", {}) == 5002
    assert service_url("gpt", far("gpt")) == "http://gpt.example:5000"


def test_env_files_are_read_as_compose_reads_them(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("# comment\nA=1\nexport B='deux mots' # said\nC=\"x#y\"\nD=plain # comment\nE=\n\n")
    assert read_env_file(path) == {"A": "1", "B": "deux mots", "C": "x#y", "D": "plain", "E": ""}
    assert variables({"A": "2", "C": ""}, path) == {"A": "2", "B": "deux mots", "C": "x#y", "D": "plain"}


def test_a_bad_line_of_env_is_named(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\nnot a variable\n")
    with pytest.raises(SetupError, match="ligne 2"):
        read_env_file(path)


def test_a_step_is_done_again_only_when_its_inputs_change(tmp_path: Path) -> None:
    stamps = installer.Stamps(tmp_path / "stamps.json")
    output = tmp_path / "out"
    assert not stamps.fresh("step", "digest")
    stamps.put("step", "digest")
    again = installer.Stamps(tmp_path / "stamps.json")
    assert again.fresh("step", "digest")
    assert not again.fresh("step", "digest", output), "an output that was deleted is made again"
    assert not again.fresh("step", "other")


def test_a_failed_command_shows_its_last_lines_and_the_log(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    with pytest.raises(SetupError) as raised:
        log.run([sys.executable, "-c", "print('première'); print('la raison'); raise SystemExit(3)"])
    assert "la raison" in str(raised.value)
    assert str(tmp_path / "log") in str(raised.value)
    assert "première" in (tmp_path / "log").read_text()


def test_a_log_folder_that_cannot_be_written_names_its_variable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match=r"^LOG_DIR : .* ne peut pas être écrit"):
        Log(tmp_path / "file" / "log").begin()


def test_a_disk_that_fills_up_is_called_by_its_name(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    with pytest.raises(SetupError, match=r"^Le disque est plein"):
        log.run([sys.executable, "-c", "print('OSError: [Errno 28] No space left on device'); raise SystemExit(1)"])


def test_an_index_that_does_not_answer_is_given_up_in_two_seconds() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        assert not pip.answers(f"http://127.0.0.1:{silent.getsockname()[1]}/torch/")


def torch_command(env: dict[str, str], monkeypatch: pytest.MonkeyPatch, *, nvidia: bool) -> list[str]:
    monkeypatch.setattr(installer, "has_nvidia", lambda: nvidia)
    setup = installer.Setup(dev=False, env=env)
    asked: list[list[str]] = []
    monkeypatch.setattr(setup.log, "run", lambda command, **_: asked.append([str(word) for word in command]))
    setup.stamps.clear()
    setup._torch()
    return asked[-1]


def test_without_a_gpu_torch_comes_from_the_cpu_index_when_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = HTTPServer(("127.0.0.1", 0), Health)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        env = {"TORCH_INDEX_URL": url, "LOG_DIR": str(tmp_path)}
        assert torch_command(env, monkeypatch, nvidia=False)[-3:] == ["--index-url", url, "torch==2.13.0"]
        assert "--index-url" not in torch_command(env, monkeypatch, nvidia=True)
    finally:
        server.shutdown()
        server.server_close()
    plain = torch_command(env, monkeypatch, nvidia=False)
    assert "--index-url" not in plain
    assert "torch==2.13.0" in plain


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """What pip is asked to install, the environment being in a folder of the test's own."""
    monkeypatch.setattr(installer, "VENV", tmp_path / "venv")
    monkeypatch.setattr(installer, "has_nvidia", lambda: False)
    monkeypatch.setattr(pip, "answers", lambda _url: False)
    monkeypatch.setattr(checks, "check_disk", lambda _folder, _bytes: None)
    (tmp_path / "venv").mkdir()

    def run(**options: bool) -> list[str]:
        setup = installer.Setup(dev=False, env={"LOG_DIR": str(tmp_path)}, **options)
        asked: list[str] = []
        monkeypatch.setattr(setup.log, "run", lambda command, **_: asked.append(" ".join(map(str, command))))
        setup._python_lane()
        return [words for words in asked if "pip install" in words]

    return run


def test_torch_is_installed_when_it_is_asked_for_and_stays(steps: Callable[..., list[str]]) -> None:
    first = steps()
    assert first
    assert not any("torch" in words for words in first)
    assert steps() == []
    torch, libraries, *_nodeps = steps(torch=True)
    assert "torch==2.13.0" in torch
    assert str(ROOT / "gpt" / "requirements-torch.txt") in libraries
    assert steps() == [], "what was asked for once stays"


def test_nothing_that_runs_by_itself_wants_torch() -> None:
    for path in installer.RUN_REQUIREMENTS:
        names = {line.partition("==")[0] for line in path.read_text(encoding="utf-8").splitlines()}
        assert not {"torch", "transformers", "accelerate"} & names, path


def test_locked_pins_are_the_same_whichever_build_of_torch_was_seen() -> None:
    compiled = "# by uv\ntorch==2.13.0+cpu\nnvidia-cudnn-cu13==9.1\ntriton==3.9\n    # via torch\nflask==3.1.3\n"
    assert clean(compiled) == "torch==2.13.0\nflask==3.1.3\n"


def test_committed_pins_name_no_cuda_package_and_no_index() -> None:
    files = [*ROOT.glob("*/requirements.txt"), ROOT / "requirements-dev.txt"]
    assert len(files) == 8
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert "nvidia" not in text, path
        assert "+cpu" not in text, path
        assert "://" not in text, path


def test_every_service_pins_the_same_versions() -> None:
    seen: dict[str, str] = {}
    files = [path for path in ROOT.glob("*/requirements.txt") if path.parent.name != "spaces"]  # Gradio's own pillow
    for path in [*files, ROOT / "requirements-dev.txt"]:
        for line in path.read_text(encoding="utf-8").splitlines():
            if not line.startswith("#"):
                name, _, version = line.partition("==")
                assert version, f"{path}: {line}"
                assert seen.setdefault(name, version) == version, f"{path}: {line}"
