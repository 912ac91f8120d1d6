"""The commit: one transaction that moves the head, changes the entities and adds to the log, or fails."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from domain import Position, utc_now
from people import AnyChange, AnyWrite
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

    `refusals` maps the index of each of these writes to the reason.
    """

    def __init__(self, refusals: Mapping[int, Refusal]) -> None:
        self.refusals = refusals
        super().__init__(str(refusals))


class Committer:
    """Commits to all partitions of one store; `models.py` says what `commit` promises."""

    def __init__(self, client: DynamoClient, names: TableNames, log: Log) -> None:
        self._client = client
        self._log = log
        self._builder = ActionBuilder(names)

    def commit(self, partition: str, seen: Position, writes: Sequence[AnyWrite]) -> list[AnyChange]:
        now = utc_now()
        changes, logged, actions = self._fit(seen, writes, now)
        move = self._builder.move_head(partition, seen, changes[-1].revision, new_epoch())
        row = self._builder.put_row(partition, seen.revision + 1, logged, now)
        requests = [move, row, *(action.request for _, action in actions)]
        try:
            self._client.call("transact_write_items", TransactItems=requests)
        except RequestRejected as error:
            if len(changes) > 1:  # DynamoDB does not say which write is wrong: try the first alone
                return self.commit(partition, seen, writes[:1])
            raise WritesRefused({0: Refusal.REJECTED}) from error
        except TransactionRefused as error:
            head_failed, row_failed, *others_failed = error.failed
            if head_failed:
                raise HeadMoved(rows.position_of(partition, error.found[0])) from error
            if row_failed:  # a conflict with the commit that moves the head, which DynamoDB has not looked at
                raise HeadMoved(self._log.read_head(partition)) from error
            refusals: dict[int, Refusal] = {}
            for (index, action), failed in zip(actions, others_failed, strict=True):
                if failed:
                    refusals.setdefault(index, action.refusal)
            raise WritesRefused(refusals) from error
        return changes

    def _fit(
        self, seen: Position, writes: Sequence[AnyWrite], now: datetime
    ) -> tuple[list[AnyChange], list[Mapping[str, Any]], list[tuple[int, Action]]]:
        """Take as many of the first writes as fit one transaction, and the first in any case.

        Returns their changes, the attributes of these changes, and each action with the index of its write.
        """
        changes: list[AnyChange] = []
        logged: list[Mapping[str, Any]] = []
        actions: list[tuple[int, Action]] = []
        touched: set[str] = set()
        size = row_size = 0
        for index, write in enumerate(writes):
            change = write.at_revision(seen.revision + index + 1)
            more, attributes = self._builder.actions_of(write, change, now), rows.change_to_map(change)
            size += sum(action.size for action in more)
            row_size += len(orjson.dumps(attributes))
            keys = {action.key for action in more}
            full = (
                2 + len(actions) + len(more) > TRANSACTION_LIMIT
                or row_size > ROW_BYTES
                or size + row_size > TRANSACTION_BYTES
            )
            if index and (full or touched & keys):
                break
            changes.append(change)
            logged.append(attributes)
            actions += [(index, action) for action in more]
            touched |= keys
        return changes, logged, actions
