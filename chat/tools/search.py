"""The tool `recherche`: a question to the SearXNG of SEARXNG_URL, by its JSON API.

The address is the administrator's, who may well run it on a private network: it is not checked as a page's is.
"""

from __future__ import annotations

import json
from typing import Any, Literal
from urllib.parse import urlencode

from pydantic import Field

from chat.tools.page.fetch import Fetcher
from chat.tools.tool import Arguments, Call, Tool, ToolError
from common.messages import _

MOST_RESULTS = 10
_EXTRACT_CHARS = 500


class SearchArguments(Arguments):
    requete: str = Field(min_length=1, max_length=400, description="Les mots à chercher")
    nombre: int = Field(default=5, ge=1, le=MOST_RESULTS, description="Résultats voulus")
    langue: str = Field(default="fr", pattern=r"^[a-z]{2,3}(-[A-Z]{2})?$", description="fr, en…")
    periode: Literal["day", "month", "year"] | None = Field(default=None, description="Seulement le plus récent")


def make_search_tool(url: str | None) -> Tool[SearchArguments]:
    """`url`: where SearXNG answers; None: there is none."""
    search = _Search(url or "")
    return Tool(
        name="recherche",
        title=_("Recherche sur le web"),
        description=_("Cherche sur le web et donne le titre, l'adresse et un extrait des premiers résultats."),
        arguments=SearchArguments,
        run=search.run,
        external=True,
        missing=None if url else _("La recherche demande l'adresse d'un SearXNG dans SEARXNG_URL."),
    )


class _Search:
    def __init__(self, url: str) -> None:
        self._url = f"{url.rstrip('/')}/search"
        self._fetcher = Fetcher(lambda host, _port: [host], redirects=0)

    def run(self, arguments: SearchArguments, call: Call) -> str:
        asked = {"q": arguments.requete, "format": "json", "language": arguments.langue, "safesearch": "1"}
        if arguments.periode is not None:
            asked["time_range"] = arguments.periode
        told = self._ask(urlencode(asked), call)
        lines = _answers(told)
        results = [one for one in _list(told, "results") if isinstance(one, dict) and one.get("url")]
        for number, one in enumerate(results[: arguments.nombre], 1):
            extract = " ".join(str(one.get("content") or "").split())[:_EXTRACT_CHARS]
            when = str(one.get("publishedDate") or "")[:10]
            lines.append(f"{number}. {_short(one.get('title'))}{f' ({when})' if when else ''}\n{one['url']}\n{extract}")
        if not lines:
            raise ToolError(_("Aucun résultat pour « %(query)s ».", query=arguments.requete))
        return "\n\n".join(lines)

    def _ask(self, query: str, call: Call) -> dict[str, Any]:
        answer = self._fetcher.fetch(f"{self._url}?{query}", call)
        if answer.status == 403:
            raise ToolError(_("Le moteur de recherche refuse le JSON : ajoutez « json » à search.formats de SearXNG."))
        if answer.status == 429:
            raise ToolError(_("Le moteur de recherche limite les demandes ; réessayez plus tard."))
        if answer.status != 200:
            raise ToolError(_("Le moteur de recherche a répondu %(status)s.", status=answer.status))
        try:
            told = json.loads(answer.data)
        except (ValueError, RecursionError) as error:
            raise ToolError(_("Le moteur de recherche n'a pas répondu en JSON.")) from error
        if not isinstance(told, dict):
            raise ToolError(_("Le moteur de recherche n'a pas répondu en JSON."))
        return told


def _answers(told: dict[str, Any]) -> list[str]:
    """What SearXNG answers by itself, before its results: texts, or objects with one."""
    found = []
    for one in _list(told, "answers")[:2]:
        text = one.get("answer") if isinstance(one, dict) else one
        if isinstance(text, str) and text.strip():
            found.append(" ".join(text.split())[:_EXTRACT_CHARS])
    return found


def _list(told: dict[str, Any], name: str) -> list[Any]:
    found = told.get(name)
    return found if isinstance(found, list) else []


def _short(text: object) -> str:
    return " ".join(str(text or "?").split())[:200]
