"""JSON in and out: French letters as they are; bodies that Python would choke on later are refused as no JSON."""

from __future__ import annotations

import json
import re
from typing import Any

from flask.json.provider import DefaultJSONProvider

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")


def loads(data: str | bytes, **kwargs: Any) -> Any:
    """Parse `data`. Raises `ValueError` on what is no JSON, on nesting too deep and on half characters."""
    if not isinstance(data, str):
        data = data.decode(json.detect_encoding(data))  # `json.loads` by itself lets half characters through
    try:
        value = json.loads(data, **kwargs)
        if _SURROGATE.search(data):
            json.dumps(value, ensure_ascii=False).encode()  # UnicodeEncodeError is a ValueError
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    return value


class StrictJSON(DefaultJSONProvider):
    """Raises `ValueError` (Flask's 400) on nesting too deep and on half characters (a lone ``\\ud800``)."""

    ensure_ascii = False
    sort_keys = False

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """As the function of that name."""
        return loads(s, **kwargs)
