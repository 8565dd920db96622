"""The web application: pages, gateway, meetings, supervision."""

from __future__ import annotations

import logging

from flask_openapi import OpenAPI
from sqlalchemy.exc import SQLAlchemyError

from app import gateway, security, shortcut
from app.admin.routes import admin, public_status
from app.database import Database, migrate
from app.meetings.jobs import MeetingQueue, make_huey
from app.meetings.routes.collection import collection
from app.meetings.routes.common import Desk
from app.meetings.routes.item import item
from app.meetings.routes.media import media
from app.meetings.routes.voices import voices
from app.meetings.store import MeetingStore
from app.pages import pages
from app.peers import connect
from app.probes import Probes
from app.settings import AppSettings
from common.web.contract import PASSED_ON
from common.web.factory import create_service

_log = logging.getLogger("frigo.app")


def create_app(settings: AppSettings) -> OpenAPI:
    """The application; the database is brought up to date first."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    settings.uploads_dir.mkdir(exist_ok=True)
    migrate(settings.database, settings.data_dir)
    database, peers = Database(settings.database), connect(settings)
    probes = Probes(peers)

    def ready() -> dict[str, str]:
        return {"database": _database_state(database), **probes.ready()}

    app = create_service("app", settings, ready=ready)
    app.before_request(lambda: security.guard(settings))
    app.after_request(security.add_headers)
    desk = Desk(settings, MeetingStore(database, settings.uploads_dir), MeetingQueue(make_huey(settings)), peers)
    for blueprint in (
        collection(desk),
        item(desk),
        media(desk),
        voices(desk),
        public_status(probes),
        admin(app, settings, peers, probes),
    ):
        app.register_api(blueprint)
    gateway.install(app, peers)
    shortcut.install(app, settings, peers)
    app.tell(PASSED_ON)
    app.register_blueprint(pages())
    return app


def _database_state(database: Database) -> str:
    try:
        return database.check()
    except SQLAlchemyError:
        _log.warning("the database does not answer", exc_info=True)
        return "unavailable"
