"""Lets a test act between two requests of a server to its store, or between its reading and its writing."""

from collections.abc import Callable

from config import Settings
from models import DynamoDBDatabase
from store.dynamo_client import DynamoClient


def interrupt(client: DynamoClient, number: int, act: Callable[[], object]) -> list[str]:
    """Call `act` right before the client's request of that number, counted from 1.

    Returns the list that the operations of the client's requests are added to.
    """
    call, requests = DynamoClient.call, []

    def interposed(operation, **parameters):
        requests.append(operation)
        if len(requests) == number:
            act()
        return call(client, operation, **parameters)

    client.call = interposed
    return requests


class EditedInBetween(DynamoDBDatabase):
    """A store on which somebody else edits an event right after it was first read."""

    def __init__(self, settings: Settings, edit: Callable[[str], object]) -> None:
        super().__init__(settings)
        self._edits = [edit]

    def find_event(self, event_id):
        found = super().find_event(event_id)
        while self._edits:
            self._edits.pop()(event_id)
        return found
