"""`/api/events/{department_id}`: lists, creations, deltas, histories. `event_edits.py` has PUT and DELETE."""

import functools
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from apiflask import APIBlueprint
from flask import Response

from domain import Created, Event
from errors import (
    ChangeTooLarge,
    DepartmentNotFound,
    EntityTooLarge,
    EventIdTaken,
    EventNotFound,
    InvalidId,
    StoreUnavailable,
    SyncTokenExpired,
    TooManySeries,
)
from event_schemas import EventNew
from people import Role
from rest import event_edits
from rest.answer_shapes import (
    ChangesAnswer,
    EventAnswer,
    EventsAnswer,
    HistoryAnswer,
)
from rest.callers import require_role
from rest.conditions import idempotency_key, is_held, not_modified, with_etag
from rest.event_answers import event_answer
from rest.openapi import ETAG, REPLAYED, documented
from schemas import ChangesQuery, HistoryQuery, ListQuery, parse_id
from services.accounts.access import Access
from services.event_chunks import EventChunks
from services.event_lists import EventList
from services.events import EventService
from services.sync import SyncService
from tokens import number_token


def blueprint(events: EventService, sync: SyncService, access: Access) -> APIBlueprint:
    bp = APIBlueprint(
        "events", __name__, url_prefix="/api/events", tag={"name": "events", "description": "이벤트"}
    )

    required = functools.partial(require_role, access)

    @bp.get("/<department_id>")
    @documented(
        "부서의 이벤트 목록 (날짜, 시간순)",
        EventsAnswer,
        InvalidId,
        DepartmentNotFound,
        TooManySeries,
        StoreUnavailable,
        takes=("If-None-Match",),
        sends=ETAG,
    )
    @bp.input(ListQuery, location="query", arg_name="query")
    def list_events(department_id: str, query: ListQuery) -> Response:
        found = events.list_events(
            required(department_id, Role.READER),
            query.event_filter(),
            lambda position: is_held(str(position)),
        )
        if found.events is None:
            return not_modified(str(found.position))
        return _list_answer(found, found.events)

    @bp.post("/<department_id>")
    @documented(
        "이벤트 만들기",
        EventAnswer,
        InvalidId,
        DepartmentNotFound,
        EventIdTaken,
        EntityTooLarge,
        StoreUnavailable,
        status=201,
        takes=("Idempotency-Key",),
        sends=ETAG | REPLAYED,
    )
    @bp.input(EventNew, arg_name="body")
    def create_event(department_id: str, body: EventNew) -> Response:
        created = events.create_event(
            required(department_id, Role.WRITER), body.model_dump(), idempotency_key()
        )
        return _created_answer(created)

    @bp.get("/<department_id>/changes")
    @documented(
        "동기화 토큰 이후의 변경",
        ChangesAnswer,
        InvalidId,
        DepartmentNotFound,
        SyncTokenExpired,
        StoreUnavailable,
    )
    @bp.input(ChangesQuery, location="query", arg_name="query")
    def list_changes(department_id: str, query: ChangesQuery) -> dict[str, Any]:
        delta = sync.changes_since(required(department_id, Role.READER), query.since, query.limit)
        return {
            "success": True,
            "changes": [change.public() for change in delta.changes],
            "sync_token": delta.position.sync_token,
            "has_more": delta.has_more,
        }

    @bp.get("/<department_id>/history")
    @documented(
        "이벤트의 변경 이력, 최근 것부터 (기록이 남아 있는 30일 동안)",
        HistoryAnswer,
        InvalidId,
        DepartmentNotFound,
        StoreUnavailable,
    )
    @bp.input(HistoryQuery, location="query", arg_name="query")
    def get_event_history(department_id: str, query: HistoryQuery) -> dict[str, Any]:
        page = events.page_history(
            required(department_id, Role.READER), parse_id(query.event_id), query.limit, query.begin
        )
        return {
            "success": True,
            "history": [entry.public() for entry in page.entries],
            "next_page_token": number_token(page.next_revision),
        }

    @bp.get("/<department_id>/<event_id>")
    @documented(
        "이벤트 한 개",
        EventAnswer,
        InvalidId,
        DepartmentNotFound,
        EventNotFound,
        StoreUnavailable,
        takes=("If-None-Match",),
        sends=ETAG,
    )
    def get_event(department_id: str, event_id: str) -> Response:
        event = events.get_event(required(department_id, Role.READER), parse_id(event_id))
        etag = str(event.revision)
        return not_modified(etag) if is_held(etag) else event_answer(event)

    @bp.post("/<department_id>/<event_id>/restore")
    @documented(
        "지운 이벤트 되살리기 (기록이 남아 있는 동안)",
        EventAnswer,
        InvalidId,
        DepartmentNotFound,
        EventNotFound,
        EventIdTaken,
        ChangeTooLarge,
        EntityTooLarge,
        StoreUnavailable,
        413,
        415,
        sends=ETAG,
    )
    def restore_event(department_id: str, event_id: str) -> Response:
        return event_answer(events.restore_event(required(department_id, Role.WRITER), parse_id(event_id)))

    event_edits.add_routes(bp, events, access)
    return bp


def _list_answer(found: EventList, events: Iterable[bytes]) -> Response:
    """Build the answer around the pieces of a list that are JSON already, without a copy of them."""
    position = found.position
    end = b'],"revision":%d,"sync_token":"%b","next_page_token":"%b"}' % (
        position.revision,
        position.sync_token.encode(),
        found.next_page_token.encode(),
    )
    body = _around(events, end)
    if isinstance(events, EventChunks | tuple):
        whole = list(body)
        response = Response(whole, mimetype="application/json")
        response.content_length = sum(map(len, whole))
    else:
        first = next(body)  # a store that is down is answered by a 503, as nothing has been sent yet
        response = Response(chain((first,), body), mimetype="application/json")
    return with_etag(response, str(position))


def _around(events: Iterable[bytes], end: bytes) -> Iterator[bytes]:
    before = b'{"success":true,"events":['
    for piece in filter(None, events):
        yield before
        yield piece
        before = b","
    yield end if before == b"," else before + end


def _created_answer(created: Created[Event]) -> Response:
    response = event_answer(created.entity)
    response.status_code = 201
    if created.repeated:
        response.headers["Idempotent-Replayed"] = "true"
    return response
