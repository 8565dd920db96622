"""Room on the disk that models are kept on."""

from __future__ import annotations

import shutil
from pathlib import Path

MARGIN_BYTES = 256 * 2**20  # left free beside what is fetched


def free_bytes(folder: Path) -> int:
    """Bytes free where `folder` is, or will be."""
    place = next((path for path in (folder, *folder.absolute().parents) if path.exists()), Path("/"))
    return shutil.disk_usage(place).free
