"""Token ids to text as they come: multi-byte characters wait until they are whole, spaces land where they belong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

Decode = Callable[[list[int]], str]
_INCOMPLETE = "\N{REPLACEMENT CHARACTER}"
_CONTEXT_TOKENS = 8


class Detokenizer:
    """Incremental decoding of one answer.

    `decode` turns ids into text, special tokens left out. `context_ids` come before the answer and are not part of
    it: with them "▁time" after "Once upon a" becomes " time", without them an answer starts without a space. `shown`
    are special ids that become a text all the same.
    """

    def __init__(
        self,
        decode: Decode,
        special_ids: Iterable[int],
        context_ids: Sequence[int] = (),
        shown: Mapping[int, str] | None = None,
    ) -> None:
        self._decode = decode
        self._shown = shown or {}
        self._special = frozenset(special_ids)
        self._ids = [i for i in context_ids[-4 * _CONTEXT_TOKENS :] if i not in self._special][-_CONTEXT_TOKENS:]
        self._window = 0  # decoding starts here: far enough back for the spacing to be right
        self._given = len(self._ids)  # the text of the ids before this one has been given out

    def push(self, ids: Iterable[int]) -> str:
        """The text that `ids` add, "" while a character is still incomplete."""
        if not self._shown:
            self._ids.extend(i for i in ids if i not in self._special)
            return self._take(final=False)
        text = ""
        for token in ids:
            if token in self._shown:
                text += self._take(final=True) + self._shown[token]
            elif token not in self._special:
                self._ids.append(token)
        return text + self._take(final=False)

    def flush(self) -> str:
        """What was held back, at the end: a character cut in the middle becomes U+FFFD."""
        return self._take(final=True)

    def _take(self, *, final: bool) -> str:
        if self._given == len(self._ids):
            return ""
        before = self._decode(self._ids[self._window : self._given])
        after = self._decode(self._ids[self._window :])
        if after.endswith(_INCOMPLETE) and not final:
            return ""
        if not after[len(before) :] and not final:
            return ""
        self._window, self._given = self._given, len(self._ids)
        return after[len(before) :]
