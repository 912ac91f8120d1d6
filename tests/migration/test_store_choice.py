"""Which store the command speaks to: said first, and asked where two are likely to be mixed up."""

import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from migration_workspace import COMMAND, Workspace
from running import wait_for
from store import local_engine

MODES = ((), ("--dry-run",), ("--verify-only",), ("--export", "out"))
WARNING = "데이터가 있지만, 설정에 따라 AWS로 옮깁니다."


CREATE_TABLES = """
import domain, models
db = models.DynamoDBDatabase()
db.create_tables()
"""
PUT_ITEM = """
event = domain.Event(id=domain.new_id(), department_id=domain.new_id(), event_date="2024-01-20", title="회의")
db.put_events([event])
"""


def run_on(data_dir: Path, script: str) -> None:
    """Run lines of ours on an embedded store, and wait until its engine has stopped."""
    settings = {
        "DYNAMODB_ENDPOINT_URL": "embedded",
        "EMBEDDED_DATA_DIR": str(data_dir),
        "DEPARTMENTS_TABLE": "departments",
        "EVENTS_TABLE": "events",
        "CHANGES_TABLE": "changes",
    }
    environment = os.environ | settings | {"PYTHONPATH": str(COMMAND.parent)}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, stdout=subprocess.DEVNULL)
    wait_for(lambda: not (data_dir / "calendar.db-wal").exists(), what="the engine to stop")


@pytest.fixture(scope="module")
def used_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data_dir = tmp_path_factory.mktemp("used")
    run_on(data_dir, CREATE_TABLES + PUT_ITEM)
    return data_dir


@pytest.fixture
def on_aws(workspace: Workspace, used_store: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Settings that say AWS, where botocore is told to find it elsewhere, beside a used embedded store."""
    workspace.store.created()
    monkeypatch.setenv("DYNAMODB_ENDPOINT_URL", "")
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", workspace.store.url)
    monkeypatch.setenv("EMBEDDED_DATA_DIR", str(used_store))
    workspace.copy("shape_list")
    return workspace


def test_every_mode_says_first_which_store_it_speaks_to(
    on_aws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for mode in MODES:
        assert on_aws.migrate(*mode).lines[0] == "저장소: DynamoDB, ap-northeast-2", mode
    for name, value in on_aws.store.embedded().items():
        monkeypatch.setenv(name, value)
    for mode in MODES:
        first = on_aws.migrate(*mode).lines[0]
        assert first == f"저장소: 내장 저장소, {os.environ['EMBEDDED_DATA_DIR']}", mode


# A used embedded store


def test_an_embedded_store_is_used_once_it_holds_an_item(tmp_path: Path) -> None:
    data_dir = tmp_path / "a folder #1"
    assert not local_engine.is_used(data_dir)
    run_on(data_dir, CREATE_TABLES)
    assert not local_engine.is_used(data_dir)
    run_on(data_dir, CREATE_TABLES + PUT_ITEM)
    files = sorted(data_dir.iterdir())
    assert local_engine.is_used(data_dir)
    assert sorted(data_dir.iterdir()) == files


def test_an_embedded_store_is_seen_to_be_used_while_its_engine_runs(workspace: Workspace) -> None:
    workspace.copy("shape_list")
    assert workspace.migrate().status == 0
    assert local_engine.is_used(Path(workspace.store.embedded()["EMBEDDED_DATA_DIR"]))


def test_a_damaged_embedded_store_is_nobodys_empty_one(tmp_path: Path) -> None:
    (tmp_path / "calendar.db").write_bytes(b"no database" * 1_000)
    assert local_engine.is_used(tmp_path)
    (tmp_path / "calendar.db").unlink()
    with contextlib.closing(sqlite3.connect(tmp_path / "calendar.db")) as db:
        db.execute("CREATE TABLE something (x)")
    assert local_engine.is_used(tmp_path)


# The question


@pytest.mark.parametrize("arguments", [(), ("--yes",)])
def test_a_script_is_told_in_one_line_and_goes_on(on_aws: Workspace, arguments: tuple[str, ...]) -> None:
    run = on_aws.migrate(*arguments)
    assert (run.status, run.err) == (0, "")
    assert WARNING in run.lines[1]
    assert len(on_aws.store.events()) == 3


def test_nothing_is_said_where_nothing_can_be_mixed_up(
    on_aws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for mode in MODES[1:]:
        assert WARNING not in on_aws.migrate(*mode).out, mode
    monkeypatch.setenv("DYNAMODB_ENDPOINT_URL", on_aws.store.url)
    assert WARNING not in on_aws.migrate().out
    monkeypatch.setenv("DYNAMODB_ENDPOINT_URL", "")
    assert WARNING in on_aws.migrate().out
    monkeypatch.setenv("EMBEDDED_DATA_DIR", str(tmp_path / "none"))
    assert WARNING not in on_aws.migrate().out
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("typed", ["\n", "n\n", "뭐\n", "\x04"])
def test_a_terminal_is_asked_and_anything_but_a_yes_writes_nothing(on_aws: Workspace, typed: str) -> None:
    before = on_aws.store.everything()
    run = on_aws.migrate_on_terminal(typed=typed)
    assert run.status == 2
    assert "AWS(ap-northeast-2)로 옮길까요? [y/N]" in run.err
    assert "아무것도 옮기지 않았습니다." in run.err
    assert "DYNAMODB_ENDPOINT_URL=embedded" in run.err
    assert on_aws.store.everything() == before


@pytest.mark.parametrize("typed", ["y\n", "예\n"])
def test_a_yes_on_a_terminal_goes_on(on_aws: Workspace, typed: str) -> None:
    assert on_aws.migrate_on_terminal(typed=typed).status == 0
    assert len(on_aws.store.events()) == 3


def test_yes_on_the_command_line_spares_the_question(on_aws: Workspace) -> None:
    run = on_aws.migrate_on_terminal("--yes")
    assert run.status == 0
    assert "[y/N]" not in run.err
    assert WARNING in run.err


# Credentials


@pytest.mark.parametrize("mode", MODES[::3])
@pytest.mark.parametrize(
    "kept", [{}, {"AWS_ACCESS_KEY_ID": "half"}, {"AWS_PROFILE": "nobody"}], ids=["none", "half", "profile"]
)
def test_missing_credentials_towards_aws_are_said_plainly(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, kept: dict[str, str], mode: tuple[str, ...]
) -> None:
    workspace.copy("shape_list")
    for name in [name for name in os.environ if name.startswith(("AWS_", "DYNAMODB_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for variable in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(variable, os.devnull)
    monkeypatch.setenv("DYNAMODB_ENDPOINT_URL", "")
    for name, value in kept.items():
        monkeypatch.setenv(name, value)
    run = workspace.migrate(*mode)
    assert run.status == 2
    assert run.lines[0].startswith("저장소: DynamoDB, ")
    assert run.err.startswith("✗ DynamoDB 연결 실패: 자격증명 오류")
    assert "Traceback" not in run.err
