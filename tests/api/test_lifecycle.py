"""Starting, sharing, crashing and stopping, with the real processes."""

import contextlib
import os
import shutil
import signal
import threading
from functools import partial

import pytest
import requests

from api_client import Api, Client
from running import (
    BACKEND,
    COMMANDS,
    CREATE_TABLES,
    engine_pids,
    free_port,
    is_engine,
    is_ready,
    run,
    running_server,
    wait_for,
)

pytestmark = pytest.mark.timeout(90)


@pytest.mark.parametrize("mode", COMMANDS)
def test_acknowledged_writes_survive_when_server_and_engine_are_killed_together(tmp_path, settings, mode):
    acknowledged: list[str] = []
    with running_server(tmp_path, mode, settings) as server:
        api = Api(server.url)
        department = api.department()["id"]

        def write() -> None:
            while True:
                try:
                    acknowledged.append(api.event(department)["id"])
                except (requests.RequestException, AssertionError):
                    return

        writer = threading.Thread(target=write)
        writer.start()
        wait_for(lambda: len(acknowledged) >= 20)
        for pid in {*server.pids(), *engine_pids(tmp_path / "data")}:
            with contextlib.suppress(ProcessLookupError):  # the engine ends with its supervisor
                os.kill(pid, signal.SIGKILL)
        server.process.wait(10)
        writer.join()
    with running_server(tmp_path, mode, settings) as server:
        kept = {event["id"] for event in Api(server.url).events(department)}
    assert set(acknowledged) <= kept
    assert len(kept) <= len(acknowledged) + 1  # one may have been written and not answered


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_no_engine_is_left_when_its_last_server_ends(tmp_path, settings, end):
    with running_server(tmp_path, "eventlet", settings) as server:
        assert len(engine_pids(tmp_path / "data")) == 2
        getattr(server, end)()
    wait_for(lambda: engine_pids(tmp_path / "data") == [], what="supervisor and engine to end")


def test_an_engine_that_two_servers_share_outlives_the_one_that_started_it(tmp_path, settings):
    with (
        running_server(tmp_path, "flask", settings) as first,
        running_server(tmp_path, "eventlet", settings) as second,
    ):
        department = Api(first.url).department()
        first.kill()
        assert Api(second.url)("GET", "/api/departments")["departments"] == [department]
        assert len(engine_pids(tmp_path / "data")) == 2
    wait_for(lambda: engine_pids(tmp_path / "data") == [])


def test_servers_that_start_at_the_same_time_share_one_engine(tmp_path, settings):
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(running_server(tmp_path, "flask", settings, ready=False)) for _ in range(4)
        ]
        for server in servers:
            wait_for(partial(is_ready, server), 30)
        department = Api(servers[0].url).department()
        for server in servers:
            assert Api(server.url)("GET", "/api/departments")["departments"] == [department]
        # A second supervisor waits a moment to see whether the first one lives, then ends.
        wait_for(lambda: len(engine_pids(tmp_path / "data")) == 2, what="one supervisor and one engine")


@pytest.mark.parametrize("victim", ["supervisor", "engine"])
def test_a_server_outlives_the_death_of_its_engine(tmp_path, settings, victim):
    with running_server(tmp_path, "eventlet", settings) as server:
        api = Api(server.url)
        department = api.department()
        pids = engine_pids(tmp_path / "data")
        engines = {pid for pid in pids if is_engine(pid)}
        victims = engines if victim == "engine" else set(pids) - engines
        for pid in victims:  # an engine ends with its supervisor
            os.kill(pid, signal.SIGKILL)
        assert api("GET", "/api/departments")["departments"] == [department]
        api.event(department["id"])
        assert "Traceback" not in server.log
    wait_for(lambda: engine_pids(tmp_path / "data") == [])


def test_data_is_there_after_a_restart(tmp_path, settings):
    with running_server(tmp_path, "flask", settings) as server:
        api = Api(server.url)
        department = api.department()["id"]
        event, token = api.event(department), api.token(department)
    with running_server(tmp_path, "flask", settings) as server:
        assert Api(server.url).events(department) == [event]
        assert Api(server.url).token(department) == token


@pytest.mark.parametrize("mode", ["eventlet", "gevent"])
def test_sigterm_disconnects_the_clients_and_ends_the_server(tmp_path, settings, mode):
    with running_server(tmp_path, mode, settings) as server:
        clients = [Client(server.url, transport) for transport in ("websocket", "polling")]
        gone = [threading.Event() for _ in clients]
        for client, event in zip(clients, gone, strict=True):
            client.sio.on("disconnect", lambda *_, event=event: event.set())
        assert server.stop() == 0
        assert all(event.wait(10) for event in gone)
        for client in clients:
            client.close()
        assert "Traceback" not in server.log


@pytest.mark.parametrize("mode", ["eventlet", "gevent"])
def test_clients_come_back_by_themselves_after_a_restart(tmp_path, settings, mode):
    """They would not after an Engine.IO CLOSE packet, which to python-socketio means: never come back."""
    port = free_port()
    with running_server(tmp_path, mode, settings, port=port) as server:
        clients = [Client(server.url, kind, reconnection=True) for kind in ("websocket", "polling")]
        for client in clients:
            client.wait("connected")
        server.stop()
    with running_server(tmp_path, mode, settings, port=port):
        for client in clients:
            client.wait("connected", 2, seconds=30)
            client.close()


def test_without_an_embedded_engine_moto_is_used_and_warns_that_it_keeps_nothing(tmp_path, settings):
    """A checkout without node_modules, as on a platform that the engine has no binary for."""
    backend = tmp_path / "checkout" / "backend"
    shutil.copytree(BACKEND, backend, ignore=shutil.ignore_patterns("__pycache__", ".env"))
    done = run(CREATE_TABLES, cwd=backend, **settings)
    assert done.returncode == 0, done.stderr
    assert "✓ departments 테이블이 생성되었습니다." in done.stdout
    assert done.stdout.startswith("저장소: moto 임시 저장소")
    assert "끝내면 데이터가 모두 사라집니다!" in done.stdout.splitlines()[0]
    wait_for(lambda: engine_pids(tmp_path / "data") == [])
