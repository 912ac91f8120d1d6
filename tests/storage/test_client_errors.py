"""Errors of DynamoDB become exceptions of ours, with the original as their cause."""

import pytest
from botocore.exceptions import ClientError

from config import Settings
from errors import CredentialsRejected, TableMissing
from store.dynamo_client import ConditionFailed, DynamoClient, RequestRejected, TableBusy, UnexpectedAnswer
from store_proxy import StoreProxy, refusal


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
