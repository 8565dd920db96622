"""chat put together: peers, services, routes."""

from __future__ import annotations

from functools import partial

from flask_openapi import OpenAPI

from chat import embedded_prompts
from chat.access import Access
from chat.conversations.routes import conversations_blueprint
from chat.conversations.store import ConversationStore
from chat.conversations.talk import Talk
from chat.database import open_database
from chat.diagrams.generate import DiagramMaker
from chat.diagrams.parser import MermaidParser
from chat.keys.limits import make_limits
from chat.keys.routes import keys_blueprint
from chat.keys.store import KeyStore
from chat.keys.usage import UsageBook
from chat.llm import LanguageModel
from chat.minutes.write import MinutesWriter
from chat.openai.aliases import Chooser, ModelAliases
from chat.openai.completions import Completions
from chat.openai.responses.routes import responses_blueprint
from chat.openai.routes import openai_blueprint
from chat.openai.stored.keeping import Keeper
from chat.openai.stored.routes import stored_blueprint
from chat.openai.stored.store import CompletionStore
from chat.readiness import Readiness
from chat.routes.diagrams import diagrams_blueprint
from chat.routes.minutes import minutes_blueprint
from chat.settings import ChatSettings
from chat.tools.catalogue import make_toolbox
from chat.tools.routes import tools_blueprint
from chat.tools.server import ServerTools
from common.web.client import Peer
from common.web.contract import CHAT
from common.web.factory import create_service


def create_app(settings: ChatSettings, *, parser: MermaidParser | None = None) -> OpenAPI:
    """The application; `parser` is given by tests that share one."""
    gpt = Peer("gpt", settings.gpt_api_url, service_token=settings.service_token)
    asr = Peer("asr", settings.asr_api_url, service_token=settings.service_token)
    parser = parser or MermaidParser(settings.node)
    llm = LanguageModel(gpt)
    app = create_service("chat", settings, ready=Readiness(gpt, parser))
    app.tell(CHAT)
    database = open_database(settings)
    book = UsageBook(database)
    keys = KeyStore(database, book)
    access = Access(settings, keys, book, make_limits(settings.redis_url, settings.data_dir))
    aliases = ModelAliases(settings.model_aliases)
    chooser = Chooser(aliases, llm.names, llm.knows)
    toolbox = make_toolbox(settings)
    completions = Completions(gpt, chooser, ServerTools(gpt, llm, toolbox))
    stored = CompletionStore(database, most=settings.stored_completions_max, days=settings.stored_completions_days)
    app.register_api(openai_blueprint(access, aliases, llm, completions, Keeper(stored), gpt, asr))
    app.register_api(stored_blueprint(access, stored, chooser))
    app.register_api(responses_blueprint(access, completions.respond))
    conversations = ConversationStore(database)
    talk = Talk(conversations, llm, aliases, partial(completions.respond, watched=False))
    app.register_api(conversations_blueprint(access, conversations, talk))
    app.register_api(tools_blueprint(access, toolbox))
    app.register_api(keys_blueprint(access, keys))
    app.register_api(diagrams_blueprint(access, DiagramMaker(llm, parser, embedded_prompts.diagram_request), parser))
    app.register_api(minutes_blueprint(access, MinutesWriter(llm, embedded_prompts.minutes_request)))
    return app
