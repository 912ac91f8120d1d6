"""The rows of `changes` that hold the secret addresses of feeds: one for an account and a department."""

from typing import Any

from domain import Feed
from store.dynamo_client import DynamoClient
from store.items import Item, string, text
from store.rows import head_key
from store.tables import TableNames


class FeedRows:
    """The feeds of one store; `models.py` says what each method promises."""

    def __init__(self, client: DynamoClient, names: TableNames) -> None:
        self._client = client
        self._table = names.changes

    def find(self, feed_id: str) -> Feed | None:
        item = self._client.find_item(self._table, _key(feed_id))
        return _feed_from_item(item) if item else None

    def put(self, feed: Feed) -> None:
        self._client.call("put_item", TableName=self._table, Item=_feed_to_item(feed))


def _key(feed_id: str) -> dict[str, Any]:
    return head_key(f"feed#{feed_id}")


def _feed_to_item(feed: Feed) -> dict[str, Any]:
    return {
        **_key(feed.id),
        "department": string(feed.department_id),
        "account": string(feed.account_id),
        "secret": string(feed.secret),
    }


def _feed_from_item(item: Item) -> Feed:
    return Feed(text(item, "department"), text(item, "account"), text(item, "secret"))
