"""Stands for the interpreter of vLLM's environment: takes vLLM's arguments, and fails in the ways vLLM does.

Written to a folder of its own as ``bin/python`` (see `stand_in`). What it does is in ``STAND_IN``: words, separated by
commas; what it was given is written to ``STAND_IN_SEEN``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LOG = """(APIServer pid=7) INFO 11-21 10:34:02 [api_utils.py:286] non-default args: {'model': '%(model)s'}
Loading safetensors checkpoint shards:  50%% Completed | 1/2 [00:00<00:00]
(EngineCore pid=8) ERROR 11-21 10:36:18 [core.py:1512] Traceback (most recent call last):
(EngineCore pid=8) ERROR 11-21 10:36:18 [core.py:1512]   File "%(env)s/lib/vllm/core.py", line 444, in get
(EngineCore pid=8) ERROR 11-21 10:36:18 [core.py:1512]     raise RuntimeError(
(EngineCore pid=8) ERROR 11-21 10:36:18 [core.py:1512] RuntimeError: %(what)s
\x1b[1;36m(APIServer pid=7)\x1b[0;0m ValueError: /srv/private/place.json and %(key)s, hf_abcdefghijklmnop
"""
WHAT = {
    "oom": "CUDA out of memory. Tried to allocate 2.00 GiB.",
    "unsupported": "Unsupported CPU attention configuration: head_dim=8",
    "cuda": "No CUDA GPUs are available",
    "import": "No module named 'flash_attn'",
    "crash": "something nobody has seen",
}


def stand_in(folder: Path) -> str:
    """Write it to `folder` as an interpreter; gives its path."""
    program = folder / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!{sys.executable}\n" + Path(__file__).read_text(encoding="utf-8"), encoding="utf-8")
    program.chmod(0o755)
    return str(program)


def main(argv: list[str]) -> int:
    todo = [word for word in os.environ.get("STAND_IN", "").split(",") if word]
    if "-c" in argv:  # is there a vLLM?
        print('noise\nfrigo:{"version": "0.0.1", "cuda": %s}' % ("true" if "gpu" in todo else "false"))
        return 0
    given = dict(word.split("=", 1) for word in argv if word.startswith("--") and "=" in word)
    seen = Path(os.environ["STAND_IN_SEEN"])
    starts = json.loads(seen.read_text(encoding="utf-8"))["starts"] if seen.exists() else 0
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)  # as an engine that left its parent's group
    told = {
        "argv": argv,
        "env": dict(os.environ),
        "cwd": os.listdir("."),  # noqa: PTH208
        "pids": [os.getpid(), child.pid],
        "starts": starts + 1,
    }
    seen.with_suffix(".new").write_text(json.dumps(told), encoding="utf-8")
    seen.with_suffix(".new").rename(seen)
    if "deaf" in todo:
        import signal

        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "flood" in todo:
        for number in range(20_000):
            print(f"line {number} " + "x" * 200)
    if "port" in todo and starts == 0:
        print("OSError: [Errno 98] Address already in use")
        return 1
    if "hang" in todo:
        time.sleep(600)
    for word in todo:
        if word in WHAT:
            _complain(given, WHAT[word])
            return 1
    if "killed" in todo:
        os.kill(os.getpid(), 9)
    ThreadingHTTPServer(("127.0.0.1", int(given["--port"])), _handler(given, todo)).serve_forever()
    return 0


def _complain(given: dict[str, str], what: str) -> None:
    env = str(Path(sys.argv[0]).absolute().parents[1])
    print(LOG % {"model": given["--model"], "env": env, "what": what, "key": os.environ["VLLM_API_KEY"]})


def _handler(given: dict[str, str], todo: list[str]) -> type[BaseHTTPRequestHandler]:
    loras: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_args: object) -> None:
            pass

        def do_GET(self) -> None:
            if self.path == "/health":
                self._say(200, {})
            elif self._allowed():
                names = [given["--served-model-name"], *loras]
                cards = [{"id": name, "object": "model", "max_model_len": 512} for name in names]
                self._say(200, {"object": "list", "data": cards})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if not self._allowed():
                return
            if "first token" in todo:
                _complain(given, WHAT["unsupported"])
                sys.stdout.flush()
                os._exit(1)
            if "silent" in todo:
                self._say(500, {"error": {"message": f"cannot read {given['--model']}/x", "code": 500}})
            elif self.path == "/v1/load_lora_adapter":
                loras[body["lora_name"]] = body["lora_path"]
                bad = "bad" in body["lora_name"]
                self._say(400 if bad else 200, {"message": f"{body['lora_path']} is no adapter", "object": "error"})
            elif self.path == "/v1/unload_lora_adapter":
                del loras[body["lora_name"]]
                self._say(200, {})
            elif body.get("model") not in {given["--served-model-name"], *loras}:
                self._say(404, {"error": {"message": "The model does not exist.", "code": 404}})
            elif body.get("stream"):
                self._stream(body)
            else:
                usage = {"prompt_tokens": 1, "completion_tokens": 1}
                self._say(
                    200, {"sent": body, "model": body["model"], "choices": [{"index": 0, "text": "é"}], "usage": usage}
                )

        def _stream(self, body: dict[str, object]) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream; charset=utf-8")
            self.send_header("Connection", "close")
            self.end_headers()
            for number in range(int(str(body.get("max_tokens", 3)))):
                event = {"choices": [{"index": 0, "text": f"é{number} "}]}
                self.wfile.write(f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode())
                self.wfile.flush()
                time.sleep(0.01)
            self.wfile.write(b"data: [DONE]\n\n")
            self.close_connection = True

        def _allowed(self) -> bool:
            if self.headers.get("Authorization") == f"Bearer {os.environ['VLLM_API_KEY']}":
                return True
            self._say(401, {"error": "Unauthorized"})
            return False

        def _say(self, status: int, body: object) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
