"""The link opens the very diagram in mermaid.live."""

import base64
import json
import shutil
import subprocess
import zlib

import pytest

from chat.diagrams.link import live_url

DIAGRAM = 'flowchart TD\n    n1["Été 🚀 #34;là#34;"]\n'


def _packed(url: str) -> str:
    head, _sep, packed = url.partition("#pako:")
    assert head == "https://mermaid.live/edit"
    return packed


def test_the_link_holds_the_diagram_and_the_editors_settings() -> None:
    packed = _packed(live_url(DIAGRAM))
    assert not set(packed) & set("+/=")
    state = json.loads(zlib.decompress(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))))
    assert state["code"] == DIAGRAM
    assert json.loads(state["mermaid"]) == {"theme": "default"}


def test_javascript_reads_it_as_the_editor_does() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on PATH")
    script = (
        "const packed = Buffer.from(process.argv[1], 'base64url');"
        "process.stdout.write(JSON.parse(require('zlib').inflateSync(packed).toString('utf8')).code)"
    )
    done = subprocess.run([node, "-e", script, _packed(live_url(DIAGRAM))], capture_output=True, text=True, timeout=60)
    assert done.stdout == DIAGRAM


def test_the_same_diagram_has_the_same_link() -> None:
    assert live_url(DIAGRAM) == live_url(DIAGRAM)
    assert live_url(DIAGRAM) != live_url(DIAGRAM + "%% autre\n")
