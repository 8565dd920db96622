"""The Dockerfiles that are committed are those that `scripts.dockerfiles` writes, and keep the house's promises."""

from __future__ import annotations

import re

import pytest

from scripts.dockerfiles import GPU, LITE, PRODUCTION, Image, images
from scripts.environment import ROOT


@pytest.mark.parametrize("image", images(), ids=lambda image: f"{image.service}-{image.kind}")
def test_a_dockerfile_is_the_one_that_is_written(image: Image) -> None:
    assert image.path.read_text(encoding="utf-8") == image.text(), "lancez « python -m scripts.dockerfiles »"


@pytest.mark.parametrize("image", images(), ids=lambda image: f"{image.service}-{image.kind}")
def test_an_image_keeps_its_promises(image: Image) -> None:
    text = image.text()
    final = text[text.rindex("\nFROM ") :]
    assert "\nFROM scratch\n" in final
    assert "USER 1000:1000" in final
    assert "STOPSIGNAL SIGTERM" in final
    assert "HEALTHCHECK" in final
    assert not re.search(r"\b(curl|apt-get|pip|npm)\b", final)
    assert not re.search(r"TOKEN|SECRET|PASSWORD", final)
    assert "syntax=" not in text
    assert (ROOT / "docker" / "locks" / f"{image.lock}.txt").is_file()
    assert not (image.kind == GPU and "torch" in image.lock and "CUDA_IMAGE" not in text)


@pytest.mark.parametrize("image", [image for image in images() if image.kind == LITE], ids=lambda image: image.service)
def test_a_light_image_installs_no_torch_and_every_pin_has_a_hash(image: Image) -> None:
    lines = (ROOT / "docker" / "locks" / f"{image.lock}.txt").read_text(encoding="utf-8")
    pins = re.findall(r"^([\w.-]+)==\S+ \\\n    --hash=sha256:", lines, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^[\w.-]+==", lines, re.MULTILINE)) > 20
    assert not {"torch", "transformers", "scipy", "hf-xet"} & set(pins)
    assert "torch==" not in image.text()


@pytest.mark.parametrize("image", [image for image in images() if image.kind == LITE], ids=lambda image: image.service)
def test_what_images_install_is_what_is_pinned(image: Image) -> None:
    folder = ROOT / image.service
    wanted = set()
    for name in ("requirements.txt", "requirements-nodeps.txt"):
        if (folder / name).is_file():
            wanted |= {
                line for line in (folder / name).read_text().splitlines() if "==" in line and "hf-xet" not in line
            }
    locked = (ROOT / "docker" / "locks" / f"{image.lock}.txt").read_text(encoding="utf-8")
    assert set(re.findall(r"^[\w.-]+==[^\s\\]+", locked, re.MULTILINE)) == wanted


@pytest.mark.parametrize("image", [image for image in images() if image.kind == GPU], ids=lambda image: image.service)
def test_a_gpu_image_installs_nothing_without_its_hash(image: Image) -> None:
    text = image.text()
    installs = re.findall(r"pip --python \S+ install .*", text)
    assert len(installs) == (3 if image.service == "gpt" else 2)
    for line in installs:
        found = re.search(r"--no-deps --require-hashes -r /tmp/(\S+)\.txt", line)
        assert found, line
        lock = (ROOT / "docker" / "locks" / f"{found[1]}.txt").read_text(encoding="utf-8")
        pins = re.findall(r"^[\w.-]+==.* \\\n    --hash=sha256:", lock, re.MULTILINE)
        assert len(pins) == len(re.findall(r"^[^#\s]", lock, re.MULTILINE)) > 20
    cuda = (ROOT / "docker" / "locks" / "torch-cuda.txt").read_text(encoding="utf-8")
    assert "\nnvidia-cublas==" in cuda
    assert "+cpu" not in cuda
    # Its Python must not want a newer C library than the CUDA image has.
    assert "ARG PYTHON_IMAGE=python:3.11-slim-bookworm\n" in text


@pytest.mark.parametrize("image", [image for image in images() if image.kind == PRODUCTION], ids=lambda i: i.service)
def test_what_is_built_for_a_torch_comes_from_the_same_index(image: Image) -> None:
    lock = (ROOT / "docker" / "locks" / f"{image.lock}.txt").read_text(encoding="utf-8")
    pins = re.findall(r"^torch(?:audio|vision)==[^\s\\]+", lock, re.MULTILINE)
    line = re.search(r'--index-url "\$TORCH_INDEX_URL" (.*)', image.text())
    assert bool(line) == image.torch
    assert line is None or set(pins) <= set(line[1].split())


@pytest.mark.parametrize("image", images(), ids=lambda image: f"{image.service}-{image.kind}")
def test_a_lock_has_the_hashes_of_every_machine_s_files(image: Image) -> None:
    """An index beside PyPI may have one file of a version: soundfile's without its library, numpy's for amd64 alone."""
    lock = (ROOT / "docker" / "locks" / f"{image.lock}.txt").read_text(encoding="utf-8")
    for library in ("numpy", "pydantic-core", "soxr", "soundfile", "scipy", "pyyaml"):
        found = re.search(rf"^{library}==\S+((?: \\\n    --hash=sha256:\w+)+)", lock, re.MULTILINE)
        assert found is None or found[1].count("--hash") >= 4, library
