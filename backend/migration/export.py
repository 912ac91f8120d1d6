"""Writes the tables as the two JSON files that the migration reads: the way back, and the backup.

What is written migrates to equal items, so that the export of those is the same, byte by byte.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from datetime import tzinfo
from pathlib import Path
from typing import Any

import orjson

from domain import Department, Event
from errors import SetupError
from migration.source_files import Row
from migration.source_rows import Departments, Remarks, RowReader, RowRefused, SourceEvent
from migration.staging import Staging
from models import DynamoDBDatabase

CHUNK = 1_000


def export_tables(
    db: DynamoDBDatabase, directory: Path, departments_file: str, events_file: str, zone: tzinfo
) -> list[int]:
    """Write both files, complete or not at all; return the numbers of departments, events and orphans.

    Orphans are events of departments that are gone; they are not written. What an older tool stored is
    written as the migration reads it in `zone`. Raises `SetupError`.
    """
    with closing(Staging()) as staging:
        reader = RowReader(Remarks(), zone, mend=False)
        departments = sorted(db.list_departments(), key=lambda d: (d.name.casefold(), d.id))
        known, orphans = Departments(), 0
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
            _write(directory / departments_file, rows)
            _write(directory / events_file, _event_rows(staging))
        except OSError as error:
            raise SetupError(
                f"'{directory}'에 쓸 수 없습니다: {error.strerror}\n  → 폴더의 권한과 남은 공간을 확인하세요."
            ) from error
    return [len(rows), count, orphans]


def _department_row(department: Department, reader: RowReader) -> Mapping[str, Any]:
    """Write a department as the migration would read it; as it is, if it breaks a rule of today."""
    try:
        row = Row("", (), department.public())
        return reader.department(row, Departments()).entity.public()
    except RowRefused:
        return department.public()


def _as_migrated(event: Event, departments: Departments, reader: RowReader) -> Event:
    try:
        row = Row("", (), event.public())
        return reader.event(row, departments).entity
    except RowRefused:
        return event


def _event_rows(staging: Staging) -> Iterator[Mapping[str, Any]]:
    for department_id in sorted(staging.departments()):
        for chunk in staging.chunks(department_id, CHUNK):
            for staged in chunk:
                row = staged.source.entity.public()
                del row["revision"]  # counted anew by every store
                yield row


def _write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a list, one row a line, so that two backups can be compared with any tool."""
    draft = path.with_name(path.name + ".new")
    with draft.open("wb") as file:
        separator = b"[\n"
        for row in rows:
            file.write(separator + orjson.dumps(row))
            separator = b",\n"
        file.write(b"[]\n" if separator == b"[\n" else b"\n]\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
