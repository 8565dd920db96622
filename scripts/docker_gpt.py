"""gpt's light image in 512 MB, with a model of GPT-2's size that a local hub gives: `make docker-test PARTS=gpt`.

The model's weights are drawn at random. It is downloaded, converted, answers eight chats; a 5 GB model is refused; then
gpt is stopped in the middle of a stream that goes through chat. The making of the model asks for torch, on this side.
"""

import importlib.util
import json
import shutil
import tempfile
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from scripts.console import say
from scripts.docker_engine import CHAT_PORT, GPT_PORT, Compose, FailedError, call, question, timed, until
from scripts.docker_light import build

REPO = "openai-community/gpt2"
TOO_BIG = ("qwen3-4b", "mistral-7b")
_GPT, _CHAT = f"http://127.0.0.1:{GPT_PORT}", f"http://127.0.0.1:{CHAT_PORT}"
_FILES = ("docker-compose.yml", "docker/test/gpt.yml")
_HUB = Path(tempfile.gettempdir()) / "frigo-docker-test-hub"
PROJECT = Compose("frigo-docker-test-gpt", _FILES, {"IA_MODEL": "gpt2", "HUB_FOLDER": str(_HUB)})


def absent() -> str | None:
    """Why this part cannot be tried here; None when it can."""
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("transformers") is None:
        return "fabriquer le modèle d'essai demande torch (make run MOTEURS=torch)"
    return None


def try_it() -> dict[str, Any]:
    """What was measured. The model's folder is gone at the end."""
    try:
        _make(_HUB / REPO)
        build(("chat", "gpt"))
        return _try()
    finally:
        shutil.rmtree(_HUB, ignore_errors=True)


def _make(folder: Path) -> None:
    from bench.serving.random_models import gpt2_124m

    gpt2_124m(folder)
    for path in [_HUB, *_HUB.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)  # the container's user is another


def _try() -> dict[str, Any]:
    begun = time.monotonic()
    PROJECT("up", "--wait", "--no-build", "hub", "gpt", "chat", seconds=600)
    report: dict[str, Any] = {
        "model": "taille de GPT-2, poids tirés au hasard, hub local",
        "up_seconds": timed(begun),
        "state_when_up": _state("gpt2"),
    }
    until(lambda: _state("gpt2") in {"ready", "error"}, "gpt2 prêt", 300)
    if _state("gpt2") == "error":
        raise FailedError("gpt2 n'a pas pu être téléchargé, converti ou chargé.")
    report["ready_seconds"] = timed(begun)
    say(f"  gpt2 téléchargé, converti et prêt en {report['ready_seconds']:.0f} s")
    begun = time.monotonic()
    lengths = [_answer(turn) for turn in range(4)]
    with ThreadPoolExecutor(4) as four:
        lengths += list(four.map(_answer, range(4, 8)))
    report |= {"chats": len(lengths), "tokens": sum(lengths), "chats_seconds": timed(begun)}
    report["anonymous_megabytes_at_the_end"] = PROJECT.anonymous("gpt")
    report["cgroup_peak_megabytes"] = PROJECT.peak("gpt")
    report["refused"] = [_refused(key) for key in TOO_BIG]
    _answer(8)
    report["oom_killed"] = PROJECT.state("gpt", "OOMKilled") == "true"
    if report["oom_killed"]:
        raise FailedError("gpt a été tué faute de mémoire.")
    peak, held = report["cgroup_peak_megabytes"], report["anonymous_megabytes_at_the_end"]
    say(f"  8 discussions : pic {peak} Mo, {held} Mo hors fichiers ; {', '.join(TOO_BIG)} refusés")
    return report | {"stopped_in_a_stream": _stopped_in_a_stream()}


def _state(key: str) -> str:
    _status, answer = call("GET", f"{_GPT}/api/models")
    return next((str(model["state"]) for model in (answer or {}).get("models", ()) if model["key"] == key), "")


def _answer(turn: int) -> int:
    """How many tokens the answer has."""
    asked = question(f"Question {turn} : que dire du froid ?", max_tokens=64)
    status, answer = call("POST", f"{_CHAT}/v1/chat/completions", asked, 300)
    if status != 200:
        raise FailedError(f"La discussion {turn} a échoué ({status} {answer}).")
    return int(answer["usage"]["completion_tokens"])


def _refused(key: str) -> str:
    status, answer = call("POST", f"{_GPT}/api/models/{key}/load", {})
    code = ((answer or {}).get("error") or {}).get("code")
    if (status, code) != (507, "model_does_not_fit"):
        raise FailedError(f"{key} devait être refusé par un 507, et non {status} {code}.")
    return key


def _stopped_in_a_stream() -> dict[str, Any]:
    """SIGTERM to gpt once words have come through chat: how the stream ends, and how gpt does."""
    asked = question("Raconte longuement.", stream=True, max_tokens=400)
    request = urllib.request.Request(
        f"{_CHAT}/v1/chat/completions",
        data=json.dumps(asked).encode(),
        headers={"Content-Type": "application/json"},
    )
    stopped: list[float] = []

    def stop() -> None:
        begun = time.monotonic()
        PROJECT("stop", "gpt", seconds=60)
        stopped.append(timed(begun))

    stopper = threading.Thread(target=stop)
    words, code, done = 0, None, False
    with urllib.request.urlopen(request, timeout=120) as stream:
        for raw in stream:
            line = raw.decode().strip().removeprefix("data:").strip()
            done = done or line == "[DONE]"
            if not line.startswith("{"):
                continue
            event = json.loads(line)
            code = (event.get("error") or {}).get("code") or code
            words += any(choice["delta"].get("content") for choice in event.get("choices") or ())
            if words == 5 and stopper.ident is None:
                stopper.start()
    if stopper.ident is None:
        raise FailedError("Le flux a fini avant qu'on arrête gpt.")
    stopper.join()
    status = PROJECT.state("gpt", "ExitCode")
    if code is None or not done or status != "0":
        raise FailedError(f"Flux mal terminé : erreur {code}, [DONE] {done}, gpt sorti par {status}.")
    say(f"  arrêté au milieu d'un flux : {code}, puis [DONE] ; sorti en {stopped[0]:.1f} s")
    return {
        "through": "chat",
        "deltas_before": words,
        "error": code,
        "done": done,
        "exit_code": 0,
        "seconds": stopped[0],
    }
