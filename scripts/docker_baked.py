"""Production images that hold models: `make docker-test PARTS=production`.

The models' weights are drawn at random, by the libraries of the image without models; a hub of our own, which wants a
token, gives them while the image is built. It then runs without a network: it answers with the one that is asked for,
passes to another, refuses one that it does not hold, and has kept no trace of the token.
"""

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from scripts.console import say
from scripts.docker_engine import FailedError, anonymous, docker, megabytes, peak, question, timed, until
from scripts.environment import PORTS, ROOT

NAME = "frigo-docker-test-baked"
SAMPLE = "app/sample/reunion-exemple.ogg"
_HUB = "frigo-docker-test-hub"
_MEMORY = "3g"
_STUBS = "tests/diarize/stubs/sitecustomize.py"


@dataclass(frozen=True)
class Baked:
    """What a service's image is given: two models, by key; `makes` writes their repositories in /data, in Python, with
    the modules `of`. `absent` is one it does not hold; `asks` has an answer from the model that is ready and gives
    what it tells."""

    variable: str
    models: tuple[str, str]
    absent: str
    of: tuple[str, ...]
    makes: str
    weights: str
    asks: Callable[[str], dict[str, Any]]


def run_options() -> tuple[str, ...]:
    """How a production image is run here: nothing but its volumes can be written, and there is no network."""
    temporary = "/tmp:size=64m"  # noqa: S108  the container's
    rights = ("--read-only", "--tmpfs", temporary, "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
    return (*rights, "--network", "none", "-v", "/data", "-v", "/models")


def torch_index() -> tuple[str, ...]:
    """Where an image takes torch from, when it is not PyTorch's own index."""
    index = os.environ.get("TORCH_INDEX_URL")
    return ("--build-arg", f"TORCH_INDEX_URL={index}") if index else ()


def ask(service: str, method: str, path: str, body: object = None, file: str = "") -> tuple[int, Any]:
    """The status and the JSON that the container's service answers; status 0 when there is none."""
    words = [method, f"http://127.0.0.1:{PORTS[service]}{path}", "" if body is None else json.dumps(body)]
    said = docker("exec", NAME, "python", "/ask.py", *words, *([file] if file else []))
    status, _space, answer = said.partition(" ")
    return int(status), json.loads(answer)


def _ok(service: str, *words: Any) -> dict[str, Any]:
    status, answer = ask(service, *words)
    if status != 200 or not isinstance(answer, dict):
        raise FailedError(f"{service} {words[1]} : {status} {str(answer)[:500]}")
    return answer


def _chats(service: str) -> dict[str, Any]:
    answer = _ok(service, "POST", "/v1/chat/completions", question("Que dire du froid ?", max_tokens=16))
    return {"model": answer["model"], "tokens": answer["usage"]["completion_tokens"]}


def _hears(service: str) -> dict[str, Any]:
    answer = _ok(service, "POST", "/api/audio/transcribe", {"language": "fr"}, "/sample.ogg")
    return {"model": answer["model"], "engine": answer["engine"], "audio_seconds": round(answer["duration"], 1)}


def _tells_apart(service: str) -> dict[str, Any]:
    answer = _ok(service, "POST", "/api/diarization/process", {}, "/sample.ogg")
    return {"model": answer["model"], "engine": answer["engine"], "audio_seconds": round(answer["duration"], 1)}


BAKED = {
    "gpt": Baked(
        "IA_MODEL",
        ("gpt2", "gpt2-medium"),
        "distilgpt2",
        ("bench/serving/random_models.py",),
        "from random_models import gpt2_124m as m; m(data / 'openai-community/gpt2');"
        "m(data / 'openai-community/gpt2-medium')",
        "de la taille de GPT-2 tous les deux",
        _chats,
    ),
    "asr": Baked(
        "ASR_MODEL",
        ("parakeet-tdt-0.6b-v3", "whisper-base"),
        "whisper-small",
        ("bench/serving/random_models.py", "tests/asr/hf_models.py"),
        "import hf_models, random_models; random_models.parakeet_110m(data / 'nvidia/parakeet-tdt-0.6b-v3');"
        "hf_models.random_whisper(data / 'openai/whisper-base')",
        "un Parakeet de 110 M de paramètres, un minuscule Whisper",
        _hears,
    ),
    "diarize": Baked(
        "DIARIZE_MODEL",
        ("pyannote-community-1", "pyannote-3.1"),
        "acme/another-pipeline",
        ("tests/diarize/pyannote_models.py",),
        "import pyannote_models; pyannote_models.main(data)",
        "deux minuscules chaînes de pyannote, chacune avec les fichiers de la vraie",
        _tells_apart,
    ),
}


def try_it(service: str, image: str) -> dict[str, Any]:
    """Sizes, seconds, memory and what was refused. `image` is the one without models; nothing of this is left."""
    baked, filled = BAKED[service], f"{image}-baked"
    stub = () if _loads_torchaudio(service, image) else _mount(_STUBS, "/make/sitecustomize.py")
    token = f"hf_{secrets.token_hex(16)}"
    try:
        with _hub(image, baked, token, stub) as url:
            begun = time.monotonic()
            models = ("--build-arg", f"MODELS={' '.join(baked.models)}", "--build-arg", f"HF_ENDPOINT={url}")
            secret = ("--secret", "id=huggingface_token,env=FRIGO_TEST_HUB_TOKEN")
            words = ("build", "-f", f"{service}/Dockerfile.production", *torch_index(), *models, *secret)
            docker(*words, "-t", filled, ".", seconds=3600, env={"FRIGO_TEST_HUB_TOKEN": token})
            build_seconds = timed(begun)
        _no_trace(filled, token)
        report = {
            "models": list(baked.models),
            "weights": f"tirés au hasard : {baked.weights}",
            "network": "none",
            "megabytes": megabytes(filled),
            "models_seconds": build_seconds,
        }
        return report | ({"torchaudio": "extension remplacée"} if stub else {}) | _run(service, baked, filled, stub)
    finally:
        docker("image", "rm", "--force", filled)


def _mount(file: str, place: str) -> tuple[str, ...]:
    return ("-v", f"{ROOT / file}:{place}:ro", "-e", "PYTHONPATH=/make")


def _loads_torchaudio(service: str, image: str) -> bool:
    """Whether what pyannote needs loads. The index that torch was taken from may have no torchaudio for processors:
    the one for CUDA then came, which does not load beside it."""
    if service != "diarize":
        return True
    try:
        docker("run", "--rm", *run_options(), image, "python", "-c", "import torchaudio")
    except FailedError as wrong:
        if "libc10_cuda" in str(wrong) or "_torchaudio" in str(wrong):
            say("  torchaudio pour CUDA à côté d'un torch pour processeur : son extension est remplacée pour l'essai")
            return False
        raise
    return True


@contextmanager
def _hub(image: str, baked: Baked, token: str, stub: tuple[str, ...]) -> Iterator[str]:
    """The address of a hub that has the models, and wants the token."""
    volume = docker("volume", "create")
    try:
        mounts = [word for file in baked.of for word in _mount(file, f"/make/{file.rpartition('/')[2]}")]
        made = ("run", "--rm", "--network", "none", "-v", f"{volume}:/data", *mounts, *stub)
        docker(*made, image, "python", "-c", f"import pathlib; data = pathlib.Path('/data'); {baked.makes}")
        server = ("-v", f"{ROOT / 'tests/hub_server.py'}:/hub_server.py:ro", "-e", f"HUB_TOKEN={token}")
        run = ("run", "-d", "--no-healthcheck", "--name", _HUB, "-v", f"{volume}:/hub:ro", *server, image)
        docker(*run, "python", "/hub_server.py", "/hub", "8000")
        yield f"http://{docker('inspect', '-f', '{{.NetworkSettings.IPAddress}}', _HUB)}:8000"
    finally:
        _remove(_HUB)
        docker("volume", "rm", volume)


def _remove(name: str) -> None:
    if docker("ps", "-aq", "--filter", f"name=^{name}$"):
        docker("rm", "--force", "--volumes", name)


def _no_trace(image: str, token: str) -> None:
    """Raises `FailedError` when the image, its history or its settings have the token."""
    told = docker("history", "--no-trunc", image) + docker("image", "inspect", image)
    look = f"! grep -rlF {token} /opt/models /srv /data /models /tmp /etc"
    docker("run", "--rm", "--network", "none", "--user", "0", image, "sh", "-c", look)
    if token in told:
        raise FailedError(f"{image} : le jeton du hub y est resté.")


def _run(service: str, baked: Baked, image: str, stub: tuple[str, ...]) -> dict[str, Any]:
    first, second = baked.models
    begun = time.monotonic()
    mounts = (*_mount("scripts/docker_ask.py", "/ask.py"), *_mount(SAMPLE, "/sample.ogg"), *stub)
    options = ("--memory", _MEMORY, "--memory-swap", _MEMORY, "-e", f"{baked.variable}={second}")
    docker("run", "-d", "--name", NAME, *run_options(), *options, *mounts, image)
    try:
        until(lambda: _state(service, second) in {"ready", "error"}, f"{second} prêt", 600)
        report: dict[str, Any] = {"ready_seconds": timed(begun)}
        report["by_variable"] = _answer(service, baked, second)
        begun = time.monotonic()
        status, said = ask(service, "POST", f"/api/models/{first}/load", {})
        if status not in {200, 202}:
            raise FailedError(f"{first} n'a pas été pris : {status} {said}")
        until(lambda: _state(service, first) in {"ready", "error"}, f"{first} prêt", 600)
        report |= {"switch_seconds": timed(begun), "by_api": _answer(service, baked, first)}
        report["refused"] = _refused(service, baked)
        report |= {"memory_limit": _MEMORY, "cgroup_peak_megabytes": peak(NAME), "anonymous_megabytes": anonymous(NAME)}
        if docker("inspect", "-f", "{{.State.OOMKilled}} {{.State.Status}}", NAME) != "false running":
            raise FailedError(f"{image} a été tué.")
    except FailedError:
        print(docker("logs", "--tail", "30", NAME)[-4000:])
        raise
    finally:
        _remove(NAME)
    say(f"  {service:<8} hors ligne : {second} prêt en {report['ready_seconds']:.0f} s, puis {first}, par l'API")
    return report


def _state(service: str, key: str) -> str:
    """A model's state, or nothing while the service does not answer. Asking takes as much of a small machine as
    loading does: not too often."""
    time.sleep(1)
    _status, answer = ask(service, "GET", "/api/models")
    models = answer["models"] if isinstance(answer, dict) and "models" in answer else ()
    return next((str(model["state"]) for model in models if model["key"] == key), "")


def _answer(service: str, baked: Baked, key: str) -> dict[str, Any]:
    begun = time.monotonic()
    found = baked.asks(service)
    if found["model"] != key:
        raise FailedError(f"{service} devait répondre avec {key}, et non {found['model']}.")
    return found | {"seconds": timed(begun)}


def _refused(service: str, baked: Baked) -> dict[str, Any]:
    """What is said of a model that the image does not hold: it names those that it holds."""
    status, answer = ask(service, "POST", f"/api/models/{baked.absent}/load", {})
    error = answer.get("error") or {}
    if (status, error.get("code")) != (409, "model_not_baked"):
        raise FailedError(f"{baked.absent} devait être refusé par un 409 model_not_baked, et non {status} {answer}.")
    if absent := [key for key in baked.models if key not in error["message"]]:
        raise FailedError(f"Le refus ne nomme pas {', '.join(absent)} : {error['message']}")
    return {"model": baked.absent, "code": error["code"]}
