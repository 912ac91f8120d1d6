"""Errors of DynamoDB become exceptions of ours, with the original as their cause."""

import threading

import pytest
from botocore.exceptions import ClientError

from config import Settings
from deadlines import deadline, remaining_s
from errors import CredentialsRejected, OutOfTime, StoreUnavailable, TableMissing
from store.dynamo_client import (
    SHORTEST_ATTEMPT_S,
    ConditionFailed,
    DynamoClient,
    RequestRejected,
    TableBusy,
    UnexpectedAnswer,
)
from store_proxy import Answer, Request, StoreProxy, refusal


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        ("ConditionalCheckFailedException", ConditionFailed),
        ("ResourceInUseException", TableBusy),
        ("ResourceNotFoundException", TableMissing),
        ("UnrecognizedClientException", CredentialsRejected),
        ("ValidationException", RequestRejected),
        ("LimitExceededException", UnexpectedAnswer),
        ("SomethingNewException", UnexpectedAnswer),
    ],
)
def test_an_error_of_dynamodb_becomes_one_of_ours_and_is_not_sent_again(engine, code, raised):
    with StoreProxy(engine.url, lambda _request: refusal(code)) as proxy:
        client = DynamoClient(Settings(dynamodb_endpoint_url=proxy.url))
        with pytest.raises(raised) as caught:
            client.call("put_item", TableName="departments", Item={"id": {"S": "1"}})
    assert type(caught.value) is raised
    assert isinstance(caught.value.__cause__, ClientError)
    assert proxy.count == 1


def test_an_attempt_waits_for_an_answer_until_the_deadline_at_most(engine):
    released = threading.Event()

    def hang(request: Request) -> Answer:
        released.wait(30)
        return request.forward()

    with StoreProxy(engine.url, hang) as proxy:
        client = DynamoClient(Settings(dynamodb_endpoint_url=proxy.url))
        with deadline(SHORTEST_ATTEMPT_S + 0.1):
            with pytest.raises(OutOfTime):
                client.call("list_tables")
            assert remaining_s() > -1
        released.set()
    assert proxy.count == 1


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.call_patiently("list_tables"),
        lambda client: client.batch_delete("events", [{"id": {"S": "1"}, "department_id": {"S": "2"}}]),
        lambda client: list(client.batch_get("departments", [{"id": {"S": "1"}}])),
        lambda client: list(client.iterate_patiently("scan", TableName="departments")),
        lambda client: client.wait_until_active("departments"),
    ],
    ids=["call_patiently", "batch_delete", "batch_get", "iterate_patiently", "wait_until_active"],
)
def test_the_patience_with_a_throttled_store_ends_at_the_deadline(engine, ask):
    with StoreProxy(engine.url, lambda _request: refusal("ThrottlingException")) as proxy:
        client = DynamoClient(Settings(dynamodb_endpoint_url=proxy.url))
        with deadline(SHORTEST_ATTEMPT_S + 0.3), pytest.raises(OutOfTime):
            ask(client)
    assert proxy.count >= 1


def test_without_a_deadline_a_throttled_request_is_sent_again_for_some_seconds(engine):
    with StoreProxy(engine.url, lambda _request: refusal("ThrottlingException")) as proxy:
        client = DynamoClient(Settings(dynamodb_endpoint_url=proxy.url))
        with pytest.raises(StoreUnavailable) as raised:
            client.call("list_tables")
    assert type(raised.value) is StoreUnavailable
    assert proxy.count >= 5
