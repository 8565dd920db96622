"""The tool `page`: a page of the public Internet, as text, part after part when it is long."""

from __future__ import annotations

from pydantic import Field

from chat.tools.page.fetch import MAX_URL, Fetcher
from chat.tools.page.text import readable_text
from chat.tools.tool import Arguments, Call, Tool, ToolError
from common.messages import _
from common.web import context


class PageArguments(Arguments):
    url: str = Field(max_length=MAX_URL, description="Adresse http:// ou https://")
    debut: int = Field(default=0, ge=0, le=10_000_000, description="Caractère où commencer, pour lire la suite")


def make_page_tool(fetcher: Fetcher, *, allowed: bool) -> Tool[PageArguments]:
    """`allowed`: TOOLS_READ_URLS."""

    def run(arguments: PageArguments, call: Call) -> str:
        page = fetcher.fetch(arguments.url, call)
        if page.status != 200:
            raise ToolError(_("Le site a répondu %(status)s.", status=page.status))
        text = readable_text(page)
        if not text:
            raise ToolError(_("Cette page n'a pas de texte."))
        room = max(100, call.room - len(page.url) - 120)
        part = text[arguments.debut : arguments.debut + room]
        if not part:
            raise ToolError(_("Le texte de cette page finit au caractère %(end)s.", end=len(text)))
        end = arguments.debut + len(part)
        if arguments.debut == 0 and end == len(text):
            return f"{page.url}\n\n{part}"
        place = _("[caractères %(start)s à %(end)s sur %(all)s]", start=arguments.debut, end=end, all=len(text))
        return f"{page.url}\n{place.render(context.language.get())}\n\n{part}"

    return Tool(
        name="page",
        title=_("Lecture d'une page web"),
        description=_("Lit une page web publique dont on donne l'adresse, et en rend le texte."),
        arguments=PageArguments,
        run=run,
        external=True,
        missing=None if allowed else _("Lire des pages demande TOOLS_READ_URLS=true."),
    )
