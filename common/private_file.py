"""Files that hold a secret: readable by their owner only, from their first byte, and never seen half written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_private(folder: Path, content: str) -> Path:
    """A new file of `folder` (0600) that holds `content`, to be moved to its place. Raises `OSError`."""
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".secret-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)
