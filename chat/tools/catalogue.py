"""The tools that chat has, with these settings."""

from __future__ import annotations

from chat.settings import ChatSettings
from chat.tools.calculator.tool import CALCULATOR
from chat.tools.dates.tool import make_date_tool
from chat.tools.page.fetch import Fetcher
from chat.tools.page.tool import make_page_tool
from chat.tools.search import make_search_tool
from chat.tools.toolbox import Toolbox


def make_toolbox(settings: ChatSettings) -> Toolbox:
    """Those that miss a setting are in it too, and say so."""
    return Toolbox(
        [
            CALCULATOR,
            make_date_tool(),
            make_search_tool(settings.searxng_url),
            make_page_tool(Fetcher(), allowed=settings.tools_read_urls),
        ]
    )
