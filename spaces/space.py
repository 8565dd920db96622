"""The Space's entry point (`app_file`): what runs here decides which model draws.

`SPACE_MODEL` names another model: a hub id, or a key of gpt's catalogue where there is no ZeroGPU.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parent):  # the Space has everything beside this file; a checkout, in its root
    if (folder / "common").is_dir() and str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
sys.path.insert(0, str(HERE))
state = Path(os.environ.setdefault("DATA_DIR", str(Path(tempfile.gettempdir()) / "frigo-space")))
os.environ.setdefault("LOG_DIR", str(state / "logs"))
os.environ.setdefault("MAX_AUDIO_MINUTES", "3")

from frigo_space.hardware import Hardware, detect  # noqa: E402  the paths come first

ON_LENT_GPU, ON_GPU, ON_CPU = "Qwen/Qwen3-4B-Instruct-2507", "qwen3-4b", "frigo-mini"


def drawing_model(hardware: Hardware) -> tuple[Any, str]:
    """What writes the diagrams on this hardware, once it is ready, and its name."""
    asked = os.environ.get("SPACE_MODEL", "").strip()
    if hardware.kind == "zerogpu":
        from frigo_space.zero import ZeroModel

        return ZeroModel(asked or ON_LENT_GPU), asked or ON_LENT_GPU
    from chat.llm import LanguageModel
    from frigo_space.services import language_service

    model = asked or (ON_GPU if hardware.kind == "gpu" else ON_CPU)
    return LanguageModel(language_service(model)), model  # type: ignore[arg-type]  # a peer in this process


def build() -> Any:
    """The page, its models loading."""
    from frigo_space.drawing import Studio, parser
    from frigo_space.page import build as page
    from frigo_space.services import speech_service

    hardware = detect()
    llm, model = drawing_model(hardware)
    print(f"Frigo : {model}, sur {hardware.described()}", flush=True)
    return page(Studio(llm, parser()), speech_service("pocketsphinx"), hardware, model)


if __name__ == "__main__":
    build().queue(max_size=32).launch(
        server_name=os.environ.get("GRADIO_SERVER_NAME", "0.0.0.0"),  # noqa: S104  a container's only port
        server_port=int(os.environ.get("PORT", "7860")),
        show_error=False,
    )
