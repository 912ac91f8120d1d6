"""The tables: their definitions, creation, checks, TTL and billing. Never touches data."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from errors import SetupError, TableMissing
from store.dynamo_client import DynamoClient, TableBusy
from store.items import DATE_INDEX, NAME_INDEX
from store.rows import TTL_ATTRIBUTE

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TableNames:
    """The names of the tables of one store, and their definitions."""

    departments: str
    events: str
    changes: str
    accounts: str = ""
    """Empty for a store without accounts, which then has no such table."""

    def definitions(self) -> list[dict[str, Any]]:
        """Return `create_table` parameters of each table, without billing, in the order of creation."""
        definitions: list[dict[str, Any]] = [
            {
                "TableName": self.departments,
                "KeySchema": _keys("id"),
                "AttributeDefinitions": _attributes(id="S", name="S"),
                "GlobalSecondaryIndexes": [_index(NAME_INDEX, "name")],
            },
            {
                "TableName": self.events,
                "KeySchema": _keys("id", "department_id"),
                "AttributeDefinitions": _attributes(id="S", department_id="S", event_date="S"),
                "GlobalSecondaryIndexes": [_index(DATE_INDEX, "department_id", "event_date")],
            },
            {
                "TableName": self.changes,
                "KeySchema": _keys("department_id", "revision"),
                "AttributeDefinitions": _attributes(department_id="S", revision="N"),
            },
            {
                "TableName": self.accounts,
                "KeySchema": _keys("kind", "id"),
                "AttributeDefinitions": _attributes(kind="S", id="S"),
            },
        ]
        return [definition for definition in definitions if definition["TableName"]]


@dataclass(frozen=True, slots=True)
class TableResult:
    """What `create_tables` did with one table; `str()` gives the Korean sentence for it."""

    name: str
    created: bool
    added_indexes: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        return self.created or bool(self.added_indexes)

    def __str__(self) -> str:
        if self.created:
            return f"✓ {self.name} 테이블이 생성되었습니다."
        added = "".join(f" 인덱스 {index} 추가됨." for index in self.added_indexes)
        return f"✓ {self.name} 테이블이 이미 있습니다.{added}"


class Tables:
    """The tables of one store; `models.py` says what each method promises."""

    def __init__(self, client: DynamoClient, names: TableNames) -> None:
        self._client = client
        self.names = names

    def create(self, *, provisioned: bool, report: Callable[[TableResult], object]) -> None:
        for definition in self.names.definitions():
            report(self._create_or_complete(definition, provisioned))
        self._enable_ttl()

    def check(self) -> None:
        for definition in self.names.definitions():
            self._client.call("describe_table", TableName=definition["TableName"])

    def _create_or_complete(self, definition: Mapping[str, Any], provisioned: bool) -> TableResult:
        name = definition["TableName"]
        try:
            found = self._client.call("describe_table", TableName=name)["Table"]
        except TableMissing:
            self._create_table(definition, provisioned)
            return TableResult(name, created=True)
        _require_same_keys(found, definition)
        self._client.wait_until_active(name)
        return TableResult(name, False, self._add_missing_indexes(found, definition))

    def _create_table(self, definition: Mapping[str, Any], provisioned: bool) -> None:
        try:
            self._client.call("create_table", **_with_billing(definition, provisioned))
        except TableBusy:
            log.info("테이블 %s: 다른 프로세스가 만드는 중입니다.", definition["TableName"])
        self._client.wait_until_active(definition["TableName"])

    def _add_missing_indexes(
        self, found: Mapping[str, Any], definition: Mapping[str, Any]
    ) -> tuple[str, ...]:
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
        return tuple(index["IndexName"] for index in missing)

    def _enable_ttl(self) -> None:
        for table in filter(None, (self.names.changes, self.names.accounts)):
            self._enable_ttl_of(table)

    def _enable_ttl_of(self, table: str) -> None:
        found = self._client.call("describe_time_to_live", TableName=table)["TimeToLiveDescription"]
        if found.get("TimeToLiveStatus") in ("ENABLED", "ENABLING"):
            return
        self._client.call(
            "update_time_to_live",
            TableName=table,
            TimeToLiveSpecification={"Enabled": True, "AttributeName": TTL_ATTRIBUTE},
        )


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
    units = 5 if index == NAME_INDEX else 10
    return {"ReadCapacityUnits": units, "WriteCapacityUnits": units}


def _keys(*names: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)
    ]


def _attributes(**types: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()]


def _index(name: str, *keys: str) -> dict[str, Any]:
    return {"IndexName": name, "KeySchema": _keys(*keys), "Projection": {"ProjectionType": "ALL"}}
