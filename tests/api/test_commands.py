"""What operators read of the commands: which store they speak to, one form of line, sentences."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from api_client import TIMESTAMP, Api, Client
from aws_client import KEYS
from config import Settings
from domain import new_id
from in_process import Calendar
from models import DynamoDBDatabase
from running import (
    BACKEND,
    BIN,
    CREATE_TABLES,
    Server,
    embedded,
    free_port,
    hermetic_env,
    is_ready,
    run,
    running_server,
    wait_for,
    with_env_file,
)

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (INFO|WARNING|ERROR) (?P<said>.+)")


@pytest.mark.parametrize("mode", ["flask", "eventlet", "gevent"])
def test_a_server_logs_in_one_form_and_in_korean(tmp_path, mode):
    with running_server(tmp_path, mode, embedded(tmp_path / "data")) as server:
        Api(server.url)("GET", "/nowhere", status=404)
        Client(server.url).close()
        wait_for(lambda: "새로 등록했습니다" in server.log)
        assert server.stop() in (0, -signal.SIGTERM)
    said = []
    for line in server.log.splitlines():
        found = LINE.fullmatch(line)
        assert found, line
        said.append(found["said"])
    assert any(f"저장소: 내장 저장소, {tmp_path}/data" in line for line in said)
    assert any(server.url in line and "에서 접속을 받습니다" in line for line in said)
    assert ('127.0.0.1 "GET /nowhere HTTP/1.1" 404 -' in said) == (mode == "flask")
    assert not [line for line in said if not re.search("[가-힣]", line) and not line.startswith("127.0.0.1 ")]


def test_gunicorn_without_a_worker_class_serves_sockets_and_requests_beside_them(tmp_path):
    port = free_port()
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [BIN / "gunicorn", "app:app", "--bind", f"127.0.0.1:{port}"],
            cwd=BACKEND,
            env=hermetic_env(**embedded(tmp_path / "data")),
            stderr=log,
        )
    server = Server(process, f"http://127.0.0.1:{port}", tmp_path / "log")
    try:
        wait_for(lambda: is_ready(server), 30)
        clients = [Client(server.url), Client(server.url, "polling")]
        department = Api(server.url).department()
        for client in clients:
            assert client.wait("department_created") == [department]
            client.close()
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("arguments", "settings", "sentence"),
    [
        (["-w", "4"], {}, "워커(worker)를 하나만"),
        ([], {"WEB_CONCURRENCY": "2"}, "워커(worker)를 하나만"),
        (["--worker-class", "sync"], {}, "한 번에 하나만"),
        (["--worker-class", "gunicorn.workers.sync.SyncWorker"], {}, "한 번에 하나만"),
        (["--worker-class", "gthread"], {}, "한 번에 하나만"),
    ],
)
def test_gunicorn_refuses_what_would_not_work(tmp_path, arguments, settings, sentence):
    command = [str(BIN / "gunicorn"), *arguments, "app:app", "--bind", f"127.0.0.1:{free_port()}"]
    done = run(command, **embedded(tmp_path / "data"), **settings)
    assert done.returncode == 1
    first, then = done.stderr.splitlines()
    assert first.startswith("✗")
    assert sentence in first
    assert then.startswith("  → ")
    assert not (tmp_path / "data").exists(), "it ended before it touched the store"


@pytest.mark.parametrize("program", [["flask", "run", "--port"], ["gunicorn", "app:app", "--bind"]])
def test_no_server_starts_with_a_library_that_it_was_not_tried_with(tmp_path, program):
    newer = tmp_path / "python_socketio-5.99.dist-info"
    newer.mkdir()
    (newer / "METADATA").write_text("Metadata-Version: 2.1\nName: python-socketio\nVersion: 5.99\n")
    name, *arguments = program
    port = str(free_port()) if name == "flask" else f"127.0.0.1:{free_port()}"
    done = run([str(BIN / name), *arguments, port], **embedded(tmp_path / "data"), PYTHONPATH=str(tmp_path))
    assert done.returncode == 3
    assert "✗ python-socketio 5.99 버전으로는 서버를 시작할 수 없습니다." in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists(), "it ended before it touched the store"


@pytest.mark.parametrize(
    "command",
    [
        CREATE_TABLES,
        [str(BIN / "flask"), "tables", "create"],
        [str(BIN / "flask"), "tables", "repair"],
        [str(BIN / "flask"), "tables", "new-epoch"],
        [str(BIN / "flask"), "tables", "restore-department"],
    ],
    ids=["python -c", "create", "repair", "new-epoch", "restore-department"],
)
def test_a_command_says_first_which_store_it_speaks_to(tmp_path, engine, command):
    run(CREATE_TABLES, **embedded(tmp_path / "data"))
    done = run(command, **embedded(tmp_path / "data"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == f"저장소: 내장 저장소, {tmp_path}/data"
    done = run(command, DYNAMODB_ENDPOINT_URL=engine.url, **KEYS)
    assert done.stdout.splitlines()[0] == f"저장소: DynamoDB, {engine.url}"


def test_creating_tables_without_credentials_ends_with_a_sentence(engine):
    done = run(CREATE_TABLES, DYNAMODB_ENDPOINT_URL=engine.url, HOME="/nonexistent")
    assert done.returncode == 1
    assert done.stderr.startswith("✗ DynamoDB 연결 실패: 자격증명 오류\n  → 원인: ")
    assert len(done.stderr.splitlines()) == 4


def test_a_programming_error_still_shows_its_traceback():
    done = run([sys.executable, "-c", "import models; models.nothing"])
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")


def test_a_corrupt_store_is_reported_in_one_sentence_and_left_as_it_is(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "calendar.db").write_text("no database at all\n" * 100)
    for command in (
        CREATE_TABLES,
        [str(BIN / "flask"), "run", f"--port={free_port()}"],
        [str(BIN / "flask"), "tables", "repair"],
    ):
        done = run(command, **embedded(data))
        assert done.returncode != 0
        first, cause, *_ = done.stderr.splitlines()
        assert first == f"내장 저장소를 열 수 없습니다: {data}/calendar.db"
        assert "not a valid SQLite database" in cause
        assert "Traceback" not in done.stderr
    assert len((data / "engine.log").read_text().splitlines()) <= 3 * 5
    assert (data / "calendar.db").read_text() == "no database at all\n" * 100


def test_a_server_opens_a_store_that_was_repaired(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "calendar.db").write_text("no database at all\n")
    assert run(CREATE_TABLES, **embedded(data)).returncode == 1
    (data / "calendar.db").unlink()
    done = run(CREATE_TABLES, **embedded(data))
    assert done.returncode == 0, done.stderr


def make_run(checkout: Path, **settings: str) -> tuple[str, list[str]]:
    """Let `make run` come up, end it by Ctrl-C; return its output and the departments that it had."""
    port = free_port()
    env = with_env_file(PORT=str(port), **settings)
    url, log = f"http://127.0.0.1:{port}", checkout / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["make", "run"], cwd=checkout, env=env, stdout=output, stderr=output, start_new_session=True
        )
    try:
        wait_for(lambda: is_ready(Server(process, url, log)), 30)
        found = Api(url)("GET", "/api/departments")["departments"]
        Api(url).department()
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(20)
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=5)
    return log.read_text(), [department["name"] for department in found]


def test_make_run_chooses_the_embedded_store_for_every_command_after_it(checkout):
    output, departments = make_run(checkout)
    assert f"저장소: 내장 저장소, {checkout}/data" in output
    assert departments == []
    assert "Installing" not in output, "all was there"
    env = with_env_file()
    for command in (CREATE_TABLES, [str(BIN / "flask"), "tables", "repair"]):
        done = subprocess.run(command, cwd=checkout / "backend", env=env, capture_output=True, text=True)
        assert done.stdout.startswith(f"저장소: 내장 저장소, {checkout}/data\n"), done.stdout + done.stderr
    _, departments = make_run(checkout)
    assert len(departments) == 1


def test_make_run_leaves_a_choice_that_was_made_before(checkout, engine):
    run(CREATE_TABLES, DYNAMODB_ENDPOINT_URL=engine.url, **KEYS)
    output, _ = make_run(checkout, DYNAMODB_ENDPOINT_URL=engine.url, **KEYS)
    assert f"저장소: DynamoDB, {engine.url}" in output
    assert not (checkout / "backend/.env").exists()
    chosen = {"DYNAMODB_ENDPOINT_URL": engine.url, **KEYS}
    written = "".join(f"{name}={value}\n" for name, value in chosen.items())
    (checkout / "backend/.env").write_text(written)
    output, _ = make_run(checkout)
    assert f"저장소: DynamoDB, {engine.url}" in output
    assert (checkout / "backend/.env").read_text() == written


def test_the_documented_one_liner_creates_the_tables(settings):
    done = run(CREATE_TABLES, **settings)
    assert done.stdout.splitlines()[1:] == [
        f"✓ {name} 테이블이 생성되었습니다." for name in ("departments", "events", "changes")
    ]


def test_flask_commands_create_and_repair_tables(settings):
    def flask(*words: str) -> str:
        done = run([str(BIN / "flask"), *words], **settings)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "✓ events 테이블이 생성되었습니다." in flask("tables", "create")
    assert "✓ events 테이블이 이미 있습니다." in flask("tables", "create", "--provisioned")
    assert "정리한 부서: 0개" in flask("tables", "repair")


def test_deleted_departments_are_listed_and_restored_by_a_command(settings):
    def command(*words: str) -> tuple[int, list[str], str]:
        done = run([str(BIN / "flask"), "tables", "restore-department", *words], **settings)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout.splitlines()[1:], done.stderr.strip()

    run(CREATE_TABLES, **settings)
    assert command() == (0, ["되살릴 수 있는 부서가 없습니다."], "")

    store = Calendar(DynamoDBDatabase(Settings.from_env(settings)))
    first, last = (store.departments.create_department(name).entity for name in ("개발팀", "영업팀"))
    event = store.add(first.id)
    for department in (first, last):
        store.departments.delete_department(department.id)
    taken = store.departments.create_department("영업팀").entity

    status, listed, _ = command()
    assert status == 0
    assert [line.split()[0] for line in listed] == [last.id, first.id]
    assert re.fullmatch(rf"{first.id}  지운 때 {TIMESTAMP.pattern}  '개발팀'", listed[1])
    assert command(first.id.upper()) == (0, ["✓ '개발팀' 부서를 이벤트와 함께 되살렸습니다."], "")
    assert store.events.get_event(first.id, event.id) == event
    assert command(first.id) == (1, [], "Error: 지우지 않았거나 이미 되살린 부서입니다.")
    assert command(last.id) == (
        1,
        [],
        "Error: 같은 이름의 부서가 이미 있습니다. 다른 이름으로 되살리려면 --name을 주세요.",
    )
    assert command(last.id, "--name", "")[0] == 1
    assert command("--name", "옛 영업팀")[0] == 2
    assert command(last.id, "--name", "영업팀 ")[0] == 1
    assert command(last.id, "--name", "가" * 101)[0] == 1
    renamed = command(last.id, "--name", "옛 영업팀")
    assert renamed == (0, ["✓ '옛 영업팀' 부서를 이벤트와 함께 되살렸습니다."], "")
    assert command(new_id()) == (1, [], "Error: 부서를 찾을 수 없습니다.")
    assert command("개발팀")[0] == 1
    names = {department.name for department in store.departments.list_departments()}
    assert names == {"개발팀", "영업팀", "옛 영업팀"}
    assert taken in store.departments.list_departments()


def test_a_command_that_cannot_reach_its_tables_ends_with_a_sentence(engine):
    command = [sys.executable, "-m", "flask", "tables", "create"]
    done = run(command, DYNAMODB_ENDPOINT_URL=engine.url, HOME="/nonexistent")
    assert done.returncode == 1
    assert "✗ DynamoDB 연결 실패: 자격증명 오류" in done.stderr
    assert "Traceback" not in done.stderr
