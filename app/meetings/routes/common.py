"""What the routes of meetings share."""

from __future__ import annotations

from dataclasses import dataclass

from flask_openapi import Tag
from pydantic import BaseModel, Field

from app.meetings.jobs import MeetingQueue
from app.meetings.store import MeetingStore
from app.peers import Peers
from app.settings import AppSettings

TAG = Tag(name="meetings", description="Réunions : enregistrement, transcription, compte rendu, diagramme")


class MeetingPath(BaseModel):
    meeting_id: str = Field(description="Identifiant de la réunion", max_length=64)


@dataclass(frozen=True)
class Desk:
    """What a route needs to handle meetings."""

    settings: AppSettings
    store: MeetingStore
    queue: MeetingQueue
    peers: Peers
