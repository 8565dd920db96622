"""The address of an editable copy at mermaid.live. Only written: the diagram is in its fragment, sent to nobody."""

import base64
import json
import zlib

EDITOR = "https://mermaid.live/edit#pako:"


def live_url(mermaid: str) -> str:
    """The address that opens `mermaid` in the editor: its state as JSON, deflated, in URL-safe base64 (js-base64's)."""
    state = {
        "code": mermaid,
        "mermaid": json.dumps({"theme": "default"}, indent=2),
        "autoSync": True,
        "updateDiagram": True,
    }
    packed = zlib.compress(json.dumps(state, ensure_ascii=False).encode(), 9)
    return EDITOR + base64.urlsafe_b64encode(packed).decode().rstrip("=")
