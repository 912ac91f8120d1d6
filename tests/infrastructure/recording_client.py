"""A store client that notes which actions it needs."""

from collections import defaultdict
from typing import Any

from config import Settings
from store.dynamo_client import DynamoClient


class RecordingClient(DynamoClient):
    """A store client that notes in `needed` which actions it needs, by table or `table/index/name`."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.needed: dict[str, set[str]] = defaultdict(set)

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        action = "dynamodb:" + "".join(word.title() for word in operation.split("_"))
        if "TransactItems" in parameters:
            for item in parameters["TransactItems"]:
                ((kind, request),) = item.items()
                part = {"ConditionCheck": "ConditionCheckItem"}.get(kind, f"{kind}Item")
                self.needed[request["TableName"]].add(f"dynamodb:{part}")
        elif "RequestItems" in parameters:
            for table in parameters["RequestItems"]:
                self.needed[table].add(action)
        else:
            index = parameters.get("IndexName")
            self.needed[parameters["TableName"] + (f"/index/{index}" if index else "")].add(action)
        return super().call(operation, **parameters)
