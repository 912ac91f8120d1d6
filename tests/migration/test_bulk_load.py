"""The bulk load while users write and the index lags."""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from domain import REGISTRY, ChangeType, Department, Event, Position, Write, new_id
from errors import SyncTokenExpired
from in_process import Calendar
from migration.bulk_load import BulkLoad, IndexLags, IndexWait, Kind
from migration.source_rows import SourceEvent
from migration.staging import LeftOut, Staging
from migration_workspace import Store
from services.group_commit import GroupCommit
from store_proxy import Answer, Hook, Request, StoreProxy

AT = "2024-01-15T10:30:00.000Z"
INDEX_WAIT = IndexWait(poll_s=0.02, replica_lag_s=0.0)
Stage = Callable[..., Staging]


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
            staging.keep_newest()
            return staging

        yield stage


def new_department(store: Store) -> Department:
    department = Department(id=new_id(), name=new_id(), created_at=AT, updated_at=AT)
    GroupCommit(store.created()).commit(
        REGISTRY, Write(type=ChangeType.DEPARTMENT_CREATED, entity=department)
    )
    return department


def test_tokens_and_editors_of_before_a_load_do_not_hold_after_it(store: Store, staged: Stage) -> None:
    db, department = store.created(), new_department(store)
    calendar = Calendar(db)
    service = calendar.events
    kept = service.create_event(department.id, {"title": "전", "event_date": "2024-01-19"}).entity
    token = calendar.token(department.id)
    load = BulkLoad(db, staged(department.id, "가", "나"), workers=2, index_wait=INDEX_WAIT)
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
    now = calendar.snapshot(department.id)
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

    def edit_first(request: Request) -> Answer:
        if request.operation == "PutItem":
            service.update_event(event.id, {"title": "사용자"})
        return request.forward()

    staging = staged(department.id, "파일", ids={"파일": event.id})
    with StoreProxy(store.url, edit_first) as proxy:
        load = BulkLoad(store.database(proxy.url), staging, workers=1, index_wait=INDEX_WAIT)
        load.survey()
        assert [outcome.kind for outcome in load.load()] == [Kind.REFUSED]
        assert list(load.verify()) == []
        assert load.finish() == []
    assert service.get_event(department.id, event.id).title == "사용자"
    assert "다른 사용자" in next(staging.left_out(LeftOut.REFUSED)).reason


def lagging(shown_after: int) -> Hook:
    """An index that hides half of its items until it was read `shown_after` times."""
    asked = 0

    def hook(request: Request) -> Answer:
        nonlocal asked
        status, answer = request.forward()
        if request.operation != "Query" or "IndexName" not in request.body:
            return status, answer
        asked += 1
        if asked >= shown_after:
            return status, answer
        found = json.loads(answer)
        return status, json.dumps(found | {"Items": found["Items"][::2]}).encode()

    return hook


def test_the_last_epoch_waits_for_the_index(store: Store, staged: Stage) -> None:
    department = new_department(store)
    with StoreProxy(store.url, lagging(shown_after=4)) as proxy:
        db = store.database(proxy.url)
        load = BulkLoad(db, staged(department.id, *"가나다라"), workers=2, index_wait=INDEX_WAIT)
        load.survey()
        list(load.load())
        before = db.read_head(department.id)
        load.finish()
        snapshot = Calendar(db).snapshot(department.id)
    assert before is not None
    assert snapshot.position.epoch != before.epoch
    assert len(snapshot.events) == 4
    assert store.unfinished() == {}


def test_the_last_epoch_waits_for_the_new_state_of_an_event_that_changed(store: Store, staged: Stage) -> None:
    department = new_department(store)
    db = store.database()
    event = (
        Calendar(db).events.create_event(department.id, {"title": "전", "event_date": "2024-01-20"}).entity
    )
    asked = 0

    def behind(request: Request) -> Answer:
        nonlocal asked
        status, answer = request.forward()
        if request.operation == "Query" and "IndexName" in request.body:
            asked += 1
            if asked < 4:
                old = json.loads(answer)
                old["Items"][0]["revision"] = {"N": str(event.revision)}
                return status, json.dumps(old).encode()
        return status, answer

    with StoreProxy(store.url, behind) as proxy:
        load = BulkLoad(
            store.database(proxy.url), staged(department.id, "후", ids={"후": event.id}), workers=1
        )
        load.survey()
        assert [outcome.kind for outcome in load.load()] == [Kind.UPDATED]
        load.finish()
    assert asked == 4


def test_an_index_that_never_follows_is_reported_and_the_next_run_finishes(
    store: Store, staged: Stage
) -> None:
    department = new_department(store)
    staging = staged(department.id, *"가나다라")
    with StoreProxy(store.url, lagging(shown_after=10**6)) as proxy:
        load = BulkLoad(
            store.database(proxy.url), staging, workers=2, index_wait=replace(INDEX_WAIT, limit_s=0.2)
        )
        load.survey()
        list(load.load())
        with pytest.raises(IndexLags, match="다시 실행하면 마무리합니다"):
            load.finish()
    assert set(store.unfinished()) == {department.id}
    again = BulkLoad(store.database(), staging, workers=2, index_wait=INDEX_WAIT)
    again.survey()
    assert {outcome.kind for outcome in again.load()} == {Kind.EQUAL}
    again.finish()
    assert store.unfinished() == {}


def test_an_event_that_a_user_deletes_meanwhile_does_not_hold_up_the_finish(
    store: Store, staged: Stage
) -> None:
    db, department = store.created(), new_department(store)
    service = Calendar(db).events
    no_wait = replace(INDEX_WAIT, limit_s=0.0)
    load = BulkLoad(db, staged(department.id, "가", "나"), workers=1, index_wait=no_wait)
    load.survey()
    deleted, _ = [outcome.staged.source.entity for outcome in load.load()]
    service.delete_event(deleted.id)
    load.finish()
    assert deleted.id not in Calendar(db).snapshot(department.id).events


def test_the_loaded_events_of_a_department_that_is_deleted_and_restored_during_the_finish_stay(
    store: Store, staged: Stage
) -> None:
    department = new_department(store)
    user = Calendar(store.created()).departments
    refused: list[Answer] = []

    def deleted_for_a_moment(request: Request) -> Answer:
        if refused or "DELETE #loading" not in request.body.get("UpdateExpression", ""):
            return request.forward()
        user.delete_department(department.id)
        refused.append(request.forward())
        user.restore_department(department.id)
        return refused[0]

    with StoreProxy(store.url, deleted_for_a_moment) as proxy:
        load = BulkLoad(
            store.database(proxy.url), staged(department.id, "가", "나"), workers=1, index_wait=INDEX_WAIT
        )
        load.survey()
        list(load.load())
        assert load.finish() == []
    assert refused[0][0] == 400
    assert len(Calendar(store.created()).snapshot(department.id).events) == 2
    assert store.unfinished() == {}
