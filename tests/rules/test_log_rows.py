"""The readers of the log, on any mixture of rows that versions have written: each against a model."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import count, zip_longest
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from acting import Actor
from domain import Change, ChangeType, Event, LogEntry, UnknownChange, timestamp, utc_now
from log_rows import Row, change_attributes, commit_row, single_row
from store.dynamo_client import DynamoClient
from store.log import PAGE, Log
from store.rows import entries_from_row
from store.tables import TableNames

PARTITION = "805d0fbd-dd60-412e-a9e7-4097e872610f"
TABLES = TableNames("departments", "events", "changes")
WINDOW = timedelta(minutes=5)


class FakeClient(DynamoClient):
    """Answers the queries of one log from a list of rows, in pages as small as `page_sizes` says in turn."""

    def __init__(self, rows: list[Row], page_sizes: list[int]) -> None:
        self._engine = None
        self._rows = rows
        self._page_sizes = page_sizes
        self._asked = 0

    def call(self, operation: str, **query: Any) -> dict[str, Any]:
        assert (operation, query["TableName"], query["ConsistentRead"]) == ("query", TABLES.changes, True)
        assert query["KeyConditionExpression"] == "department_id = :p AND revision > :r"
        forward = query.get("ScanIndexForward", True)
        after = int(query["ExpressionAttributeValues"][":r"]["N"])
        found = [row for row in self._rows if revision_of(row) > after]
        if cursor := query.get("ExclusiveStartKey"):
            begin = revision_of(cursor)
            found = [
                row for row in found if (revision_of(row) > begin if forward else revision_of(row) < begin)
            ]
        found.sort(key=revision_of, reverse=not forward)
        size = min(self._page_sizes[self._asked % len(self._page_sizes)], query.get("Limit", len(found) + 1))
        self._asked += 1
        page = found[:size]
        # DynamoDB names a cursor whenever a page is full, even if nothing follows.
        last = {"LastEvaluatedKey": page[-1]} if page and len(page) == size else {}
        return {"Items": page, **last}


def revision_of(row: Row) -> int:
    return int(row["revision"]["N"])


@dataclass
class StoredLog:
    """The rows of a log that have not expired, and the model: what they say."""

    rows: list[Row]
    entries: dict[int, LogEntry]
    """The entries that have not expired, by revision."""
    length: int


def random_log(rng: random.Random, largest_commit: int) -> StoredLog:
    """Make a log: its commits, the form of each, the kinds of its changes, and which rows have expired."""
    rows: list[Row] = []
    entries: dict[int, LogEntry] = {}
    revisions = count(1)
    length = 0
    share_expired = rng.choice([0.0, 0.02, 0.5])
    for _ in range(rng.randrange(7)):
        size = rng.randint(1, largest_commit)
        form = rng.choice(["1.0", "1.1", "1.2"])
        commit = [random_change(rng, next(revisions), form) for _ in range(size)]
        length += size
        if form == "1.2":
            parts = [row_of_commit(rng, commit)]
        else:
            parts = [(single_row(PARTITION, entry.revision, row), [entry]) for row, entry in commit]
        for row, said in parts:
            if rng.random() >= share_expired:
                rows.append(row)
                entries |= {entry.revision: entry for entry in said}
    return StoredLog(rows, entries, length)


def random_change(rng: random.Random, revision: int, form: str) -> tuple[Row, LogEntry]:
    """Make the attributes of a change as a version stores them, and the entry that they say."""
    previous = None if form == "1.0" else rng.randrange(revision)
    event = Event(
        id=f"{rng.randrange(3)}",
        department_id=PARTITION,
        event_date="2024-01-20",
        title=rng.choice(["", "회의"]),
        revision=revision,
    )
    change = Change(
        revision=revision,
        type=rng.choice([kind for kind in ChangeType if kind.value.startswith("event_")]),
        entity=event,
        at="2024-01-15T10:30:00.000Z",
        actor=Actor("b5", "누구"),
        write_id=f"w{revision}",
        previous=previous,
    )
    attributes = change_attributes(change)
    match rng.choice(["known"] * 6 + ["unknown kind", "no entity"]):
        case "known":
            return attributes, change
        case "unknown kind":
            attributes["type"] = {"S": "event_pinned"}
        case _:
            del attributes["entity"]
    return attributes, UnknownChange(
        revision=revision, at=change.at, write_id=change.write_id, previous=previous
    )


def row_of_commit(rng: random.Random, commit: list[tuple[Row, LogEntry]]) -> tuple[Row, list[LogEntry]]:
    """Make the row of a commit, which may hold fewer changes than it counts, or none that can be read."""
    changes, entries = [row for row, _ in commit], [entry for _, entry in commit]
    readable = rng.choice([len(commit)] * 4 + [rng.randint(0, len(commit))])
    row = commit_row(PARTITION, entries[0].revision, changes[:readable], entries[-1].revision)
    if readable == 0:
        row["changes"] = {"B": "cGFja2Vk"}
    return row, entries[:readable] + [UnknownChange(revision=e.revision) for e in entries[readable:]]


def stored_logs(largest_commit: int = 5) -> st.SearchStrategy[StoredLog]:
    return st.builds(random_log, st.randoms(use_true_random=True), st.integers(1, largest_commit))


def page_sizes() -> st.SearchStrategy[list[int]]:
    return st.lists(st.one_of(st.integers(1, 5), st.just(500)), min_size=1, max_size=4)


def dated(stored: StoredLog, at: Callable[[int], str]) -> StoredLog:
    """Return the log with other times: `at(revision)`."""

    def change(attributes: Row, revision: int) -> Row:
        return attributes | {"at": {"S": at(revision)}}

    rows = []
    for row in stored.rows:
        if "first" in row:
            revisions = range(int(row["first"]["N"]), revision_of(row) + 1)
            changes = zip_longest(row["changes"].get("L", []), revisions, fillvalue={"M": {}})
            rows.append(row | {"changes": {"L": [{"M": change(c["M"], r)} for c, r in changes]}})
        else:
            rows.append(change(row, revision_of(row)))
    entries = {entry.revision: entry for row in rows for entry in entries_from_row(row)}
    return StoredLog(rows, entries, stored.length)


@settings(deadline=None, max_examples=200)
@given(stored_logs())
def test_a_row_of_any_version_says_its_changes_and_counts_those_it_cannot_read(stored):
    read = [entry for row in stored.rows for entry in entries_from_row(row)]
    assert read == list(stored.entries.values())


@settings(deadline=None, max_examples=200)
@given(stored_logs(), page_sizes())
def test_changes_after_a_revision_are_those_up_to_the_first_that_has_expired(stored, page_sizes):
    log = Log(FakeClient(stored.rows, page_sizes), TABLES)
    for begin in range(stored.length + 2):
        dense = []
        while entry := stored.entries.get(begin + len(dense) + 1):
            dense.append(entry)
        assert log.changes_after(PARTITION, begin) == dense
        for limit in (1, 2, 7, stored.length + 1):
            assert log.changes_after(PARTITION, begin, limit) == dense[:limit]


@settings(deadline=None, max_examples=200)
@given(stored_logs(), page_sizes())
def test_a_change_is_found_at_its_revision_alone(stored, page_sizes):
    log = Log(FakeClient(stored.rows, page_sizes), TABLES)
    for revision in range(1, stored.length + 2):
        assert log.find_change(PARTITION, revision) == stored.entries.get(revision)


@settings(deadline=None, max_examples=100)
@given(stored_logs() | stored_logs(largest_commit=80), page_sizes(), st.floats(0, 1))
def test_recent_changes_reach_back_for_their_window_or_a_hundred_without_a_hole(
    stored, page_sizes, share_old
):
    now = utc_now()
    old, recent = timestamp(now - 2 * WINDOW), timestamp(now)
    for reached in range(0, stored.length + 2, 1 + stored.length // 20):
        old_until = int(reached * share_old)
        aged = dated(stored, lambda revision, old_until=old_until: old if revision <= old_until else recent)
        found = Log(FakeClient(aged.rows, page_sizes), TABLES).recent_changes(PARTITION, reached, WINDOW)
        assert found == recent_in_model(aged, reached, old_until)


def recent_in_model(stored: StoredLog, reached: int, old_until: int) -> list[LogEntry]:
    """Return the run of changes around `reached`: all recent ones, and old ones up to `PAGE` in all."""
    run: list[int] = []
    for revision in sorted(stored.entries):
        if run and revision != run[-1] + 1:
            if run[-1] >= reached:
                break  # what follows this hole is of a commit that appears just now
            run = []
        run.append(revision)
    if not run or run[-1] < reached:
        return []
    kept = [r for index, r in enumerate(reversed(run)) if r > old_until or index < PAGE]
    return [stored.entries[revision] for revision in reversed(kept)] if kept[-1] <= reached + 1 else []
