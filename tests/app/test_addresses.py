"""Which addresses a container announces."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.addresses import addresses
from app.settings import AppSettings


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ["http://127.0.0.1:5000"]),
        ({"host_port": 8080}, ["http://127.0.0.1:8080"]),
        ({"host_port": 8080, "published_address": "0.0.0.0"}, ["http://localhost:8080"]),
        ({"published_address": "192.168.1.7"}, ["http://192.168.1.7:5000"]),
        ({"advertised_hosts": "frigo.local, 192.168.1.7"}, ["http://frigo.local:5000", "http://192.168.1.7:5000"]),
        ({"advertised_hosts": "172.18.0.3,host.docker.internal,fe80::1,10.0.0.4"}, ["http://[fe80::1]:5000", "http://10.0.0.4:5000"]),
        ({"advertised_hosts": "https://frigo.example"}, ["https://frigo.example"]),
        ({"main_app_url": "https://frigo.example/"}, ["https://frigo.example", "http://127.0.0.1:5000"]),
    ],
)  # fmt: skip
def test_addresses(tmp_path: Path, given: dict[str, object], expected: list[str]) -> None:
    assert addresses(AppSettings(data_dir=tmp_path, **given)) == expected
