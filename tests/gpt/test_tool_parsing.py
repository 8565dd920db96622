"""Calls and thoughts found in an answer, wherever its pieces are cut; what is neither is given back to the letter."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest

from gpt.engines.base import Message
from gpt.tools.calls import Arguments, Begun, CallReader
from gpt.tools.prompt import for_template
from gpt.tools.reader import Part, Reader, Reading
from gpt.tools.styles import Dialect, Style, dialect_of

NAMES = frozenset({"meteo", "heure", "a_b-1"})
ONE = '{"name": "meteo", "arguments": {"ville": "Sète, \\"là\\" }]"}}'
LLAMA = '{"name": "meteo", "parameters": {"ville": "Nîmes; {ici}"}}'
METEO = ("meteo", {"ville": 'Sète, "là" }]'})
NIMES = ("meteo", {"ville": "Nîmes; {ici}"})
HEURE: tuple[str, Any] = ("heure", {})
NOW = '{"name": "heure", "arguments": {}}'

CALLS: list[tuple[Style, str, str, list[Any]]] = [
    ("hermes", "Bonjour.", "Bonjour.", []),
    ("hermes", "\n a < b <tool et <tool_cal", "\n a < b <tool et <tool_cal", []),
    ("hermes", f"<tool_call>\n{ONE}\n</tool_call>", "", [METEO]),
    ("hermes", f"Voyons.\n<tool_call>\n{ONE}\n</tool_call>", "Voyons.\n", [METEO]),
    ("hermes", f"<tool_call>{ONE}</tool_call>\n<tool_call>\n{NOW}\n</tool_call>\n", "", [METEO, HEURE]),
    ("hermes", f"A<tool_call>{ONE}</tool_call> B <tool_call>{NOW}</tool_call>C", "A B C", [METEO, HEURE]),
    ("hermes", f"<tool_call>\n{NOW}", "", [HEURE]),  # the closing mark was forgotten
    ("hermes", f"<tool_call>{NOW}<tool_call>{ONE}</tool_call>", "", [HEURE, METEO]),
    ("hermes", '<tool_call>{"name": "heure"}</tool_call>', "", [HEURE]),
    ("hermes", '<tool_call>{"name": "meteo", "arguments": "{\\"x\\": 1}"}</tool_call>', "", [("meteo", {"x": 1})]),
    ("hermes", '<tool_call>{"arguments": {"t": "</tool_call>"}, "name": "meteo"}</tool_call>', "",
     [("meteo", {"t": "</tool_call>"})]),
    ("hermes", " \n<tool_call>{nom: heure}</tool_call>", " \n<tool_call>{nom: heure}</tool_call>", []),
    ("hermes", '<tool_call>{"name": "inconnu", "arguments": {}}</tool_call>',
     '<tool_call>{"name": "inconnu", "arguments": {}}</tool_call>', []),
    ("hermes", '<tool_call>{"name": "heure", "arguments": [1]}</tool_call> fin',
     '<tool_call>{"name": "heure", "arguments": [1]}</tool_call> fin', []),
    ("hermes", f'<tool_call>{{"name": "heure" <tool_call>{NOW}</tool_call>', '<tool_call>{"name": "heure" ', [HEURE]),
    ("hermes", '<tool_call>{"name": "meteo", "argum', '<tool_call>{"name": "meteo", "argum', []),
    ("hermes", "<tool_call>heure()</tool_call>", "<tool_call>heure()</tool_call>", []),
    ("hermes", '<tool_call>{"name": "meteo", "arguments": {"x": NaN}}</tool_call>',
     '<tool_call>{"name": "meteo", "arguments": {"x": NaN}}</tool_call>', []),  # Python's own, which no client reads
    ("hermes", LLAMA, LLAMA, []),
    ("mistral", f"[TOOL_CALLS] [{ONE}, {NOW}]", "", [METEO, HEURE]),
    ("mistral", f"D'accord.[TOOL_CALLS][{NOW}]", "D'accord.", [HEURE]),
    ("mistral", f"[TOOL_CALLS]{NOW}", "", [HEURE]),
    ("mistral", "[TOOL_CALLS] []", "[TOOL_CALLS] []", []),
    ("mistral", f'[TOOL_CALLS][{NOW}, {{"name": "x"}}]', f'[TOOL_CALLS][{NOW}, {{"name": "x"}}]', []),
    ("mistral", "[TOOL_CALLS", "[TOOL_CALLS", []),
    ("mistral", f"[TOOL_CALLS][{NOW}", f"[TOOL_CALLS][{NOW}", []),
    ("args", '[TOOL_CALLS]heure[ARGS]{}[TOOL_CALLS]meteo[ARGS]{"x": [1]}', "", [HEURE, ("meteo", {"x": [1]})]),
    ("args", "Oui [TOOL_CALLS]a_b-1[CALL_ID]abc123def[ARGS]{}", "Oui ", [("a_b-1", {})]),
    ("args", "[TOOL_CALLS]heure{}", "", [HEURE]),
    ("args", "[TOOL_CALLS]heure[ARGS]non", "[TOOL_CALLS]heure[ARGS]non", []),
    ("args", "[TOOL_CALLS]heure", "[TOOL_CALLS]heure", []),
    ("args", f"[TOOL_CALLS][{NOW}]", "", [HEURE]),
    ("llama", LLAMA, "", [NIMES]),
    ("llama", f"\n{LLAMA}; {NOW}\n", "", [NIMES, HEURE]),
    ("llama", f"<|python_tag|>{LLAMA};{NOW}", "", [NIMES, HEURE]),
    ("llama", f"Je regarde. <|python_tag|>{NOW}", "Je regarde. ", [HEURE]),
    ("llama", f"Exemple : {LLAMA}", f"Exemple : {LLAMA}", []),
    ("llama", '{"a": {"b": 1}}', '{"a": {"b": 1}}', []),
    ("llama", ' {"name": "heure", ', ' {"name": "heure", ', []),
    ("llama", f'{NOW}; {{"name": "x"}}', '; {"name": "x"}', [HEURE]),
    ("llama", "<|python_tag|>print(1)", "<|python_tag|>print(1)", []),
    ("llama", f"{NOW} Voilà.", " Voilà.", [HEURE]),
    ("llama", f"{NOW}\n;<|python_tag|>\n{NOW}; <|py", "; <|py", [HEURE, HEURE]),
]  # fmt: skip
THOUGHTS = ("<think>", "</think>")


def pieces(text: str, cuts: list[int]) -> list[str]:
    edges = [0, *cuts, len(text)]
    return [text[start:end] for start, end in itertools.pairwise(edges)]


def ways(text: str) -> list[list[str]]:
    """Whole, a character at a time, by threes, and cut in two anywhere."""
    return [
        [text],
        list(text),
        pieces(text, list(range(3, len(text), 3))),
        *(pieces(text, [at]) for at in range(1, len(text))),
    ]


def read(reading: Reading, parts: list[str]) -> tuple[str, str, list[tuple[str, Any]]]:
    """What was thought, said and called, each call's pieces put together. Checks the order of a call's pieces."""
    reader = Reader(reading)
    found: list[Part] = [part for text in parts for part in reader.push(text)] + reader.finish("")
    names = [part for part in found if part.kind == "name"]
    assert [part.call for part in names] == list(range(len(names)))
    assert len({part.id for part in names}) == len(names)
    given = ["".join(p.text for p in found if p.kind == "arguments" and p.call == call.call) for call in names]
    for part in found:
        assert part.text
        if part.kind == "arguments":  # never before its name
            assert found.index(part) > found.index(names[part.call])
    thought = "".join(part.text for part in found if part.kind == "thought")
    said = "".join(part.text for part in found if part.kind == "text")
    return thought, said, [(n.text, json.loads(g)) for n, g in zip(names, given, strict=True)]


@pytest.mark.parametrize(("style", "text", "said", "calls"), CALLS)
def test_calls_are_found_however_the_text_is_cut(style: Style, text: str, said: str, calls: list[Any]) -> None:
    for parts in ways(text):
        assert read(Reading(style=style, names=NAMES), parts) == ("", said, calls), parts


@pytest.mark.parametrize("style", ["hermes", "mistral", "args", "llama"])
def test_no_beginning_of_a_call_is_ever_given_out(style: Style) -> None:
    """Until it is known to be one: then its name and its whole arguments come."""
    text = next(text for one, text, said, calls in CALLS if one == style and calls and not said)
    reader = CallReader(style, NAMES)
    came = [pieces for character in text if (pieces := reader.push(character))] or [reader.finish()]
    for together in came:
        assert [type(piece) for piece in together] == [Begun, Arguments] * (len(together) // 2)
        for piece in together:
            assert isinstance(piece, Begun) or json.loads(piece.text) is not None


def test_text_comes_as_soon_as_it_can_be_no_call() -> None:
    reader = Reader(Reading(names=NAMES))
    assert [part.text for part in reader.push("Il fait < 3")] == ["Il fait < 3"]
    assert [part.text for part in reader.push(" °C <tool")] == [" °C "]
    assert reader.holding
    assert [part.text for part in reader.push(" !")] == ["<tool !"]


@pytest.mark.parametrize(
    ("thinking", "text", "thought", "said"),
    [
        ("may", "<think>\nhm\n\nbon\n</think>\n\nOui.\n", "hm\n\nbon", "Oui.\n"),
        ("may", "Oui <think>", "", "Oui <think>"),
        ("may", " \n<think>x</think>y", "x", "y"),
        ("may", "<thin", "", "<thin"),
        ("may", "", "", ""),
        ("open", "hm </thin </think>\nOui", "hm </thin ", "Oui"),
        ("open", "hm\n", "hm\n", ""),
        ("open", "</think>", "", ""),
        ("open", "\n\n</think>\n\n", "", ""),
    ],
)
def test_thoughts_are_parted_however_the_text_is_cut(thinking: Any, text: str, thought: str, said: str) -> None:
    for parts in ways(text):
        found = read(Reading(thoughts=THOUGHTS, thinking=thinking), parts)
        assert (found[0].rstrip("\n"), found[1]) == (thought.rstrip("\n"), said), parts


def test_a_model_thinks_then_calls() -> None:
    text = f"<think>\nla météo <tool_call>{NOW}</tool_call> ?\n</think>\n\n<tool_call>\n{ONE}\n</tool_call>"
    for parts in ways(text):
        thought, said, calls = read(Reading(thoughts=THOUGHTS, thinking="may", names=NAMES), parts)
        assert thought == f"la météo <tool_call>{NOW}</tool_call> ?"
        assert (said, calls) == ("", [METEO])


def test_imposed_calls_stream_their_arguments() -> None:
    spaced = {
        "hermes": f"<tool_call>\n{ONE}\n</tool_call>\n<tool_call>\n{NOW}\n</tool_call>",
        "mistral": f"[TOOL_CALLS][{ONE}, {NOW}]",
        "args": '[TOOL_CALLS]meteo[ARGS]{"ville": "Sète, \\"là\\" }]"}[TOOL_CALLS]heure[ARGS]{}',
        "llama": f"{ONE}; {NOW}",
    }
    for style, text in spaced.items():
        reading = Reading(style=style, names=NAMES, imposed=True)  # type: ignore[arg-type]
        for parts in ways(text):
            assert read(reading, parts) == ("", "", [METEO, HEURE]), parts
        reader = Reader(reading)
        assert len([part for character in text for part in reader.push(character) if part.kind == "arguments"]) > 10


FRAGMENTS: dict[Style, list[str]] = {
    "hermes": [
        "<tool_call>",
        "</tool_call>",
        "\n",
        " ",
        "{",
        '"name": "heure"',
        "}",
        NOW,
        '"',
        "a",
        "<",
        "<tool",
        "\\",
    ],
    "mistral": ["[TOOL_CALLS]", "[", "]", "{", "}", NOW, ", ", " ", "a", '"', "[TOOL", "heure", "[ARGS]", "[CALL_ID]"],
    "llama": ["<|python_tag|>", ";", " ", "\n", '{"name": "heure", "parameters": {}}', "{", "}", '"', "a", "<|py"],
}
FRAGMENTS["args"] = FRAGMENTS["mistral"]


@pytest.mark.parametrize("style", list(FRAGMENTS))
def test_any_text_is_read_the_same_however_it_is_cut(style: Style) -> None:
    """And what holds no call comes back whole."""
    draw = random.Random(7)
    for _ in range(500):
        thinking: Any = draw.choice([None, None, "may", "open"])
        marks = list(THOUGHTS) if thinking else []
        text = "".join(draw.choice(FRAGMENTS[style] + marks) for _ in range(draw.randint(1, 12)))
        reading = Reading(style=style, names=NAMES, thoughts=THOUGHTS if thinking else None, thinking=thinking)
        whole = read(reading, [text])
        step = draw.randint(1, 5)
        for parts in (list(text), pieces(text, list(range(step, len(text), step)))):
            thought, *rest = read(reading, parts)
            assert (thought.rstrip("\n"), *rest) == (whole[0].rstrip("\n"), *whole[1:]), parts
        if not whole[2] and not thinking:
            assert whole[1] == text


def test_half_a_character_stays_the_escape_that_was_written() -> None:
    """Nothing could send it otherwise."""
    reader = CallReader("hermes", NAMES)
    found = reader.push('<tool_call>{"name": "meteo", "arguments": {"ville": "S\\u00e8te \\ud83d"}}</tool_call>')
    (arguments,) = [piece.text for piece in found if isinstance(piece, Arguments)]
    assert json.loads(arguments.encode()) == {"ville": "Sète \ud83d"}


@pytest.mark.parametrize("arguments", [f'"{"[" * 5000}"', f'{{"x": {"[" * 5000}{"]" * 5000}}}'])
def test_arguments_nested_without_end_are_text(arguments: str) -> None:
    text = f'<tool_call>{{"name": "meteo", "arguments": {arguments}}}</tool_call>'
    assert read(Reading(names=NAMES), [text]) == ("", text, [])


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("style", "first", "again", "times"),
    [("args", "[TOOL_CALLS]heure", "    ", 3000), ("hermes", "", "<tool_call>{", 15_000)],
)
def test_a_model_that_repeats_itself_costs_little(style: Style, first: str, again: str, times: int) -> None:
    """Blanks after a name, or beginnings of calls, by the thousand: tried again at each, they took minutes."""
    reader = Reader(Reading(style=style, names=NAMES))
    parts = [first] + [again] * times
    found = [part.text for text in parts for part in reader.push(text)] + [part.text for part in reader.finish(" !")]
    assert "".join(found) == "".join(parts) + " !"


def test_one_call_is_kept() -> None:
    reading = Reading(names=NAMES, single=True)
    text = f"A <tool_call>{ONE}</tool_call><tool_call>{NOW}</tool_call> fin"
    for parts in ways(text):
        reader = Reader(reading)
        found = [part for piece in parts if not reader.over for part in reader.push(piece)]
        assert [part.text for part in found if part.kind == "name"] == ["meteo"]
        assert reader.over


def test_tokens_of_thoughts_are_counted() -> None:
    reader = Reader(Reading(thoughts=THOUGHTS, thinking="may"))
    for piece in ("<think>", "\n", "hm", "</think>", "\n\n", "Oui"):
        reader.push(piece, [1])
    assert reader.reasoning_tokens == 4
    reader = Reader(Reading(thoughts=THOUGHTS, thinking="open", end_of_thought=9))
    reader.push("hm</think>\n\nOui", [4, 5, 9, 6, 7])
    reader.push(" !", [8])
    assert reader.reasoning_tokens == 3


@pytest.mark.parametrize(
    ("template", "style", "native", "thoughts"),
    [
        (None, "hermes", False, None),
        ("{{ messages }}", "hermes", False, None),
        ("{% if tools %}<tool_call>{% endif %}{{ '</think>' }}<think>", "hermes", True, ("<think>", "</think>")),
        ("{% for tool in tools %}{% endfor %}[TOOL_CALLS]", "mistral", True, None),
        ("{{ tools }}[TOOL_CALLS][ARGS][/THINK]", "args", True, ("[THINK]", "[/THINK]")),
        ("{{ tools }}<|python_tag|>", "llama", True, None),
        ("{{ tools }}<|tool_call_start|>", "hermes", False, None),  # a way that is not known: told in plain text
        ("{{ tools }}<tool_call><function=", "hermes", False, None),
    ],
)
def test_the_template_tells_how_a_model_calls(template: str | None, style: str, native: bool, thoughts: Any) -> None:
    dialect = dialect_of(template, {})
    assert (dialect.style, dialect.native, dialect.thoughts) == (style, native, thoughts)


def test_one_call_a_turn_loses_no_result_and_tells_none_twice() -> None:
    """Results that come twice, that answer two calls of one name, or that answer none."""

    def result(number: str, text: str) -> Message:
        return {"role": "tool", "tool_call_id": number, "content": text}

    calls = [{"id": number, "type": "function", "function": {"name": "heure", "arguments": {}}} for number in "aab"]
    turns: list[Message] = [{"role": "assistant", "content": "Voyons.", "tool_calls": calls}]
    turns += [result("b", "3"), result("a", "1"), result("a", "2"), result("c", "4"), result("b", "5")]
    told = for_template(turns, Dialect(style="llama", native=True))
    assert [t["content"] for t in told] == ["Voyons.", "1", "", "2", "", "3", "4", "5"]
    assert [len(t.get("tool_calls", ())) for t in told] == [1, 0, 1, 0, 1, 0, 0, 0]
