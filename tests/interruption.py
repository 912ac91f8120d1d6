"""Lets a test act between two requests of a server to its store."""

from collections.abc import Callable

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
