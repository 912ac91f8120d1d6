"""The commit: one transaction that moves the head, changes the entities and adds to the log, or fails."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from domain import Position, WriteSet, utc_now
from people import AnyChange, AnyWrites, each_write
from store import rows
from store.actions import ActionBuilder
from store.dynamo_client import TRANSACTION_LIMIT, DynamoClient, RequestRejected, TransactionRefused
from store.epochs import new_epoch
from store.log import Log
from store.tables import TableNames
from store.transactions import Action, Refusal

TRANSACTION_BYTES = 3_500_000
"""A little less than the 4 MB that DynamoDB allows; the sizes of actions are estimates."""
ROW_BYTES = 350_000
"""A little less than the 400 KB that DynamoDB allows for an item; a row with one change may be larger."""


class HeadMoved(Exception):
    """The head is not where the writer saw it, as when another server committed first; nothing was written.

    `position` is where the head is now; None if the department is deleted.
    """

    def __init__(self, position: Position | None) -> None:
        self.position = position
        super().__init__(str(position))


class WritesRefused(Exception):
    """Some writes of a commit failed their own conditions; nothing was written.

    `refusals` maps the index of each of these writes, or sets of writes, to the reason.
    """

    def __init__(self, refusals: Mapping[int, Refusal]) -> None:
        self.refusals = refusals
        super().__init__(str(refusals))


@dataclass(slots=True)
class _Part:
    """What a transaction does besides moving the head and writing the row; or what one of its writes does."""

    changes: list[AnyChange] = field(default_factory=list)
    logged: list[Mapping[str, Any]] = field(default_factory=list)
    """The attributes of the changes, as the row has them."""
    actions: list[tuple[int, Action]] = field(default_factory=list)
    """Each with the index of its write, or set of writes, in the commit."""
    touched: set[str] = field(default_factory=set)
    size: int = 0
    row_size: int = 0

    def has_room_for(self, more: "_Part") -> bool:
        row_size = self.row_size + more.row_size
        return (
            2 + len(self.actions) + len(more.actions) <= TRANSACTION_LIMIT
            and row_size <= ROW_BYTES
            and self.size + more.size + row_size <= TRANSACTION_BYTES
            and not self.touched & more.touched
        )

    def add(self, more: "_Part") -> None:
        self.changes += more.changes
        self.logged += more.logged
        self.actions += more.actions
        self.touched |= more.touched
        self.size += more.size
        self.row_size += more.row_size


class Committer:
    """Commits to all partitions of one store; `models.py` says what `commit` promises."""

    def __init__(self, client: DynamoClient, names: TableNames, log: Log) -> None:
        self._client = client
        self._log = log
        self._builder = ActionBuilder(names)

    def commit(self, partition: str, seen: Position, writes: Sequence[AnyWrites]) -> list[AnyChange]:
        now = utc_now()
        whole = self._fit(seen, writes, now)
        move = self._builder.move_head(partition, seen, whole.changes[-1].revision, new_epoch())
        row = self._builder.put_row(partition, seen.revision + 1, whole.logged, now)
        requests = [move, row, *(action.request for _, action in whole.actions)]
        try:
            self._client.call("transact_write_items", TransactItems=requests)
        except RequestRejected as error:
            if whole.actions[-1][0] > 0:  # DynamoDB does not say which write is wrong: try the first alone
                return self.commit(partition, seen, writes[:1])
            raise WritesRefused({0: Refusal.REJECTED}) from error
        except TransactionRefused as error:
            head_failed, row_failed, *others_failed = error.failed
            if head_failed:
                raise HeadMoved(rows.position_of(partition, error.found[0])) from error
            if row_failed:  # a conflict with the commit that moves the head, which DynamoDB has not looked at
                raise HeadMoved(self._log.read_head(partition)) from error
            refusals: dict[int, Refusal] = {}
            for (index, action), failed in zip(whole.actions, others_failed, strict=True):
                if failed:
                    refusals.setdefault(index, action.refusal)
            raise WritesRefused(refusals) from error
        return whole.changes

    def _fit(self, seen: Position, writes: Sequence[AnyWrites], now: datetime) -> _Part:
        """Take as many of the first writes as fit one transaction, and a first single one in any case.

        Raises `WritesRefused` for a first set of writes that does not fit alone.
        """
        whole = _Part()
        for index, wanted in enumerate(writes):
            part = self._part(index, wanted, seen.revision + len(whole.changes), now)
            if not whole.has_room_for(part):
                if index:
                    break
                if isinstance(wanted, WriteSet):
                    raise WritesRefused({0: Refusal.TOO_MUCH})
            whole.add(part)
        return whole

    def _part(self, index: int, wanted: AnyWrites, revision: int, now: datetime) -> _Part:
        """Build what the writes do that come after a revision."""
        part = _Part()
        for number, write in enumerate(each_write(wanted), 1):
            change = write.at_revision(revision + number)
            attributes = rows.change_to_map(change)
            actions = self._builder.actions_of(write, change, now)
            part.changes.append(change)
            part.logged.append(attributes)
            part.actions += [(index, action) for action in actions]
            part.touched.update(action.key for action in actions)
            part.size += sum(action.size for action in actions)
            part.row_size += len(orjson.dumps(attributes))
        return part
