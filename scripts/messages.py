"""Update the English catalogues from the French messages of the code: `make messages` (`--check` only looks).

For each service: extract what `_("…")` marks, keep the translations there are, drop what is no longer said, compile.
"""

import argparse
import sys
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from scripts.environment import PORTS, ROOT

PACKAGES = ("common", *PORTS)
_SKIPPED = {"web", "locales", "node_modules", "training"}
_DATE = datetime(2026, 11, 21, tzinfo=UTC)  # a fixed one: a catalogue changes only when its messages do
_HEADER = "# English translations of Frigo's messages. MIT licence, as the rest of Frigo."


def catalogue_path(package: str) -> Path:
    return ROOT / package / "locales" / "en" / "LC_MESSAGES" / "frigo.po"


def _is_read(folder: str) -> bool:
    path = Path(folder)
    return path.name not in _SKIPPED or path == ROOT / "common" / "web"


def updated(package: str) -> Catalog:
    """The package's catalogue with today's messages and the translations already there."""
    catalog = Catalog(
        locale="en",
        project="Frigo",
        version="0",
        header_comment=_HEADER,
        charset="utf-8",
        fuzzy=False,
        creation_date=_DATE,
        revision_date=_DATE,
        last_translator="",
        language_team="",
    )
    known = translations()
    known |= _read(catalogue_path(package))
    found = extract_from_dir(ROOT / package, method_map=[("**.py", "python")], directory_filter=_is_read)
    for filename, _line, msgid, _comments, _context in sorted(found, key=lambda one: (one[0], one[1])):
        if isinstance(msgid, str) and msgid:
            catalog.add(msgid, known.get(msgid, ""), locations=[(f"{package}/{filename}", 1)])
    return catalog


def _read(path: Path) -> dict[str, str]:
    """French → English of one catalogue, without what is not translated."""
    if not path.exists():
        return {}
    with path.open("rb") as file:
        return {str(one.id): str(one.string) for one in read_po(file, "en") if one.id and one.string}


def translations() -> dict[str, str]:
    """What any package has translated: the same sentence is not written twice."""
    merged: dict[str, str] = {}
    for package in PACKAGES:
        merged |= _read(catalogue_path(package))
    return merged


def missing(catalog: Catalog) -> list[str]:
    return [str(message.id) for message in catalog if message.id and not message.string]


def save(package: str, catalog: Catalog) -> None:
    path = catalogue_path(package)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = BytesIO()
    write_po(text, catalog, width=120, include_lineno=False)
    path.write_bytes(text.getvalue())
    with path.with_suffix(".mo").open("wb") as file:
        write_mo(file, catalog)


def main() -> int:
    parser = argparse.ArgumentParser(description="Met à jour les catalogues anglais des messages.")
    parser.add_argument("--check", action="store_true", help="ne rien écrire ; échouer s'il manque une traduction")
    options = parser.parse_args()
    absent = 0
    for package in PACKAGES:
        catalog = updated(package)
        untranslated = missing(catalog)
        absent += len(untranslated)
        if not options.check:
            save(package, catalog)
        print(f"{package} : {len(catalog)} messages, {len(untranslated)} sans traduction")
        for msgid in untranslated:
            print(f"    {msgid}")
    return 1 if options.check and absent else 0


if __name__ == "__main__":
    sys.exit(main())
