"""Every French message has its English, and the compiled catalogues are those of the sources."""

import gettext
import re
from functools import cache

import pytest

from scripts import messages
from scripts.messages import PACKAGES, catalogue_path, missing

updated = cache(messages.updated)  # it reads all of a package
_PARAMETER = re.compile(r"%\((\w+)\)")


@pytest.mark.parametrize("package", PACKAGES)
def test_no_translation_is_missing(package: str) -> None:
    assert missing(updated(package)) == [], "run `make messages`, then fill the empty msgstr"


@pytest.mark.parametrize("package", PACKAGES)
def test_translations_keep_their_parameters_and_are_compiled(package: str) -> None:
    with catalogue_path(package).with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for message in updated(package):
        if message.id:
            msgid, english = str(message.id), str(message.string)
            assert sorted(set(_PARAMETER.findall(msgid))) == sorted(set(_PARAMETER.findall(english))), msgid
            assert compiled.gettext(msgid) == english
