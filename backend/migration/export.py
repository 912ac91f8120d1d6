"""Exports the tables to the two JSON files that the migration reads, to leave DynamoDB or as a backup.

To migrate an export gives equal items, and to export those gives the same bytes.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import tzinfo
from pathlib import Path
from typing import Any

from domain import Department, Event
from errors import SetupError
from migration.json_list import write_json_list
from migration.left_out import RowRefused
from migration.source_files import Row
from migration.source_rows import KnownDepartments, Remarks, RowReader, SourceEvent
from migration.staging import Staging
from models import DynamoDBDatabase

CHUNK = 1_000


def export_tables(
    db: DynamoDBDatabase, directory: Path, departments_file: str, events_file: str, zone: tzinfo
) -> list[int]:
    """Write both files, each whole or not at all; return the numbers of departments, events and orphans.

    Orphans are events of deleted departments; they are not written. Items of other tools are written as the
    migration would read them, with dates in `zone`. Raises `SetupError` if the folder cannot be written, and
    `StoreUnavailable`.
    """
    with closing(Staging()) as staging:
        reader = RowReader(Remarks(), zone, repair=False)
        departments = sorted(db.list_departments(), key=lambda d: (d.name.casefold(), d.id))
        known, orphans = KnownDepartments(), 0
        rows = [_department_row(department, reader) for department in departments]
        for department in departments:
            known.add(department, (department.id,))
        ids = {department.id for department in departments}
        for event in db.all_events():
            if event.department_id in ids:
                staging.add(SourceEvent(_as_migrated(event, known, reader), frozenset()), "")
            else:
                orphans += 1
        staging.index()
        count = staging.count()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            write_json_list(directory / departments_file, rows)
            write_json_list(directory / events_file, _event_rows(staging))
        except OSError as error:
            raise SetupError(
                f"'{directory}'에 쓸 수 없습니다: {error.strerror}\n  → 폴더의 권한과 남은 공간을 확인하세요."
            ) from error
    return [len(rows), count, orphans]


def _department_row(department: Department, reader: RowReader) -> Mapping[str, Any]:
    """Return a department as the migration would read it, or as it is stored if it breaks a rule."""
    try:
        row = Row("", (), department.public())
        return reader.department(row, KnownDepartments()).entity.public()
    except RowRefused:
        return department.public()


def _as_migrated(event: Event, departments: KnownDepartments, reader: RowReader) -> Event:
    """Return an event as the migration would read it, or as it is stored if it breaks a rule."""
    try:
        row = Row("", (), _event_row(event))
        return reader.event(row, departments).entity
    except RowRefused:
        return event


def _event_rows(staging: Staging) -> Iterator[Mapping[str, Any]]:
    for department_id in sorted(staging.departments()):
        for chunk in staging.chunks(department_id, CHUNK):
            for staged in chunk:
                yield _event_row(staged.source.entity)


def _event_row(event: Event) -> dict[str, Any]:
    row = event.public() | {"ical_uid": event.imported_uid}
    del row["revision"]  # it is valid only in this store
    return row
