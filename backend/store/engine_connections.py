"""Connects a client of DynamoDB to the embedded engine of one data directory, and to nobody else."""

from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSHTTPConnection, AWSHTTPConnectionPool
from urllib3.exceptions import NewConnectionError

from store.local_engine import Engine

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

READS = frozenset(
    ("BatchGetItem", "DescribeTable", "DescribeTimeToLive", "GetItem", "ListTables", "Query", "Scan")
)


def restrict(client: "DynamoDBClient", engine: Engine) -> None:
    """Let a client connect to no other program than the engine, and send no write that would get lost.

    Its calls raise botocore's `EndpointConnectionError` then, or our `StoreUnavailable`.
    """

    def before(model: Any, **_event: Any) -> None:
        if model.name not in READS:
            engine.require_files()

    def after(model: Any, **_event: Any) -> None:
        """The files may have been deleted before the engine wrote: then nobody is told that it has."""
        if model.name not in READS:
            engine.require_files(answered=True)

    client._endpoint.http_session._manager.pool_classes_by_scheme = {  # type: ignore[attr-defined] # no option of botocore
        "http": _pool_class(engine)
    }
    client.meta.events.register("before-call.dynamodb", before)
    client.meta.events.register("after-call.dynamodb", after)


def _pool_class(engine: Engine) -> type[AWSHTTPConnectionPool]:
    class Connection(AWSHTTPConnection):
        """Closes itself unless it leads to the living engine.

        An engine that died frees its port for any other program. A connection ends with the engine that
        accepted it, so that nothing needs to be checked after it is opened.
        """

        def connect(self) -> None:
            address = engine.address
            super().connect()
            # The engine had the port before its address was known: if it lives now, it has the connection.
            if self.port != address.port or not address.has_engine():
                self.close()
                raise NewConnectionError(self, "the embedded engine has ended, and others have its port")

    class Pool(AWSHTTPConnectionPool):
        ConnectionCls = Connection

    return Pool
