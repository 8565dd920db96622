"""A Product Vision Board (four numbered French sections and `Summary`) as a text to draw, and what is odd about it."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from chat.diagrams.labels import clean_label
from chat.diagrams.tidy import fold
from common.errors import ApiError
from common.messages import Text, _

# The sections, in order, with the names people give them (folded: no case, no accents).
SECTIONS = {
    "1. Utilisateur Cible": ("utilisateur cible", "utilisateurs cibles", "cible", "public cible", "groupe cible"),
    "2. Description du Produit": ("description du produit", "produit", "description"),
    "3. Fonctionnalités Clés": ("fonctionnalites cles", "fonctionnalites", "fonctions cles"),
    "4. Enjeux et Indicateurs": ("enjeux et indicateurs", "enjeux", "indicateurs", "objectifs"),
    "Summary": ("summary", "resume", "synthese"),
}
GOALS = "4. Enjeux et Indicateurs"
DEEPEST = 4
_NUMBER = re.compile(r"^\s*\d+\s*[.)°:-]*\s*")


@dataclass
class Board:
    """`text` is all of the board, with its headings; `lines` is what they say, one sentence a line.

    `goals` is where the section of the goals begins and ends in `text`.
    """

    text: str
    lines: str
    warnings: list[Text] = field(default_factory=list)
    goals: tuple[int, int] = (0, 0)


def read_board(given: Any) -> Board:
    """The board in a JSON object, or in its text. Raises `ApiError` 400 on what holds no section."""
    data = _object(given)
    found: dict[str, tuple[str, list[str]]] = {}
    warnings: list[Text] = []
    for key, value in data.items():
        name = _section(key)
        lines = _lines(value, 0)
        if not lines:
            warnings.append(_("Section vide, laissée de côté : « %(section)s ».", section=key))
            continue
        if name is None:
            warnings.append(_("Section inattendue, lue telle quelle : « %(section)s ».", section=key))
        elif name in found:
            warnings.append(_("Section donnée deux fois, réunie : « %(section)s ».", section=key))
        heading, before = found.get(name or key, (clean_label(key), []))
        found[name or key] = (heading, before + lines)
    if not found:
        raise _refused(_("Ce Product Vision Board est vide : aucune section n'a de texte."))
    missing = [name for name in SECTIONS if name not in found]
    if missing:
        warnings.insert(0, _("Sections absentes du Product Vision Board : %(sections)s.", sections=", ".join(missing)))
    order = [*SECTIONS, *(name for name in found if name not in SECTIONS)]
    parts = [found[name] for name in order if name in found]
    text = "\n\n".join(_part(*part) for part in parts)
    sentences = "\n".join(line for _heading, lines in parts for line in lines)
    goals = _part(*found[GOALS]) if GOALS in found else ""
    begin = text.find(goals)
    return Board(text, sentences, warnings, (begin, begin + len(goals)))


def _part(heading: str, lines: list[str]) -> str:
    return "\n".join([f"{heading} :", *(f"- {line}" for line in lines)])


def _object(given: Any) -> dict[str, Any]:
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError) as error:
            raise _refused(_("Ce Product Vision Board n'est pas du JSON valide.")) from error
    if not isinstance(given, dict):
        raise _refused(_("Un Product Vision Board est un objet JSON, une clé par section."))
    return given


def _section(key: str) -> str | None:
    """Which section a key names, whatever its number, case and accents."""
    wanted = fold(_NUMBER.sub("", key))
    return next((name for name, names in SECTIONS.items() if wanted in names), None)


def _lines(value: Any, depth: int) -> list[str]:
    """What a value says: a text, a list of them, or an object whose keys are words too."""
    if isinstance(value, bool) or value is None:
        return []
    if depth > DEEPEST:
        raise _refused(_("Ce Product Vision Board est trop imbriqué : %(most)s niveaux au plus.", most=DEEPEST))
    if isinstance(value, list):
        return [line for each in value for line in _lines(each, depth + 1)]
    if isinstance(value, dict):
        return [f"{clean_label(key)} : {line}" for key, each in value.items() for line in _lines(each, depth + 1)]
    return [line for line in clean_label(str(value)).split("\n") if line]


def _refused(message: Text) -> ApiError:
    return ApiError(400, "invalid_pvb", message, "pvb")
