"""The client of DynamoDB: timeouts, retries, paging, batches, and the translation of AWS errors into ours.

The only module that retries a store request; no exception of botocore leaves it. Knows nothing of departments
or events.
"""

import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import boto3
import orjson
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)

from config import Settings
from deadlines import remaining_s
from domain import new_id
from errors import CredentialsRejected, NotDynamoDB, OutOfTime, StoreUnavailable, TableMissing
from store import local_engine
from store.engine_connections import restrict
from store.local_engine import REVIVE_TIMEOUT_S

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 0.7
"""What a new connection may add to an attempt, even after a deadline: `REQUEST_S` leaves time for it."""
READ_TIMEOUT_S = 3.0
"""Shortly before a deadline only what is left."""
ATTEMPT_S = CONNECT_TIMEOUT_S + READ_TIMEOUT_S
"""The longest that one attempt takes."""
SHORTEST_ATTEMPT_S = 1.0
"""No attempt begins with less time left."""
RETRY_WINDOW_S = 3.0
"""How long after the first attempt of a request another one may begin."""
MAX_ATTEMPTS = 8
BACKOFF_BASE_S = 0.05
BACKOFF_CAP_S = 1.0
USER_AGENT = "department-calendar"
BATCH_WRITE_LIMIT = 25
BATCH_GET_LIMIT = 100
TRANSACTION_LIMIT = 100
ENGINE_PAGE_ITEMS = 300
"""Most items of a page of the embedded engine. It reads as many as are asked for, however few of them fit
into a page, and serves nobody else meanwhile: of 1,000 items of 30 KB it takes 70 ms, of 34, which fit, 8 ms.
"""
BULK_PATIENCE_S = 120.0
"""How long a bulk method waits while a throttled table accepts nothing."""
TABLE_WAIT_S = 300.0
TABLE_POLL_S = 0.5

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
_RETRYABLE_CODES = {
    "InternalServerError",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "ThrottlingException",
    "TransactionInProgressException",
}
_CREDENTIAL_CODES = {
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
}


class TransactionRefused(Exception):
    """A condition of a transaction failed; nothing was written.

    For the i-th action, `reasons[i]` is DynamoDB's code ("None" if nothing was wrong), `failed[i]` tells
    whether its condition failed, and `found[i]` is the item that failed the condition, if the action asked
    for it with `ReturnValuesOnConditionCheckFailure`.
    """

    def __init__(self, reasons: Sequence[Mapping[str, Any]]) -> None:
        self.reasons = [str(reason.get("Code", "None")) for reason in reasons]
        self.failed = [reason == "ConditionalCheckFailed" for reason in self.reasons]
        self.found: list[Mapping[str, Any] | None] = [reason.get("Item") for reason in reasons]
        super().__init__(", ".join(self.reasons))


class ConditionFailed(Exception):
    """The condition of a single put or update failed; nothing was written."""


class TableBusy(Exception):
    """The table exists already, or somebody is changing it right now."""


class RequestRejected(Exception):
    """DynamoDB rejects the request itself, as when an item is too large; a resend would fail, too."""


class UnexpectedAnswer(Exception):
    """DynamoDB refused a request for a reason that this server does not know; `__cause__` is botocore's."""


class DynamoClient:
    """Sends requests to one store."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._engine = local_engine.acquire(settings.embedded_data_dir) if settings.embedded else None
        self.index_lags = self._engine is None
        """Whether an index may show an item later than its table; the embedded engine writes both at once."""
        try:
            self._client = self._connect()
        except BotoCoreError as error:  # half a key, an unknown profile, an unreadable ~/.aws
            raise CredentialsRejected(str(error)) from error

    def _connect(self) -> "DynamoDBClient":
        settings = self._settings
        options: dict[str, Any] = {}
        if self._engine:
            options = {
                "endpoint_url": self._engine.url,
                "aws_access_key_id": "embedded",
                "aws_secret_access_key": "embedded",
            }
        elif settings.dynamodb_endpoint_url:
            options = {"endpoint_url": settings.dynamodb_endpoint_url}
        client = boto3.session.Session().client(
            "dynamodb",
            region_name=settings.aws_region,
            config=Config(
                connect_timeout=CONNECT_TIMEOUT_S,
                read_timeout=READ_TIMEOUT_S,
                retries={"total_max_attempts": 1, "mode": "standard"},
                max_pool_connections=50,
                tcp_keepalive=True,
                proxies={} if self._engine else None,  # None: those of the environment
                parameter_validation=False,  # half of a batch's client time; DynamoDB checks all of it again
                user_agent=USER_AGENT,  # botocore would put its own together anew for each request
            ),
            **options,
        )
        client.meta.events.register(
            "provide-client-params.dynamodb",
            _set_parameters_aside,  # type: ignore[arg-type] # the return value replaces the parameters
        )
        client.meta.events.register("before-call.dynamodb", _write_body)
        client.meta.events.register("before-call.dynamodb", _end_before_deadline)
        client.meta.events.register("before-parse.dynamodb", _read_body)
        if self._engine:
            restrict(client, self._engine)
        return client

    def require_writable(self) -> None:
        """Raise `StoreUnavailable` if a write would get lost: the embedded store's files were deleted."""
        if self._engine:
            self._engine.require_files()

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Send one request, again after a temporary failure, and return the answer.

        Raises `TransactionRefused`, `ConditionFailed`, `TableBusy`, `RequestRejected`, `StoreUnavailable`,
        `TableMissing`, `CredentialsRejected`, `NotDynamoDB`, or `UnexpectedAnswer` for any other error; and
        `OutOfTime` when the deadline of the caller leaves no time for an attempt.
        """
        if remaining_s() < SHORTEST_ATTEMPT_S:
            log.warning("DynamoDB %s 요청을 보낼 시간이 남지 않았습니다", operation)
            raise OutOfTime()
        if operation == "transact_write_items":
            parameters.setdefault("ClientRequestToken", new_id())  # DynamoDB carries out a resend only once
        started = time.monotonic()
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                answer: dict[str, Any] = getattr(self._client, operation)(**parameters)
            except (ClientError, BotoCoreError) as error:
                unavailable = _translate(error, parameters)
                if self._engine and not isinstance(error, ClientError) and remaining_s() > REVIVE_TIMEOUT_S:
                    revival = time.monotonic()
                    if self._engine.revive():
                        self._client = self._connect()
                    started += time.monotonic() - revival  # the time to start an engine does not count
                pause = _backoff(attempt)
                too_late = remaining_s() - pause < SHORTEST_ATTEMPT_S
                gives_up = attempt == MAX_ATTEMPTS or time.monotonic() - started + pause > RETRY_WINDOW_S
                if too_late or gives_up:
                    log.warning("DynamoDB %s 요청을 %d번 만에 포기했습니다: %s", operation, attempt, error)
                    raise (OutOfTime() if too_late else unavailable) from error
                time.sleep(pause)
            else:
                return answer
        raise AssertionError("unreachable")

    def find_item(self, table: str, key: Mapping[str, Any]) -> dict[str, Any] | None:
        """Read strongly the item with a key; None if there is none."""
        return self.call("get_item", TableName=table, Key=key, ConsistentRead=True).get("Item")

    def iterate(self, operation: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Yield every item of a query or scan, over all pages: DynamoDB ends a page at 1 MB."""
        return self._pages(self.call, operation, parameters)

    def batch_get_eventual(self, table: str, keys: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the items with these keys, eventually consistent: half the price of a strong read.

        Leaves out items that do not exist, and those that a throttled table returns as `UnprocessedKeys`.
        """
        for start in range(0, len(keys), BATCH_GET_LIMIT):
            request = {table: {"Keys": keys[start : start + BATCH_GET_LIMIT]}}
            yield from self.call("batch_get_item", RequestItems=request)["Responses"].get(table, [])

    # Bulk methods: they wait up to `BULK_PATIENCE_S` for a throttled table, `call` at most `RETRY_WINDOW_S`;
    # in a request until its deadline

    def batch_delete(self, table: str, keys: Sequence[Mapping[str, Any]]) -> None:
        """Delete the items with these keys, in batches; keys without an item are ignored."""
        for start in range(0, len(keys), BATCH_WRITE_LIMIT):
            request = {
                table: [{"DeleteRequest": {"Key": key}} for key in keys[start : start + BATCH_WRITE_LIMIT]]
            }
            for _ in self._send_whole("batch_write_item", request, "UnprocessedItems"):
                pass

    def batch_put(self, table: str, items: Sequence[Mapping[str, Any]]) -> None:
        """Put items in batches; each replaces an item with the same key."""
        if self._engine and self._put_in_transactions(table, items):
            return
        for start in range(0, len(items), BATCH_WRITE_LIMIT):
            batch = [{"PutRequest": {"Item": item}} for item in items[start : start + BATCH_WRITE_LIMIT]]
            for _ in self._send_whole("batch_write_item", {table: batch}, "UnprocessedItems"):
                pass

    def _put_in_transactions(self, table: str, items: Sequence[Mapping[str, Any]]) -> bool:
        """Put items in transactions; return False if items are too large for one, with some items put.

        The embedded engine writes to disk once for a transaction, but once for each item of a batch. On AWS a
        transaction costs twice as much as a batch.
        """
        for start in range(0, len(items), TRANSACTION_LIMIT):
            puts = [
                {"Put": {"TableName": table, "Item": item}}
                for item in items[start : start + TRANSACTION_LIMIT]
            ]
            try:
                self.call("transact_write_items", TransactItems=puts)
            except RequestRejected:
                return False
        return True

    def batch_get(self, table: str, keys: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the items with these keys that exist, read strongly, in no order."""
        for start in range(0, len(keys), BATCH_GET_LIMIT):
            request = {table: {"Keys": keys[start : start + BATCH_GET_LIMIT], "ConsistentRead": True}}
            for answer in self._send_whole("batch_get_item", request, "UnprocessedKeys"):
                yield from answer["Responses"].get(table, [])

    def iterate_patiently(self, operation: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Yield every item of a query or scan, over all pages; wait for a throttled table."""
        return self._pages(self.call_patiently, operation, parameters)

    def call_patiently(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Send one request as `call` does, but wait up to `BULK_PATIENCE_S` for a throttled table.

        Does not wait for a store that gives no answer.
        """
        waits_until = time.monotonic() + BULK_PATIENCE_S
        while True:
            try:
                return self.call(operation, **parameters)
            except StoreUnavailable as error:
                if not isinstance(error.__cause__, ClientError) or time.monotonic() > waits_until:
                    raise

    def _send_whole(self, operation: str, pending: Mapping[str, Any], rest: str) -> Iterator[dict[str, Any]]:
        """Send a batch until all of it is processed; yield each answer.

        `rest` is the name under which an answer has the unprocessed requests. Raises `StoreUnavailable` when
        the table accepts nothing for `BULK_PATIENCE_S`.
        """
        attempt, waits_until = 0, time.monotonic() + BULK_PATIENCE_S
        while pending:
            answer = self.call_patiently(operation, RequestItems=pending)
            yield answer
            left = answer.get(rest, {})
            if left != pending:
                attempt, waits_until = 0, time.monotonic() + BULK_PATIENCE_S
            elif time.monotonic() > waits_until:
                raise StoreUnavailable()
            pending = left
            if pending:
                time.sleep(_backoff(attempt))
                attempt += 1

    def _pages(
        self, send: Callable[..., dict[str, Any]], operation: str, parameters: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        if self._engine:
            parameters.setdefault("Limit", ENGINE_PAGE_ITEMS)
        most = parameters.get("Limit", 0)
        while True:
            answer = send(operation, **parameters)
            yield from answer["Items"]
            if not (cursor := answer.get("LastEvaluatedKey")):
                return
            parameters["ExclusiveStartKey"] = cursor
            if self._engine:
                read = max(answer["ScannedCount"], 1)
                parameters["Limit"] = min(most, 2 * read if read == parameters["Limit"] else read)

    def wait_until_active(self, table: str) -> None:
        """Wait until a table and its indexes can be used; `StoreUnavailable` after `TABLE_WAIT_S`."""
        ends_at = time.monotonic() + TABLE_WAIT_S
        while time.monotonic() < ends_at:
            description = self.call("describe_table", TableName=table)["Table"]
            indexes = description.get("GlobalSecondaryIndexes", [])
            if description["TableStatus"] == "ACTIVE" and all(i["IndexStatus"] == "ACTIVE" for i in indexes):
                return
            time.sleep(TABLE_POLL_S)
        raise StoreUnavailable()


# botocore validates and converts every value of a request and an answer by its model of the API: half of the
# client's CPU time for a commit of 32 events, three quarters for a page of 500 rows. Our parameters and items
# are DynamoDB's JSON already, without the binary attributes that botocore would convert. So botocore gets no
# values: orjson writes each request and reads each answer in one step.


def _set_parameters_aside(params: dict[str, Any], context: dict[str, Any], **_event: Any) -> dict[str, Any]:
    """Keep the parameters for `_write_body`, and give botocore none to convert.

    botocore's endpoint rules need `RequestItems`, so it stays, empty.
    """
    context["department_calendar"] = params
    return {"RequestItems": {}} if "RequestItems" in params else {}


def _write_body(params: dict[str, Any], context: dict[str, Any], **_event: Any) -> None:
    params["body"] = orjson.dumps(context["department_calendar"])


def _end_before_deadline(context: dict[str, Any], **_event: Any) -> None:
    """Let the attempt that begins now wait for its answer until the deadline at most.

    https://github.com/boto/botocore/pull/3770
    """
    left = remaining_s()
    if left < READ_TIMEOUT_S:
        context["read_timeout"] = max(0.001, left)  # urllib3 takes no timeout of 0


def _read_body(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_event: Any
) -> None:
    if response_dict["status_code"] == 200:
        try:
            answer = orjson.loads(response_dict["body"])
        except orjson.JSONDecodeError as error:  # cut off on its way
            raise HTTPClientError(error=error) from error
        customized_response_dict.update(answer)
        response_dict["body"] = b"{}"


def _backoff(attempt: int) -> float:
    return random.SystemRandom().uniform(0, min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2**attempt))


def _translate(error: ClientError | BotoCoreError, parameters: Mapping[str, Any]) -> StoreUnavailable:
    """Translate an error: return `StoreUnavailable` if a resend may succeed, else raise an error of ours."""
    if isinstance(error, (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)):
        raise CredentialsRejected(str(error)) from error
    if not isinstance(error, ClientError):
        return StoreUnavailable()
    code = error.response["Error"]["Code"]
    if code == "TransactionCanceledException":
        refused = TransactionRefused(error.response.get("CancellationReasons", []))
        if any(refused.failed):
            raise refused from error
        if "ValidationError" in refused.reasons or "ItemCollectionSizeLimitExceeded" in refused.reasons:
            raise RequestRejected(str(error)) from error
        return StoreUnavailable()
    if code == "ConditionalCheckFailedException":
        raise ConditionFailed(str(error)) from error
    if code == "ResourceInUseException":
        raise TableBusy(str(error)) from error
    if code == "ResourceNotFoundException":
        raise TableMissing(_table_name(parameters)) from error
    if code in _CREDENTIAL_CODES:
        raise CredentialsRejected(error.response["Error"].get("Message", code)) from error
    if code == "ValidationException":
        raise RequestRejected(str(error)) from error
    if code in _RETRYABLE_CODES or error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
        return StoreUnavailable()
    if code.isdigit():  # no DynamoDB error has a number for its name
        raise NotDynamoDB(str(error)) from error
    raise UnexpectedAnswer(str(error)) from error


def _table_name(parameters: Mapping[str, Any]) -> str:
    """Return the name of the table of a request; the first if it has several."""
    if "TableName" in parameters:
        return str(parameters["TableName"])
    if "RequestItems" in parameters:
        return str(next(iter(parameters["RequestItems"])))
    first = next(iter(parameters["TransactItems"][0].values()))
    return str(first["TableName"])
