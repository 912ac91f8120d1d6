"""A run's rows between the files and the tables: in a temporary file, so that memory stays flat.

SQLite removes the file by itself, however the process ends. Used by one thread.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import orjson

from domain import Event
from migration.source_rows import SourceEvent

CACHE_KIB = 32_768

_SCHEMA = """
CREATE TABLE event (
    row INTEGER PRIMARY KEY, department INTEGER, id TEXT, former_id TEXT, last_modified TEXT, data BLOB,
    place TEXT, stored INTEGER DEFAULT 0, former_stored INTEGER DEFAULT 0, dropped INTEGER DEFAULT 0,
    revision INTEGER DEFAULT 0, shown INTEGER DEFAULT 0
);
CREATE TABLE source (row INTEGER PRIMARY KEY, content BLOB);
CREATE TABLE left_out (kind TEXT, file TEXT, place TEXT, reason TEXT, content BLOB);
"""
_FIELDS = ("event_date", "title", "description", "time", "url", "created_at", "last_modified")


@dataclass(frozen=True, slots=True)
class Staged:
    """An event that waits to be loaded, and its place in the file."""

    row: int
    place: str
    source: SourceEvent
    stored: bool


class LeftOut(Enum):
    """Why a row is not in the tables: it cannot be, or a newer row of the same id is."""

    REFUSED = "refused"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class RowLeftOut:
    """A row that was not migrated: where it stands, why, and what the file says there."""

    file: str
    place: str
    reason: str
    content: Any


class Staging:
    """The rows of one run."""

    def __init__(self, event_file: str = "") -> None:
        self._event_file = event_file
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(
            f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-{CACHE_KIB};" + _SCHEMA
        )
        self._db.execute("BEGIN")
        self._numbers: dict[str, int] = {}
        self._departments: list[str] = []
        self._has_former_ids = False

    def close(self) -> None:
        self._db.close()

    def add(self, source: SourceEvent, place: str, content: Any = None) -> None:
        """Stage an event, and what its file says there if it may have to be shown."""
        event = source.entity
        number = self._numbers.get(event.department_id)
        if number is None:
            number = self._numbers[event.department_id] = len(self._departments)
            self._departments.append(event.department_id)
        data = orjson.dumps([*(getattr(event, name) for name in _FIELDS), sorted(source.assumed)])
        row = self._db.execute(
            "INSERT INTO event (department, id, former_id, last_modified, data, place)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (number, event.id, source.former_id or None, event.last_modified, data, place),
        ).lastrowid
        if content is not None:
            self._db.execute("INSERT INTO source VALUES (?, ?)", (row, orjson.dumps(content)))
        self._has_former_ids |= bool(source.former_id)

    def leave_out(self, kind: LeftOut, file: str, place: str, reason: str, content: Any) -> None:
        self._leave_out(kind, file, place, reason, orjson.dumps(content))

    def _leave_out(self, kind: LeftOut, file: str, place: str, reason: str, content: bytes | None) -> None:
        self._db.execute(
            "INSERT INTO left_out VALUES (?, ?, ?, ?, ?)", (kind.value, file, place, reason, content)
        )

    def index(self) -> None:
        """Make the rows findable, once all are added."""
        self._db.execute("CREATE INDEX by_id ON event (id)")
        self._db.execute("CREATE INDEX by_department ON event (department, id)")
        self._db.execute("CREATE INDEX by_former_id ON event (former_id) WHERE former_id IS NOT NULL")

    def settle(self) -> int:
        """Index the rows and keep one of each id; return how many merely repeated another.

        Of rows that differ the last changed stays, of those the last; the others are superseded.
        """
        self.index()
        repeated = 0
        doubles = self._db.execute("SELECT id FROM event GROUP BY id HAVING count(*) > 1").fetchall()
        for (event_id,) in doubles:
            rows = self._db.execute(
                "SELECT row, department, data, place FROM event WHERE id = ? ORDER BY last_modified, row",
                (event_id,),
            ).fetchall()
            _, *kept, winner = rows[-1]
            for row, *content, _place in rows[:-1]:
                if content == kept:
                    repeated += 1
                    self.drop([row])
                else:
                    self._drop_event(LeftOut.SUPERSEDED, row, f"같은 id의 더 새로운 행이 있습니다: {winner}")
        return repeated

    def drop(self, rows: Iterable[int]) -> None:
        self._db.executemany("UPDATE event SET dropped = 1 WHERE row = ?", ((row,) for row in rows))

    def refuse_event(self, row: int, reason: str) -> None:
        """Take an event out of the run and report it."""
        self._drop_event(LeftOut.REFUSED, row, reason)

    def _drop_event(self, kind: LeftOut, row: int, reason: str) -> None:
        self.drop([row])
        place, content = self._db.execute(
            "SELECT place, content FROM event LEFT JOIN source USING (row) WHERE row = ?", (row,)
        ).fetchone()
        self._leave_out(kind, self._event_file, place, reason, content)

    # Reading

    def departments(self) -> list[str]:
        return self._departments

    def count(self) -> int:
        count: int = self._db.execute("SELECT count(*) FROM event WHERE NOT dropped").fetchone()[0]
        return count

    def chunks(self, department_id: str, size: int) -> Iterator[list[Staged]]:
        """Yield a department's events by id; rows may be dropped on the way."""
        number, after = self._numbers[department_id], ""
        condition = f"department = ? AND id > ? AND NOT dropped ORDER BY id LIMIT {size}"
        while found := self._select(condition, (number, after)):
            yield [self._staged(row) for row in found]
            after = found[-1][2]

    def note_stored(self, event_id: str, department_id: str) -> list[int]:
        """Note that an event is stored already; return the rows that would put it elsewhere as well."""
        number = self._numbers.get(department_id, -1)
        self._db.execute("UPDATE event SET stored = 1 WHERE id = ? AND department = ?", (event_id, number))
        if self._has_former_ids:
            self._db.execute(
                "UPDATE event SET former_stored = 1 WHERE former_id = ? AND department = ?",
                (event_id, number),
            )
        found = self._db.execute(
            "SELECT row FROM event WHERE id = ? AND department <> ? AND NOT dropped", (event_id, number)
        )
        return [row for (row,) in found]

    def take_former_ids(self) -> None:
        """Let each event that is stored under its former id alone keep that id, once all stored are noted.

        Rows that had one former id were one event to earlier versions: the first takes it. None does
        where it is the id of a row of its own, as of one that has the day without a clock.
        """
        self._db.execute(
            """UPDATE event SET id = former_id, stored = 1 WHERE row IN (
                SELECT min(row) FROM event AS e WHERE former_stored AND NOT stored AND NOT dropped
                AND NOT EXISTS (SELECT 1 FROM event WHERE id = e.former_id) GROUP BY former_id)"""
        )

    def left_out(self, kind: LeftOut) -> Iterator[RowLeftOut]:
        found = self._db.execute(
            "SELECT file, place, reason, content FROM left_out WHERE kind = ?", (kind.value,)
        )
        for file, place, reason, content in found:
            yield RowLeftOut(file, place, reason, content and orjson.loads(content))

    def count_left_out(self, kind: LeftOut) -> int:
        found = self._db.execute("SELECT count(*) FROM left_out WHERE kind = ?", (kind.value,))
        count: int = found.fetchone()[0]
        return count

    def _select(self, condition: str, values: Sequence[Any]) -> list[Any]:
        query = f"SELECT row, department, id, former_id, data, place, stored FROM event WHERE {condition}"  # noqa: S608 - ours
        return self._db.execute(query, values).fetchall()

    def _staged(self, found: Sequence[Any]) -> Staged:
        row, number, event_id, former_id, data, place, stored = found
        *values, assumed = orjson.loads(data)
        event = Event(
            id=event_id,
            department_id=self._departments[number],
            **dict(zip(_FIELDS, values, strict=True)),
        )
        return Staged(row, place, SourceEvent(event, frozenset(assumed), former_id or ""), bool(stored))

    # What the index shows

    def note_written(self, row: int, revision: int) -> None:
        self._db.execute("UPDATE event SET revision = ? WHERE row = ?", (revision, row))

    def note_shown(self, found: Iterable[tuple[str, int]]) -> None:
        """Note the ids and revisions that the index shows; an older state than was written is not it."""
        self._db.executemany("UPDATE event SET shown = 1 WHERE id = ? AND revision <= ?", found)

    def not_shown(self, department_id: str) -> list[Staged]:
        """Return the events that the index has not shown yet."""
        found = self._select("department = ? AND NOT dropped AND NOT shown", (self._numbers[department_id],))
        return [self._staged(row) for row in found]
