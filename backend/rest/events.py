"""`/api/events`: a route parses, calls one service method and answers."""

from typing import Any

from apiflask import APIBlueprint

from event_service import EventService
from rest.answers import ChangesAnswer, EventAnswer, EventsAnswer, MessageAnswer, documented
from schemas import ChangesQuery, EventChange, EventNew, EventRange, parse_id


def blueprint(events: EventService) -> APIBlueprint:
    bp = APIBlueprint("events", __name__, url_prefix="/api/events", tag="이벤트")

    @bp.get("/<department_id>")
    @bp.input(EventRange, location="query", arg_name="query")
    @documented("부서의 이벤트 목록 (날짜, 시간순)", EventsAnswer, 200, 404)
    def list_events(department_id: str, query: EventRange) -> dict[str, Any]:
        snapshot = events.department(parse_id(department_id))
        return {
            "success": True,
            "events": [event.public() for event in snapshot.between(query.first, query.last)],
            "revision": snapshot.revision,
            "sync_token": snapshot.sync_token,
        }

    @bp.post("/<department_id>")
    @bp.input(EventNew, arg_name="body")
    @documented("이벤트 만들기", EventAnswer, 201, 404)
    def create_event(department_id: str, body: EventNew) -> tuple[dict[str, Any], int]:
        created = events.create_event(parse_id(department_id), body.model_dump())
        return {"success": True, "event": created.public()}, 201

    @bp.get("/<department_id>/changes")
    @bp.input(ChangesQuery, location="query", arg_name="query")
    @documented("동기화 토큰 이후의 변경", ChangesAnswer, 200, 404, 410)
    def list_changes(department_id: str, query: ChangesQuery) -> dict[str, Any]:
        delta = events.changes_since(parse_id(department_id), query.since, query.limit)
        return {
            "success": True,
            "changes": [change.public() for change in delta.changes],
            "sync_token": delta.sync_token,
            "has_more": delta.has_more,
        }

    @bp.get("/<department_id>/<event_id>")
    @documented("이벤트 한 개", EventAnswer, 200, 404)
    def get_event(department_id: str, event_id: str) -> dict[str, Any]:
        found = events.get_event(parse_id(department_id), parse_id(event_id))
        return {"success": True, "event": found.public()}

    @bp.put("/<event_id>")
    @bp.input(EventChange, arg_name="body")
    @documented("이벤트 고치기 (보낸 항목만)", EventAnswer, 200, 404)
    def update_event(event_id: str, body: EventChange) -> dict[str, Any]:
        updated = events.update_event(parse_id(event_id), body.given())
        return {"success": True, "event": updated.public()}

    @bp.delete("/<event_id>")
    @documented("이벤트 지우기", MessageAnswer, 200, 404)
    def delete_event(event_id: str) -> dict[str, Any]:
        events.delete_event(parse_id(event_id))
        return {"success": True, "message": "이벤트가 삭제되었습니다."}

    return bp
