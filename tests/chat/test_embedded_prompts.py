"""The grammars sent to the embedded model: what they let through, with the real engine (llguidance, byte by byte)."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from llguidance import LLMatcher, LLTokenizer

from chat.embedded_prompts import MAX_CHARACTERS, diagram_request, minutes_request, read_text

BYTES = LLTokenizer("byte")


def accepts(grammar: str, answer: str) -> bool:
    matcher = LLMatcher(BYTES, grammar)
    assert not matcher.is_error(), matcher.get_error()
    tokens = BYTES.tokenize_str(answer)
    return bool(matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting())


def graph(*labels: str, edges: str = "") -> str:
    nodes = ",".join(
        f'{{"id":"n{number}","label":{json.dumps(label, ensure_ascii=False)},"kind":"action","actor":"human"}}'
        for number, label in enumerate(labels, 1)
    )
    return f'{{"nodes":[{nodes}],"edges":[{edges}]}}'


@pytest.fixture(scope="module")
def simple() -> str:
    grammar = diagram_request("Le client paie.\n\n  Si l'article   manque, le vendeur appelle.")["structured_outputs"][
        "grammar"
    ]
    assert isinstance(grammar, str)
    return grammar


def test_request_is_a_greedy_chat_completion() -> None:
    request = diagram_request("Le client paie.")
    assert request["messages"] == [
        {"role": "system", "content": "frigo:diagram"},
        {"role": "user", "content": " Le client paie."},
    ]
    assert request["temperature"] == 0
    assert request["max_tokens"] > 0
    assert minutes_request("Bob: on y va")["messages"][0]["content"] == "frigo:minutes"


def test_labels_are_words_of_the_text(simple: str) -> None:
    assert accepts(simple, graph(" Le client paie"))
    assert accepts(simple, graph(" le vendeur appelle"))
    assert not accepts(simple, graph(" le vendeur paie"))
    assert not accepts(simple, graph(" le vend"))
    assert not accepts(simple, graph(""))


def test_labels_stay_inside_one_sentence_and_begin_with_a_word(simple: str) -> None:
    assert not accepts(simple, graph(" paie. Si"))
    assert not accepts(simple, graph(", le vendeur"))
    assert not accepts(simple, graph(" manque,"))


def test_labels_neither_begin_with_a_link_nor_stop_short(simple: str) -> None:
    assert not accepts(simple, graph(" Si l'article manque"))
    assert not accepts(simple, graph(" Le"))
    assert not accepts(simple, graph(" le vendeur appelle", " et"))


def test_a_text_of_links_only_still_has_a_grammar() -> None:
    assert accepts(diagram_request("Si et le.")["structured_outputs"]["grammar"], graph(" Si et le"))


def test_label_may_begin_after_an_apostrophe(simple: str) -> None:
    assert accepts(simple, graph("article manque"))


def test_edges_join_only_nodes_that_exist(simple: str) -> None:
    two = (" Le client paie", " le vendeur appelle")
    assert accepts(simple, graph(*two, edges='{"from":"n1","to":"n2"}'))
    assert accepts(simple, graph(*two, edges='{"from":"n2","to":"n1","label":"oui"}'))
    assert not accepts(simple, graph(*two, edges='{"from":"n1","to":"n3"}'))
    assert not accepts(simple, graph(*two, edges='{"from":"n1","to":"n2","label":"peut-être"}'))


def test_nodes_come_in_reading_order_and_share_no_word(simple: str) -> None:
    assert accepts(simple, graph(" Le client", " paie"))
    assert not accepts(simple, graph(" paie", " Le client"))
    assert not accepts(simple, graph(" Le client", " client paie"))
    assert not accepts(simple, graph(" Le client paie", " Le client paie"))


def test_a_long_text_is_still_drawn_forward() -> None:
    text = "".join(f"Le client {number} paie la facture. " for number in range(120))
    grammar = diagram_request(text)["structured_outputs"]["grammar"]
    assert accepts(grammar, graph(" Le client 1 paie", " Le client 90 paie la facture"))
    assert not accepts(grammar, graph(" Le client 90 paie", " Le client 1 paie"))


def test_edges_come_in_order(simple: str) -> None:
    two = (" Le client paie", " le vendeur appelle")
    forward = '{"from":"n1","to":"n2"},{"from":"n2","to":"n1","label":"non"}'
    backward = '{"from":"n2","to":"n1","label":"non"},{"from":"n1","to":"n2"}'
    assert accepts(simple, graph(*two, edges=forward))
    assert not accepts(simple, graph(*two, edges=backward))


def test_ids_follow_each_other(simple: str) -> None:
    assert not accepts(simple, graph(" Le client paie").replace('"n1"', '"n2"'))


@pytest.mark.parametrize(
    "text",
    [
        'Marie dit "oui" ; il paie #3.',
        "Chemin C:\\temp\\x ouvert par Léa",
        "Envoyer 😀 à l'équipe",
        "Tabulation\tet\u0007 cloche",
        "« Bonjour » (vite) : on part — loin…",
        "a",
        "日本語 のテキスト",
    ],
)
def test_awkward_text_gives_a_grammar_that_takes_its_words(text: str) -> None:
    request = diagram_request(text)
    first = request["messages"][1]["content"].split("\n")[0].split(" ")[1]
    bare = first.strip('«».:;,!?"\\')
    if bare:
        answer = f'{{"nodes":[{{"id":"n1","label":" {bare}","kind":"action","actor":"human"}}],"edges":[]}}'
        assert accepts(request["structured_outputs"]["grammar"], answer)
        json.loads(answer)


def test_quotes_are_copied_as_json_escapes() -> None:
    request = diagram_request('Le "grand" client paie')
    assert accepts(request["structured_outputs"]["grammar"], graph(' Le "grand" client paie'))


def test_long_text_is_cut_after_a_sentence() -> None:
    shaped = read_text("Le client paie la facture. " * 1_000)
    assert MAX_CHARACTERS // 2 < len(shaped) <= MAX_CHARACTERS
    assert shaped.endswith(".")


def test_minutes_grammar() -> None:
    grammar = minutes_request("Alice: on garde le bleu\nSPEAKER_00: bob doit refaire le plan vendredi et je relis")[
        "structured_outputs"
    ]["grammar"]
    answer = {
        "summary": " on garde le bleu",
        "decisions": [" le bleu"],
        "actions": [
            {"who": " bob", "what": " refaire le plan", "when": " vendredi"},
            {"who": " SPEAKER_00", "what": " je relis", "when": ""},
        ],
        "open_points": [],
    }
    text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    assert accepts(grammar, text)
    assert not accepts(grammar, text.replace("refaire le plan", "refaire le pont"))
    assert not accepts(grammar, text.replace(" SPEAKER_00", " Zoé"))


def test_importing_pulls_in_nothing_heavy() -> None:
    code = "import sys, chat.embedded_prompts; print({'torch', 'transformers', 'llguidance'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "set()"
