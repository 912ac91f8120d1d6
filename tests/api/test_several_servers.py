"""Servers side by side on the same tables, with and without Redis; and clients that do not read."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import redis
import websocket

from api_client import Api, Client
from config import Settings
from fake_transport import FakeTransport
from in_process import Calendar
from models import DynamoDBDatabase
from realtime.push import Push
from realtime.redis_hints import Hints
from running import RedisServer, Server, embedded, free_port, running_server, wait_for
from services.accounts.access import OpenAccess


@pytest.fixture
def redis_server(tmp_path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


class ThreadedTransport(FakeTransport):
    """Runs background tasks as threads, and keeps the revisions of what is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.revisions: list[int] = []

    def start_background_task(self, target, *arguments):
        threading.Thread(target=target, args=arguments, daemon=True).start()

    def sleep(self, seconds):
        time.sleep(seconds)

    def emit(self, event, *payload, to=None):
        self.revisions.append(payload[0]["revision"])


class HintedServer:
    """A server that never polls: what reaches its rooms came by a hint."""

    def __init__(self, settings: Settings, redis_url: str) -> None:
        self.calendar = Calendar(DynamoDBDatabase(settings))
        self.transport = ThreadedTransport()
        self.push = Push(self.transport, self.calendar.db, self.calendar.sync, OpenAccess(), poll_s=None)
        hints = Hints(redis_url, self.transport)
        self.calendar.group_commit.on_commit(self.push.on_commit)
        self.calendar.group_commit.on_commit(hints.on_commit)
        hints.start(self.push.on_hint)


def test_a_hint_alone_carries_a_change_to_the_rooms_of_another_server(store, redis_server):
    writing, listening = (HintedServer(store, redis_server.url) for _ in range(2))
    writing.calendar.db.create_tables(report=lambda line: None)
    name = f"부서 {redis_server.port} {time.time()}"
    department = writing.calendar.departments.create_department(name).entity.id
    listening.push.join("sid", department)
    with redis.Redis.from_url(redis_server.url) as client:
        wait_for(lambda: client.pubsub_numsub("department-calendar:changes")[0][1] == 2)
    for n in range(3):
        writing.calendar.add(department, f"{n}")
    wait_for(lambda: len(listening.transport.revisions) == 3, what="the hints to be followed")
    assert listening.transport.revisions == [1, 2, 3]


def told_times(server: Server, told: str, times: int) -> bool:
    return server.log.count(told) == times


def test_nothing_is_lost_or_delayed_when_redis_freezes_stops_and_returns(tmp_path, redis_server):
    settings = embedded(tmp_path / "data", REDIS_URL=redis_server.url)
    with (
        running_server(tmp_path, "eventlet", settings) as one,
        running_server(tmp_path, "gevent", settings) as two,
    ):
        department = Api(one.url).department()["id"]
        client = Client(two.url)
        client.join(department)
        written = 0
        for happen, told, times in (
            (lambda: None, "Redis", 0),
            (redis_server.freeze, "그동안 서버마다 2초 간격으로", 1),
            (redis_server.thaw, "Redis에 다시 닿습니다.", 1),
            (redis_server.stop, "그동안 서버마다 2초 간격으로", 2),
            (redis_server.start, "Redis에 다시 닿습니다.", 2),
        ):
            happen()
            for _ in range(3):
                begun = time.monotonic()
                Api(one.url).event(department)
                # Redis' own timeouts are 2 s: a request that waited for it would show.
                assert time.monotonic() - begun < 1.9
                written += 1
            client.wait("event_created", written)
            wait_for(partial(told_times, one, told, times), what=f"{told} in the log")
        assert [e["revision"] for e in client.of("event_created")] == list(range(1, written + 1))
        client.close()
        for server in (one, two):
            assert "Traceback" not in server.log


def test_servers_tell_redis_of_their_commits_and_listen_to_it(tmp_path, redis_server):
    settings = embedded(tmp_path / "data", REDIS_URL=redis_server.url)
    with (
        running_server(tmp_path, "flask", settings) as server,
        redis.Redis.from_url(redis_server.url) as client,
        client.pubsub(ignore_subscribe_messages=True) as subscription,
    ):
        subscription.subscribe("department-calendar:changes")
        wait_for(lambda: client.pubsub_numsub("department-calendar:changes")[0][1] == 2)
        department = Api(server.url).department()["id"]
        Api(server.url).event(department)
        heard = []
        wait_for(
            lambda: (
                heard.append(subscription.get_message(timeout=0.1))
                or f"{department} 1" in [message["data"].decode() for message in heard if message]
            )
        )


def test_a_server_works_without_the_redis_of_its_settings(tmp_path):
    settings = embedded(tmp_path / "data", REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    with running_server(tmp_path, "flask", settings) as server:
        api = Api(server.url)
        assert api.event(api.department()["id"])["revision"] == 1


@pytest.mark.timeout(90)
def test_a_client_that_does_not_read_is_disconnected_and_nobody_else_notices(server, api, connect):
    department = api.department()["id"]
    url = f"{server.url}/socket.io/?EIO=4&transport=websocket".replace("http", "ws")
    small_buffer = (socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stalled = websocket.create_connection(url, timeout=5, sockopt=[small_buffer])
    stalled.recv()
    stalled.send("40")
    stalled.send(f'42["join_department",{{"department_id":"{department}"}}]')
    witness = connect()
    witness.join(department)
    description = "가" * 5_000

    def write(_: int) -> None:
        writer = Api(server.url)
        for _ in range(10):
            writer.event(department, description=description)
        writer.session.close()

    written = 0
    with ThreadPoolExecutor(16) as pool:
        while "읽지 않는 클라이언트를 끊습니다" not in server.log and written < 3_200:
            list(pool.map(write, range(16)))
            written += 160
            witness.wait("event_created", written, 40)  # else it might fall behind, too
    assert [e["revision"] for e in witness.of("event_created")] == list(range(1, written + 1))
    stalled.shutdown()
    assert server.log.count("읽지 않는 클라이언트를 끊습니다") == 1
