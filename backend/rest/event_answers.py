"""The answer that is one event."""

from flask import Response, jsonify

from domain import Event
from rest.conditions import with_etag


def event_answer(event: Event) -> Response:
    return with_etag(jsonify(success=True, event=event.public()), str(event.revision))
