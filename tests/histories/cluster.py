"""Several real servers with everything that may go wrong around them, and real clients who watch."""

import contextlib
import http.client
import json
import queue
import random
import shutil
import subprocess
import threading
import time
from collections import defaultdict, deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from running import ROOT, RedisServer, Server, free_port, running_server, wait_for

MODES = ("eventlet", "gevent", "flask")
INDEX_LAG_S = 1.0
LOST_ANSWERS = 0.02
"""Of all requests to the store, how many are carried out and never answered."""


class StoreBetween:
    """Stands between the servers and the store: its index lags, answers get lost, it can be out of reach."""

    def __init__(self, target: str, dice: random.Random) -> None:
        self._target = urlsplit(target)
        self._dice = dice
        self._lock = threading.Lock()
        self._shown: dict[bytes, deque[tuple[float, bytes]]] = defaultdict(lambda: deque(maxlen=1_000))
        self.reachable = True
        self.troubled = True
        between = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                self.store = http.client.HTTPConnection(between._target.hostname, between._target.port)

            def finish(self) -> None:
                self.store.close()
                super().finish()

            def do_POST(self) -> None:
                between._serve(self)

            def log_message(self, *_: object) -> None:
                pass

        class Front(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                pass  # a server that was killed in the middle of its request

        self._front = Front(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._front.server_address[1]}"
        threading.Thread(target=self._front.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._front.shutdown()
        self._front.server_close()

    def _serve(self, handler: Any) -> None:
        request = handler.rfile.read(int(handler.headers["Content-Length"]))
        if not self.reachable:
            handler.close_connection = True
            return
        handler.store.request("POST", "/", request, dict(handler.headers))
        answer = handler.store.getresponse()
        body = answer.read()
        if answer.status == 200 and b'"IndexName"' in request:
            body = self._some_time_ago(request, body)
        with self._lock:
            lost = self.troubled and self._dice.random() < LOST_ANSWERS
        if lost:
            handler.close_connection = True
            return
        handler.send_response_only(answer.status)
        handler.send_header("Content-Type", "application/x-amz-json-1.0")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _some_time_ago(self, request: bytes, body: bytes) -> bytes:
        """What the index showed when the lag began; nothing, if nobody had looked by then."""
        now = time.monotonic()
        with self._lock:
            shown = self._shown[request]
            shown.append((now, body))
            old = [then for moment, then in shown if moment < now - INDEX_LAG_S]
        return old[-1] if old else b'{"Items":[],"Count":0,"ScannedCount":0}'


class Watchers:
    """Browsers' places: the client module, in Node, one connection to each server."""

    def __init__(self, urls: list[str]) -> None:
        node = shutil.which("node")
        assert node, "Node 20 or newer is needed: https://nodejs.org"
        self._process = subprocess.Popen(
            [node, str(Path(__file__).with_name("watchers.mjs")), *urls],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answers: queue.Queue[str] = queue.Queue()
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout
        with self._process.stdout as lines:
            for line in lines:
                self._answers.put(line)

    def watch(self, department: str) -> None:
        self._ask({"watch": department})

    def states(self, department: str) -> list[dict[str, Any]]:
        """What each client holds: `state`, `revision`, `events`, and the `faults` of what it was sent."""
        return self._ask({"states": department})

    def _ask(self, request: dict[str, str]) -> Any:
        with self._lock:
            assert self._process.stdin
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            return json.loads(self._answers.get(timeout=20))

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(20)
        self._reader.join()


class Cluster:
    """A server of each kind on the same tables, a Redis, and what happens to them."""

    def __init__(self, folder: Path, engine_url: str, seed: int, sabotage: str = "") -> None:
        self._folder = folder
        self._sabotage = sabotage
        self._dice = random.Random(seed)
        self._stack = contextlib.ExitStack()
        self._runs: dict[int, tuple[contextlib.ExitStack, Server]] = {}
        self._stop = threading.Event()
        self.happened: list[str] = []
        self.store = StoreBetween(engine_url, self._dice)
        self._stack.callback(self.store.close)
        self._redis = RedisServer(folder)
        self._ports = [free_port() for _ in MODES]
        self.urls = [f"http://127.0.0.1:{port}" for port in self._ports]

    def __enter__(self) -> "Cluster":
        self._redis.start()
        self._stack.callback(self._redis.stop)
        for number in range(len(MODES)):
            self._start(number)
        self.watchers = Watchers(self.urls)
        self._stack.callback(self.watchers.close)
        return self

    def __exit__(self, *_: object) -> None:
        for run, _server in self._runs.values():
            run.close()
        self._stack.close()

    def _start(self, number: int) -> None:
        run = contextlib.ExitStack()
        settings = {
            "DYNAMODB_ENDPOINT_URL": self.store.url,
            "REDIS_URL": self._redis.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }
        module = "app"
        if self._sabotage:
            module = "histories.sabotaged"
            settings |= {"SABOTAGE": self._sabotage, "PYTHONPATH": str(ROOT / "tests"), "FLASK_APP": module}
        running = running_server(
            self._folder, MODES[number], settings, port=self._ports[number], module=module
        )
        self._runs[number] = run, run.enter_context(running)

    def logs(self) -> str:
        return "".join(server.log for _, server in self._runs.values())

    @contextlib.contextmanager
    def trouble(self) -> Any:
        """Have things happen, all the time, one after the other; afterwards all is well again."""
        self._stop.clear()
        self.store.troubled = True
        trouble = threading.Thread(target=self._trouble)
        trouble.start()
        try:
            yield
        finally:
            self._stop.set()
            trouble.join()
            self.store.troubled = False

    def _trouble(self) -> None:
        while not self._stop.wait(self._dice.uniform(0.05, 0.3)):
            happening = self._dice.choice(
                [self._kill, self._kill, self._freeze_redis, self._stop_redis, self._lose_store]
            )
            self.happened.append(happening.__name__)
            happening(self._dice.uniform(0, 1))

    def _kill(self, seconds: float) -> None:
        number = self._dice.randrange(len(MODES))
        run, server = self._runs[number]
        server.kill()
        run.close()
        time.sleep(seconds)
        self._start(number)

    def _freeze_redis(self, seconds: float) -> None:
        self._redis.freeze()
        time.sleep(seconds)
        self._redis.thaw()

    def _stop_redis(self, seconds: float) -> None:
        self._redis.stop()
        time.sleep(seconds)
        self._redis.start()

    def _lose_store(self, seconds: float) -> None:
        self.store.reachable = False
        time.sleep(seconds)
        self.store.reachable = True


class Caller:
    """A program that asks any of the servers; None when it does not learn what became of its request."""

    def __init__(self, cluster: Cluster, dice: random.Random) -> None:
        self._cluster = cluster
        self._dice = dice
        self._session = requests.Session()
        self._session.trust_env = False

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any] | None:
        url = self._dice.choice(self._cluster.urls) + path
        try:
            answer = self._session.request(method, url, json=body, headers=headers, timeout=15)
        except requests.RequestException:
            return None
        return (answer.status_code, answer.json()) if answer.status_code < 500 else None

    def until_answered(self, method: str, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        return wait_for(lambda: self(method, path, body, **headers), 60, f"an answer to {method} {path}")

    def close(self) -> None:
        self._session.close()
