"""Runs that are killed, cut off from the store, throttled, or overtaken by the deletion of a department."""

import contextlib
import json
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from domain import new_id
from errors import CalendarError, DepartmentNotFound, SetupError
from in_process import Calendar
from migration_workspace import Store, Workspace, command
from store.dynamo_client import RETRY_WINDOW_S
from store_proxy import Answer, Request, StoreProxy, refusal

KILLS = 20
EVENTS = 330
"""Enough that a run scans the table instead of looking up each event."""
AT = "2024-01-15T10:30:00.000Z"


def write_files(folder: Path, events: int = EVENTS) -> None:
    departments = [{"id": n, "name": f"부서 {n}", "created_at": AT} for n in range(3)]
    rows = [
        {
            "id": n,
            "department_id": n % 3,
            "date": f"2024-01-{n % 28 + 1}",
            "title": f"회의 {n}",
            "createdAt": AT,
        }
        for n in range(events)
    ]
    (folder / "departments.json").write_text(json.dumps(departments))
    (folder / "calendar_events.json").write_text(json.dumps(rows))


def finish(folder: Path, store: Store) -> None:
    run = command(folder, store.embedded())
    out, err = run.communicate(timeout=60)
    assert (run.returncode, err) == (0, ""), out


class Witness:
    """A server's snapshots of all departments; `look` reads them and returns the ids of the events."""

    def __init__(self, store: Store) -> None:
        self._calendar = Calendar(store.database())

    def look(self) -> set[str]:
        found: set[str] = set()
        for department in self._calendar.departments.list_departments():
            found |= self._calendar.snapshot(department.id).events.keys()
        return found


@pytest.fixture(scope="module")
def uninterrupted(
    new_store: Callable[[], Store], tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Any], int]:
    """The content of the tables after a run that nothing disturbs, and the number of its requests."""
    folder, store = tmp_path_factory.mktemp("whole"), new_store()
    write_files(folder)
    with StoreProxy(store.url) as proxy:
        run = command(folder, store.environment(proxy.url))
        _, err = run.communicate(timeout=60)
        assert (run.returncode, err) == (0, "")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in store.environment().items():
            patch.setenv(name, value)
        return store.content(), proxy.count


def run_killed_at(kill: int, look: int, after: bool, store: Store, folder: Path) -> Witness:
    """Kill a run at request `kill`, before or after the store has done it; a server reads at `look`."""
    witness = Witness(store)
    write_files(folder)

    def hook(request: Request) -> Answer:
        if request.number == look:
            with contextlib.suppress(SetupError, CalendarError):  # the tables may not exist yet
                witness.look()
        if request.number < kill:
            return request.forward()
        if request.number == kill and after:
            request.forward()
        run.kill()
        raise ConnectionError

    with StoreProxy(store.url, hook) as proxy:
        run = command(folder, store.environment(proxy.url))
        run.communicate(timeout=60)
    return witness


def test_a_run_that_is_killed_at_any_moment_is_completed_by_running_again(
    new_store: Callable[[], Store], store: Store, tmp_path: Path, uninterrupted: tuple[list[Any], int]
) -> None:
    content, requests = uninterrupted
    seed = random.randrange(10**6)
    dice = random.Random(seed)
    moments = sorted(dice.sample(range(1, requests + 1), KILLS))

    def scenario(kill: int) -> None:
        folder, interrupted = tmp_path / str(kill), new_store()
        folder.mkdir()
        told = f"killed at request {kill}, seed {seed}"
        witness = run_killed_at(kill, dice.randint(1, kill), dice.random() < 0.5, interrupted, folder)
        finish(folder, interrupted)
        assert interrupted.content() == content, told
        assert interrupted.unfinished() == {}, told
        assert len(witness.look()) == EVENTS, told
        before = interrupted.everything()
        if kill % 4 == 0:
            finish(folder, interrupted)
            assert interrupted.everything() == before, told

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(scenario, moments))


def test_a_run_killed_before_its_last_epochs_lets_servers_see_all_when_it_is_run_again(
    store: Store, tmp_path: Path
) -> None:
    witness = Witness(store)
    write_files(tmp_path)
    moves = looked = 0

    def hook(request: Request) -> Answer:
        nonlocal moves, looked
        if request.operation == "BatchWriteItem" and not looked:
            looked = 1
            witness.look()
        moves += request.operation == "UpdateItem"
        if moves > 3:  # three departments have begun; this would be the first to finish
            run.kill()
            raise ConnectionError
        return request.forward()

    with StoreProxy(store.url, hook) as proxy:
        run = command(tmp_path, store.environment(proxy.url))
        run.communicate(timeout=60)
    assert len(store.events()) == EVENTS
    assert len(witness.look()) < EVENTS
    assert len(store.unfinished()) == 3
    finish(tmp_path, store)
    assert len(witness.look()) == EVENTS
    assert store.unfinished() == {}


def test_verify_only_tells_of_a_run_that_was_killed(workspace: Workspace) -> None:
    workspace.copy("shape_list")
    workspace.migrate()
    department = workspace.store.departments()["개발팀"]
    workspace.store.database().begin_load(department.id, new_id())
    run = workspace.migrate("--verify-only")
    assert run.status == 1
    assert "중간에 멈춘 마이그레이션" in run.out
    workspace.write([], [])  # even files that do not name the department
    assert workspace.migrate().status == 0
    assert workspace.store.unfinished() == {}


def test_a_store_that_goes_away_ends_the_run_with_one_sentence(store: Store, tmp_path: Path) -> None:
    write_files(tmp_path)

    def hook(request: Request) -> Answer:
        if request.number > 30:
            raise ConnectionError
        return request.forward()

    with StoreProxy(store.url, hook) as proxy:
        run = command(tmp_path, store.environment(proxy.url))
        _, err = run.communicate(timeout=60)
    assert run.returncode == 2
    assert err.splitlines()[-2:] == [
        "저장소를 잠시 사용할 수 없습니다. 잠시 후 다시 시도하세요.",
        "  → 연결을 확인하고 같은 명령을 다시 실행하세요. 멈춘 곳부터 이어집니다.",
    ]
    assert "Traceback" not in err
    assert 0 < len(store.events()) < EVENTS
    finish(tmp_path, store)
    assert len(store.events()) == EVENTS


def test_what_a_throttled_table_hands_back_is_sent_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(workspace.folder, 120)
    handed_back = throttled = 0
    began = 0.0

    def hook(request: Request) -> Answer:
        nonlocal handed_back, throttled, began
        if request.operation == "BatchWriteItem":
            began = began or time.monotonic()
        # Longer than a server's own requests may take: they give up after RETRY_WINDOW_S.
        if began and time.monotonic() < began + RETRY_WINDOW_S + 1.5:
            throttled += 1
            return refusal("ProvisionedThroughputExceededException")
        if request.operation == "BatchWriteItem":
            ((table, writes),) = request.body["RequestItems"].items()
            status, _ = request.forward({"RequestItems": {table: writes[:10]}})
            handed_back += bool(writes[10:])
            rest = {table: writes[10:]} if writes[10:] else {}
            return status, json.dumps({"UnprocessedItems": rest}).encode()
        return request.forward()

    with StoreProxy(workspace.store.url, hook) as proxy:
        monkeypatch.setenv("DYNAMODB_ENDPOINT_URL", proxy.url)
        assert workspace.migrate().status == 0
    assert len(workspace.store.events()) == 120
    assert handed_back > 3
    assert throttled > 3


def test_a_department_that_is_deleted_meanwhile_is_reported_and_not_resurrected(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(workspace.folder, 30)
    removed: list[str] = []

    def hook(request: Request) -> Answer:
        if request.operation == "BatchWriteItem" and not removed:
            ((writes),) = request.body["RequestItems"].values()
            removed.append(writes[0]["PutRequest"]["Item"]["department_id"]["S"])
            db = workspace.store.database()
            service = Calendar(db).departments
            service.delete_department(removed[0])  # complete, before the events arrive
        return request.forward()

    with StoreProxy(workspace.store.url, hook) as proxy, monkeypatch.context() as patch:
        patch.setenv("DYNAMODB_ENDPOINT_URL", proxy.url)
        run = workspace.migrate("--workers", "1")
    assert run.status == 1
    assert len(workspace.store.departments()) == 2
    assert len(workspace.errors()) == 10
    assert "  • 이벤트: 20개" in run.lines
    with pytest.raises(DepartmentNotFound):
        Calendar(workspace.store.database()).reading(removed[0])
    again = workspace.migrate()  # creates it anew, with the id it has in the file
    assert again.status == 0
    assert any("지운 부서라서 파일의 내용으로 새로 만들었습니다" in line for line in again.lines)
    assert len(workspace.store.events()) == 30


def test_events_too_large_for_one_transaction_are_loaded_on_the_embedded_engine_too(
    store: Store, tmp_path: Path
) -> None:
    large = {"description": "🗓" * 10_000, "url": "https://example.com/" + "🗓" * 2_000}
    rows = [
        {"id": n, "department": "개발팀", "date": "2024-01-20", "title": "회의", **large} for n in range(110)
    ]
    (tmp_path / "departments.json").write_text('[{"name": "개발팀"}]')
    (tmp_path / "calendar_events.json").write_text(json.dumps(rows, ensure_ascii=False))
    finish(tmp_path, store)
    assert [event.description for event in store.events().values()] == [large["description"]] * 110
