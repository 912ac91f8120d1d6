"""`/api/events/{department_id}/import`: the entries of a file into a department."""

from collections import Counter
from typing import Any

from apiflask import APIBlueprint
from flask import request

from errors import DepartmentNotFound, InvalidId, StoreUnavailable
from files.csv_in import list_unread_columns
from files.entries import FileRefused, TooManyEntries
from files.reading import CSV, ICALENDAR, read_file
from people import Role
from rest.answer_shapes import ImportAnswer
from rest.callers import require_role
from rest.openapi import documented
from rest.request_bodies import takes_file
from schemas import ImportQuery
from services.accounts.access import Access
from services.departments import DepartmentService
from services.import_plans import Verdict
from services.imports import ImportService

ENTRIES_MAX = 2_000
"""Entries of a file that is sent here. The program line takes more."""


def blueprint(imports: ImportService, departments: DepartmentService, access: Access) -> APIBlueprint:
    bp = APIBlueprint("imports", __name__, tag={"name": "imports", "description": "파일에서 가져오기"})

    @bp.post("/api/events/<department_id>/import")
    @takes_file(ICALENDAR, CSV)
    @documented(
        "파일(.ics, .csv)의 일정 가져오기. UID로 구별하므로 다시 보내도 더 늘지 않습니다.",
        ImportAnswer,
        InvalidId,
        DepartmentNotFound,
        FileRefused,
        TooManyEntries,
        StoreUnavailable,
        413,
        415,
        files=(ICALENDAR, CSV),
    )
    @bp.input(ImportQuery, location="query", arg_name="query")
    def import_events(department_id: str, query: ImportQuery) -> dict[str, Any]:
        id = require_role(access, department_id, Role.WRITER)
        zone = departments.get_department(id).zone
        content, media = request.get_data(), request.mimetype
        entries = read_file(content, media, zone, ENTRIES_MAX)
        judged = imports.run(id, entries, dry_run=query.dry_run)
        counts = Counter(one.verdict for one in judged)
        return {
            "success": True,
            "entries": [one.public() for one in judged],
            "counts": {verdict.value: counts[verdict] for verdict in Verdict},
            "unread_columns": list_unread_columns(content) if media == CSV else [],
        }

    return bp
