"""openai-python's own tests of its resources against Frigo: `python -m bench.openai_tests` writes
bench/results/openai_tests.json.

    python -m bench.openai_tests --url http://127.0.0.1:5000/v1   a stack that runs already
    python -m bench.openai_tests --only models                    some of them

The tests are those of the client that Frigo is built with: its source archive comes from the package index that this
machine's pip uses, what they need goes into an environment of its own. Without --url, the stack of `make run` starts
on free ports, with its embedded models and MODEL_ALIASES=*=default: they ask for OpenAI's own models. They were written
for a server that answers anything with an example. On a real one some must fail: those that name an object that is not
there, or send bytes that are no recording. `EXPECTED` says which, and what OpenAI's API itself answers them.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.peers import CACHE, environment
from scripts.environment import PORTS, PYTHON, ROOT
from scripts.run import is_ready
from tests.ports import free_ports

RESULTS = ROOT / "bench" / "results" / "openai_tests.json"
NEEDED = ("pytest==9.1.1", "pytest-asyncio==1.4.0", "rich", "inline-snapshot")
RESOURCES = {
    "chat": ("chat",),
    "completions": ("test_completions.py",),
    "models": ("test_models.py",),
    "embeddings": ("test_embeddings.py",),
    "audio": ("audio/test_speech.py", "audio/test_transcriptions.py", "audio/test_translations.py"),
}
NOT_OURS = (
    "audio/test_voices.py and audio/test_voice_consents.py: custom voices of speech synthesis, which Frigo has not"
)
READY_SECONDS = 180.0

# (address, status, code): why the test cannot pass on a real server
EXPECTED = {
    (r"/chat/completions/completion_id(/messages)?", 404, "not_found"): "no stored completion has this id",
    (
        r"/models/ft:gpt-4o-mini:acemeco:suffix:abc123",
        404,
        "model_not_found",
    ): "deletes a fine-tuned model of Acemeco's",
    (r"/audio/(transcriptions|translations)", 400, "invalid_audio"): "the bytes sent are no recording",
    (r"/audio/transcriptions", 400, "invalid_value"): "as above, and timestamp_granularities without verbose_json",
    (r"/embeddings", 200, None): "strict clients read base64, which they ask for themselves, as a list of numbers",
    (r"/audio/speech", 404, "model_not_found"): "no model of Frigo's reads aloud",
}

# In the tests' own process: what the server answered to each test that failed.
_PLUGIN = """
import json, os, pytest

@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when != "call" and not (report.failed or report.skipped):
        return
    told = {"test": item.nodeid, "outcome": report.outcome, "when": report.when}
    if call.excinfo is not None:
        error = call.excinfo.value
        told["error"] = type(error).__name__ + ": " + str(error)[:500]
        if getattr(error, "response", None) is not None:
            told |= {"status": error.status_code, "code": error.code, "param": error.param}
            told |= {"path": error.request.url.path, "method": error.request.method, "message": error.message}
    with open(os.environ["FRIGO_REPORT"], "a") as file:
        file.write(json.dumps(told) + "\\n")
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="the /v1 of a stack that runs, with MODEL_ALIASES=*=default")
    parser.add_argument("--only", nargs="+", choices=list(RESOURCES), default=list(RESOURCES))
    parser.add_argument("--output", type=Path, help=f"where the summary goes; by default {RESULTS.relative_to(ROOT)}")
    chosen = parser.parse_args()
    release = version("openai")
    source = _source(release)
    python = environment(f"openai-tests-{release}", (f"openai[aiohttp]=={release}", *NEEDED))
    with contextlib.nullcontext(chosen.url) if chosen.url else _stack() as url:
        told = _run(python, source, url, chosen.only)
    summary = _summary(release, told)
    output = chosen.output or (RESULTS if chosen.only == list(RESOURCES) else None)
    text = json.dumps(summary, ensure_ascii=False, indent=1)
    if output is not None:
        output.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 1 if summary["wrong"] else 0


def _source(release: str) -> Path:
    """The client's source archive, unpacked."""
    folder = CACHE / "openai-source"
    source = folder / f"openai-{release}"
    if not (source / "tests").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        options = ["--no-binary", ":all:", "--no-deps", "--quiet", "--dest", str(folder)]
        subprocess.run([str(PYTHON), "-m", "pip", "download", *options, f"openai=={release}"], check=True)
        with tarfile.open(folder / f"openai-{release}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
    return source


@contextlib.contextmanager
def _stack() -> Iterator[str]:
    """`make run` on free ports and in a folder of its own; gives its /v1."""
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    with tempfile.TemporaryDirectory(prefix="frigo-openai-tests-") as folder:
        kept = {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH"}
        env = {name: value for name, value in os.environ.items() if name in kept}
        env |= {f"{name.upper()}_API_URL": f"http://127.0.0.1:{port}" for name, port in ports.items() if name != "app"}
        env |= {"PORT": str(ports["app"]), "DATA_DIR": f"{folder}/data", "LOG_DIR": f"{folder}/logs"}
        env |= {"MODEL_ALIASES": "*=default", "HF_HUB_OFFLINE": "1"}
        running = subprocess.Popen([sys.executable, "-m", "scripts.run"], cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + READY_SECONDS
            while not all(is_ready(f"http://127.0.0.1:{port}") for port in ports.values()):
                if running.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("the stack did not start: run `make run` to see why")
                time.sleep(0.3)
            yield f"http://127.0.0.1:{ports['app']}/v1"
        finally:
            running.send_signal(signal.SIGINT)
            running.wait(30)


def _run(python: Path, source: Path, url: str, only: list[str]) -> list[dict[str, Any]]:
    """What each test told."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "frigo_report.py").write_text(_PLUGIN, encoding="utf-8")
        report = Path(folder) / "report.jsonl"
        report.touch()
        env = {**os.environ, "TEST_API_BASE_URL": url, "PYTHONPATH": folder, "FRIGO_REPORT": str(report)}
        paths = [f"tests/api_resources/{path}" for resource in only for path in RESOURCES[resource]]
        options = ["-o", "addopts=", "-p", "no:cacheprovider", "-p", "frigo_report", "--quiet", "--tb=no"]
        subprocess.run([str(python), "-m", "pytest", *options, *paths], cwd=source, env=env, check=False)
        return [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]


def _summary(release: str, told: list[dict[str, Any]]) -> dict[str, Any]:
    by_file: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    rightly: dict[str, dict[str, Any]] = {}
    wrong = []
    for one in told:
        file, _separator, name = one["test"].removeprefix("tests/api_resources/").partition("::")
        by_file[file][one["outcome"]] += 1
        if one["outcome"] != "failed":
            continue
        if (why := _expected(one)) is None:
            wrong.append(one)
            continue
        answer = {name: one[name] for name in ("status", "code", "param", "message")}
        reason = rightly.setdefault(f"{one['method']} {one['path']}: {why}", {"answer": answer, "tests": {}})
        shown = re.sub(r"\[.*", "", f"{file}::{name}")
        reason["tests"][shown] = reason["tests"].get(shown, 0) + 1
    outcomes = collections.Counter(one["outcome"] for one in told)
    return {
        "openai": release,
        "total": len(told),
        "passed": outcomes["passed"],
        "skipped": outcomes["skipped"],
        "failed_rightly": sum(sum(reason["tests"].values()) for reason in rightly.values()),
        "failed_wrongly": len(wrong),
        "left_out": NOT_OURS,
        "by_file": {file: dict(count) for file, count in by_file.items()},
        "rightly": rightly,
        "wrong": wrong,
    }


def _expected(told: dict[str, Any]) -> str | None:
    """Why a test failed, when it had to."""
    if told.get("status") == 200 and not told["error"].startswith("APIResponseValidationError"):
        return None
    for (path, status, code), why in EXPECTED.items():
        if re.fullmatch(f".*/v1{path}", told.get("path") or "") and (told["status"], told["code"]) == (status, code):
            return why
    return None


if __name__ == "__main__":
    sys.exit(main())
