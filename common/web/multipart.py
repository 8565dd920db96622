"""A multipart/form-data body produced as it is sent, so that a file is never held in memory."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Mapping
from typing import IO

Part = str | list[str] | tuple[str, IO[bytes], str]  # a value, several, or (file name, open file, content type)
BLOCK_BYTES = 64 * 1024


def _quoted(text: str) -> str:
    """A parameter value that can't break out of its header (RFC 7578 §4.2 percent-encodes these)."""
    return re.sub(r'[\r\n"]', lambda match: f"%{ord(match.group()):02X}", text)


def _remaining(file: IO[bytes]) -> int:
    here = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(here)
    return end - here


def _flat(fields: Mapping[str, Part]) -> Iterator[tuple[str, str | tuple[str, IO[bytes], str]]]:
    for name, part in fields.items():
        if isinstance(part, list):
            yield from ((name, value) for value in part)
        else:
            yield name, part


class Multipart:
    """The body (iterate it), its `content_type` and its exact `length` in bytes. Files must be seekable."""

    def __init__(self, fields: Mapping[str, Part]) -> None:
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self._chunks: list[bytes | IO[bytes]] = []
        self.length = 0
        for name, part in _flat(fields):
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"'
            if isinstance(part, str):
                self._add(f"{head}\r\n\r\n{part}\r\n".encode())
                continue
            filename, file, content_type = part
            self._add(
                f'{head}; filename="{_quoted(filename)}"\r\nContent-Type: {_quoted(content_type)}\r\n\r\n'.encode()
            )
            self.length += _remaining(file)
            self._chunks.append(file)
            self._add(b"\r\n")
        self._add(f"--{boundary}--\r\n".encode())

    def _add(self, data: bytes) -> None:
        self.length += len(data)
        self._chunks.append(data)

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            if isinstance(chunk, bytes):
                yield chunk
                continue
            while block := chunk.read(BLOCK_BYTES):
                yield block
