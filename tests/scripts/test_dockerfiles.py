"""The Dockerfiles that are committed are those that `scripts.dockerfiles` writes, and keep the house's promises."""

from __future__ import annotations

import re

import pytest

from scripts.dockerfiles import GPU, LITE, Image, images
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
