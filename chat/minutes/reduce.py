"""The minutes of the parts made one: a summary of the summaries, and what is said twice in other words kept once.

A model only writes the summary here, and only points at items that repeat each other: the items themselves, and their
sources, stay as they were read.
"""

from __future__ import annotations

from collections.abc import Sequence

from chat.minutes import prompts
from chat.minutes.ask import Asker, TooLongError
from chat.minutes.merge import absorb, essential, may_be_same
from chat.minutes.shape import Action, Item, Minutes, read_same, read_summary
from common.errors import ApiError

MOST_SENTENCES = 12  # of a summary that no model rewrites
MOST_LEVELS = 6
FEWEST = 4  # items worth a question


def summarise(asker: Asker, summaries: Sequence[str], limit: int) -> str:
    """One summary of those of successive parts, by groups that fit in `limit` characters."""
    texts = [text for text in summaries if text]
    for _level in range(MOST_LEVELS):
        if len(texts) < 2:
            break
        groups = _groups([text[: max(1, limit // 2)] for text in texts], limit)
        texts = [_one(asker, group) if len(group) > 1 else group[0] for group in groups]
    return essential(" ".join(texts), MOST_SENTENCES) if len(texts) > 1 else "".join(texts)


def _one(asker: Asker, group: Sequence[str]) -> str:
    try:
        return asker.ask(prompts.summary_request(group, asker.language), read_summary)
    except TooLongError:
        return essential(" ".join(group), MOST_SENTENCES)
    except ApiError as error:
        if error.code != "minutes_invalid":
            raise
        return essential(" ".join(group), MOST_SENTENCES)


def _groups(texts: Sequence[str], limit: int) -> list[list[str]]:
    """Successive texts by groups of at most `limit` characters, two at least (but for the last)."""
    groups: list[list[str]] = [[]]
    used = 0
    for text in texts:
        if len(groups[-1]) > 1 and used + len(text) > limit:
            groups.append([])
            used = 0
        groups[-1].append(text)
        used += len(text) + 2
    return groups


def without_repeats(asker: Asker, minutes: Minutes, limit: int) -> None:
    """Merge, in each list, the items that the model says are one."""
    for items in (minutes.decisions, minutes.actions, minutes.open_points):
        kept: list[Item] = []
        for window in _windows(items, limit):
            kept += _distinct(asker, window)
        items[:] = kept  # type: ignore[assignment]  # the same items, some left out


def _windows(items: Sequence[Item], limit: int) -> list[Sequence[Item]]:
    windows: list[list[Item]] = [[]]
    used = 0
    for item in items:
        size = len(_told(item)) + 6
        if windows[-1] and used + size > limit:
            windows.append([])
            used = 0
        windows[-1].append(item)
        used += size
    return list(windows)


def _distinct(asker: Asker, items: Sequence[Item]) -> list[Item]:
    if len(items) < FEWEST:
        return list(items)
    body = prompts.same_request([_told(item) for item in items], asker.language)
    try:
        groups = asker.ask(body, lambda written: read_same(written, len(items)))
    except TooLongError:
        return list(items)
    except ApiError as error:
        if error.code != "minutes_invalid":
            raise
        return list(items)
    gone: set[int] = set()
    for first, *others in groups:
        for other in others:
            if first not in gone and other not in gone and may_be_same(items[first], items[other]):
                absorb(items[first], items[other])
                gone.add(other)
    return [item for index, item in enumerate(items) if index not in gone]


def _told(item: Item) -> str:
    if isinstance(item, Action):
        return " ".join(filter(None, (f"{item.who}:" if item.who else "", item.what, item.when)))
    return item.said
