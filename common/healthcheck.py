"""Whether this container's service answers: `python -m common.healthcheck` (images have no curl). Exits 0 or 1."""

from __future__ import annotations

import http.client
import os
import sys

TIMEOUT_S = 4.0


def answers(port: int, path: str = "/health") -> bool:
    """Whether GET `path` on this machine gives 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if answers(int(os.environ["PORT"])) else 1)
