"""JSON in and out: French letters as they are; bodies that Python would choke on later are refused as no JSON."""

from __future__ import annotations

import json
import re
from typing import Any

from flask.json.provider import DefaultJSONProvider

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class StrictJSON(DefaultJSONProvider):
    """Raises `ValueError` (Flask's 400) on nesting too deep and on half characters (a lone ``\\ud800``)."""

    ensure_ascii = False
    sort_keys = False

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Parse `s`."""
        try:
            value = super().loads(s, **kwargs)
            if _SURROGATE.search(s.encode("utf-8", "surrogatepass") if isinstance(s, str) else s):
                json.dumps(value, ensure_ascii=False).encode()  # UnicodeEncodeError is a ValueError
        except RecursionError as error:
            raise ValueError("nested too deep") from error
        return value
