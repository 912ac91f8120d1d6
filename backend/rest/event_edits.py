"""`/api/events/{event_id}`: events, and single occurrences of series, are changed and deleted."""

from typing import Any

from apiflask import APIBlueprint
from flask import Response

from errors import (
    ChangeTooLarge,
    EntityTooLarge,
    EventNotFound,
    InvalidId,
    OccurrenceNotFound,
    StoreUnavailable,
    TooManyExdates,
    TooManyReplacements,
)
from event_schemas import EventChange
from people import Role
from rest.answer_shapes import EventAnswer, MessageAnswer
from rest.callers import principal
from rest.conditions import expected_revisions
from rest.event_answers import event_answer
from rest.openapi import ETAG, documented
from schemas import OccurrenceQuery, parse_id
from services.accounts.access import Access
from services.event_edits import Authorize
from services.events import EventService


def add_routes(bp: APIBlueprint, events: EventService, access: Access) -> None:
    def may_write() -> Authorize:
        writer = principal()
        return lambda department_id: access.require(writer, department_id, Role.WRITER)

    @bp.put("/<event_id>")
    @documented(
        "이벤트 고치기 (보낸 항목만)",
        EventAnswer,
        InvalidId,
        EventNotFound,
        OccurrenceNotFound,
        TooManyReplacements,
        ChangeTooLarge,
        EntityTooLarge,
        StoreUnavailable,
        takes=("If-Match",),
        sends=ETAG,
    )
    @bp.input(OccurrenceQuery, location="query", arg_name="query")
    @bp.input(EventChange, arg_name="body")
    def update_event(event_id: str, query: OccurrenceQuery, body: EventChange) -> Response:
        id, fields, expected = parse_id(event_id), body.sent_fields(), expected_revisions()
        if query.occurrence is None:
            return event_answer(events.update_event(id, fields, expected, may_write()))
        return event_answer(
            events.update_occurrence(
                id, query.occurrence, fields, expected, may_write(), following=query.following
            )
        )

    @bp.delete("/<event_id>")
    @documented(
        "이벤트 지우기",
        MessageAnswer,
        InvalidId,
        EventNotFound,
        OccurrenceNotFound,
        TooManyReplacements,
        TooManyExdates,
        ChangeTooLarge,
        EntityTooLarge,
        StoreUnavailable,
        takes=("If-Match",),
    )
    @bp.input(OccurrenceQuery, location="query", arg_name="query")
    def delete_event(event_id: str, query: OccurrenceQuery) -> dict[str, Any]:
        id, expected = parse_id(event_id), expected_revisions()
        if query.occurrence is None:
            events.delete_event(id, expected, may_write())
        else:
            events.delete_occurrence(id, query.occurrence, expected, may_write(), following=query.following)
        return {"success": True, "message": "이벤트가 삭제되었습니다."}
