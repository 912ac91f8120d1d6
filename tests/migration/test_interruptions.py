"""Runs that are killed, cut off from the store, throttled, or overtaken by users and by a slow index."""

import contextlib
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from domain import REGISTRY, ChangeType, Department, Event, Position, Write, new_id
from errors import CalendarError, DepartmentNotFound, SetupError, SyncTokenExpired
from in_process import Calendar
from migration import bulk_load
from migration.bulk_load import BulkLoad, IndexLags, Kind
from migration.source_rows import SourceEvent
from migration.staging import LeftOut, Staging
from migration_store import Answer, Desk, Hook, Relay, Store, command, refuse
from services.change_log import ChangeLog
from store import local_engine
from store.dynamo_client import RETRY_WINDOW_S

KILLS = 20
EVENTS = 330
"""Enough that a run scans the table instead of looking up each event."""
AT = "2024-01-15T10:30:00.000Z"
Forward = Callable[[dict[str, Any]], Answer]
Stage = Callable[..., Staging]


def write_files(place: Path, events: int = EVENTS) -> None:
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
    (place / "departments.json").write_text(json.dumps(departments))
    (place / "calendar_events.json").write_text(json.dumps(rows))


def finish(place: Path, store: Store) -> None:
    run = command(place, store.embedded())
    out, err = run.communicate(timeout=60)
    assert (run.returncode, err) == (0, ""), out


class Witness:
    """A server's snapshots of all departments, loaded whenever it is asked to look."""

    def __init__(self, store: Store) -> None:
        self._calendar = Calendar(store.database())

    def look(self) -> set[str]:
        found: set[str] = set()
        for department in self._calendar.departments.list_departments():
            found |= self._calendar.snapshot(department.id).events.keys()
        return found


@pytest.fixture(scope="module")
def uninterrupted(
    migration_engine: local_engine.Engine, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Any], int]:
    """What the tables show after a run that nothing disturbs, and how many requests that took."""
    place, store = tmp_path_factory.mktemp("whole"), Store(migration_engine)
    write_files(place)
    with Relay(migration_engine.url) as relay:
        run = command(place, store.environment(relay.url))
        _, err = run.communicate(timeout=60)
        assert (run.returncode, err) == (0, "")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in store.environment().items():
            patch.setenv(name, value)
        return store.content(), relay.count


def killed_at(
    kill: int, look: int, after: bool, migration_engine: local_engine.Engine, place: Path
) -> tuple[Store, Witness]:
    """Kill a run at one of its requests, before or after the engine did it; a server looked on before."""
    store = Store(migration_engine)
    witness = Witness(store)
    write_files(place)
    gone = threading.Event()

    def hook(number: int, _operation: str, body: dict[str, Any], forward: Forward) -> Answer:
        if number == look:
            with contextlib.suppress(SetupError, CalendarError):  # the tables may not be there yet
                witness.look()
        if number < kill:
            return forward(body)
        if number == kill and after:
            forward(body)
        run.kill()
        gone.set()
        raise ConnectionError

    with Relay(migration_engine.url, hook) as relay:
        run = command(place, store.environment(relay.url))
        run.communicate(timeout=60)
    return store, witness


def test_a_run_that_is_killed_at_any_moment_is_completed_by_running_again(
    migration_engine: local_engine.Engine, store: Store, tmp_path: Path, uninterrupted: tuple[list[Any], int]
) -> None:
    content, requests = uninterrupted
    seed = random.randrange(10**6)
    dice = random.Random(seed)
    moments = sorted(dice.sample(range(1, requests + 1), KILLS))

    def scenario(kill: int) -> None:
        place = tmp_path / str(kill)
        place.mkdir()
        told = f"killed at request {kill}, seed {seed}"
        interrupted, witness = killed_at(
            kill, dice.randint(1, kill), dice.random() < 0.5, migration_engine, place
        )
        finish(place, interrupted)
        assert interrupted.content() == content, told
        assert interrupted.unfinished() == {}, told
        assert len(witness.look()) == EVENTS, told
        before = interrupted.everything()
        if kill % 4 == 0:
            finish(place, interrupted)
            assert interrupted.everything() == before, told

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(scenario, moments))


def test_a_run_killed_before_its_last_epochs_lets_servers_see_all_when_it_is_run_again(
    migration_engine: local_engine.Engine, store: Store, tmp_path: Path
) -> None:
    witness = Witness(store)
    write_files(tmp_path)
    moves = looked = 0

    def hook(_number: int, operation: str, body: dict[str, Any], forward: Forward) -> Answer:
        nonlocal moves, looked
        if operation == "BatchWriteItem" and not looked:
            looked = 1
            witness.look()
        moves += operation == "UpdateItem"
        if moves > 3:  # three departments have begun; this would be the first to finish
            run.kill()
            raise ConnectionError
        return forward(body)

    with Relay(migration_engine.url, hook) as relay:
        run = command(tmp_path, store.environment(relay.url))
        run.communicate(timeout=60)
    assert len(store.events()) == EVENTS
    assert len(witness.look()) < EVENTS
    assert len(store.unfinished()) == 3
    finish(tmp_path, store)
    assert len(witness.look()) == EVENTS
    assert store.unfinished() == {}


def test_verify_only_tells_of_a_run_that_was_killed(desk: Desk) -> None:
    desk.copy("shape_list")
    desk.migrate()
    department = desk.store.departments()["개발팀"]
    desk.store.database().begin_load(department.id, new_id())
    run = desk.migrate("--verify-only")
    assert run.status == 1
    assert "중간에 멈춘 마이그레이션" in run.out
    desk.write([], [])  # even files that do not name the department
    assert desk.migrate().status == 0
    assert desk.store.unfinished() == {}


def test_a_store_that_goes_away_ends_the_run_with_one_sentence(
    migration_engine: local_engine.Engine, store: Store, tmp_path: Path
) -> None:
    write_files(tmp_path)

    def hook(number: int, _operation: str, body: dict[str, Any], forward: Forward) -> Answer:
        if number > 30:
            raise ConnectionError
        return forward(body)

    with Relay(migration_engine.url, hook) as relay:
        run = command(tmp_path, store.environment(relay.url))
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
    migration_engine: local_engine.Engine, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(desk.place, 120)
    handed_back = throttled = 0
    began = 0.0

    def hook(_number: int, operation: str, body: dict[str, Any], forward: Forward) -> Answer:
        nonlocal handed_back, throttled, began
        if operation == "BatchWriteItem":
            began = began or time.monotonic()
        # Longer than a server's own requests may take: they give up after RETRY_WINDOW_S.
        if began and time.monotonic() < began + RETRY_WINDOW_S + 1.5:
            throttled += 1
            return refuse("ProvisionedThroughputExceededException")
        if operation == "BatchWriteItem":
            ((table, writes),) = body["RequestItems"].items()
            status, _ = forward({"RequestItems": {table: writes[:10]}})
            handed_back += bool(writes[10:])
            rest = {table: writes[10:]} if writes[10:] else {}
            return status, json.dumps({"UnprocessedItems": rest}).encode()
        return forward(body)

    with Relay(migration_engine.url, hook) as relay:
        monkeypatch.setenv("DYNAMODB_ENDPOINT_URL", relay.url)
        assert desk.migrate().status == 0
    assert len(desk.store.events()) == 120
    assert handed_back > 3
    assert throttled > 3


# Others at work meanwhile


@pytest.fixture
def staged() -> Iterator[Stage]:
    """Return a function that stages events of a department by their titles."""
    with contextlib.ExitStack() as open_ones:

        def stage(department_id: str, *titles: str, ids: dict[str, str] | None = None) -> Staging:
            staging = open_ones.enter_context(contextlib.closing(Staging("calendar_events.json")))
            for title in titles:
                event = Event(
                    id=(ids or {}).get(title) or new_id(),
                    department_id=department_id,
                    event_date="2024-01-20",
                    title=title,
                    created_at=AT,
                    last_modified=AT,
                )
                staging.add(SourceEvent(event, frozenset()), f"[{title}]")
            staging.settle()
            return staging

        yield stage


def new_department(store: Store) -> Department:
    department = Department(id=new_id(), name=new_id(), created_at=AT, updated_at=AT)
    ChangeLog(store.created()).commit(REGISTRY, Write(type=ChangeType.DEPARTMENT_CREATED, entity=department))
    return department


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_load, "INDEX_SETTLE_S", 0.0)


def test_tokens_and_editors_of_before_a_load_do_not_hold_after_it(store: Store, staged: Stage) -> None:
    db, department = store.created(), new_department(store)
    calendar = Calendar(db)
    service = calendar.events
    kept = service.create_event(department.id, {"title": "전", "event_date": "2024-01-19"}).entity
    token = calendar.token(department.id)
    load = BulkLoad(db, staged(department.id, "가", "나"), workers=2)
    load.survey()
    heads = [db.read_head(department.id)]
    assert [outcome.kind for outcome in load.load()] == [Kind.CREATED] * 2
    heads.append(db.read_head(department.id))
    assert list(load.verify()) == [None, None]
    assert load.finish() == []
    with pytest.raises(SyncTokenExpired):
        calendar.sync.changes_since(department.id, token, 100)
    heads.append(db.read_head(department.id))
    assert len({head.epoch for head in heads if head}) == 3  # moved before the events, and after them
    now = Calendar(db).snapshot(department.id)
    assert {event.title for event in now.events.values()} == {"전", "가", "나"}
    parsed = Position.from_sync_token(token)
    assert parsed is not None
    assert now.position.revision == parsed.revision + 1
    assert {e.revision for e in now.events.values() if e.title != "전"} == {now.position.revision}
    after = service.update_event(kept.id, {"title": "후"})
    assert after.revision == now.position.revision + 1


def test_an_edit_that_overtakes_the_load_stays_and_is_reported(store: Store, staged: Stage) -> None:
    db, department = store.created(), new_department(store)
    service = Calendar(db).events
    event = service.create_event(department.id, {"title": "표", "event_date": "2024-01-19"}).entity

    class Overtaken(type(db)):  # type: ignore[misc]
        def replace_event(self, wanted: Event, seen_revision: int) -> bool:
            service.update_event(event.id, {"title": "사용자"})
            return bool(super().replace_event(wanted, seen_revision))

    slow = Overtaken.__new__(Overtaken)
    slow.__dict__ = db.__dict__
    staging = staged(department.id, "파일", ids={"파일": event.id})
    load = BulkLoad(slow, staging, workers=1)
    load.survey()
    assert [outcome.kind for outcome in load.load()] == [Kind.REFUSED]
    assert list(load.verify()) == []
    assert load.finish() == []
    assert service.get_event(department.id, event.id).title == "사용자"
    assert "다른 사용자" in next(staging.left_out(LeftOut.REFUSED)).reason


def test_a_department_that_is_deleted_meanwhile_is_reported_and_not_resurrected(desk: Desk) -> None:
    write_files(desk.place, 30)
    removed: list[str] = []

    def hook(_number: int, operation: str, body: dict[str, Any], forward: Forward) -> Answer:
        if operation == "BatchWriteItem" and not removed:
            ((writes),) = body["RequestItems"].values()
            removed.append(writes[0]["PutRequest"]["Item"]["department_id"]["S"])
            service = Calendar(desk.store.database()).departments
            service.delete_department(removed[0])  # complete, before the events arrive
        return forward(body)

    with Relay(desk.store.url, hook) as relay, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DYNAMODB_ENDPOINT_URL", relay.url)
        run = desk.migrate("--workers", "1")
    assert run.status == 1
    assert len(desk.store.departments()) == 2
    assert {event.department_id for event in desk.store.events().values()}.isdisjoint(removed)
    assert len(desk.errors()) == 10
    assert "  • 이벤트: 20개" in run.lines
    with pytest.raises(DepartmentNotFound):
        Calendar(desk.store.database()).reading(removed[0])
    assert desk.migrate().status == 0  # running again creates it, with the id it has in the file
    assert len(desk.store.events()) == 30


def lagging(shown_after: int) -> Hook:
    """An index that hides half of its items until it was asked some times."""
    asked = 0

    def hook(_number: int, operation: str, body: dict[str, Any], forward: Forward) -> Answer:
        nonlocal asked
        status, answer = forward(body)
        if operation != "Query" or "IndexName" not in body:
            return status, answer
        asked += 1
        if asked >= shown_after:
            return status, answer
        found = json.loads(answer)
        return status, json.dumps(found | {"Items": found["Items"][::2]}).encode()

    return hook


def test_the_last_epoch_waits_for_the_index(
    store: Store, monkeypatch: pytest.MonkeyPatch, staged: Stage
) -> None:
    monkeypatch.setattr(bulk_load, "INDEX_POLL_S", 0.02)
    department = new_department(store)
    with Relay(store.url, lagging(shown_after=4)) as relay:
        db = store.database(relay.url)
        load = BulkLoad(db, staged(department.id, *"가나다라"), workers=2)
        load.survey()
        list(load.load())
        before = db.read_head(department.id)
        load.finish()
        snapshot = Calendar(db).snapshot(department.id)
    assert before is not None
    assert snapshot.position.epoch != before.epoch
    assert len(snapshot.events) == 4
    assert store.unfinished() == {}


def test_the_last_epoch_waits_for_the_new_state_of_an_event_that_changed(
    store: Store, monkeypatch: pytest.MonkeyPatch, staged: Stage
) -> None:
    monkeypatch.setattr(bulk_load, "INDEX_POLL_S", 0.02)
    department = new_department(store)
    db = store.database()
    event = (
        Calendar(db).events.create_event(department.id, {"title": "전", "event_date": "2024-01-20"}).entity
    )
    asked = 0

    def behind(_number: int, operation: str, body: dict[str, Any], forward: Forward) -> Answer:
        nonlocal asked
        status, answer = forward(body)
        if operation == "Query" and "IndexName" in body:
            asked += 1
            if asked < 4:
                old = json.loads(answer)
                old["Items"][0]["revision"] = {"N": str(event.revision)}
                return status, json.dumps(old).encode()
        return status, answer

    with Relay(store.url, behind) as relay:
        load = BulkLoad(
            store.database(relay.url), staged(department.id, "후", ids={"후": event.id}), workers=1
        )
        load.survey()
        assert [outcome.kind for outcome in load.load()] == [Kind.UPDATED]
        load.finish()
    assert asked == 4


def test_an_index_that_never_follows_is_reported_and_the_next_run_finishes(
    store: Store, monkeypatch: pytest.MonkeyPatch, staged: Stage
) -> None:
    monkeypatch.setattr(bulk_load, "INDEX_POLL_S", 0.02)
    department = new_department(store)
    staging = staged(department.id, *"가나다라")
    with Relay(store.url, lagging(shown_after=10**6)) as relay:
        load = BulkLoad(store.database(relay.url), staging, workers=2, index_wait_s=0.2)
        load.survey()
        list(load.load())
        with pytest.raises(IndexLags, match="다시 실행하면 마무리합니다"):
            load.finish()
    assert set(store.unfinished()) == {department.id}
    again = BulkLoad(store.database(), staging, workers=2)
    again.survey()
    assert {outcome.kind for outcome in again.load()} == {Kind.EQUAL}
    again.finish()
    assert store.unfinished() == {}


def test_an_event_that_a_user_deletes_meanwhile_does_not_hold_up_the_finish(
    store: Store, staged: Stage
) -> None:
    db, department = store.created(), new_department(store)
    service = Calendar(db).events
    load = BulkLoad(db, staged(department.id, "가", "나"), workers=1)
    load.survey()
    deleted, _ = [outcome.staged.source.entity for outcome in load.load()]
    service.delete_event(deleted.id)
    started = time.monotonic()
    load.finish()
    assert time.monotonic() - started < 5
    assert deleted.id not in Calendar(db).snapshot(department.id).events


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
