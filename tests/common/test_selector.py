"""Which model a service starts with: a name obeyed or refused; else the best that fits; never longer than a moment."""

from __future__ import annotations

import json
import logging
import threading

import pytest

from common.errors import ApiError
from common.messages import Text, _
from common.models.catalogue import Catalogue, ModelEntry
from common.models.contract import Selection
from common.models.selector import PROBE_SECONDS, Selector, Verdict, attempt, margin, too_big
from common.settings import SettingsError

GB = 10**9


def entry(key: str, rank: int | None, **more: object) -> ModelEntry:
    given: dict[str, object] = {"hub_id": f"owner/{key}", "family": "llama", "parameters": 1, "licence": "MIT", **more}
    return ModelEntry.model_validate({"key": key, "rank": rank, **given})


MINI = entry("mini", None, hub_id=None, embedded=True)
BIG, GOOD, SMALL = entry("big", 1), entry("good", 2, aliases=("g",)), entry("small", 3)


class FakeMachine:
    """`need` in bytes by key (None: not known); `disk` lists what is here; `hub` is what asking it does."""

    def __init__(self, available: int = 8 * GB) -> None:
        self.available = available
        self.need: dict[str, int | None] = {"mini": GB // 10, "big": 60 * GB, "good": 5 * GB, "small": GB}
        self.real: dict[str, int] = {}  # what the hub tells
        self.disk = {"mini"}
        self.reasons: dict[str, Text] = {}
        self.fallbacks: dict[str, Text] = {}
        self.refusals: dict[str, ApiError] = {}
        self.stuck: threading.Event | None = None
        self.asked: list[str] = []

    def judge(self, entry: ModelEntry) -> Verdict:
        reason = self.reasons.get(entry.key)
        if reason is not None:
            return Verdict(reason=reason)
        known = entry.key in self.asked and entry.key in self.real
        need = self.real[entry.key] if known else self.need[entry.key]
        return Verdict(need, self.available, None, _("processeur"), not known, self.fallbacks.get(entry.key))

    def here(self, entry: ModelEntry) -> bool:
        return entry.key in self.disk

    def learn(self, entry: ModelEntry) -> None:
        self.asked.append(entry.key)
        if self.stuck is not None:
            self.stuck.wait(30)
        if entry.key in self.refusals:
            raise self.refusals[entry.key]


@pytest.fixture
def machine() -> FakeMachine:
    return FakeMachine()


def select(machine: FakeMachine, asked: str = "auto", *more: ModelEntry, **how: bool) -> Selection:
    catalogue = Catalogue([MINI, SMALL, BIG, GOOD, *more])  # not in the order of rank
    return Selector("IA_MODEL", catalogue, machine, **how).select(asked)


def reasons(selection: Selection) -> dict[str, str]:
    return {one["key"]: str(one["reason"]) for one in selection.rejected}


UNREACHABLE = ApiError(503, "hub_unreachable", _("personne"))


def test_auto_takes_the_best_that_fits_and_says_why_not_the_others(machine: FakeMachine) -> None:
    selection = select(machine)
    assert (selection.chosen, selection.available_bytes) == ("good", 8 * GB)
    assert "5,00 Go" in str(selection.why)
    assert "8,00 Go" in str(selection.why)
    assert [(one["key"], one["need_bytes"]) for one in selection.rejected] == [("big", 60 * GB)]
    assert "60,0 Go" in reasons(selection)["big"]
    assert "8,00 Go" in reasons(selection)["big"]


@pytest.mark.parametrize("name", ["", "auto", "AUTO", "default", "  auto "])
def test_the_names_of_auto(machine: FakeMachine, name: str) -> None:
    assert select(machine, name).chosen == "good"


@pytest.mark.parametrize(("extra", "chosen"), [(0, "good"), (-1, "small")])
def test_a_margin_stays_free(machine: FakeMachine, extra: int, chosen: str) -> None:
    machine.available = 5 * GB + margin(5 * GB) + extra
    assert select(machine).chosen == chosen


def test_the_embedded_model_serves_while_the_chosen_one_is_fetched(machine: FakeMachine) -> None:
    assert select(machine).meanwhile == "mini"
    machine.disk.add("good")
    assert select(machine).meanwhile is None


def test_what_the_hub_tells_counts_more_than_the_catalogue(machine: FakeMachine) -> None:
    machine.real["good"] = 9 * GB
    selection = select(machine)
    assert selection.chosen == "small"
    assert "9,00 Go" in reasons(selection)["good"]
    assert machine.asked == ["good", "small"]  # "big" is out of the question: its size is not asked for


def test_without_the_hub_what_is_on_this_disk_wins(machine: FakeMachine) -> None:
    machine.refusals = {"good": UNREACHABLE, "small": UNREACHABLE}
    machine.disk.add("small")
    selection = select(machine)
    assert selection.chosen == "small"
    assert "ne répond pas" in reasons(selection)["good"]


def test_a_silent_hub_is_asked_once(machine: FakeMachine) -> None:
    machine.refusals = {"good": UNREACHABLE}
    assert select(machine).chosen == "mini"
    assert machine.asked == ["good"]


def test_a_model_that_the_hub_refuses_leaves_the_others(machine: FakeMachine) -> None:
    machine.refusals = {"good": ApiError(403, "hub_forbidden", _("pas pour vous"))}
    selection = select(machine)
    assert selection.chosen == "small"
    assert reasons(selection)["good"] == "pas pour vous"


def test_a_start_never_waits_long_for_the_hub(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert PROBE_SECONDS <= 2
    monkeypatch.setattr("common.models.selector.PROBE_SECONDS", 0.05)
    machine.stuck = threading.Event()
    try:
        selection = select(machine)
        assert selection.chosen == "mini"
        assert not machine.stuck.is_set()
        assert machine.asked == ["good"]
    finally:
        machine.stuck.set()


def test_offline_only_what_is_here(machine: FakeMachine) -> None:
    machine.disk.add("small")
    assert select(machine, offline=True).chosen == "small"
    machine.disk.discard("small")
    assert select(machine, offline=True).chosen == "mini"
    assert machine.asked == []
    with pytest.raises(SettingsError, match=r"IA_MODEL.*good.*HF_HUB_OFFLINE.*mini"):
        select(machine, "good", offline=True)
    assert select(machine, "mini", offline=True).chosen == "mini"


def test_gated_models_want_a_token(machine: FakeMachine) -> None:
    gated = entry("gated", 1, gated=True)
    machine.need["gated"] = GB
    assert select(machine, "auto", gated).chosen == "good"
    assert "HUGGINGFACE_TOKEN" in reasons(select(machine, "auto", gated))["gated"]
    assert select(machine, "auto", gated, has_token=True).chosen == "gated"
    machine.disk.add("gated")
    assert select(machine, "auto", gated).chosen == "gated"


def test_an_unranked_model_is_never_chosen_unasked(machine: FakeMachine) -> None:
    plain = entry("plain", None)
    machine.need["plain"] = 1
    machine.need |= {"good": 99 * GB, "small": 99 * GB}
    assert select(machine, "auto", plain).chosen == "mini"
    assert select(machine, "plain", plain).chosen == "plain"


def test_what_only_fits_beside_the_gpu_comes_second(machine: FakeMachine) -> None:
    machine.fallbacks["good"] = _("ne tient pas sur le GPU")
    assert select(machine).chosen == "small"
    machine.need["small"] = 99 * GB
    selection = select(machine)
    assert selection.chosen == "good"
    assert set(reasons(selection)) == {"big", "small"}


def test_the_last_resort_is_the_embedded_model_even_when_memory_is_short(machine: FakeMachine) -> None:
    machine.available = 1
    selection = select(machine)
    assert selection.chosen == "mini"
    assert set(reasons(selection)) == {"big", "good", "small"}


def test_nothing_at_all_stops_the_start_with_the_reasons(machine: FakeMachine) -> None:
    absent = _("moteur absent")
    machine.reasons = dict.fromkeys(("mini", "big", "good", "small"), absent)
    with pytest.raises(SettingsError, match=r"IA_MODEL.*mini : moteur absent"):
        select(machine)


@pytest.mark.parametrize("name", ["big", "BIG", "owner/big"])
def test_a_name_is_obeyed_even_when_it_cannot_fit(machine: FakeMachine, name: str) -> None:
    """It is refused when it is loaded, with both numbers; nothing else is put in its place."""
    selection = select(machine, name)
    assert selection.chosen == "big"
    assert name in str(selection.why)
    assert too_big("big", machine.judge(BIG)) is not None


def test_a_name_that_is_nothing_is_refused_with_what_there_is(machine: FakeMachine) -> None:
    with pytest.raises(SettingsError, match=r"IA_MODEL.*enormous.*mini, small, big, good"):
        select(machine, "enormous")


def test_a_name_whose_engine_is_absent_is_refused(machine: FakeMachine) -> None:
    machine.reasons["good"] = _("moteur absent")
    with pytest.raises(SettingsError, match="IA_MODEL : moteur absent"):
        select(machine, "g")


def test_the_decision_is_one_line_of_the_log(machine: FakeMachine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "frigo.models")
    select(machine)
    lines = [record for record in caplog.records if record.message == "model chosen"]
    assert len(lines) == 1
    said = vars(lines[0])
    assert said["model"] == "good"
    assert said["available_bytes"] == 8 * GB
    assert json.dumps(said["rejected"])
    assert said["rejected"][0].startswith("big: ")


def test_both_numbers_are_told() -> None:
    refused = too_big("big", Verdict(60 * GB, 8 * GB))
    assert refused is not None
    assert "60,0 Go" in str(refused)
    assert "8,00" in str(refused)
    assert too_big("big", Verdict(8 * GB, 8 * GB)) is None
    assert too_big("big", Verdict(None, 8 * GB)) is None


def test_an_attempt_ends_as_its_work_does_or_is_left_behind() -> None:
    refusal = ApiError(404, "hub_not_found", "")

    def refuse() -> None:
        raise refusal

    stuck = threading.Event()

    def hang() -> None:
        stuck.wait(30)

    assert attempt(5, lambda: None) is True
    assert attempt(5, refuse) is refusal
    assert attempt(0.02, hang) is None
    stuck.set()


def test_auto_fetches_no_base_model_but_takes_one_that_is_here(machine: FakeMachine) -> None:
    plain = entry("plain", 1, base=True)
    machine.need["plain"] = GB
    refused = select(machine, "auto", plain)
    assert refused.chosen == "good"
    assert "consigne" in reasons(refused)["plain"]
    machine.disk.add("plain")
    assert select(machine, "auto", plain).chosen == "plain"
