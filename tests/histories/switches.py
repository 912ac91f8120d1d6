"""The mechanisms that keep the promises, and for each a way to switch it off.

Histories without faults prove something only if the judgement finds faults where there are some. So histories
also run with one mechanism replaced by a broken one, and the judgement must find a fault. Most mechanisms are
private parts of the product, so each replacement resembles the code that it replaces.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from domain import Receipt
from errors import DepartmentNotFound
from models import DynamoDBDatabase
from realtime.room import Room
from services.coalesced_reads import CoalescedReads
from services.group_commit import GroupCommit
from services.series import Series
from services.snapshots import Reading, Snapshots
from store import items, rows
from store.actions import ActionBuilder

_shared_read = CoalescedReads.__call__
_commit_to_item = rows.commit_to_item
_move_head = ActionBuilder.move_head
_occurrence_changed = Series.occurrence_changed


class Switch(NamedTuple):
    """The arguments of `setattr` that break a mechanism in the whole process."""

    owner: Any
    attribute: str
    broken: Callable[..., Any]


def kept_without_asking(self, department_id):
    """Answer from the kept snapshot, though other servers may have committed since."""
    kept = self._kept.get(department_id)
    position = kept.position if kept else self._db.read_head(department_id)
    if position is None:
        raise DepartmentNotFound()
    snapshot = kept or self._load_to_keep(department_id, position)
    return Reading(snapshot.position if snapshot else position, snapshot)


def joined_in_flight(self, key):
    """Share a read that began before this caller came."""
    reads = self._reads.get(key)
    if reads and (read := reads.running):
        read.done.wait()
        return read.outcome()
    return _shared_read(self, key)


def pushed_without_looking(self, reached, changes):
    """Push a commit of this process, though one of another server may be missing before it."""
    with self._lock:
        if self._pushed:
            self._push(self._pushed, reached.epoch, changes)


def any_state(revision):
    """Make the condition on the state that an editor saw true for every state."""
    return "attribute_exists(id) OR :seen = :seen", {":seen": {"N": str(revision)}}


def commit_in_reverse(partition, first, changes, now):
    """Write the row of a commit with its changes from the last to the first."""
    return _commit_to_item(partition, first, changes[::-1], now)


def commit_without_its_last_change(partition, first, changes, now):
    """Write the row of a commit with one change too few."""
    row = _commit_to_item(partition, first, changes, now)
    return row | {"changes": {"L": row["changes"]["L"][: max(1, len(changes) - 1)]}}


def moved_though_deleted(self, partition, seen, revision, new_epoch):
    """Move a head though its department is deleted."""
    update = _move_head(self, partition, seen, revision, new_epoch)
    condition = update["Update"]["ConditionExpression"].replace("AND attribute_not_exists(deleted_at)", "")
    return {"Update": update["Update"] | {"ConditionExpression": condition}}


def one_after_the_other(self, partition, writes):
    """Commit each of several writes by itself."""
    return [self.commit(partition, write) for write in writes]


def series_left_alone(self, day, fields):
    """Make a replacement, or change one, whatever becomes of its series meanwhile."""
    return _occurrence_changed(self, day, fields)[:1]


SWITCHES: dict[str, Switch] = {
    "the log laid over the index": Switch(DynamoDBDatabase, "recent_changes", lambda *_: []),
    "asking the head before a read": Switch(Snapshots, "_refresh", kept_without_asking),
    "sharing only reads that are yet to start": Switch(CoalescedReads, "__call__", joined_in_flight),
    "looking for holes before a push": Switch(Room, "on_commit", pushed_without_looking),
    "pushing what others committed": Switch(Room, "_catch_up", lambda *_: None),
    "recognising an own commit": Switch(GroupCommit, "_settle_committed", lambda *_: None),
    "the condition on the state that was edited": Switch(items, "unchanged_condition", any_state),
    "the receipt of a creation": Switch(Receipt, "of", lambda *_: None),
    "the order of the changes in a row": Switch(rows, "commit_to_item", commit_in_reverse),
    "the whole commit in a row": Switch(rows, "commit_to_item", commit_without_its_last_change),
    "committing several writes together": Switch(GroupCommit, "commit_together", one_after_the_other),
    "changing the series with its replacements": Switch(Series, "occurrence_changed", series_left_alone),
    "refusing commits to a deleted department": Switch(ActionBuilder, "move_head", moved_though_deleted),
}
