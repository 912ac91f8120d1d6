"""`/api/events/{department_id}.ics` and `.csv`: a department as a file."""

from urllib.parse import quote

from apiflask import APIBlueprint
from flask import Response

from errors import DepartmentNotFound, InvalidId, StoreUnavailable, TooManySeries
from files.reading import CSV, ICALENDAR
from people import Role
from rest.callers import require_role
from rest.conditions import is_held, not_modified, with_etag
from rest.openapi import ETAG, documented
from schemas import OccurrencesQuery, RangeQuery
from services.accounts.access import Access
from services.calendar_files import CalendarFile, CalendarFiles

TAKES = ("If-None-Match",)


def blueprint(files: CalendarFiles, access: Access) -> APIBlueprint:
    bp = APIBlueprint("calendar_files", __name__, tag={"name": "files", "description": "파일"})
    failures = (InvalidId, DepartmentNotFound, TooManySeries, StoreUnavailable)

    @bp.get("/api/events/<department_id>.ics")
    @documented("부서의 일정을 iCalendar로", ICALENDAR, *failures, takes=TAKES, sends=ETAG)
    @bp.input(RangeQuery, location="query", arg_name="query")
    def get_calendar(department_id: str, query: RangeQuery) -> Response:
        id = require_role(access, department_id, Role.READER)
        return file_answer(files.calendar(id, query.event_filter(), is_held), ICALENDAR)

    @bp.get("/api/events/<department_id>.csv")
    @documented("부서의 일정을 CSV로 (엑셀에서 열림)", CSV, *failures, takes=TAKES, sends=ETAG)
    @bp.input(OccurrencesQuery, location="query", arg_name="query")
    def get_table(department_id: str, query: OccurrencesQuery) -> Response:
        id = require_role(access, department_id, Role.READER)
        return file_answer(files.table(id, query.event_filter(), is_held), CSV)

    return bp


def file_answer(file: CalendarFile, media: str) -> Response:
    """Answer a file, or 304 if the caller holds it."""
    if file.pieces is None:
        return not_modified(file.etag)
    response = Response(file.pieces, mimetype=media)
    response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(file.name)}"
    return with_etag(response, file.etag)
