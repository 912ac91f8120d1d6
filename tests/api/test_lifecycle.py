"""Starting, sharing, crashing and stopping, with the real processes."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests

from api_client import Api, Client
from running import BACKEND, COMMANDS, embedded, free_port, hermetic_env, is_ready, running_server, wait_for

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def settings(tmp_path) -> dict[str, str]:
    return embedded(tmp_path / "data")


def run(command: list[str], **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, cwd=BACKEND, env=hermetic_env(**settings), capture_output=True, text=True, timeout=60
    )


def engine_pids(settings) -> list[int]:
    """The keeper and the engine of a data directory, by their command lines."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(settings["EMBEDDED_DATA_DIR"].encode() in part for part in command):
            found.append(int(path.parent.name))
    return found


@pytest.mark.parametrize("mode", COMMANDS)
def test_acknowledged_writes_survive_the_death_of_server_and_engine_together(tmp_path, settings, mode):
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
        for pid in {*server.pids(), *engine_pids(settings)}:
            with contextlib.suppress(ProcessLookupError):  # the engine ends with its keeper
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
        assert len(engine_pids(settings)) == 2
        getattr(server, end)()
    wait_for(lambda: engine_pids(settings) == [], what="keeper and engine to end")


def test_two_servers_share_one_engine_and_either_may_go_first(tmp_path, settings):
    with (
        running_server(tmp_path, "flask", settings) as first,
        running_server(tmp_path, "eventlet", settings) as second,
    ):
        department = Api(first.url).department()
        first.kill()
        assert Api(second.url)("GET", "/api/departments")["departments"] == [department]
        assert len(engine_pids(settings)) == 2
    wait_for(lambda: engine_pids(settings) == [])


def test_servers_that_start_at_the_same_time_share_one_engine(tmp_path, settings):
    servers = [running_server(tmp_path, "flask", settings, ready=False) for _ in range(4)]
    running = [server.__enter__() for server in servers]
    try:
        for server in running:
            wait_for(lambda server=server: is_ready(server), 30)
        department = Api(running[0].url).department()
        for server in running:
            assert Api(server.url)("GET", "/api/departments")["departments"] == [department]
        # A keeper that came second looks for a moment whether the first one stays.
        wait_for(lambda: len(engine_pids(settings)) == 2, what="one keeper and one engine")
    finally:
        for server in servers:
            server.__exit__(None, None, None)


@pytest.mark.parametrize("victim", ["keeper", "engine"])
def test_a_server_outlives_the_death_of_its_engine(tmp_path, settings, victim):
    with running_server(tmp_path, "eventlet", settings) as server:
        api = Api(server.url)
        department = api.department()
        programs = {
            pid: Path(f"/proc/{pid}/cmdline").read_text().split("\0")[0] for pid in engine_pids(settings)
        }
        for pid, program in programs.items():  # the engine ends with its keeper
            if ("dynoxide" in program) == (victim == "engine"):
                os.kill(pid, signal.SIGKILL)
        assert api("GET", "/api/departments")["departments"] == [department]
        api.event(department["id"])
        assert "Traceback" not in server.log
    wait_for(lambda: engine_pids(settings) == [])


def test_data_is_there_after_a_restart(tmp_path, settings):
    with running_server(tmp_path, "flask", settings) as server:
        api = Api(server.url)
        department = api.department()["id"]
        event, token = api.event(department), api.token(department)
    with running_server(tmp_path, "flask", settings) as server:
        assert Api(server.url).events(department) == [event]
        assert Api(server.url).token(department) == token


@pytest.mark.parametrize("mode", ["eventlet", "gevent"])
def test_sigterm_lets_clients_go_and_ends_soon_though_sockets_are_open(tmp_path, settings, mode):
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


def test_a_deletion_cut_off_by_a_crash_is_finished_by_the_next_start(tmp_path, settings):
    with running_server(tmp_path, "flask", settings) as server:
        api = Api(server.url)
        department = api.department()["id"]
        event = api.event(department)
        # The mark alone, as if the process had died right after it.
        script = (
            "import sys; from models import DynamoDBDatabase; from services.core import build_core;"
            "core = build_core(DynamoDBDatabase(), spawn=lambda *_: None);"
            "core.departments.delete_department(sys.argv[1])"
        )
        assert run([sys.executable, "-c", script, department], **settings).returncode == 0
        assert api("PUT", f"/api/events/{event['id']}", {"title": "x"}, status=404)
    with running_server(tmp_path, "flask", settings) as server:
        wait_for(lambda: "정리: 부서 삭제 1건 마무리" in server.log)


def test_the_documented_one_liner_creates_the_tables(settings):
    script = "from models import DynamoDBDatabase; db = DynamoDBDatabase(); db.create_tables()"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=BACKEND,
        env=hermetic_env(**settings),
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[1:] == [
        f"✓ {name} 테이블이 생성되었습니다." for name in ("departments", "events", "changes")
    ]


def test_flask_commands_create_and_repair_tables(settings):
    def flask(*words: str) -> str:
        done = subprocess.run(
            [*COMMANDS["flask"][:1], *words],
            cwd=BACKEND,
            env=hermetic_env(**settings),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "✓ events 테이블이 생성되었습니다." in flask("tables", "create")
    assert "✓ events 테이블이 이미 있습니다." in flask("tables", "create", "--provisioned")
    assert "마무리한 부서 삭제: 0개" in flask("tables", "repair")


def end_of_start(mode: str, **settings: str) -> tuple[int, str]:
    command = [part.format(port=free_port()) for part in COMMANDS[mode]]
    done = run(command, **settings)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("mode", COMMANDS)
def test_a_missing_table_ends_the_start_with_a_sentence(engine, mode):
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    status, output = end_of_start(mode, DYNAMODB_ENDPOINT_URL=engine.url, DEPARTMENTS_TABLE="nowhere", **keys)
    assert status == 3
    assert "테이블 'nowhere'가 없습니다." in output
    assert "create_tables()" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("mode", COMMANDS)
def test_missing_credentials_end_the_start_with_a_sentence(engine, mode):
    status, output = end_of_start(mode, DYNAMODB_ENDPOINT_URL=engine.url, HOME="/nonexistent")
    assert status == 3
    assert "✗ DynamoDB 연결 실패: 자격증명 오류" in output
    assert "AWS_ACCESS_KEY_ID" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("mode", COMMANDS)
def test_production_without_a_secret_ends_the_start_with_a_sentence(mode):
    status, output = end_of_start(mode, FLASK_ENV="production", DYNAMODB_ENDPOINT_URL="embedded")
    assert status == 3
    assert "SECRET_KEY" in output
    assert "Traceback" not in output


def test_an_endpoint_that_is_no_dynamodb_ends_the_start_with_a_sentence(tmp_path, settings):
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    with running_server(tmp_path, "flask", settings) as other:
        status, output = end_of_start("eventlet", DYNAMODB_ENDPOINT_URL=other.url, **keys)
    assert status == 3
    assert "DYNAMODB_ENDPOINT_URL을 확인하세요" in output
    assert "Traceback" not in output


def test_a_data_folder_that_cannot_be_ends_the_start_with_a_sentence():
    status, output = end_of_start(
        "flask", DYNAMODB_ENDPOINT_URL="embedded", EMBEDDED_DATA_DIR="/proc/nowhere"
    )
    assert status == 3
    assert "EMBEDDED_DATA_DIR=/proc/nowhere" in output
    assert "Traceback" not in output


def test_a_command_that_cannot_reach_its_tables_ends_with_a_sentence(engine):
    keys = {"DYNAMODB_ENDPOINT_URL": engine.url, "HOME": "/nonexistent"}
    done = run([sys.executable, "-m", "flask", "tables", "create"], **keys)
    assert done.returncode == 1
    assert "✗ DynamoDB 연결 실패: 자격증명 오류" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("failure", ["refuses", "hangs"])
def test_a_store_out_of_reach_is_a_503_within_ten_seconds_and_mends_itself(tmp_path, engine, failure):
    """The store's port first refuses or swallows connections; then the real store answers on it."""
    settings = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    script = "from models import DynamoDBDatabase; DynamoDBDatabase().create_tables()"
    run([sys.executable, "-c", script], DYNAMODB_ENDPOINT_URL=engine.url, **settings)
    with Doorway(engine.url, failure) as doorway:
        settings["DYNAMODB_ENDPOINT_URL"] = doorway.url
        with running_server(tmp_path, "eventlet", settings, ready=False) as server:
            wait_for(lambda: alive(server.url), 30)
            api = Api(server.url)
            for method, path, body in (
                ("GET", "/readyz", None),
                ("POST", "/api/departments", {"name": "개발팀"}),
            ):
                begun = time.monotonic()
                assert api(method, path, body, status=503)["error"] == "store_unavailable"
                assert time.monotonic() - begun < 10  # the promise of the contract
            assert api("GET", "/healthz")
            doorway.open()
            wait_for(lambda: is_ready(server), 30)
            wait_for(lambda: "정리: 부서 삭제 0건 마무리" in server.log, 30)


def test_an_embedded_engine_that_hangs_is_a_503_within_ten_seconds(tmp_path, settings):
    with running_server(tmp_path, "eventlet", settings) as server:
        department = Api(server.url).department()["id"]
        engines = [
            pid for pid in engine_pids(settings) if "dynoxide" in Path(f"/proc/{pid}/cmdline").read_text()
        ]
        for pid in engines:
            os.kill(pid, signal.SIGSTOP)
        try:
            assert engines
            begun = time.monotonic()
            body = {"event_date": "2024-01-20", "title": "회의"}
            refusal = Api(server.url)("POST", f"/api/events/{department}", body, status=503)
            assert refusal["error"] == "store_unavailable"
            assert time.monotonic() - begun < 10  # the promise of the contract
        finally:
            for pid in engines:
                os.kill(pid, signal.SIGCONT)
        wait_for(lambda: is_ready(server), 30)


def alive(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=5).ok
    except (requests.ConnectionError, requests.Timeout):
        return False


class Doorway:
    """A TCP port in front of the store: refusing or swallowing first, passing everything once open."""

    def __init__(self, target: str, failure: str) -> None:
        self._target = ("127.0.0.1", int(target.rsplit(":", 1)[1]))
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._opened = False
        self._held: list[socket.socket] = []
        if failure == "hangs":
            self._listener.listen(64)
            self._serve()

    def open(self) -> None:
        self._opened = True
        if not self._held:
            self._listener.listen(64)
            self._serve()

    def _serve(self) -> None:
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._held.append(client)
            if self._opened:
                store = socket.create_connection(self._target)
                self._held.append(store)
                for source, sink in ((client, store), (store, client)):
                    threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pass(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def __enter__(self) -> "Doorway":
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR) if self._held else None
        for one in (self._listener, *self._held):
            one.close()


def test_where_no_engine_is_to_be_had_moto_stands_in_and_says_loudly_that_it_keeps_nothing(
    tmp_path, settings
):
    """A checkout without node_modules, as on a platform that the engine has no binary for."""
    backend = tmp_path / "checkout" / "backend"
    shutil.copytree(BACKEND, backend, ignore=shutil.ignore_patterns("__pycache__", ".env"))
    script = "from models import DynamoDBDatabase; DynamoDBDatabase().create_tables()"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=backend,
        env=hermetic_env(**settings),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "✓ departments 테이블이 생성되었습니다." in done.stdout
    assert done.stdout.startswith("저장소: moto 임시 저장소")
    assert "끝내면 데이터가 모두 사라집니다!" in done.stdout.splitlines()[0]
    wait_for(lambda: engine_pids(settings) == [])
