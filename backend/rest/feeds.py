"""`/api/departments/{id}/feed`: the secret address of a department's calendar; `/feeds`, what it shows."""

from typing import Any

from apiflask import APIBlueprint
from flask import Response

from domain import EventFilter
from errors import DepartmentNotFound, FeedNotFound, InvalidId, StoreUnavailable
from files.reading import ICALENDAR
from people import Role
from rest.answer_shapes import FeedAnswer
from rest.calendar_files import file_answer
from rest.callers import principal, require_role
from rest.conditions import is_held
from rest.openapi import documented
from services.accounts.access import Access
from services.calendar_files import CalendarFiles
from services.feeds import FeedService


def blueprint(feeds: FeedService, files: CalendarFiles, access: Access, public_url: str) -> APIBlueprint:
    """Build the routes; `public_url` is what addresses begin with, without a slash at its end."""
    bp = APIBlueprint("feeds", __name__, tag={"name": "feeds", "description": "구독 주소"})

    def answer(secret: str) -> dict[str, Any]:
        url = f"{public_url}/feeds/{secret}.ics"
        return {"success": True, "url": url, "webcal_url": f"webcal://{url.partition('://')[2]}"}

    @bp.get("/api/departments/<department_id>/feed")
    @documented("내 구독 주소", FeedAnswer, InvalidId, DepartmentNotFound, FeedNotFound, StoreUnavailable)
    def get_feed(department_id: str) -> dict[str, Any]:
        return answer(feeds.get_secret(principal(), require_role(access, department_id, Role.READER)))

    @bp.post("/api/departments/<department_id>/feed")
    @documented(
        "구독 주소를 만들거나 새로 바꾸기 (전의 주소는 바로 끝남)",
        FeedAnswer,
        InvalidId,
        DepartmentNotFound,
        StoreUnavailable,
        413,
        415,
    )
    def renew_feed(department_id: str) -> dict[str, Any]:
        return answer(feeds.renew_secret(principal(), require_role(access, department_id, Role.READER)))

    @bp.get("/feeds/<secret>.ics")
    @bp.doc(hide=True)
    def read_feed(secret: str) -> Response:
        try:
            return file_answer(
                files.calendar(feeds.find_department_id(secret), EventFilter(), is_held), ICALENDAR
            )
        except DepartmentNotFound as error:
            raise FeedNotFound() from error

    return bp
