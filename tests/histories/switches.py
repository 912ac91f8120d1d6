"""The mechanisms that keep the promises, and each of them switched off, so that the judgement is judged."""

from collections.abc import Callable
from typing import Any

from domain import Receipt
from models import DynamoDBDatabase
from realtime.push import Broadcasts
from services.change_log import ChangeLog
from services.snapshots import Snapshots
from store import items

_current = Snapshots.current


def kept_without_asking(self, department_id):
    return self._kept.get(department_id) or self._keep(
        self._load(self._db.read_head(department_id), department_id)
    )


def joined_in_flight(self, department_id):
    line = self._lines.get(department_id)
    if line and (read := line.running):
        read.done.wait()
        return read.outcome()
    return _current(self, department_id)


def pushed_without_looking(self, partition, head, changes):
    if cursor := self._cursors.get(partition):
        with cursor.lock:
            self._push(partition, cursor, head, changes)


def any_state(revision):
    return "attribute_exists(id) OR :seen = :seen", {":seen": {"N": str(revision)}}


SWITCHED_OFF: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "the log laid over the index": (DynamoDBDatabase, "recent_changes", lambda *_: []),
    "asking the head before a read": (Snapshots, "_refresh", kept_without_asking),
    "sharing only reads that are yet to start": (Snapshots, "current", joined_in_flight),
    "looking for holes before a push": (Broadcasts, "on_commit", pushed_without_looking),
    "pushing what others committed": (Broadcasts, "_catch_up", lambda *_: None),
    "recognising an own commit": (ChangeLog, "_recognise", lambda *_: None),
    "the condition on the state that was edited": (items, "_unchanged", any_state),
    "the receipt of a creation": (Receipt, "of", lambda *_: None),
}
