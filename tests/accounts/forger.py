"""An OpenID provider that serves what a test asks for, and signs whatever a test wants."""

import contextlib
import json
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.warnings import InsecureKeyLengthWarning

METADATA = "/.well-known/openid-configuration"
SHARED_SECRET = "a secret that the provider was careless enough to publish"

KEYS = {
    "good": rsa.generate_private_key(65537, 2048),
    "weak": rsa.generate_private_key(65537, 1024),  # noqa: S505 - it must be refused
    "stranger": rsa.generate_private_key(65537, 2048),
}
Answer = Callable[[BaseHTTPRequestHandler], None]


class Forger:
    """A provider whose keys, documents and answers belong to the test."""

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}"
        self.metadata: dict[str, Any] = {}
        self.answers: dict[str, Answer] = {}
        """What answers a path instead of its document."""
        self.asked: list[str] = []
        """Method and path of each request."""

    def documents(self) -> dict[str, Any]:
        published = [
            {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEYS[kid].public_key())), "kid": kid}
            for kid in ("good", "weak")
        ]
        shared = {**json.loads(jwt.algorithms.HMACAlgorithm.to_jwk(SHARED_SECRET)), "kid": "shared"}
        return {
            METADATA: {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/auth",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                **self.metadata,
            },
            "/keys": {"keys": [*published, shared]},
        }

    def claims(self, **other: Any) -> dict[str, Any]:
        """Return the claims of a good token with some replaced, or left out by None; times count from now."""
        given = {
            "iss": self.issuer, "aud": "calendar", "sub": "hong", "nonce": "n", "iat": 0, "exp": 300,
            "email": "hong@example.com", "email_verified": True, **other,
        }  # fmt: skip
        now = int(time.time())
        times = {
            name: now + given[name] for name in ("iat", "exp", "nbf") if isinstance(given.get(name), int)
        }
        return {name: value for name, value in {**given, **times}.items() if value is not None}

    def token(
        self, key: Any = "good", algorithm: str = "RS256", kid: str | None = None, **claims: Any
    ) -> str:
        """Sign a token, by default a good one; `key` is the name of one of the keys, or a key."""
        headers = {"kid": kid or (key if key in KEYS else "good")}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InsecureKeyLengthWarning)
            return jwt.encode(self.claims(**claims), KEYS.get(key, key), algorithm, headers)


def json_answer(body: Any, status: int = 200, **headers: str) -> Answer:
    """Return an answer of JSON, or of a text as it is."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        sent = (body if isinstance(body, str) else json.dumps(body)).encode()
        request.send_response(status)
        for name, value in {"Content-Length": str(len(sent)), **headers}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(sent)

    return answer


def endless_body(request: BaseHTTPRequestHandler) -> None:
    """Send white space for as long as it is read: gigabytes."""
    request.send_response(200)
    request.end_headers()
    with contextlib.suppress(OSError):
        while True:
            request.wfile.write(b" " * 65536)


def drip(sent: bytes) -> Answer:
    """Send one byte after the other, each before a timeout for one of them, and never come to an end."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        over: threading.Event = request.server.over  # type: ignore[attr-defined]
        with contextlib.suppress(OSError):
            request.wfile.write(sent)
            while not over.wait(0.5):
                request.wfile.write(b"x")

    return answer


@contextlib.contextmanager
def running_forger() -> Iterator[Forger]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            forger.asked.append(f"{self.command} {self.path}")
            if self.command == "POST":
                self.rfile.read(int(self.headers["Content-Length"]))
            if answer := forger.answers.get(self.path):
                answer(self)
            else:
                json_answer(forger.documents()[self.path])(self)

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        serving.over = threading.Event()  # type: ignore[attr-defined]
        serving.daemon_threads = True
        forger = Forger(serving.server_port)
        threading.Thread(target=serving.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield forger
        finally:
            serving.over.set()  # type: ignore[attr-defined]
            serving.shutdown()
