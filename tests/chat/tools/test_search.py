"""The tool `recherche`, over a SearXNG of ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Response, jsonify, request

from chat.settings import ChatSettings
from chat.tools.search import make_search_tool
from chat.tools.tool import Call, Tool, ToolError
from common.settings import SettingsError, load

RESULTS = [
    {"title": "Un  titre", "url": "https://a.fr/", "content": "Un\nextrait.", "publishedDate": "2026-11-02T10:00:00"},
    {"title": "Deux", "url": "https://b.fr/", "content": None},
    {"title": "Sans adresse"},
    {"title": "Trois", "url": "https://c.fr/", "content": "x" * 2000},
]


@pytest.fixture
def asked() -> list[dict[str, str]]:
    return []


@pytest.fixture
def search(serve: Callable[..., str], asked: list[dict[str, str]]) -> Callable[[Any], Tool[Any]]:
    """A tool whose SearXNG gives this answer: a JSON value, a status, or bytes."""

    def make(answer: Any) -> Tool[Any]:
        app = Flask("searxng")

        @app.get("/chercher/search")
        def found() -> Any:
            asked.append(dict(request.args))
            if isinstance(answer, int):
                return Response(b"non", answer)
            return Response(answer, content_type="text/html") if isinstance(answer, bytes) else jsonify(answer)

        return make_search_tool(f"{serve(app)}/chercher/")

    return make


def said(tool: Tool[Any], **arguments: Any) -> str:
    return tool(json.dumps({"requete": "prix du lait", **arguments}), Call())


def test_results_as_the_model_reads_them(search: Callable[[Any], Tool[Any]], asked: list[dict[str, str]]) -> None:
    tool = search({"answers": ["1,10 €", {"answer": "1,20 €"}], "results": RESULTS})
    told = said(tool, nombre=2, periode="month")
    assert (
        told == "1,10 €\n\n1,20 €\n\n1. Un titre (2026-11-02)\nhttps://a.fr/\nUn extrait.\n\n2. Deux\nhttps://b.fr/\n"
    )
    assert asked == [
        {"q": "prix du lait", "format": "json", "language": "fr", "safesearch": "1", "time_range": "month"}
    ]
    assert len(said(tool, nombre=10)) < 1000


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (403, "search.formats"),
        (429, "limite"),
        (500, "500"),
        (302, "redirection"),
        (b"<html>", "JSON"),
        ([], "JSON"),
        ({"results": []}, "Aucun résultat"),
        ({"results": 5, "answers": {"a": 1}}, "Aucun résultat"),
    ],
)
def test_what_goes_wrong_is_said(search: Callable[[Any], Tool[Any]], answer: Any, reason: str) -> None:
    with pytest.raises(ToolError) as failed:
        said(search(answer))
    assert reason in str(failed.value)


def test_a_search_engine_that_is_down(free_port: int) -> None:
    with pytest.raises(ToolError) as failed:
        said(make_search_tool(f"http://127.0.0.1:{free_port}"))
    assert "répondu" in str(failed.value)


def test_without_an_address_there_is_no_search() -> None:
    assert "SEARXNG_URL" in str(make_search_tool(None).missing)
    assert make_search_tool("http://127.0.0.1:8888").missing is None


def test_a_wrong_address_is_refused_at_start() -> None:
    with pytest.raises(SettingsError) as refused:
        load(ChatSettings, searxng_url="searx.exemple.fr")
    assert "SEARXNG_URL" in str(refused.value)
