"""Starts the real programs for tests: the server in each way it is run, Redis, AWS's own DynamoDB Local."""

import contextlib
import functools
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
import requests

from programs import program

ROOT = Path(__file__).resolve().parent.parent
BACKEND = ROOT / "backend"
BIN = Path(sys.executable).parent
DYNAMODB_LOCAL = ROOT / "tests/storage/dynamodb-local/lib"

FLASK_RUN = [str(BIN / "flask"), "run", "--host=127.0.0.1", "--port={port}"]
GUNICORN_EVENTLET = [
    str(BIN / "gunicorn"), "--worker-class", "eventlet", "-w", "1", "app:app", "--bind", "127.0.0.1:{port}",
]  # fmt: skip
GUNICORN_GEVENT = [
    str(BIN / "gunicorn"), "--worker-class", "gevent", "-w", "1", "app:app", "--bind", "127.0.0.1:{port}",
]  # fmt: skip
NO_ENV_FILE = {"PYTHON_DOTENV_DISABLED": "1", "FLASK_SKIP_DOTENV": "1"}
COMMANDS = {"flask": FLASK_RUN, "eventlet": GUNICORN_EVENTLET, "gevent": GUNICORN_GEVENT}


CREATE_TABLES = [
    sys.executable, "-c", "from models import DynamoDBDatabase; db = DynamoDBDatabase(); db.create_tables()",
]  # fmt: skip
"""The command of the documents that creates the tables, typed in `backend/`."""


def wait_for(condition: Callable[[], Any], seconds: float = 15.0, what: str = "the condition") -> Any:
    """Return the condition's first true value; fail if it stays false for `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s in vain for {what}")


def resident_mb(pid: int) -> float:
    """Return how much RAM a process uses, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_listening(port: int) -> bool:
    """Return whether anything listens on a loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def hermetic_env(**settings: str) -> dict[str, str]:
    """Return the environment without variables that name a real account or a developer's store."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "FLASK_", "DYNAMODB_"))}
    return kept | {"AWS_EC2_METADATA_DISABLED": "true", "PYTHONUNBUFFERED": "1"} | NO_ENV_FILE | settings


def with_env_file(**settings: str) -> dict[str, str]:
    """Return a hermetic environment in which programs read the `backend/.env` of their checkout."""
    return {name: value for name, value in hermetic_env(**settings).items() if name not in NO_ENV_FILE}


def run(command: Sequence[str], cwd: Path = BACKEND, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end in a hermetic environment, in `backend/` by default."""
    return subprocess.run(
        command, cwd=cwd, env=hermetic_env(**settings), capture_output=True, text=True, timeout=60
    )


@dataclass
class Server:
    """A running server process with its log."""

    process: subprocess.Popen[bytes]
    url: str
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def pids(self) -> list[int]:
        """Return the ids of the process and its children, such as gunicorn's workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [self.process.pid, *map(int, children)]

    def resident_mb(self) -> float:
        return sum(map(resident_mb, self.pids()))

    def kill(self) -> None:
        """Kill the process and its children at once, as a loss of power does."""
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> int:
        """Ask the process to end, as systemd does, and return its exit status."""
        self.process.terminate()
        return self.process.wait(30)


def embedded(folder: Path, **more: str) -> dict[str, str]:
    """Return the settings of a server on the embedded store of a folder."""
    return {"DYNAMODB_ENDPOINT_URL": "embedded", "EMBEDDED_DATA_DIR": str(folder), **more}


@contextlib.contextmanager
def running_server(
    folder: Path,
    mode: str,
    settings: Mapping[str, str],
    *,
    ready: bool = True,
    port: int | None = None,
    module: str = "app",
    root: Path = ROOT,
    files: tuple[int, int] | None = None,
) -> Iterator[Server]:
    """Run the server of a checkout, `root`, until the block ends.

    `files` are the soft and the hard limit of its open files; without them, those of this process.
    """
    port = port or free_port()
    log_file = folder / f"server-{port}.log"
    command = [part.format(port=port).replace("app:app", f"{module}:app") for part in COMMANDS[mode]]
    limit_files = functools.partial(resource.setrlimit, resource.RLIMIT_NOFILE, files)
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=root / "backend",
            env=hermetic_env(**settings),
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            preexec_fn=limit_files if files else None,
        )
    server = Server(process, f"http://127.0.0.1:{port}", log_file)
    try:
        if ready:
            wait_for(lambda: is_ready(server), 30, f"{mode} to be ready:\n{server.log}")
        yield server
    finally:
        if process.poll() is None:
            server.stop()


def is_ready(server: Server) -> bool:
    if server.process.poll() is not None:
        raise AssertionError(f"the server ended:\n{server.log}")
    try:
        return requests.get(f"{server.url}/readyz", timeout=5).ok
    except (requests.ConnectionError, requests.Timeout):  # not up yet, or the machine is busy
        return False


def is_alive(url: str) -> bool:
    """Tell whether a server answers at all, though its store may not."""
    try:
        return requests.get(f"{url}/healthz", timeout=5).ok
    except (requests.ConnectionError, requests.Timeout):  # not up yet, or waiting for the store
        return False


def engine_pids(data_dir: Path) -> list[int]:
    """Return the supervisor and the engine of a data folder, found by their command lines."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(str(data_dir).encode() in part for part in command):
            found.append(int(path.parent.name))
    return found


def is_engine(pid: int) -> bool:
    """Tell the engine from its supervisor, and from a process that has ended."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return "dynoxide" in Path(f"/proc/{pid}/cmdline").read_text().split("\0")[0]
    return False


class RedisServer:
    """A real redis-server that can be stopped, frozen and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                program("redis-server"),
                "--port",
                str(self.port),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--dir",
                str(self._folder),
            ],
            stdout=subprocess.DEVNULL,
        )
        with redis.Redis.from_url(self.url) as client:
            wait_for(lambda: self._answers(client))

    @staticmethod
    def _answers(client: redis.Redis) -> bool:
        with contextlib.suppress(redis.ConnectionError):
            return bool(client.ping())
        return False

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGSTOP)  # connections stay open and nothing answers

    def thaw(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def running_dynamodb_local() -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen(
        [
            "java", f"-Djava.library.path={DYNAMODB_LOCAL}", "-cp", f"{DYNAMODB_LOCAL}/*",
            "software.amazon.dynamodb.services.local.main.ServerRunner",
            "-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(port),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip

    try:
        wait_for(lambda: is_listening(port), 60, "DynamoDB Local")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
