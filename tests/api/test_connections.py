"""Clients that hold connections, or send without pause, on gunicorn: the others are served meanwhile."""

import contextlib
import re
import resource
import select
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from api_client import Api, Client, by_nobody
from running import COMMANDS, GUNICORN_EVENTLET, Server, embedded, is_alive, running_server, wait_for
from store.local_engine import Engine

pytestmark = pytest.mark.timeout(120)

POST = b"POST /api/departments HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
WITHOUT_PAUSE = {
    "requests": (b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 2_000),
    "an endless body": (POST + b"Content-Length: 99999999999\r\n\r\n", b"x" * 100_000),
    "an endless line before a chunk": (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 100_000),
    "chunks of one byte": (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 20_000),
}


@pytest.fixture(scope="module", params=["eventlet", "gevent"])
def mode(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def server(mode: str, engine: Engine, engine_dir: Path, tmp_path_factory: Any) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("server"), mode, embedded(engine_dir)) as server:
        yield server
        assert "Traceback" not in server.log, server.log


@pytest.fixture
def start(mode: str, engine: Engine, engine_dir: Path, tmp_path: Path) -> Iterator[Callable[[str], Server]]:
    """Return a function that starts a server of its own with more options of gunicorn."""
    with contextlib.ExitStack() as stack:

        def start_with(options: str) -> Server:
            settings = embedded(engine_dir, GUNICORN_CMD_ARGS=options)
            server = stack.enter_context(running_server(tmp_path, mode, settings))
            stack.callback(lambda: pytest.fail(server.log) if "Traceback" in server.log else None)
            return server

        yield start_with


@pytest.fixture
def dial() -> Iterator[Callable[..., socket.socket]]:
    """Return a function that opens a TCP connection to a server and sends the start of something."""
    with contextlib.ExitStack() as stack:

        def dial_to(server: Server, start: bytes = b"", receive_buffer: int = 0) -> socket.socket:
            connection = stack.enter_context(socket.socket())
            if receive_buffer:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            parts = urlsplit(server.url)
            connection.connect((parts.hostname, parts.port))
            connection.sendall(start)
            return connection

        yield dial_to


def is_open(connection: socket.socket, send: bytes = b"") -> bool:
    """Tell whether the server has not ended a connection; what it has sent is read and dropped."""
    connection.setblocking(False)
    try:
        if send:
            connection.send(send)
        while data := connection.recv(65_536):
            del data
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def send_without_pause(connection: socket.socket, what: bytes) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection.sendall(what)


def read_without_pause(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while connection.recv(1_000_000):
            pass


@pytest.mark.parametrize("what", WITHOUT_PAUSE)
def test_a_client_that_sends_without_pause_does_not_hold_up_others(server, dial, what):
    start, then = WITHOUT_PAUSE[what]
    done = threading.Event()

    def attack() -> None:
        while not done.is_set():  # the server disconnects it at times
            with contextlib.suppress(OSError), dial(server, start) as connection:
                threading.Thread(target=read_without_pause, args=[connection], daemon=True).start()
                while not done.is_set():
                    connection.sendall(then)
                connection.shutdown(socket.SHUT_RDWR)

    attacker = threading.Thread(target=attack)
    attacker.start()
    try:
        for _ in range(10):
            assert requests.get(f"{server.url}/healthz", timeout=5).ok
    finally:
        done.set()
        attacker.join()


def test_slow_clients_are_disconnected_and_quiet_websockets_are_not(server, dial):
    api = Api(server.url)
    department = api.department()["id"]
    for _ in range(100):
        api.event(department, description="가" * 10_000)
    quiet = Client(server.url, "websocket")
    quiet.join(department)
    head, body = (
        dial(server, b"GET /healthz HTTP/1.1\r\nX:"),
        dial(server, POST + b"Content-Length: 999\r\n\r\n"),
    )
    idle = dial(server)
    unread = dial(server, f"GET /api/events/{department} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), 4_096)
    wait_for(lambda: not is_open(idle), 20, "an idle connection to end")
    wait_for(lambda: not is_open(head, b"x"), 20, "the head to end")
    wait_for(lambda: not is_open(body, b"1"), 30, "the body to end")
    wait_for(lambda: is_reset(unread), 45, "the answer to end")
    event = api.event(department)
    assert quiet.wait("event_created") == [by_nobody(event)]
    quiet.close()


def is_reset(connection: socket.socket) -> bool:
    """Tell whether the server has dropped a connection from which nothing is read."""
    poll = select.poll()
    poll.register(connection, 0)
    return any(event & select.POLLHUP for _, event in poll.poll(0))


def test_a_slow_but_steady_reader_gets_the_whole_answer(server, dial):
    api = Api(server.url)
    department = api.department()["id"]
    for _ in range(60):
        api.event(department, description="가" * 10_000)
    expected = requests.get(f"{server.url}/api/events/{department}", timeout=10).content
    request = f"GET /api/events/{department} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    connection = dial(server, request.encode(), 4_096)
    connection.settimeout(10)
    answer = b""
    while data := connection.recv(1_000):
        answer += data
    assert answer.partition(b"\r\n\r\n")[2] == expected


def test_large_bodies_of_many_clients_are_bounded_in_sum_and_small_ones_are_taken(server, dial):
    head = POST + b"Content-Length: 1000000\r\n\r\n"
    connections = []
    for _ in range(80):
        with contextlib.suppress(OSError):  # it may be disconnected while it sends
            connections.append(dial(server, head))
            connections[-1].sendall(b" " * 900_000)
    wait_for(lambda: sum(not is_open(connection) for connection in connections) >= 20)
    assert any(is_open(connection) for connection in connections)
    Api(server.url).department()


def test_idle_connections_make_room_for_others(start, dial):
    server = start("--worker-connections 20 --keep-alive 60")
    idle = [dial(server) for _ in range(60)]
    assert requests.get(f"{server.url}/healthz", timeout=10).ok
    assert any(is_open(connection) for connection in idle)


def test_at_the_limit_clients_are_told_to_try_again_and_health_checks_get_through(start, dial):
    server = start("--worker-connections 20")

    def is_refused() -> bool:
        """Open a session that polls, unless that is refused."""
        answer = requests.get(f"{server.url}/socket.io/?EIO=4&transport=polling", timeout=10)
        if answer.status_code == 503:
            return True
        sid = re.findall('"sid":"([^"]*)"', answer.text)[0]
        poll = f"GET /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: x\r\n\r\n"
        dial(server, poll.encode())
        return False

    # One refusal may be due to a connection that was about to end.
    wait_for(lambda: all(is_refused() for _ in range(5)))
    api = Api(server.url)
    assert api("GET", "/api/departments", status=503)["error"] == "server_unavailable"
    assert is_alive(server.url)
    assert requests.get(f"{server.url}/readyz", timeout=10).ok


def test_a_worker_that_ran_out_of_file_descriptors_serves_again_when_it_has_some(start, dial):
    server = start("--keep-alive 60")
    pid = server.pids()[1]
    hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
    used = max(int(file.name) for file in Path(f"/proc/{pid}/fd").iterdir())
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 10, hard))
    idle = [dial(server) for _ in range(40)]
    complaint = "새 연결을 받지 못했습니다. 잠시 뒤 다시 시도합니다: [Errno 24]"
    wait_for(lambda: complaint in server.log)
    for connection in idle:
        connection.close()
    wait_for(lambda: is_alive(server.url))
    assert server.log.count(complaint) == 1


@pytest.mark.parametrize(("limit", "connections"), [("-Sn 500", 0), ("-n 600", 400)])
def test_the_limit_of_files_is_raised_or_the_operator_is_told(
    tmp_path, engine, engine_dir, monkeypatch, limit, connections
):
    command = ["sh", "-c", f'ulimit {limit}; exec "$@"', "sh", *GUNICORN_EVENTLET]
    monkeypatch.setitem(COMMANDS, "limited", command)
    with running_server(tmp_path, "limited", embedded(engine_dir)) as server:
        for pid in server.pids():
            soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            assert soft == hard
        told = re.findall("클라이언트가 (.*)개까지만 접속할 수 있습니다", server.log)
    assert told == ([str(connections)] if connections else [])
