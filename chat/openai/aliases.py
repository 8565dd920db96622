"""MODEL_ALIASES: the names that clients are bound to (gpt-4o-mini…), and which of our models each means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from chat.keys.account import Account
from chat.llm import is_default

ANY = "*"
Names = Callable[[str | None], list[str]]
"""The id, then the aliases, of a model; None: of the one that answers when none is named. Raises 404 when unknown."""


class ModelAliases:
    """`given`: a name, or `*` for every name that the service does not know, and the model it means."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._meant = {name.lower(): model for name, model in given.items()}
        self.names = [name for name in given if name != ANY]

    def __bool__(self) -> bool:
        return bool(self._meant)

    def names_it(self, model: str) -> bool:
        """Whether `model` itself is an alias."""
        return model.strip().lower() in self._meant

    def meant(self, model: str, known: Callable[[str], bool]) -> str:
        """What `model` means: itself, but for an alias. An alias is followed once."""
        exact = self._meant.get(model.strip().lower())
        if exact is not None:
            return exact
        other = self._meant.get(ANY)
        return model if other is None or is_default(model) or known(model) else other


@dataclass(frozen=True)
class Chooser:
    """Which model a request gets, of a service that knows its models by `names`, and `known` ones at all."""

    aliases: ModelAliases
    names: Names
    known: Callable[[str], bool]

    def reads(self, account: Account | None) -> bool:
        """Whether a request's model has to be looked at."""
        return bool(self.aliases) or (account is not None and account.restricted)

    def choose(self, asked: str | None, account: Account | None) -> str | None:
        """The name to send for the one that was `asked`.

        For a key of some models it is never left open, so that what answers is what was checked. Raises ApiError 403.
        """
        meant = self.aliases.meant(asked, self.known) if asked is not None else None
        if account is None or not account.restricted:
            return meant
        names = self.names(None) if is_default(meant) else None
        sent = names[0] if names else str(meant)
        if asked is None or not account.may_use([asked]):
            account.check_model(sent if is_default(asked) else str(asked), lambda: names or [sent, *self.names(sent)])
        return sent
