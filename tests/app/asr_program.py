"""A fake asr as a process of its own: ``python -m tests.app.asr_program PORT JSON``, to be killed."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

from werkzeug.serving import make_server

from tests.app.fakes import FakeServices


class Noted(list[float]):
    """A list that also writes what it is given to a file, line by line: it outlives the process."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def append(self, item: float) -> None:
        with self._path.open("a") as file:
            file.write(f"{item}\n")
        super().append(item)


def main() -> None:
    given = json.loads(sys.argv[2])
    fakes = FakeServices(
        words=[tuple(word) for word in given["words"]],
        chunk_seconds=given["chunk_seconds"],
        decoded=Noted(Path(given["decoded"])),
        gates={name: threading.Event() for name in given["gates"]},
    )
    make_server("127.0.0.1", int(sys.argv[1]), fakes.app(), threaded=True).serve_forever()


if __name__ == "__main__":
    main()
