"""vLLM as a supervised server. Most of it on a stand-in that fails as vLLM does; the real one is in test_vllm_real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from common.errors import ApiError
from common.machine.gpus import Gpu
from common.machine.resources import Resources
from common.messages import Text
from gpt.engines.base import AdapterEngine, Message
from gpt.engines.forwarding import ForwardingEngine
from gpt.engines.options import EngineOptions
from gpt.engines.vllm import engine as engine_module
from gpt.engines.vllm.command import PLAIN_TEMPLATE, VllmOptions, arguments, variables
from gpt.engines.vllm.diagnosis import cause_of, scrub, tail
from gpt.engines.vllm.engine import VllmEngine
from gpt.engines.vllm.extra import read_extra_args
from gpt.engines.vllm.installed import Vllm, available
from gpt.factory import create_app
from gpt.prompts import PLAIN_STOPS, plain_chat
from tests.gpt.conftest import CHATML, ready_registry, settings_for, wait_until
from tests.gpt.vllm_stand_in import stand_in

SECRET = "hub-token-never-to-be-passed-on"
GIB = 2**30


class Place:
    """A stand-in in a folder of its own, and what it was given."""

    def __init__(self, folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.python = stand_in(folder / "environment")
        self.model = model
        self._seen = folder / "seen.json"
        self._patch = monkeypatch
        self.do("")
        monkeypatch.setenv("STAND_IN_SEEN", str(self._seen))
        monkeypatch.setenv("HUGGINGFACE_TOKEN", SECRET)
        monkeypatch.setenv("IA_REMOTE_API_KEY", SECRET)

    def do(self, words: str) -> None:
        self._patch.setenv("STAND_IN", words)

    def open(self, options: EngineOptions | None = None, **more: Any) -> VllmEngine:
        return VllmEngine("tiny", self.model, options or EngineOptions(use_gpu=False), VllmOptions(self.python), **more)

    def refused(self, words: str, **more: Any) -> ApiError:
        self.do(words)
        with pytest.raises(ApiError) as caught:
            self.open(**more).close()
        self.gone()
        return caught.value

    @property
    def seen(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._seen.read_text(encoding="utf-8"))
        return found

    def gone(self) -> None:
        """Nothing of the last start is left; nothing is known of one that was ended before it said so."""
        if not self._seen.exists():
            return
        wait_until(lambda: not any(_alive(pid) for pid in self.seen["pids"]))


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The outside of a model: the stand-in never opens it."""
    folder = tmp_path / "models" / "tiny"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "num_attention_heads": 12}))
    return folder


@pytest.fixture
def place(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    available.cache_clear()
    yield Place(tmp_path, model, monkeypatch)
    available.cache_clear()


# --- a server that starts ------------------------------------------------------------------------------------------


def test_requests_go_to_a_server_on_loopback_that_nobody_else_can_use(place: Place) -> None:
    engine = place.open()
    try:
        assert isinstance(engine, ForwardingEngine)
        assert isinstance(engine, AdapterEngine)
        assert engine.context == 512
        with engine.forward("/completions", {"model": "anything", "prompt": "a"}) as answer:
            assert answer.read().json()["model"] == "tiny"
        argv, env = place.seen["argv"], place.seen["env"]
        assert "--host=127.0.0.1" in argv
        assert f"--model={place.model}" in argv
        assert len(env["VLLM_API_KEY"]) > 30
        assert env["VLLM_API_KEY"] not in " ".join(argv), "arguments can be read by every user"
        assert SECRET not in str(env)
        assert env["HF_HUB_OFFLINE"] == "1"
        assert place.seen["cwd"] == [], "nothing of ours is importable from where it runs"
    finally:
        engine.close()
    place.gone()


def test_a_base_model_chats_plainly_and_stops_in_time(place: Place) -> None:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    turns: list[Message] = [
        {"role": "system", "content": "Sois bref."},
        {"role": "developer", "content": "En français."},
        {"role": "user", "content": "Bonjour"},
        {"role": "assistant", "content": "Bonjour !"},
        {"role": "user", "content": "Ça va ?"},
    ]
    template = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(
        PLAIN_TEMPLATE.read_text(encoding="utf-8")
    )
    for messages in (turns, turns[2:], turns[:3]):
        assert template.render(messages=messages) == plain_chat(messages)

    def sent(path: str, **more: Any) -> Any:
        with engine.forward(path, {"prompt": "a", **more}) as answer:
            return answer.read().json()["sent"].get("stop")

    engine = place.open()
    try:
        assert f"--chat-template={PLAIN_TEMPLATE}" in place.seen["argv"]
        assert sent("/chat/completions") == list(PLAIN_STOPS)
        assert sent("/chat/completions", stop="X") == ["X", *PLAIN_STOPS]
        assert sent("/completions") is None
    finally:
        engine.close()
    (place.model / "chat_template.jinja").write_text("{{ messages }}", encoding="utf-8")
    engine = place.open()
    try:
        assert not any(word.startswith("--chat-template") for word in place.seen["argv"])
        assert sent("/chat/completions", stop=["X"]) == ["X"]
    finally:
        engine.close()


def test_nothing_is_left_when_it_is_closed(place: Place) -> None:
    engine = place.open()
    assert engine.memory_bytes() > 10 * 2**20, "keeper, server and its child"
    assert all(_alive(pid) for pid in place.seen["pids"])
    engine.close()
    assert not _alive(engine.pid)
    assert not any(_alive(pid) for pid in place.seen["pids"]), "gone when close returns"
    assert engine.memory_bytes() == 0
    engine.close()


def test_a_server_that_does_not_want_to_stop_is_killed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "GRACE_SECONDS", 0.2)
    place.do("deaf")
    engine = place.open()
    engine.close()
    assert not any(_alive(pid) for pid in place.seen["pids"])


def test_a_log_that_nobody_reads_blocks_nothing(place: Place) -> None:
    place.do("flood")
    place.open().close()


def test_a_port_taken_meanwhile_is_replaced(place: Place) -> None:
    place.do("port")
    engine = place.open()
    engine.close()
    assert place.seen["starts"] == 2


# --- a server that does not -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "status", "code", "said"),
    [
        ("oom", 507, "out_of_memory", "mémoire"),
        ("unsupported", 422, "model_unsupported", "head_dim=8"),
        ("cuda", 422, "cuda_missing", "GPU"),
        ("import", 501, "engine_not_installed", "VLLM_PYTHON"),
        ("crash", 503, "engine_failed", "something nobody has seen"),
        ("killed", 507, "out_of_memory", "mémoire"),
    ],
)
def test_the_cause_is_told_with_the_end_of_the_log(place: Place, word: str, status: int, code: str, said: str) -> None:
    error = place.refused(word)
    message = str(error.message)
    assert (error.status, error.code) == (status, code)
    assert said in message
    if word != "killed":
        assert "ValueError: …/place.json and …, …" in message
        for hidden in (
            str(place.model.parent),
            place.python,
            "/srv/private",
            "hf_abc",
            place.seen["env"]["VLLM_API_KEY"],
        ):
            assert hidden not in message
        assert "INFO" not in message
        assert "Completed" not in message


def test_a_model_refused_at_its_first_token_is_refused_at_load(place: Place) -> None:
    error = place.refused("first token")
    assert error.code == "model_unsupported"
    assert "head_dim=8" in str(error.message)


def test_a_server_that_starts_and_cannot_answer_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "ASK_SECONDS", 0.3)
    error = place.refused("silent")
    assert error.code == "model_unsupported"
    assert "cannot read tiny/x" in str(error.message)


def test_a_server_that_is_never_ready_is_ended(place: Place) -> None:
    error = place.refused("hang", load_seconds=2.0)
    assert error.code == "engine_failed"


def test_an_environment_without_vllm_is_told(place: Place) -> None:
    with pytest.raises(ApiError) as caught:
        VllmEngine("tiny", place.model, EngineOptions(use_gpu=False), VllmOptions(sys.executable))
    assert (caught.value.status, caught.value.code) == (501, "engine_not_installed")


def test_a_build_for_gpus_is_not_started_without_one(place: Place) -> None:
    place.do("gpu")
    with pytest.raises(ApiError) as caught:
        place.open()
    assert caught.value.code == "cuda_missing"


def test_the_interpreter_is_asked_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert available(place.python) == Vllm("0.0.1", cuda=False)
    monkeypatch.setattr(subprocess, "run", lambda *_args, **_more: pytest.fail("asked again"))
    assert available(place.python) == Vllm("0.0.1", cuda=False)


def test_no_vllm_and_no_interpreter_are_the_same(tmp_path: Path) -> None:
    available.cache_clear()
    assert available(sys.executable) is None
    assert available(str(tmp_path / "nothing")) is None
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'ImportError: torchvision' >&2\nexit 1\n")
    broken.chmod(0o755)
    assert available(str(broken)) is None


# --- deaths ----------------------------------------------------------------------------------------------------------


def test_a_server_that_dies_is_reported_once_and_refuses(place: Place) -> None:
    engine = place.open()
    reasons: list[Text] = []
    engine.watch(reasons.append)
    os.kill(place.seen["pids"][0], signal.SIGKILL)
    wait_until(lambda: bool(reasons))
    assert "mémoire" in str(reasons[0])
    place.gone()
    with pytest.raises(ApiError) as caught:
        engine.forward("/completions", {"prompt": "a"})
    assert (caught.value.status, caught.value.code) == (503, "peer_unavailable")
    engine.watch(reasons.append)
    assert len(reasons) == 2, "told at once to who asks later"
    engine.close()
    assert len(reasons) == 2


def test_closing_is_no_death(place: Place) -> None:
    others = set(threading.enumerate())
    engine = place.open()
    reasons: list[Text] = []
    engine.watch(reasons.append)
    engine.close()
    wait_until(lambda: not any(one.name == "vllm-watch" for one in set(threading.enumerate()) - others))
    assert not reasons


PARENT = """
import sys, threading, time
from pathlib import Path
from gpt.engines.options import EngineOptions
from gpt.engines.vllm.command import VllmOptions
from gpt.engines.vllm.engine import VllmEngine

def load():
    global engine
    engine = VllmEngine("tiny", Path(sys.argv[2]), EngineOptions(use_gpu=False), VllmOptions(sys.argv[1]))

thread = threading.Thread(target=load)  # as the registry does: the thread that starts it does not live on
thread.start()
thread.join()
time.sleep(0.3)
engine.forward("/completions", {"prompt": "a"}).close()
print("ready", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("victim", ["parent", "keeper"])
def test_nothing_survives_a_parent_that_is_killed(place: Place, victim: str) -> None:
    root = Path(__file__).resolve().parents[2]
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), place.python, str(place.model)],
        cwd=root,
        stdout=subprocess.PIPE,
    )
    try:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n", "and it survived the thread that started it"
        server = psutil.Process(place.seen["pids"][0])
        if victim == "parent":
            parent.kill()
            place.gone()
        else:
            server.parent().kill()
            wait_until(lambda: not _alive(place.seen["pids"][0]))  # its own children are vLLM's to end
    finally:
        parent.kill()
        parent.wait()
        if parent.stdout is not None:
            parent.stdout.close()
        for pid in place.seen["pids"]:
            if _alive(pid):
                os.kill(pid, signal.SIGKILL)


def test_gpt_streams_from_it_and_starts_it_again(
    place: Place, tiny_llama: Path, tmp_path: Path, serve: Callable[..., str]
) -> None:
    import urllib3

    settings = settings_for(tiny_llama, tmp_path / "cache", ia_engine="vllm", vllm_python=place.python)
    registry = ready_registry(settings)
    try:
        url = serve(create_app(settings, registry))
        http = urllib3.PoolManager(timeout=20, retries=False)
        body = {"prompt": "Il", "stream": True, "max_tokens": 5}

        def text() -> str:
            return http.request("POST", f"{url}/v1/completions", json=body).data.decode()

        expected = "".join(f'data: {{"choices": [{{"index": 0, "text": "é{n} "}}]}}\n\n' for n in range(5))
        assert text() == expected + "data: [DONE]\n\n"
        assert f"--served-model-name={tiny_llama.name}" in place.seen["argv"]
        os.kill(place.seen["pids"][0], signal.SIGKILL)
        wait_until(lambda: place.seen["starts"] == 2)
        wait_until(lambda: registry.ready() == {"model": "ready"})
        assert text() == expected + "data: [DONE]\n\n"
    finally:
        registry.close()
    place.gone()


# --- adapters ---------------------------------------------------------------------------------------------------


def adapter(folder: Path, rank: int = 12) -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"r": rank}))
    return folder


def test_adapters_are_given_at_start_and_added_while_it_serves(place: Place, tmp_path: Path) -> None:
    one, two, bad = (adapter(tmp_path / "adapters" / name) for name in ("one", "two", "bad"))
    engine = place.open(EngineOptions(use_gpu=False, adapters=(("one", one),)))
    try:
        argv, env = place.seen["argv"], place.seen["env"]
        assert json.loads(argv[argv.index("--lora-modules") + 1]) == {"name": "one", "path": str(one)}
        assert {"--enable-lora", "--max-lora-rank=16", "--max-loras=1"} <= set(argv)
        assert env["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"
        engine.load_adapter("two", two)
        engine.load_adapter("two", two)
        assert engine.adapters() == ("one", "two")
        with engine.forward("/completions", {"model": "x", "prompt": "a"}, "two") as answer:
            assert answer.read().json()["model"] == "two"
        with pytest.raises(ApiError) as caught:
            engine.load_adapter("bad", bad)
        assert (caught.value.status, caught.value.code) == (422, "adapter_unusable")
        assert str(tmp_path) not in str(caught.value.message)
        with pytest.raises(ApiError, match="adapter_unusable"):
            engine.load_adapter("huge", adapter(tmp_path / "huge", rank=4096))
        engine.unload_adapter("two")
        engine.unload_adapter("two")
        assert engine.adapters() == ("one",)
        with pytest.raises(ApiError) as caught:
            engine.forward("/completions", {"prompt": "a"}, "two")
        assert (caught.value.status, caught.value.code) == (404, "model_not_found")
    finally:
        engine.close()


def test_a_server_without_adapters_cannot_be_given_one(place: Place, tmp_path: Path) -> None:
    engine = place.open()
    try:
        with pytest.raises(ApiError) as caught:
            engine.load_adapter("one", adapter(tmp_path / "one"))
        assert (caught.value.status, caught.value.code) == (409, "adapters_disabled")
    finally:
        engine.close()


# --- the command ------------------------------------------------------------------------------------------------


def gpus(*free: int) -> tuple[Gpu, ...]:
    return tuple(Gpu(index, "H", 80 * GIB, size * GIB, f"GPU-{index}") for index, size in enumerate(free))


def command(model: Path, options: EngineOptions, resources: Resources, *, cuda: bool, **more: Any) -> list[str]:
    return arguments(model, "key", 7, options, VllmOptions("py", **more), resources, cuda=cuda)


def test_gpus_are_shared_as_asked_or_as_the_heads_allow(model: Path) -> None:
    four = Resources(GIB, GIB, 2.0, gpus(80, 80, 80, 80, 80))
    assert "--tensor-parallel-size=4" in command(model, EngineOptions(), four, cuda=True), "12 heads, 5 GPUs"
    two = EngineOptions(gpu_device_ids=(1, 3))
    assert "--tensor-parallel-size=2" in command(model, two, four, cuda=True)
    given = variables("k", two, VllmOptions("py"), {}, cuda=True)
    assert given["CUDA_VISIBLE_DEVICES"] == "1,3"
    given = variables("k", two, VllmOptions("py"), {"CUDA_VISIBLE_DEVICES": "4,5,6,7"}, cuda=True)
    assert given["CUDA_VISIBLE_DEVICES"] == "5,7", "positions among those that this process sees"
    with pytest.raises(ApiError, match="gpu_missing"):
        variables("k", two, VllmOptions("py"), {"CUDA_VISIBLE_DEVICES": "4,5"}, cuda=True)


@pytest.mark.parametrize(("free", "share"), [((80, 80), "0.92"), ((80, 41), "0.5"), ((1, 80), "0.05")])
def test_the_fullest_gpu_decides_how_much_is_taken(model: Path, free: tuple[int, ...], share: str) -> None:
    given = command(model, EngineOptions(), Resources(GIB, GIB, 2.0, gpus(*free)), cuda=True)
    assert f"--gpu-memory-utilization={share}" in given


def test_a_cpu_s_cache_is_bounded(model: Path) -> None:
    def cache(available_bytes: int, options: EngineOptions) -> int:
        given = command(model, options, Resources(64 * GIB, available_bytes, 2.0), cuda=False)
        return int(next(word for word in given if word.startswith("--kv-cache-memory-bytes=")).partition("=")[2])

    assert cache(60 * GIB, EngineOptions()) == 8 * GIB
    assert cache(5 * GIB, EngineOptions()) == 1 * GIB
    assert cache(1 * GIB, EngineOptions()) == 64 * 2**20
    assert cache(60 * GIB, EngineOptions(cache_bytes=123)) == 123


@pytest.mark.parametrize(
    ("template", "extra", "parsers"),
    [
        (CHATML, (), []),
        ("{{ tools }}<tool_call><think></think>", (), [
            "--enable-auto-tool-choice", "--tool-call-parser=hermes", "--reasoning-parser=deepseek_r1"]),
        ("{{ enable_thinking }}<think></think>", (), ["--reasoning-parser=qwen3"]),  # heeds what switches it off
        ("{{ tools }}[TOOL_CALLS]", (), ["--enable-auto-tool-choice", "--tool-call-parser=mistral"]),
        ("{{ tools }}<|python_tag|>", ("--tool-call-parser=llama4_pythonic",), []),
    ],
)  # fmt: skip
def test_the_template_chooses_vllm_s_parsers(
    template: str, extra: tuple[str, ...], parsers: list[str], tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "chat_template.jinja").write_text(template)
    given = command(tmp_path, EngineOptions(), Resources(GIB, GIB, 2.0), cuda=False, extra_args=extra)
    assert [word for word in given if "parser" in word or "tool-choice" in word] == [*parsers, *extra]


def test_options_become_arguments(model: Path) -> None:
    here = Resources(GIB, GIB, 2.0, gpus(80))
    given = command(model, EngineOptions(context=1234, quantization="int8"), here, cuda=True)
    assert {"--max-model-len=1234", "--quantization=int8_per_channel_weight_only", "--dtype=auto"} <= set(given)
    assert "--trust-remote-code" not in given
    given = command(model, EngineOptions(), here, cuda=True, ray_address="head:6379", extra_args=("--seed", "1"))
    assert "--distributed-executor-backend=ray" in given
    assert given[-2:] == ["--seed", "1"]
    assert variables("k", EngineOptions(), VllmOptions("py", "head:6379"), {}, cuda=True)["RAY_ADDRESS"] == "head:6379"


@pytest.mark.parametrize(("quantization", "cuda"), [("nf4", True), ("nf4", False), ("int8", False)])
def test_a_precision_that_vllm_lacks_is_refused(model: Path, quantization: Any, cuda: bool) -> None:
    with pytest.raises(ApiError) as caught:
        command(model, EngineOptions(quantization=quantization), Resources(GIB, GIB, 2.0), cuda=cuda)
    assert caught.value.code == "unsupported_quantization"


def test_small_float32_weights_stay_exact_on_a_cpu(tiny_llama: Path) -> None:
    here = Resources(GIB, 9 * GIB, 2.0)
    assert "--dtype=float32" in command(tiny_llama, EngineOptions(), here, cuda=False)
    assert "--dtype=auto" in command(tiny_llama, EngineOptions(), here, cuda=True)


@pytest.mark.parametrize(
    "value",
    [
        "--host 0.0.0.0",
        "--api-key=x",
        "--trust-remote-code",
        "--model other",
        "-tp 2",
        "stray",
        "--seed 1 --port=8",
        "'",
    ],
)
def test_arguments_that_open_doors_are_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"refusé|suit|guillemets"):
        read_extra_args(value)


def test_arguments_that_tune_are_accepted() -> None:
    assert read_extra_args("--max-num-seqs=8 --seed -1 --limit-mm-per-prompt '{\"image\": 2}'") == (
        "--max-num-seqs=8", "--seed", "-1", "--limit-mm-per-prompt", '{"image": 2}',
    )  # fmt: skip
    assert read_extra_args("") == ()


# --- logs -------------------------------------------------------------------------------------------------------


def test_warnings_are_no_cause() -> None:
    lines = ["(Worker pid=1) WARNING 11-21 10:00:00 [x.py:1] sleep mode is not supported on CPU, ignore it."]
    assert cause_of(lines, 1).kind == "unknown"


def test_the_tail_is_short_and_says_nothing_twice() -> None:
    lines = [f"ValueError: {number}" for number in range(100) for _again in range(3)]
    assert tail(lines, {}).splitlines() == [f"ValueError: {number}" for number in range(80, 100)]
    assert len(tail(["ValueError: " + "x" * 9999], {})) == 400


def test_paths_and_tokens_are_scrubbed_and_addresses_are_not() -> None:
    text = "open('/srv/models/x/y.bin') at http://127.0.0.1:80/v1/models, Bearer abc.def, sk-12345678abc 1/2 a/b"
    assert scrub(text, {}) == "open('…/y.bin') at http://127.0.0.1:80/v1/models, … … 1/2 a/b"
