"""The mechanisms that keep the promises, and each of them switched off, so that the judgement is judged."""

from collections.abc import Callable
from typing import Any

from domain import Receipt
from models import DynamoDBDatabase
from realtime.room import Room
from services.change_log import ChangeLog
from services.coalescing import CoalescedReads
from services.snapshots import Reading, Snapshots
from store import items

_shared_read = CoalescedReads.__call__


def kept_without_asking(self, department_id):
    kept = self._kept.get(department_id)
    snapshot = kept or self._keep(self._load(department_id, self._db.read_head(department_id)))
    return Reading(snapshot.position, snapshot)


def joined_in_flight(self, key):
    reads = self._reads.get(key)
    if reads and (read := reads.running):
        read.done.wait()
        return read.outcome()
    return _shared_read(self, key)


def pushed_without_looking(self, reached, changes):
    with self._lock:
        if self._told:
            self._push(self._told, reached.epoch, changes)


def any_state(revision):
    return "attribute_exists(id) OR :seen = :seen", {":seen": {"N": str(revision)}}


SWITCHED_OFF: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "the log laid over the index": (DynamoDBDatabase, "recent_changes", lambda *_: []),
    "asking the head before a read": (Snapshots, "_refresh", kept_without_asking),
    "sharing only reads that are yet to start": (CoalescedReads, "__call__", joined_in_flight),
    "looking for holes before a push": (Room, "on_commit", pushed_without_looking),
    "pushing what others committed": (Room, "_catch_up", lambda *_: None),
    "recognising an own commit": (ChangeLog, "_recognise", lambda *_: None),
    "the condition on the state that was edited": (items, "unchanged_condition", any_state),
    "the receipt of a creation": (Receipt, "of", lambda *_: None),
}
