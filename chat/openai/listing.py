"""/v1/models where keys or MODEL_ALIASES change what is seen: the models of a key, and the names that mean them."""

from __future__ import annotations

from typing import Any

from chat.keys.account import Account
from chat.llm import LanguageModel, names_of
from chat.openai.aliases import ModelAliases
from common.errors import ApiError


class Listing:
    """What a caller sees of gpt's models."""

    def __init__(self, llm: LanguageModel, aliases: ModelAliases) -> None:
        self._llm = llm
        self._aliases = aliases

    def all(self, account: Account | None) -> list[dict[str, Any]]:
        """gpt's models, then the aliases of each (`alias_of`), without those that the key does not allow."""
        own = self._llm.entries()
        taken = {name.lower() for entry in own for name in names_of(entry)}
        shown: list[tuple[str, dict[str, Any] | None]] = [(str(entry["id"]), entry) for entry in own]
        shown += [(name, self._entry(name)) for name in self._aliases.names if name.lower() not in taken]
        return [
            _under(name, entry)
            for name, entry in shown
            if entry is not None and (account is None or account.may_use([name, *names_of(entry)]))
        ]

    def one(self, name: str, account: Account | None) -> dict[str, Any]:
        """The model that `name` means, under that name. Raises ApiError 403, 404."""
        meant = self._aliases.meant(name, self._llm.knows)
        entry = self._llm.entry(meant)
        if account is not None:
            account.check_model(name, lambda: names_of(entry))
        return entry if meant == name else _under(name, entry)

    def _entry(self, alias: str) -> dict[str, Any] | None:
        """What an alias means of gpt's; None for a model of asr's, or one that is not there."""
        try:
            return self._llm.entry(self._aliases.meant(alias, self._llm.knows))
        except ApiError as error:
            if error.code in {"model_not_found", "model_not_ready"}:
                return None
            raise


def _under(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    """`entry` under `name`."""
    return entry if name == entry["id"] else {**entry, "id": name, "aliases": [], "alias_of": entry["id"]}
