"""`DynamoDBDatabase`: the tables, the commit and the reads, in the terms of the domain.

One commit is one `TransactWriteItems`: the head moves, the entities change and the log grows together or
not at all. Decides nothing that a user would call a rule; keys and attribute names are in `items.py`.
"""

import logging
import secrets
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from botocore.exceptions import ClientError

from config import Settings
from domain import (
    REGISTRY,
    Change,
    Department,
    Entity,
    Event,
    EventKey,
    PendingPurge,
    Position,
    Receipt,
    Remembered,
    Write,
    timestamp,
    utc_now,
)
from errors import DepartmentNotFound, SetupError, TableMissing, end_with_a_sentence
from store import items, local_engine
from store.dynamo_client import DynamoClient, RequestRejected, TransactionRefused
from store.items import Refusal

log = logging.getLogger(__name__)

if sys.argv[0] == "-c":  # `python -c "from models import …; db.create_tables()"`, as the guides print it
    sys.excepthook = end_with_a_sentence

TRANSACTION_LIMIT = 100
"""Items in one transaction: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html"""
TRANSACTION_BYTES = 3_500_000
"""A little under the 4 MB that one transaction may carry."""

PAGE = 100
"""Log rows read at a time when it is not known how many are wanted."""

CONDITION_FAILED = "ConditionalCheckFailed"


class HeadMoved(Exception):
    """Somebody else committed first; `position` is where the partition stands now, None if it is gone."""

    def __init__(self, position: Position | None) -> None:
        self.position = position
        super().__init__(str(position))


class WritesRefused(Exception):
    """Some writes of a commit failed their own conditions; nothing was written.

    `refusals` maps the index of a write to what stood in its way.
    """

    def __init__(self, refusals: Mapping[int, Refusal]) -> None:
        self.refusals = refusals
        super().__init__(str(refusals))


def describe_store(settings: Settings) -> str:
    """Say in Korean where the tables are, for the operator."""
    if settings.embedded:
        return local_engine.describe(settings.embedded_data_dir)
    return f"DynamoDB, {settings.dynamodb_endpoint_url or settings.aws_region}"


class DynamoDBDatabase:
    """The calendar's tables in one DynamoDB store.

    Every method raises `StoreUnavailable` when the store stays throttled or down after bounded retries,
    `TableMissing` or `CredentialsRejected` when the operator has to act.
    """

    def __init__(self, settings: Settings | None = None, client: DynamoClient | None = None) -> None:
        """Connect to the store that the settings, by default the environment's, name."""
        settings = settings or Settings.from_env()
        self.store = describe_store(settings)
        """What the operator is told of where the tables are."""
        self._client = client or DynamoClient(settings)
        self._tables = items.Tables(settings.departments_table, settings.events_table, settings.changes_table)

    # Tables

    def create_tables(self, *, provisioned: bool = False, report: Callable[[str], None] = print) -> None:
        """Create what is missing, tables, indexes and the log's TTL, and never touch data.

        Reports the store, then a line for each table. Tables that exist keep their billing. Raises
        `SetupError` when one has other keys than ours.
        """
        report(f"저장소: {self.store}")
        for definition in self._tables.definitions():
            table = definition["TableName"]
            try:
                found = self._client.call("describe_table", TableName=table)["Table"]
            except TableMissing:
                self._create_table(definition, provisioned)
                report(f"✓ {table} 테이블이 생성되었습니다.")
                continue
            _require_same_keys(found, definition)
            self._client.wait_until_active(table)
            added = self._add_missing_indexes(found, definition)
            report(f"✓ {table} 테이블이 이미 있습니다." + "".join(f" 인덱스 {n} 추가됨." for n in added))
        self._enable_ttl()

    def check_tables(self) -> None:
        """Raise `TableMissing` for the first table that does not exist."""
        for definition in self._tables.definitions():
            self._client.call("describe_table", TableName=definition["TableName"])

    def _create_table(self, definition: Mapping[str, Any], provisioned: bool) -> None:
        try:
            self._client.call("create_table", **_with_billing(definition, provisioned))
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceInUseException":
                raise
            log.info("테이블 %s: 다른 프로세스가 만드는 중입니다.", definition["TableName"])
        self._client.wait_until_active(definition["TableName"])

    def _add_missing_indexes(self, found: Mapping[str, Any], definition: Mapping[str, Any]) -> list[str]:
        present = {index["IndexName"] for index in found.get("GlobalSecondaryIndexes", [])}
        missing = [i for i in definition.get("GlobalSecondaryIndexes", []) if i["IndexName"] not in present]
        provisioned = found.get("BillingModeSummary", {}).get("BillingMode") != "PAY_PER_REQUEST"
        for index in missing:  # DynamoDB takes one index change at a time
            create = dict(index)
            if provisioned:
                create["ProvisionedThroughput"] = _units(index["IndexName"])
            self._client.call(
                "update_table",
                TableName=definition["TableName"],
                AttributeDefinitions=definition["AttributeDefinitions"],
                GlobalSecondaryIndexUpdates=[{"Create": create}],
            )
            self._client.wait_until_active(definition["TableName"])
        return [index["IndexName"] for index in missing]

    def _enable_ttl(self) -> None:
        table = self._tables.changes
        found = self._client.call("describe_time_to_live", TableName=table)["TimeToLiveDescription"]
        if found.get("TimeToLiveStatus") in ("ENABLED", "ENABLING"):
            return
        self._client.call(
            "update_time_to_live",
            TableName=table,
            TimeToLiveSpecification={"Enabled": True, "AttributeName": items.TTL_ATTRIBUTE},
        )

    # The commit

    def commit(self, partition: str, seen: Position, writes: Sequence[Write]) -> list[Change]:
        """Commit the leading writes that fit one transaction; return their changes, in order.

        `seen` is where the partition was last seen to stand.
        Writes that would touch an item twice, or exceed DynamoDB's limits, are left for the next commit;
        the first is never left. Raises `HeadMoved` or `WritesRefused`, and then nothing was written.
        """
        now = utc_now()
        parts: list[items.Part] = []
        owners: list[int] = []
        changes: list[Change] = []
        touched: set[str] = set()
        size = 0
        for index, write in enumerate(writes):
            change = items.change_of(write, seen.revision + index + 1)
            more = self._tables.write_parts(partition, write, change, now)
            size += sum(part.size for part in more)
            keys = {part.key for part in more}
            full = len(parts) + len(more) >= TRANSACTION_LIMIT or size > TRANSACTION_BYTES
            if index and (full or touched & keys):
                break
            changes.append(change)
            parts += more
            owners += [index] * len(more)
            touched |= keys
        move = self._tables.move_head(partition, seen, changes[-1].revision, new_epoch())
        try:
            self._client.call("transact_write_items", TransactItems=[move, *(p.request for p in parts)])
        except RequestRejected as error:
            if len(changes) > 1:  # one write alone says whose fault it is
                return self.commit(partition, seen, writes[:1])
            raise WritesRefused({0: Refusal.REJECTED}) from error
        except TransactionRefused as error:
            if error.reasons[0] == CONDITION_FAILED:
                raise HeadMoved(_position(partition, error.items[0])) from error
            refusals: dict[int, Refusal] = {}
            for owner, part, reason in zip(owners, parts, error.reasons[1:], strict=True):
                if reason == CONDITION_FAILED:
                    refusals.setdefault(owner, part.refusal)
            raise WritesRefused(refusals) from error
        return changes

    def read_head(self, partition: str) -> Position | None:
        """Read strongly where a partition stands; None when there is no such department any more."""
        answer = self._client.call(
            "get_item",
            TableName=self._tables.changes,
            Key=items.head_key(partition),
            ConsistentRead=True,
        )
        return _position(partition, answer.get("Item"))

    def recent_heads(self, partitions: Sequence[str]) -> dict[str, Position | None]:
        """Read where partitions stood a moment ago, a hundred in a request; None is a deleted department.

        Some may be left out.
        """
        keys = [items.head_key(partition) for partition in partitions]
        found = self._client.glance(self._tables.changes, keys)
        return {items.partition_of(item): items.position_from_head(item) for item in found}

    # The log

    def changes_after(self, partition: str, revision: int, limit: int | None = None) -> list[Change]:
        """Read strongly, in order, the changes that follow a revision without a hole, `limit` at most.

        Fewer than the head promises means that the log no longer reaches back that far: TTL removes rows
        in no order, so it is the hole that counts, not the age.
        """
        found: list[Change] = []
        query = {"Limit": limit} if limit else {}
        for item in self._query(items.log_after(partition, revision), **query):
            change = items.change_from_item(item)
            if change.revision != revision + len(found) + 1:
                break
            found.append(change)
            if len(found) == limit:
                break
        return found

    def recent_changes(self, partition: str, reached: int, window: timedelta) -> list[Change]:
        """Read strongly the changes of the last while, oldest first; a page of them at least.

        They are without a hole, and reach to `reached`, where the head was seen before, or beyond. Before a
        hole is what was there when the rows of the hole expired, for an index to have shown long ago; laid
        over it, it would bring back what the lost rows deleted.

        Servers' clocks differ: one row that looks old does not mean that those before it are.
        """
        since = timestamp(utc_now() - window)
        found: list[Change] = []
        for item in self._query(items.log_after(partition, 0), ScanIndexForward=False, Limit=PAGE):
            change = items.change_from_item(item)
            if found and change.revision != found[-1].revision - 1:
                if change.revision < reached:
                    break
                found.clear()  # of a commit whose rows appear just now
            if change.at < since and len(found) >= PAGE:
                break
            found.append(change)
        if not found or found[0].revision < reached or found[-1].revision > reached + 1:
            return []
        return found[::-1]

    def changes_of_event(self, department_id: str, event_id: str) -> list[Change]:
        """Read strongly, in order, what the log still holds of one event."""
        rows = self._query(items.log_of_event(department_id, event_id))
        return [items.change_from_item(row) for row in rows]

    def created_event(self, receipt: Receipt) -> Remembered[Event] | None:
        """Return what was created under a key, as it was then."""
        return self._created(receipt, items.event_from_item)

    def created_department(self, receipt: Receipt) -> Remembered[Department] | None:
        """Return what was created under a key, as it was then."""
        return self._created(receipt, items.department_from_item)

    def _created(self, receipt: Receipt, read: Callable[[items.Item], Entity]) -> Remembered[Entity] | None:
        answer = self._client.call(
            "get_item", TableName=self._tables.changes, Key=items.receipt_key(receipt), ConsistentRead=True
        )
        return items.receipt_from_item(answer["Item"], read) if "Item" in answer else None

    # Entities

    def list_departments(self) -> list[Department]:
        """Read all departments strongly, in no order."""
        found = self._client.items("scan", TableName=self._tables.departments, ConsistentRead=True)
        return [items.department_from_item(item) for item in found]

    def find_department(self, department_id: str) -> Department | None:
        answer = self._client.call(
            "get_item",
            TableName=self._tables.departments,
            Key=items.department_key(department_id),
            ConsistentRead=True,
        )
        return items.department_from_item(answer["Item"]) if "Item" in answer else None

    def owns_name(self, department: Department) -> bool:
        """Tell whether the row that keeps a department's name unique is its own."""
        answer = self._client.call(
            "get_item",
            TableName=self._tables.changes,
            Key=items.head_key(items.name_partition(department.name)),
            ConsistentRead=True,
        )
        return items.name_owner(answer.get("Item", {})) == department.id

    def find_event(self, event_id: str) -> Event | None:
        """Find an event by its id alone, read strongly."""
        query = items.events_with_id(event_id)
        found = self._client.items("query", TableName=self._tables.events, ConsistentRead=True, **query)
        return next((items.event_from_item(item) for item in found), None)

    def indexed_events(
        self, department_id: str, first: str | None = None, last: str | None = None
    ) -> Iterator[Event]:
        """Read a department's events from the date index, eventually consistent, by inclusive ISO dates."""
        query = items.events_of_department(department_id, first, last)
        for item in self._client.items("query", TableName=self._tables.events, **query):
            yield items.event_from_item(item)

    # Repair

    def pending_purges(self) -> list[PendingPurge]:
        """List the deletions whose events may still be there."""
        return [items.purge_from_item(item) for item in self._query(items.log_after(items.PURGES, 0))]

    def remaining_changes(self, department_id: str) -> list[Change]:
        """Read strongly all changes that a log still has, also those after a hole."""
        return [items.change_from_item(row) for row in self._query(items.log_after(department_id, 0))]

    def remove_log(self, department_id: str, revisions: Sequence[int]) -> None:
        """Remove the rows of these revisions and the head, of a department that is marked deleted."""
        keys = [items.change_key(department_id, revision) for revision in revisions]
        self._client.delete_many(self._tables.changes, [*keys, items.head_key(department_id)])

    def remove_pending_purge(self, purge: PendingPurge) -> None:
        self._client.delete_many(self._tables.changes, [items.change_key(items.PURGES, purge.revision)])

    def adopt_departments(self) -> int:
        """Give departments that an older server or another tool wrote their head and their name's row.

        Returns how many were adopted. A name that is taken already stays with its first owner.
        """
        departments = self.list_departments()
        keys = [items.head_key(department.id) for department in departments]
        known = {items.partition_of(item) for item in self._client.get_all(self._tables.changes, keys)}
        strangers = [department for department in departments if department.id not in known]
        return sum(self._adopt(department) for department in strangers)

    def renew_epochs(self) -> int:
        """Give every department's history, and that of their list, a new epoch: every token expires.

        Returns how many heads were moved. Passed over are a department that is marked deleted, which answers
        nobody and has its head removed, and one without a head, which gets its epoch when it is adopted.
        """
        partitions = [REGISTRY, *(department.id for department in self.list_departments())]
        return sum(map(self._renew_epoch, partitions))

    def _renew_epoch(self, partition: str) -> bool:
        try:
            self._move_epoch(items.renew_epoch(self._tables.changes, partition, new_epoch()))
        except DepartmentNotFound:
            return False
        return True

    def _adopt(self, department: Department) -> bool:
        """Return whether a department got its head, which comes last: who has one is adopted.

        Its name's row is that of the name it bears now, unless the name is taken already. A department that
        was deleted meanwhile gets nothing.
        """
        listed: Department | None = department
        while listed and not self._claim_name(listed):
            listed = self.find_department(department.id)  # somebody edited it
        if listed is None:
            return False
        head = self._tables.new_head(department.id, new_epoch())
        transaction = [self._tables.require_department(department.id), head.request]
        try:
            self._client.call("transact_write_items", TransactItems=transaction)
        except TransactionRefused:
            log.info("%s: 이미 있거나 부서가 삭제되어 쓰지 않았습니다.", head.key)
            return False
        return True

    def _claim_name(self, department: Department) -> bool:
        """Return False when a department is other than it was read; a name that is taken stays taken."""
        unchanged = self._tables.require_unchanged(department)
        claim = self._tables.claim_name(department)
        try:
            self._client.call("transact_write_items", TransactItems=[unchanged, claim.request])
        except TransactionRefused as error:
            return error.reasons[0] != CONDITION_FAILED
        return True

    # Bulk load: events in batches, past the log; `bulk_load.py` tells how its steps make that safe

    @property
    def index_lags(self) -> bool:
        """Whether the date index may show an event later than its table."""
        return self._client.index_lags

    def unfinished_loads(self, department_ids: Sequence[str]) -> dict[str, frozenset[str]]:
        """Read strongly which departments have bulk loads that never finished, and their names."""
        keys = [items.head_key(department_id) for department_id in department_ids]
        heads = self._client.get_all(self._tables.changes, keys)
        return {items.partition_of(head): loads for head in heads if (loads := items.loads_on(head))}

    def begin_load(self, department_id: str, load: str) -> int:
        """Move a department's head and epoch, so that no sync token or editor of before holds any more.

        Returns the revision for the events of the load; it never has a row in the log. The load stays
        noted on the head until `finish_load`. Raises `DepartmentNotFound`.
        """
        answer = self._move_epoch(items.begin_load(self._tables.changes, department_id, load, new_epoch()))
        return items.head_revision(answer["Attributes"])

    def finish_load(self, department_id: str, loads: Collection[str]) -> None:
        """Move the epoch once more: every server reads the department anew. Raises `DepartmentNotFound`."""
        self._move_epoch(items.finish_load(self._tables.changes, department_id, loads, new_epoch()))

    def _move_epoch(self, update: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self._client.insist("update_item", **update)
        except ClientError as error:
            if _is_failed_condition(error):
                raise DepartmentNotFound() from error
            raise

    def get_events(self, keys: Sequence[EventKey]) -> dict[str, Event]:
        """Read strongly the events with these keys; by id, those that exist."""
        wanted = [items.event_key(key) for key in keys]
        found = map(items.event_from_item, self._client.get_all(self._tables.events, wanted))
        return {event.id: event for event in found}

    def put_events(self, events: Sequence[Event]) -> None:
        """Put events, over whatever has their ids."""
        self._client.put_all(self._tables.events, [items.event_to_item(event) for event in events])

    def replace_event(self, event: Event, seen_revision: int) -> bool:
        """Put an event over its older state; tell whether that stood there as it was seen."""
        try:
            self._client.insist("put_item", **items.replace_event(self._tables.events, event, seen_revision))
        except ClientError as error:
            if not _is_failed_condition(error):
                raise
            return self.get_events([event.key]).get(event.id) == event  # ours, if its answer was lost
        return True

    def remove_events(self, keys: Sequence[EventKey]) -> None:
        """Remove events past the log; only for a department that is gone."""
        self._client.delete_many(self._tables.events, [items.event_key(key) for key in keys])

    def event_keys(self, event_id: str | None = None) -> Iterator[EventKey]:
        """Read strongly the keys of the events with an id, or of all there are."""
        if event_id:
            query = items.events_with_id(event_id)
            found = self._client.all_items(
                "query", TableName=self._tables.events, ConsistentRead=True, **query, **items.EVENT_KEYS
            )
            return map(items.event_key_from_item, found)
        found = self._client.all_items(
            "scan", TableName=self._tables.events, ConsistentRead=True, **items.EVENT_KEYS
        )
        return map(items.event_key_from_item, found)

    def all_events(self) -> Iterator[Event]:
        """Read strongly every event of every department, in no order."""
        found = self._client.all_items("scan", TableName=self._tables.events, ConsistentRead=True)
        return map(items.event_from_item, found)

    def indexed_revisions(self, department_id: str) -> Iterator[tuple[str, int]]:
        """Read from the date index, eventually consistent, the ids and revisions of a department's events."""
        query = {**items.events_of_department(department_id, None, None), **items.EVENT_REVISIONS}
        found = self._client.all_items("query", TableName=self._tables.events, **query)
        return map(items.event_revision, found)

    def _query(self, query: Mapping[str, Any], **more: Any) -> Iterator[dict[str, Any]]:
        return self._client.items(
            "query", TableName=self._tables.changes, ConsistentRead=True, **query, **more
        )


def new_epoch() -> str:
    return secrets.token_hex(4)


def _is_failed_condition(error: ClientError) -> bool:
    return bool(error.response["Error"]["Code"] == "ConditionalCheckFailedException")


def _position(partition: str, head: Mapping[str, Any] | None) -> Position | None:
    if head:
        return items.position_from_head(head)
    return Position("", 0) if partition == REGISTRY else None


def _require_same_keys(found: Mapping[str, Any], definition: Mapping[str, Any]) -> None:
    def keys(table: Mapping[str, Any]) -> set[tuple[str, str, str]]:
        types = {a["AttributeName"]: a["AttributeType"] for a in table["AttributeDefinitions"]}
        return {(k["AttributeName"], k["KeyType"], types[k["AttributeName"]]) for k in table["KeySchema"]}

    if keys(found) != keys(definition):
        raise SetupError(
            f"테이블 '{definition['TableName']}'의 키가 다릅니다: {sorted(keys(found))}, "
            f"필요한 키: {sorted(keys(definition))}. 다른 테이블 이름을 쓰세요."
        )


def _with_billing(definition: Mapping[str, Any], provisioned: bool) -> dict[str, Any]:
    if not provisioned:
        return {**definition, "BillingMode": "PAY_PER_REQUEST"}
    table = {**definition, "BillingMode": "PROVISIONED", "ProvisionedThroughput": _units(None)}
    if indexes := definition.get("GlobalSecondaryIndexes"):
        table["GlobalSecondaryIndexes"] = [
            {**index, "ProvisionedThroughput": _units(index["IndexName"])} for index in indexes
        ]
    return table


def _units(index: str | None) -> dict[str, int]:
    units = 5 if index == items.NAME_INDEX else 10
    return {"ReadCapacityUnits": units, "WriteCapacityUnits": units}
