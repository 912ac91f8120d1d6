"""Several real servers on one store, the failures that are injected, and clients connected to each server."""

import contextlib
import json
import queue
import random
import shutil
import subprocess
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import requests

from histories.hostile import HostileClient
from running import ROOT, RedisServer, Server, free_port, running_server, wait_for
from store_proxy import Answer, Request, StoreProxy

MODES = ("eventlet", "gevent", "flask")
PRODUCTION = 2
"""How many of these are production servers, which withstand attacks."""
INDEX_LAG_S = 1.0
ATTACK_S = 2.0
LOST_ANSWERS = 0.02
"""The share of requests to the store that are carried out and never answered."""


class StoreTrouble:
    """A hook of `StoreProxy` that injects failures.

    The index always lags. While `troubled` is set, some answers are lost; while `reachable` is not set, every
    request fails.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._lock = threading.Lock()
        self._shown: dict[bytes, deque[tuple[float, bytes]]] = defaultdict(lambda: deque(maxlen=1_000))
        self.reachable = True
        self.troubled = True

    def __call__(self, request: Request) -> Answer:
        if not self.reachable:
            raise ConnectionError("the store is out of reach")
        status, body = request.forward()
        if status == 200 and b'"IndexName"' in request.content:
            body = self._shown_before_the_lag(request.content, body)
        with self._lock:
            lost = self.troubled and self._rng.random() < LOST_ANSWERS
        if lost:
            raise ConnectionError("the answer is lost")
        return status, body

    def _shown_before_the_lag(self, query: bytes, body: bytes) -> bytes:
        """Return the answer that an equal query got `INDEX_LAG_S` ago, or an empty one if there was none."""
        now = time.monotonic()
        with self._lock:
            shown = self._shown[query]
            shown.append((now, body))
            old = [then for moment, then in shown if moment < now - INDEX_LAG_S]
        return old[-1] if old else b'{"Items":[],"Count":0,"ScannedCount":0}'


class Watchers:
    """The JavaScript client of browsers in a Node process, with one connection to each server."""

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

    def reopen(self, department: str) -> None:
        """Have one client leave a department and load it anew."""
        self._ask({"reopen": department})

    def parted_answers(self) -> int:
        """Return how many answers came in parts so far."""
        answers: int = self._ask({"parts": ""})
        return answers

    def states(self, department: str) -> list[dict[str, Any]]:
        """Return each client's `state`, `revision`, `events`, and the `faults` in what it was sent."""
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
    """A server in each of `MODES` on the same tables, one Redis, and failures of all of them."""

    def __init__(
        self,
        folder: Path,
        engine_url: str,
        seed: int,
        sabotage: str = "",
        roots: Mapping[str, Path] | None = None,
        *,
        attacked: bool = False,
    ) -> None:
        """`roots` names, by mode, the checkouts of servers of other versions.

        `attacked`: by a client that floods, reads nothing, or holds connections.
        """
        self._folder = folder
        self._sabotage = sabotage
        self._roots = roots or {}
        self._rng = random.Random(seed)
        self._hostile = HostileClient(self._rng) if attacked else None
        self._stack = contextlib.ExitStack()
        self._runs: dict[int, tuple[contextlib.ExitStack, Server]] = {}
        self._stop = threading.Event()
        self._attacked_department = ""
        self.happened: list[str] = []
        self.store = StoreTrouble(self._rng)
        self._proxy = self._stack.enter_context(StoreProxy(engine_url, self.store))
        self._redis = RedisServer(folder)
        self._ports = [free_port() for _ in MODES]
        self.urls = [f"http://127.0.0.1:{port}" for port in self._ports]

    @property
    def restores(self) -> bool:
        """Whether all servers can restore a department; those up to 1.1 delete it for good."""
        return not self._roots

    @property
    def knows_series(self) -> bool:
        """Whether all servers know of series; those up to 1.1 delete one and leave its replacements."""
        return not self._roots

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
            "DYNAMODB_ENDPOINT_URL": self._proxy.url,
            "REDIS_URL": self._redis.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }
        module = "app"
        if self._sabotage:
            module = "histories.sabotaged"
            settings |= {"SABOTAGE": self._sabotage, "PYTHONPATH": str(ROOT / "tests"), "FLASK_APP": module}
        mode, port = MODES[number], self._ports[number]
        running = running_server(
            self._folder, mode, settings, port=port, module=module, root=self._roots.get(mode, ROOT)
        )
        self._runs[number] = run, run.enter_context(running)

    def logs(self) -> str:
        return "".join(server.log for _, server in self._runs.values())

    @contextlib.contextmanager
    def trouble(self, department: str) -> Any:
        """Cause one failure after the other within the block; after it everything works again.

        `department`: the one that a hostile client asks for.
        """
        self._stop.clear()
        self._attacked_department = department
        self.store.troubled = True
        trouble = threading.Thread(target=self._trouble)
        trouble.start()
        try:
            yield
        finally:
            self._stop.set()
            trouble.join()
            if self._hostile:
                self._hostile.wait()
            self.store.troubled = False

    def _trouble(self) -> None:
        possible = [self._kill, self._kill, self._freeze_redis, self._stop_redis, self._lose_store]
        if self._hostile:
            possible.append(self._attack)
            self._cause(self._attack)
        while not self._stop.wait(self._rng.uniform(0.05, 0.3)):
            self._cause(self._rng.choice(possible))

    def _cause(self, failure: Callable[[float], object]) -> None:
        self.happened.append(failure.__name__)
        failure(self._rng.uniform(0, 1))

    def _attack(self, seconds: float) -> None:
        """Begin an attack, which goes on while other failures happen."""
        assert self._hostile
        url = self._rng.choice(self.urls[:PRODUCTION])
        self._hostile.attack(url, self._attacked_department, ATTACK_S + seconds)

    def _kill(self, seconds: float) -> None:
        number = self._rng.randrange(len(MODES))
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
    """A REST client that sends each request to a random server; None stands for an unknown outcome."""

    def __init__(self, cluster: Cluster, rng: random.Random) -> None:
        self._cluster = cluster
        self._rng = rng
        self._session = requests.Session()
        self._session.trust_env = False

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any] | None:
        url = self._rng.choice(self._cluster.urls) + path
        try:
            answer = self._session.request(method, url, json=body, headers=headers, timeout=15)
        except requests.RequestException:
            return None
        return (answer.status_code, answer.json()) if answer.status_code < 500 else None

    def until_answered(self, method: str, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        return wait_for(lambda: self(method, path, body, **headers), 60, f"an answer to {method} {path}")

    def close(self) -> None:
        self._session.close()
