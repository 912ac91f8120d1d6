"""HTTP requests to a server that may be slow or send any amount: bounded in time, size and number.

They wait like those to the store: in greenlets of the process's one thread, never in real threads, as the
locks of libraries do not work across threads once eventlet has patched them.
"""

import contextlib
import io
import ssl
import threading
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from concurrency import time_limit
from deadlines import remaining_s

TIMEOUT_S = 4.0
"""How long a request may take from the wait for its turn to the last byte of its answer."""
ANSWER_MAX = 256 * 1024
AT_ONCE = 8
"""Requests at the same time, and so the sockets and memory that a flood of them takes."""


class TimeIsOver(Exception):
    """Not an `OSError`, after which urllib3 would try the server's next address."""


class BoundedAdapter(HTTPAdapter):
    """Sends requests within these bounds. Raises `requests.RequestException`."""

    def __init__(self) -> None:
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        # To load the certificates takes 45 ms, during which nobody else runs: once, not for each connection.
        context = ssl.create_default_context(cafile=DEFAULT_CA_BUNDLE_PATH)
        super().init_poolmanager(*arguments, ssl_context=context, **options)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        if verify is not True:  # certificates of the operator, by REQUESTS_CA_BUNDLE
            super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]

    def add_headers(self, request: requests.PreparedRequest, **_options: Any) -> None:
        # Sign-ins are rare: a kept connection may be one that a network between has forgotten meanwhile.
        request.headers["Connection"] = "close"

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        seconds = min(TIMEOUT_S, remaining_s())
        if seconds <= 0 or not self._turns.acquire(timeout=seconds):
            raise requests.Timeout("too many requests at once")
        try:
            with time_limit(seconds, TimeIsOver()):
                answer = super().send(request, **{**options, "stream": True, "timeout": seconds})
                answer.raw = io.BytesIO(_body(answer))
                return answer
        except TimeIsOver as error:
            raise requests.Timeout(f"no complete answer in {seconds:.1f} s") from error
        finally:
            self._turns.release()


def _body(answer: requests.Response) -> bytes:
    with contextlib.closing(answer.raw) as raw:
        try:
            body: bytes = raw.read(ANSWER_MAX + 1, decode_content=True)
        except urllib3.exceptions.HTTPError as error:
            raise requests.ConnectionError(str(error)) from error
    if len(body) > ANSWER_MAX:
        raise requests.ConnectionError(f"an answer of more than {ANSWER_MAX} bytes")
    return body
