"""The engine of one data directory: nobody else is taken for it, and it writes into no deleted file."""

import contextlib
import fcntl
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from aws_client import aws_client
from config import Settings
from errors import StoreUnavailable
from running import (
    BACKEND,
    CREATE_TABLES,
    embedded,
    engine_pids,
    hermetic_env,
    is_engine,
    is_listening,
    run,
    wait_for,
)
from store import engine_files
from store.dynamo_client import ENGINE_PAGE_ITEMS, DynamoClient
from store.engine_supervisor import ENGINE_BINARY
from store.local_engine import EngineUnavailable

TABLE = "notes"
DEPARTMENT = {"id": {"S": "1"}, "name": {"S": "개발팀"}}


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A data directory, whose engine ends with the test, as those of directories beside it do."""
    yield tmp_path / "ours"
    kill(*engine_pids(tmp_path))


@pytest.fixture
def client(data: Path) -> DynamoClient:
    return with_table(connect(data))


def connect(data: Path) -> DynamoClient:
    """Return the client of one more server on a data directory."""
    return DynamoClient(Settings(dynamodb_endpoint_url="embedded", embedded_data_dir=data))


def with_table(client: DynamoClient) -> DynamoClient:
    client.call(
        "create_table",
        TableName=TABLE,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return client


@contextlib.contextmanager
def server_process(data: Path) -> Iterator[None]:
    """Run another process that uses the store of a directory, with the calendar's tables."""
    command = [*CREATE_TABLES[:-1], f"{CREATE_TABLES[-1]}; print('ready', flush=True); input()"]
    with subprocess.Popen(
        command,
        cwd=BACKEND,
        env=hermetic_env(**embedded(data)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert any(line == "ready\n" for line in process.stdout)
        yield
        process.stdin.write("\n")


def put(client: DynamoClient, note: str) -> None:
    client.call("put_item", TableName=TABLE, Item={"id": {"S": note}})


def notes(client: DynamoClient) -> set[str]:
    return {item["id"]["S"] for item in client.iterate("scan", TableName=TABLE, ConsistentRead=True)}


def kill(*pids: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # an engine ends with its supervisor
            os.kill(pid, signal.SIGKILL)


def kill_engine(data: Path) -> int:
    """Kill the engine of a directory and its supervisor; return the port that became free.

    They may be ending by themselves: a supervisor whose `users.lock` was deleted hands over to a new one.
    """
    port = engine_files.last_port(data)
    kill(*sorted(engine_pids(data), key=is_engine))
    wait_for(lambda: not engine_pids(data) and not is_listening(port), what="the engine to end")
    return port


def port_of(data: Path) -> int:
    engine = next(pid for pid in engine_pids(data) if is_engine(pid))
    command = Path(f"/proc/{engine}/cmdline").read_text().split("\0")
    return int(command[command.index("--port") + 1])


# Strangers on the port of an engine that died


@contextlib.contextmanager
def serving(data: Path, port: int) -> Iterator[None]:
    """Run an engine on the store of a directory, without a supervisor."""
    command = [str(ENGINE_BINARY), "serve", "--port", str(port), "--db-path", str(data / "calendar.db")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: is_listening(port), what="the stranger")
        yield
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def other_directory(data: Path, port: int) -> Iterator[None]:
    """The engine of another directory, which has the same tables with other items."""
    other = data.parent / "theirs"
    put(with_table(connect(other)), "theirs")
    kill_engine(other)
    with serving(other, port):
        yield


@contextlib.contextmanager
def copied_directory(data: Path, port: int) -> Iterator[None]:
    shutil.copytree(data, data.parent / "copied")
    with serving(data.parent / "copied", port):
        yield


@contextlib.contextmanager
def unrelated_program(data: Path, port: int) -> Iterator[None]:
    """A web server that answers everything with 200 and an empty object."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield
        finally:
            server.shutdown()


@contextlib.contextmanager
def silent_socket(data: Path, port: int) -> Iterator[None]:
    with socket.create_server(("127.0.0.1", port)):
        yield


@pytest.mark.parametrize(
    "stranger",
    [other_directory, copied_directory, unrelated_program, silent_socket],
    ids=lambda s: s.__name__,
)
def test_a_stranger_on_the_engines_port_gets_no_request(
    client, data, stranger: Callable[[Path, int], AbstractContextManager[None]]
):
    second = connect(data)
    put(client, "before")
    assert notes(second) == {"before"}  # both hold connections to the engine
    with stranger(data, kill_engine(data)):
        assert notes(second) == {"before"}
        put(client, "after")
        assert notes(second) == notes(connect(data)) == {"before", "after"}
        assert len(engine_pids(data)) == 2, "the servers share one engine again"
        for other in ("theirs", "copied"):
            if (data.parent / other).exists():
                assert "after" not in stored(data.parent / other)


def stored(data: Path) -> str:
    return (data / "calendar.db-wal").read_bytes().decode(errors="replace")


def test_an_engine_whose_port_was_taken_while_it_started_is_not_looked_for_there(client, data):
    """The supervisor survives and restarts its engine, on another port."""
    put(client, "before")
    port = port_of(data)
    supervisor, engine = sorted(engine_pids(data), key=is_engine)
    os.kill(supervisor, signal.SIGSTOP)
    kill(engine)
    wait_for(lambda: not is_listening(port))
    with silent_socket(data, port):
        os.kill(supervisor, signal.SIGCONT)
        put(client, "after")
        assert port_of(data) != port
        assert notes(connect(data)) == {"before", "after"}


def test_a_proxy_of_the_environment_gets_no_request_to_the_engine(data, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    client = with_table(connect(data))
    put(client, "direct")
    assert notes(client) == {"direct"}


def test_the_engine_is_asked_for_no_more_items_than_fit_into_a_page(client, monkeypatch):
    """It reads as many as are asked for before it cuts a page at 1 MB, and serves nobody else meanwhile."""
    expected = {f"{number:03}" + "x" * 50_000 for number in range(100)}
    client.batch_put(TABLE, [{"id": {"S": note[:3]}, "text": {"S": note[3:]}} for note in expected])
    asked: list[int] = []
    call = client.call
    monkeypatch.setattr(
        client,
        "call",
        lambda operation, **parameters: asked.append(parameters["Limit"]) or call(operation, **parameters),
    )
    assert notes(client) == {note[:3] for note in expected}
    assert asked[0] == ENGINE_PAGE_ITEMS
    assert max(asked[1:]) <= 2 * 21, "21 of these items fit into 1 MB"
    assert len(asked) == 5


def test_a_directory_copied_while_its_engine_runs_gets_an_engine_of_its_own(client, data):
    put(client, "before")
    shutil.copytree(data, data.parent / "copied")
    copied = connect(data.parent / "copied")
    put(client, "ours")
    put(copied, "copied")
    assert notes(client) == {"before", "ours"}
    assert notes(copied) == {"before", "copied"}


# Deleted files by which the processes find each other


@pytest.mark.parametrize(
    "deleted",
    [["engine.json"], ["users.lock"], ["engine.lock"], ["engine.log"], ["*.lock", "engine.*"]],
    ids=str,
)
def test_servers_share_one_engine_whichever_of_its_files_is_deleted(client, data, deleted):
    put(client, "first")
    for name in deleted:
        for path in data.glob(name):
            path.unlink()
    second = connect(data)
    put(second, "second")
    put(client, "third")
    assert notes(client) == notes(second) == {"first", "second", "third"}
    wait_for(lambda: notes(client) == notes(second) and len(engine_pids(data)) == 2, what="one engine")
    assert kill_engine(data)
    put(client, "fourth")
    assert notes(second) == {"first", "second", "third", "fourth"}
    wait_for(lambda: notes(client) == notes(second) and len(engine_pids(data)) == 2, what="one engine")


def test_a_new_engines_files_are_not_taken_for_those_of_one_that_ended_in_order(tmp_path):
    """SQLite deletes log and index then. A file system may give their numbers to the next files."""
    for name in engine_files.SQLITE_FILES:
        (tmp_path / name).touch()
    lock, address_file = engine_files.new_address(tmp_path)
    engine_files.publish_address(tmp_path, address_file, 1)
    address = engine_files.Address.find(tmp_path)
    assert address
    os.close(address_file)
    os.close(lock)
    index, log = tmp_path / engine_files.SHM_FILE, tmp_path / engine_files.WAL_FILE
    before = index.stat().st_ino
    index.unlink()
    log.unlink()
    new = [tmp_path / str(number) for number in range(100)]
    for path in new:
        path.touch()
    same = next((path for path in new if path.stat().st_ino == before), new[0])
    same.rename(index)
    new[-1].rename(log)
    assert address.lost_store(tmp_path) is None


def test_a_deleted_address_is_written_again(client, data):
    address = data / "engine.json"
    address.unlink()
    wait_for(address.exists, what="a new engine.json")
    assert address.stat().st_mode & 0o077 == 0
    put(client, "later")
    assert notes(connect(data)) == {"later"}


def test_an_engine_serves_on_when_the_server_that_knew_its_deleted_lock_ends(data):
    with server_process(data):
        (data / "users.lock").unlink()
        second = connect(data)
        second.call("put_item", TableName="departments", Item=DEPARTMENT)
        engines = set(filter(is_engine, engine_pids(data)))
    wait_for(lambda: not engines & set(engine_pids(data)), what="the first server's engine to end")
    second.call("put_item", TableName="departments", Item=DEPARTMENT | {"id": {"S": "2"}})
    assert len(list(second.iterate("scan", TableName="departments"))) == 2


def test_a_server_says_at_once_that_servers_of_an_older_version_use_the_directory(data):
    data.mkdir()
    with (data / "engine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as the supervisor of an older version
        with pytest.raises(EngineUnavailable, match=r"이전 버전\(1.2 이하\)의 서버가 쓰고 있습니다"):
            connect(data)
    put(with_table(connect(data)), "later")


# Deleted files of the store


def delete_directory(data: Path) -> None:
    shutil.rmtree(data)


def delete(name: str) -> Callable[[Path], None]:
    return lambda data: (data / name).unlink()


def replace_store(data: Path) -> None:
    shutil.copy(data / "calendar.db", data / "backup")
    (data / "backup").replace(data / "calendar.db")


LOSSES = {
    "calendar.db": delete("calendar.db"),
    "wal": delete("calendar.db-wal"),
    "shm": delete("calendar.db-shm"),
    "directory": delete_directory,
    "replaced": replace_store,
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_store_whose_file_is_lost_refuses_writes_and_answers_reads(client, data, loss, caplog):
    put(client, "kept")
    client.require_writable()
    LOSSES[loss](data)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="저장소의 파일이 지워져"):
            put(client, "lost")
        with pytest.raises(StoreUnavailable):
            client.require_writable()
    assert notes(client) == {"kept"}
    said = [record.message for record in caplog.records if record.name == "store.local_engine"]
    assert len(said) == 1, "the operator is told once"
    assert str(data / "calendar.db") in said[0]


def test_an_engine_that_ends_in_order_between_two_looks_at_its_files_has_lost_none(tmp_path, monkeypatch):
    names = ["calendar.db", "calendar.db-shm", "calendar.db-wal"]
    for name in names:
        (tmp_path / name).touch()
    files = {name: engine_files.file_id(tmp_path / name) for name in names}
    (tmp_path / "engine.json").write_text(json.dumps({"port": 1, "files": files}))
    address = engine_files.Address.find(tmp_path)
    look = engine_files.file_id

    def look_once(path: str) -> engine_files.FileId | None:
        found = look(path)
        if not path.endswith("calendar.db"):
            for name in names[1:]:
                (tmp_path / name).unlink(missing_ok=True)
        return found

    monkeypatch.setattr(engine_files, "file_id", look_once)
    assert address.lost_store(tmp_path) is None


def test_a_write_is_not_acknowledged_when_the_store_is_deleted_on_its_way(client, data):
    """The engine hangs while the file is deleted, then it writes."""
    engine = next(filter(is_engine, engine_pids(data)))
    sent = threading.Event()
    client._client.meta.events.register("before-send.dynamodb", lambda **_event: sent.set())
    failures: list[BaseException] = []

    def write() -> None:
        try:
            put(client, "lost")
        except StoreUnavailable as error:
            failures.append(error)

    os.kill(engine, signal.SIGSTOP)
    writer = threading.Thread(target=write)
    writer.start()
    assert sent.wait(5)
    (data / "calendar.db").unlink()
    os.kill(engine, signal.SIGCONT)
    writer.join(10)
    assert "서버 운영자에게" in str(failures[0])


def test_a_store_that_is_moved_away_and_back_takes_writes_again(client, data):
    put(client, "before")
    data.rename(data.parent / "moved")
    with pytest.raises(StoreUnavailable):
        put(client, "refused")
    (data.parent / "moved").rename(data)
    put(client, "after")
    assert notes(connect(data)) == {"before", "after"}


@pytest.mark.parametrize("victim", ["engine", "supervisor"])
@pytest.mark.parametrize("loss", ["calendar.db", "directory", "replaced"])
def test_no_empty_store_is_begun_under_a_server_whose_store_was_deleted(client, data, loss, victim):
    put(client, "lost")
    LOSSES[loss](data)
    supervisor, engine = sorted(engine_pids(data), key=is_engine)
    kill(engine if victim == "engine" else supervisor)
    wait_for(lambda: not engine_pids(data), what="engine and supervisor to end")
    with pytest.raises(StoreUnavailable):
        notes(client)
    with pytest.raises(StoreUnavailable):
        put(client, "refused")
    assert engine_pids(data) == []
    assert (data / "calendar.db").exists() == (loss == "replaced")


@pytest.mark.parametrize(
    ("deleted", "victim"), [(["wal"], "engine"), (["wal"], "supervisor"), (["wal", "shm"], "engine")], ids=str
)
def test_no_older_state_is_served_after_a_crash_without_the_log(client, data, deleted, victim):
    """What was written last is in `calendar.db-wal` alone until the engine moves it to `calendar.db`."""
    put(client, "lost")
    for loss in deleted:
        LOSSES[loss](data)
    supervisor, engine = sorted(engine_pids(data), key=is_engine)
    kill(engine if victim == "engine" else supervisor)
    wait_for(lambda: not engine_pids(data), what="engine and supervisor to end")
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="저장소의 파일이 지워져"):
            notes(client)
        with pytest.raises(StoreUnavailable, match="저장소의 파일이 지워져"):
            put(client, "refused")
    assert engine_pids(data) == []


@pytest.mark.parametrize("end", ["server", "engine"])
def test_a_backup_put_in_place_of_a_deleted_store_is_not_mixed_with_what_that_left(data, end):
    """SQLite takes any `calendar.db-wal` for that of the `calendar.db` beside it."""
    with server_process(data):
        pass
    wait_for(lambda: not engine_pids(data), what="the engine to end")
    shutil.copy(data / "calendar.db", data / "backup")
    with server_process(data):
        store = aws_client("dynamodb", f"http://127.0.0.1:{port_of(data)}")
        store.put_item(TableName="departments", Item=DEPARTMENT)
        (data / "calendar.db").unlink()
        if end == "engine":
            kill(*filter(is_engine, engine_pids(data)))
            wait_for(lambda: not engine_pids(data), what="the supervisor to end")
    wait_for(lambda: not engine_pids(data), what="the engine to end")
    (data / "backup").rename(data / "calendar.db")
    assert list(connect(data).iterate("scan", TableName="departments")) == []


@pytest.mark.parametrize("loss", LOSSES)
def test_the_next_server_starts_after_a_loss(data, loss):
    """Once all servers have ended: with all there was, unless `calendar.db` itself is lost."""
    with server_process(data):
        LOSSES[loss](data)
    done = run(CREATE_TABLES, **embedded(data))
    assert done.returncode == 0, done.stderr
    assert ("생성되었습니다" in done.stdout) == (loss not in ("wal", "shm"))
    wait_for(lambda: not engine_pids(data), what="the engine to end")
