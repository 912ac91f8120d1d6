"""The actions of a transaction: what each writes, and on which condition. Sends nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

import orjson

from store.items import Item

Request: TypeAlias = dict[str, Any]
"""An action as DynamoDB takes it: `{"Put": {...}}`."""


class Refusal(Enum):
    """Why a write was refused by its own conditions."""

    CHANGED = "the entity is not as its writer saw it"
    NAME_TAKEN = "another department has the name"
    REPEATED = "the creation has happened before"
    REJECTED = "DynamoDB takes no such item"
    TOO_MUCH = "the writes of a set do not fit in one transaction"


@dataclass(frozen=True, slots=True)
class Action:
    """One action of a transaction, with what `commit.py` has to know of it."""

    request: Request
    key: str
    """Table and key of its item. DynamoDB rejects a transaction with two actions on one item."""
    size: int
    """Estimated, in bytes."""
    refusal: Refusal = Refusal.CHANGED
    """Why the write is refused if the condition of this action fails."""


def put_if(
    table: str,
    key: Item,
    item: Item,
    condition: str,
    values: Mapping[str, Any] | None = None,
    refusal: Refusal = Refusal.CHANGED,
) -> Action:
    request: dict[str, Any] = {"TableName": table, "Item": item, "ConditionExpression": condition}
    if values:
        request["ExpressionAttributeValues"] = values
    return Action({"Put": request}, identity(table, key), len(orjson.dumps(item)), refusal)


def put(table: str, key: Item, item: Item) -> Action:
    request = {"TableName": table, "Item": item}
    return Action({"Put": request}, identity(table, key), len(orjson.dumps(item)))


def delete_if(
    table: str,
    key: Item,
    condition: str,
    values: Mapping[str, Any] | None = None,
    names: Mapping[str, str] | None = None,
) -> Action:
    return _on_condition("Delete", table, key, condition, values, names)


def require(
    table: str,
    key: Item,
    condition: str,
    values: Mapping[str, Any] | None = None,
    names: Mapping[str, str] | None = None,
) -> Action:
    return _on_condition("ConditionCheck", table, key, condition, values, names)


def _on_condition(
    kind: str,
    table: str,
    key: Item,
    condition: str,
    values: Mapping[str, Any] | None,
    names: Mapping[str, str] | None,
) -> Action:
    request: dict[str, Any] = {"TableName": table, "Key": key, "ConditionExpression": condition}
    if values:
        request["ExpressionAttributeValues"] = values
    if names:
        request["ExpressionAttributeNames"] = names
    return Action({kind: request}, identity(table, key), 100)


def identity(table: str, key: Item) -> str:
    return f"{table} {orjson.dumps(key).decode()}"
