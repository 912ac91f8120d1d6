"""Keeps the rows of a run in a temporary SQLite file, so that memory does not grow with their number.

SQLite removes the file by itself, however the process ends. Only one thread may use a `Staging`.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from domain import Event
from migration.later_fields import EVENT_FIELDS, value_of, with_values
from migration.left_out import LeftOut, RowLeftOut
from migration.source_rows import SourceEvent

CACHE_KIB = 32_768

_SCHEMA = """
CREATE TABLE event (
    row INTEGER PRIMARY KEY, department INTEGER, id TEXT, former_id TEXT, last_modified TEXT, data BLOB,
    location TEXT, stored INTEGER DEFAULT 0, former_stored INTEGER DEFAULT 0, dropped INTEGER DEFAULT 0,
    revision INTEGER DEFAULT 0, shown INTEGER DEFAULT 0
);
CREATE TABLE source (row INTEGER PRIMARY KEY, content BLOB);
CREATE TABLE left_out (kind TEXT, file TEXT, location TEXT, reason TEXT, content BLOB);
"""
_FIELDS = ("event_date", "title", "description", "time", "url", "created_at", "last_modified")


@dataclass(frozen=True, slots=True)
class Staged:
    """An event of the file, as it is to be loaded; `row` is its number in the staging.

    `location` is its path in the file, such as `events[3]`; `stored` tells whether the tables had it when
    the run began.
    """

    row: int
    location: str
    source: SourceEvent
    stored: bool


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

    def add(self, source: SourceEvent, location: str, content: Any = None) -> None:
        """Stage an event, with the content of its row if a later refusal has to show it."""
        event = source.entity
        number = self._numbers.get(event.department_id)
        if number is None:
            number = self._numbers[event.department_id] = len(self._departments)
            self._departments.append(event.department_id)
        later = {name: value for name in EVENT_FIELDS if (value := value_of(event, name))}
        fixed = (getattr(event, name) for name in _FIELDS)
        data = orjson.dumps([*fixed, later, sorted(source.assumed), sorted(source.given)])
        row = self._db.execute(
            "INSERT INTO event (department, id, former_id, last_modified, data, location)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (number, event.id, source.former_id or None, event.last_modified, data, location),
        ).lastrowid
        if content is not None:
            self._db.execute("INSERT INTO source VALUES (?, ?)", (row, orjson.dumps(content)))
        self._has_former_ids |= bool(source.former_id)

    def leave_out(self, kind: LeftOut, file: str, location: str, reason: str, content: Any) -> None:
        """Record a row that is not migrated."""
        self._leave_out(kind, file, location, reason, orjson.dumps(content))

    def _leave_out(self, kind: LeftOut, file: str, location: str, reason: str, content: bytes | None) -> None:
        self._db.execute(
            "INSERT INTO left_out VALUES (?, ?, ?, ?, ?)", (kind.value, file, location, reason, content)
        )

    def index(self) -> None:
        """Build the indexes that the reading methods need; call it once all rows are added."""
        self._db.execute("CREATE INDEX by_id ON event (id)")
        self._db.execute("CREATE INDEX by_department ON event (department, id)")
        self._db.execute("CREATE INDEX by_former_id ON event (former_id) WHERE former_id IS NOT NULL")

    def keep_newest(self) -> int:
        """Index the rows and keep one of each id; return the number of rows that equal the one kept.

        The row with the latest `last_modified` is kept, the last of several; those that differ from it are
        recorded as superseded.
        """
        self.index()
        repeated = 0
        doubles = self._db.execute("SELECT id FROM event GROUP BY id HAVING count(*) > 1").fetchall()
        for (event_id,) in doubles:
            rows = self._db.execute(
                "SELECT row, department, data, location FROM event WHERE id = ? ORDER BY last_modified, row",
                (event_id,),
            ).fetchall()
            _, *kept, winner = rows[-1]
            for row, *content, _location in rows[:-1]:
                if content == kept:
                    repeated += 1
                    self.drop([row])
                else:
                    self._drop_event(LeftOut.SUPERSEDED, row, f"같은 id의 더 새로운 행이 있습니다: {winner}")
        return repeated

    def drop(self, rows: Iterable[int]) -> None:
        """Take rows out of the run without a record; the reading methods skip them."""
        self._db.executemany("UPDATE event SET dropped = 1 WHERE row = ?", ((row,) for row in rows))

    def refuse_event(self, row: int, reason: str) -> None:
        """Drop an event and record it as refused."""
        self._drop_event(LeftOut.REFUSED, row, reason)

    def _drop_event(self, kind: LeftOut, row: int, reason: str) -> None:
        self.drop([row])
        location, content = self._db.execute(
            "SELECT location, content FROM event LEFT JOIN source USING (row) WHERE row = ?", (row,)
        ).fetchone()
        self._leave_out(kind, self._event_file, location, reason, content)

    # Reading

    def departments(self) -> list[str]:
        return self._departments

    def count(self) -> int:
        count: int = self._db.execute("SELECT count(*) FROM event WHERE NOT dropped").fetchone()[0]
        return count

    def chunks(self, department_id: str, size: int) -> Iterator[list[Staged]]:
        """Yield a department's events in the order of their ids; the caller may drop rows meanwhile."""
        number, after = self._numbers[department_id], ""
        condition = f"department = ? AND id > ? AND NOT dropped ORDER BY id LIMIT {size}"
        while found := self._select(condition, (number, after)):
            yield [self._staged(row) for row in found]
            after = found[-1][2]

    def note_stored(self, event_id: str, department_id: str) -> list[int]:
        """Note that the tables have an event; return the rows with its id and another department."""
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

    def use_former_ids(self) -> None:
        """Give each event that is stored only under its former id that id, so that it is updated.

        To be called after all calls of `note_stored`. Earlier versions made one event of all rows with the
        same former id, so only the first of these rows takes it. None does if a row of the file has the
        former id as its own id, such as a row with the same day and no clock.
        """
        self._db.execute(
            """UPDATE event SET id = former_id, stored = 1 WHERE row IN (
                SELECT min(row) FROM event AS e WHERE former_stored AND NOT stored AND NOT dropped
                AND NOT EXISTS (SELECT 1 FROM event WHERE id = e.former_id) GROUP BY former_id)"""
        )

    def left_out(self, kind: LeftOut) -> Iterator[RowLeftOut]:
        found = self._db.execute(
            "SELECT file, location, reason, content FROM left_out WHERE kind = ?", (kind.value,)
        )
        for file, location, reason, content in found:
            yield RowLeftOut(file, location, reason, content and orjson.loads(content))

    def count_left_out(self, kind: LeftOut) -> int:
        found = self._db.execute("SELECT count(*) FROM left_out WHERE kind = ?", (kind.value,))
        count: int = found.fetchone()[0]
        return count

    def _select(self, condition: str, values: Sequence[Any]) -> list[Any]:
        query = f"SELECT row, department, id, former_id, data, location, stored FROM event WHERE {condition}"  # noqa: S608 - ours
        return self._db.execute(query, values).fetchall()

    def _staged(self, found: Sequence[Any]) -> Staged:
        row, number, event_id, former_id, data, location, stored = found
        *values, later, assumed, given = orjson.loads(data)
        event = Event(
            id=event_id,
            department_id=self._departments[number],
            **dict(zip(_FIELDS, values, strict=True)),
            **with_values({**later, "exdates": tuple(later.get("exdates", ()))}),
        )
        source = SourceEvent(event, frozenset(assumed), former_id or "", frozenset(given))
        return Staged(row, location, source, bool(stored))

    # What the index shows

    def note_written(self, row: int, revision: int) -> None:
        """Note the revision at which the index has to show an event."""
        self._db.execute("UPDATE event SET revision = ? WHERE row = ?", (revision, row))

    def note_shown(self, found: Iterable[tuple[str, int]]) -> None:
        """Note the ids and revisions that the index shows; ignore an event older than the one written."""
        self._db.executemany("UPDATE event SET shown = 1 WHERE id = ? AND revision <= ?", found)

    def not_shown(self, department_id: str) -> list[Staged]:
        """Return the events of a department that the index has not shown yet."""
        found = self._select("department = ? AND NOT dropped AND NOT shown", (self._numbers[department_id],))
        return [self._staged(row) for row in found]
