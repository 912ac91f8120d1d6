"""The services on real stores: departments, events, adoption, snapshots, deltas, expired rows."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from config import Settings
from domain import Department, Position, new_id
from errors import (
    DepartmentNameTaken,
    DepartmentNotFound,
    EventIdTaken,
    EventNotFound,
    StoreUnavailable,
    SyncTokenExpired,
)
from in_process import SNAPSHOT_BYTES, Calendar
from interruption import EditedInBetween
from models import DynamoDBDatabase
from services.repair import Repaired
from services.snapshot import INDEX_LAG_WINDOW
from services.snapshots import Snapshots
from services.sync import SyncService
from store import rows
from store_proxy import StoreProxy
from text_order import fold_text


def test_what_is_created_is_read_back_whole(calendar):
    department = calendar.departments.create_department("개발팀", "설명").entity
    assert calendar.departments.get_department(department.id) == department
    event = calendar.add(department.id, "팀 회의", description="주간", time="오후 2:00", url="https://a.kr")
    assert calendar.events.get_event(department.id, event.id) == event
    assert Calendar(calendar.db).events.get_event(department.id, event.id) == event


def test_names_are_unique_after_folding(calendar):
    calendar.departments.create_department("Dev  팀")
    for name in ("dev 팀", "DEV 팀", "Dev 팀"):
        with pytest.raises(DepartmentNameTaken):
            calendar.departments.create_department(name)
    assert len(calendar.departments.list_departments()) == 1


def test_a_rename_frees_the_old_name_and_takes_the_new(calendar):
    first = calendar.departments.create_department("하나").entity
    second = calendar.departments.create_department("둘").entity
    with pytest.raises(DepartmentNameTaken):
        calendar.departments.update_department(second.id, {"name": "하나"})
    calendar.departments.update_department(first.id, {"name": "셋"})
    assert calendar.departments.update_department(second.id, {"name": "하나"}).name == "하나"
    with pytest.raises(DepartmentNameTaken):
        calendar.departments.create_department("셋")


def test_a_change_of_case_keeps_the_name(calendar):
    department = calendar.departments.create_department("dev").entity
    assert calendar.departments.update_department(department.id, {"name": "DEV"}).name == "DEV"
    with pytest.raises(DepartmentNameTaken):
        calendar.departments.create_department("dev")


def test_the_list_of_departments_is_by_name(calendar):
    for name in ("영업팀", "개발팀", "Zeta", "alpha"):
        calendar.departments.create_department(name)
    assert [d.name for d in calendar.departments.list_departments()] == ["alpha", "Zeta", "개발팀", "영업팀"]


class IndexShowsNothing:
    """A store whose date index shows no events yet."""

    def __init__(self, db: DynamoDBDatabase) -> None:
        self._db = db

    def __getattr__(self, name: str):
        return getattr(self._db, name)

    def indexed_events(self, *_):
        return iter(())


def test_departments_of_older_servers_are_adopted_with_their_events(client, calendar, settings):
    old, taken = new_id(), new_id()
    for department_id, name in ((old, "총무팀"), (taken, "개발팀")):
        item = {"id": {"S": department_id}, "name": {"S": name}}
        client.call("put_item", TableName=settings.departments_table, Item=item)
    calendar.departments.create_department("개발팀")
    event = {"id": {"S": new_id()}, "department_id": {"S": old}, "event_date": {"S": "2024-01-20"}}
    client.call("put_item", TableName=settings.events_table, Item=event | {"title": {"S": "옛 회의"}})

    assert calendar.repair.run() == Repaired(purged=0, adopted=2)

    assert calendar.titles(old) == ["옛 회의"]
    assert calendar.events.update_event(event["id"]["S"], {"title": "새 회의"}).revision == 1
    with pytest.raises(DepartmentNameTaken):
        calendar.departments.create_department("총무팀")
    assert calendar.departments.update_department(taken, {"name": "개발 2팀"}).name == "개발 2팀"
    calendar.departments.delete_department(old)
    assert calendar.departments.create_department("총무팀").entity.name == "총무팀"


def test_a_department_that_is_deleted_while_it_is_adopted_leaves_nothing(calendar, monkeypatch):
    gone = Department(id=new_id(), name="없어진 부서")
    monkeypatch.setattr(calendar.db, "list_departments", lambda: [gone])
    assert calendar.repair.run() == Repaired(purged=0, adopted=0)
    assert calendar.db.read_head(gone.id) is None
    assert not calendar.db.owns_name(gone)


def test_edits_change_the_given_fields_alone_and_keep_the_rest(calendar):
    department = calendar.departments.create_department("개발팀").entity
    event = calendar.add(department.id, "회의", description="설명")
    updated = calendar.events.update_event(event.id, {"title": "새 제목"})
    assert (updated.title, updated.description, updated.created_at) == ("새 제목", "설명", event.created_at)
    assert updated.revision == event.revision + 1


def test_edits_of_different_fields_at_once_both_survive(settings, calendar):
    department = calendar.departments.create_department("개발팀").entity
    event = calendar.add(department.id, "회의")

    def edit(event_id: str) -> None:
        calendar.events.update_event(event_id, {"description": "다른 사람"})

    Calendar(EditedInBetween(settings, edit)).events.update_event(event.id, {"title": "내 제목"})
    found = calendar.db.find_event(event.id)
    assert (found.title, found.description) == ("내 제목", "다른 사람")


def test_a_second_deletion_finds_nothing(calendar):
    department = calendar.departments.create_department("개발팀").entity
    event = calendar.add(department.id)
    calendar.events.delete_event(event.id)
    with pytest.raises(EventNotFound):
        calendar.events.delete_event(event.id)
    with pytest.raises(EventNotFound):
        calendar.events.update_event(event.id, {"title": "x"})


def test_lists_are_complete_beyond_one_page_and_in_order(calendar):
    department = calendar.departments.create_department("개발팀").entity
    big = "가" * 9_000  # 27 KB each: 60 of them exceed the 1 MB of one page
    for n in range(60):
        calendar.add(department.id, f"{n:02}", date=f"2024-{1 + n % 12:02}-{1 + n % 28:02}", description=big)
    fresh = Calendar(calendar.db)
    dates = [event.event_date for event in fresh.snapshot(department.id).chunks.events()]
    assert len(dates) == 60
    assert dates == sorted(dates)


def test_a_day_is_in_order_of_its_clock_times(calendar):
    department = calendar.departments.create_department("개발팀").entity
    for time in ("오후 2:00", "", "오후 12:30", "오전 9:00", "미정", "15:00", "오후 10:00"):
        calendar.add(department.id, time or "종일", time=time)
    assert calendar.titles(department.id) == [
        "종일", "오전 9:00", "오후 12:30", "오후 2:00", "15:00", "오후 10:00", "미정",
    ]  # fmt: skip


def test_simultaneous_edits_of_one_event_all_succeed_and_the_last_stays(calendar):
    department = calendar.departments.create_department("개발팀").entity.id
    event = calendar.add(department)
    servers = [calendar, Calendar(calendar.db)]
    with ThreadPoolExecutor(24) as pool:
        edits = [
            pool.submit(servers[n % 2].events.update_event, event.id, {"title": f"{n}"}) for n in range(24)
        ]
        edited = [edit.result(30) for edit in edits]
    assert sorted(after.revision for after in edited) == list(range(2, 26))
    assert calendar.events.get_event(department, event.id) == max(edited, key=lambda e: e.revision)


def test_simultaneous_renames_of_a_department_all_succeed(calendar):
    department = calendar.departments.create_department("개발팀").entity
    with ThreadPoolExecutor(12) as pool:
        list(
            pool.map(
                lambda n: calendar.departments.update_department(department.id, {"name": n}), "가나다라마바"
            )
        )
    names = {d.name for d in calendar.departments.list_departments()}
    assert len(names) == 1
    assert names <= set("가나다라마바")
    for name in sorted(set("개가나다라마바") - names):
        calendar.departments.create_department(name)


def test_readers_on_other_servers_see_acknowledged_writes_though_the_index_lags(calendar):
    department = calendar.departments.create_department("개발팀").entity
    reader = Calendar(IndexShowsNothing(calendar.db))
    event = calendar.add(department.id, "하나")
    assert reader.titles(department.id) == ["하나"]
    calendar.events.update_event(event.id, {"title": "둘"})
    assert reader.titles(department.id) == ["둘"]
    calendar.events.delete_event(event.id)
    assert reader.titles(department.id) == []


def test_a_department_too_large_to_keep_is_read_by_range_and_is_current(calendar):
    department = calendar.departments.create_department("개발팀").entity.id
    small = Calendar(calendar.db, snapshot_bytes=20_000)
    for day in range(10, 20):
        calendar.add(department, f"{day}", date=f"2024-01-{day}")
    small.reading(department)  # found too large to be kept
    reading = small.reading(department)
    assert reading.snapshot is None
    assert reading.position.revision == 10
    moved = calendar.add(department, "옮길 것", date="2024-01-12")
    calendar.events.update_event(moved.id, {"event_date": "2024-02-01"})

    assert small.titles(department, first="2024-01-12", last="2024-01-13") == ["12", "13"]
    assert small.titles(department, first="2024-01-19") == ["19", "옮길 것"]
    assert len(small.titles(department)) == 11
    assert small.events.get_event(department, moved.id).event_date == "2024-02-01"
    delta = small.sync.changes_since(department, reading.position.sync_token, 10)
    assert [change.revision for change in delta.changes] == [11, 12]
    calendar.departments.delete_department(department)
    with pytest.raises(DepartmentNotFound):
        small.reading(department)


def test_a_department_too_large_to_keep_is_current_though_the_index_lags(calendar):
    department = calendar.departments.create_department("개발팀").entity.id
    small = Calendar(IndexShowsNothing(calendar.db), snapshot_bytes=20_000)
    events = [calendar.add(department, f"{day}", date=f"2024-01-{day}") for day in range(10, 20)]
    small.reading(department)  # found too large to be kept
    calendar.events.update_event(events[1].id, {"title": "고침"})
    calendar.events.delete_event(events[2].id)

    assert small.reading(department).snapshot is None
    assert small.titles(department, first="2024-01-10", last="2024-01-13") == ["10", "고침", "13"]
    assert small.titles(department, first="2024-01-18") == ["18", "19"]
    assert len(small.titles(department)) == 9
    assert small.reading(department).snapshot is None


def test_a_read_of_a_kept_department_costs_one_small_request(client, calendar, monkeypatch):
    """Only the head is read, even after commits of this server: the rest is in memory."""
    department = calendar.departments.create_department("개발팀").entity.id
    token = calendar.token(department)
    for n in range(3):
        calendar.add(department, f"{n}")
    asked: list[str] = []
    call = client.call

    def counted(operation: str, **parameters):
        asked.append(operation)
        return call(operation, **parameters)

    monkeypatch.setattr(client, "call", counted)
    snapshot = calendar.snapshot(department)
    assert [event.title for event in snapshot.chunks.events()] == ["0", "1", "2"]
    assert asked == ["get_item"]
    assert calendar.snapshot(department) is snapshot
    assert len(calendar.sync.changes_since(department, token, 10).changes) == 3
    assert asked == ["get_item"] * 3


def test_kept_departments_stay_within_the_budget_and_the_least_recently_used_is_dropped(calendar):
    departments = [calendar.departments.create_department(f"{n}").entity.id for n in range(6)]
    for department in departments:
        calendar.add(department)
    small = Calendar(calendar.db, snapshot_bytes=20_000)
    for department in [*departments[:4], departments[0], *departments[4:]]:
        small.reading(department)
    kept = small.snapshots.kept_bytes()
    assert departments[0] in kept
    assert departments[1] not in kept
    assert sum(kept.values()) <= 20_000


def test_departments_without_events_count_in_the_budget(calendar):
    departments = [calendar.departments.create_department(f"{n}").entity.id for n in range(6)]
    small = Calendar(calendar.db, snapshot_bytes=10_000)
    for department in departments:
        assert small.titles(department) == []
    assert list(small.snapshots.kept_bytes()) == departments[1:]


@pytest.mark.parametrize("limit", [{"recent_bytes": 180_000}, {"recent_changes": 2}])
def test_kept_changes_are_limited_and_deltas_also_return_older_changes(calendar, limit):
    department = calendar.departments.create_department("개발팀").entity.id
    token = calendar.token(department)
    present = Snapshots(calendar.db, SNAPSHOT_BYTES, **limit)
    present.current(department)
    calendar.group_commit.on_commit(present.on_commit)
    for n in range(4):
        calendar.add(department, f"{n}", description="가" * 10_000)
    for reader in (present, Snapshots(calendar.db, SNAPSHOT_BYTES, **limit)):
        snapshot = reader.current(department).snapshot
        assert [change.revision for change in snapshot.recent.changes] == [3, 4]
        assert snapshot.footprint > snapshot.size + 2 * 10_000
        assert reader.kept_bytes() == {department: snapshot.footprint}
        delta = SyncService(calendar.db, reader).changes_since(department, token, 10)
        assert [change.revision for change in delta.changes] == [1, 2, 3, 4]


def test_a_department_that_fits_again_is_kept_again(calendar):
    department = calendar.departments.create_department("개발팀").entity.id
    events = [calendar.add(department, f"{n}") for n in range(10)]
    small = Calendar(calendar.db, snapshot_bytes=20_000)
    small.reading(department)
    assert small.reading(department).snapshot is None
    for event in events[2:]:
        calendar.events.delete_event(event.id)
    small.snapshot(department)
    snapshot = small.reading(department).snapshot
    assert snapshot is not None
    assert sorted(snapshot.events) == sorted(event.id for event in events[:2])


def test_deltas_return_exactly_the_changes_after_a_token(calendar):
    department = calendar.departments.create_department("개발팀").entity
    token = calendar.token(department.id)
    event = calendar.add(department.id)
    calendar.events.update_event(event.id, {"title": "둘"})
    calendar.events.delete_event(event.id)
    delta = calendar.sync.changes_since(department.id, token, 2)
    assert [(c.revision, c.type.value) for c in delta.changes] == [(1, "event_created"), (2, "event_updated")]
    assert delta.has_more
    rest = calendar.sync.changes_since(department.id, delta.position.sync_token, 2)
    assert [c.public()["event"] for c in rest.changes] == [
        {"id": event.id, "department_id": department.id, "revision": 3}
    ]
    assert not rest.has_more
    assert calendar.sync.changes_since(department.id, rest.position.sync_token, 2).changes == []


@pytest.mark.parametrize("token", ["garbage!", "", "MTIz", "가나다"])
def test_a_malformed_token_counts_as_expired(calendar, token):
    department = calendar.departments.create_department("개발팀").entity
    with pytest.raises(SyncTokenExpired):
        calendar.sync.changes_since(department.id, token, 10)


def test_a_token_of_another_department_or_of_a_future_revision_counts_as_expired(calendar):
    one = calendar.departments.create_department("하나").entity
    two = calendar.departments.create_department("둘").entity
    token = calendar.token(one.id)
    with pytest.raises(SyncTokenExpired):
        calendar.sync.changes_since(two.id, token, 10)
    position = Position.from_sync_token(token)
    with pytest.raises(SyncTokenExpired):
        calendar.sync.changes_since(one.id, position.at(7).sync_token, 10)


@pytest.mark.parametrize("gap", [1, 2])
def test_a_token_has_expired_when_the_log_has_a_hole_after_it(client, calendar, settings, gap):
    department = calendar.departments.create_department("개발팀").entity
    token = calendar.token(department.id)
    for _ in range(3):
        calendar.add(department.id)
    key = rows.change_key(department.id, gap)
    client.call("delete_item", TableName=settings.changes_table, Key=key)
    with pytest.raises(SyncTokenExpired):
        Calendar(calendar.db).sync.changes_since(department.id, token, 10)


@pytest.mark.parametrize("snapshot_bytes", [50_000_000, 500], ids=["kept", "too large to keep"])
def test_no_order_in_which_rows_expire_brings_back_what_was_deleted(
    client, calendar, settings, snapshot_bytes
):
    department = calendar.departments.create_department("개발팀").entity.id
    gone, moved, kept = (calendar.add(department, title) for title in ("지운 것", "옮긴 것", "둔 것"))
    calendar.events.delete_event(gone.id)
    calendar.events.update_event(moved.id, {"event_date": "2030-01-01"})
    for expired in (4, 5):
        key = rows.change_key(department, expired)
        client.call("delete_item", TableName=settings.changes_table, Key=key)
        reader = Calendar(calendar.db, snapshot_bytes=snapshot_bytes)
        assert reader.titles(department) == ["둔 것", "옮긴 것"]
        assert reader.titles(department, first="2024-01-01", last="2024-12-31") == ["둔 것"]
    with pytest.raises(EventNotFound):
        calendar.events.restore_event(department, gone.id)
    assert calendar.events.get_event(department, kept.id) == kept


def test_recent_changes_have_no_hole(client, calendar, settings):
    department = calendar.departments.create_department("개발팀").entity.id
    for _ in range(4):
        calendar.add(department)
    key = rows.change_key(department, 3)
    client.call("delete_item", TableName=settings.changes_table, Key=key)

    def revisions(reached: int) -> list[int]:
        found = calendar.db.recent_changes(department, reached, INDEX_LAG_WINDOW)
        return [change.revision for change in found]

    assert revisions(2) == [1, 2], "3 and 4 are of a commit that appears just now"
    assert revisions(3) == [4], "3 has expired, so 1 and 2 must not be laid over the index"
    assert revisions(4) == [4]
    assert revisions(5) == []


def test_an_event_that_returns_keeps_the_first_answer_to_its_creation(calendar):
    one, two = (calendar.departments.create_department(name).entity.id for name in ("하나", "둘"))
    chosen = new_id()
    first = calendar.add(one, "처음", id=chosen)
    calendar.events.update_event(chosen, {"title": "나중"})
    calendar.events.delete_event(chosen)
    assert calendar.events.restore_event(one, chosen).title == "나중"
    assert calendar.add(one, "처음", id=chosen) == first
    calendar.events.delete_event(chosen)
    calendar.add(two, "둘의 것", id=chosen)
    calendar.events.delete_event(chosen)
    calendar.events.restore_event(one, chosen)
    with pytest.raises(EventIdTaken):
        calendar.add(two, "둘의 것", id=chosen)


def test_a_slow_restore_does_not_undo_what_others_did_meanwhile(calendar, settings):
    department = calendar.departments.create_department("개발팀").entity.id
    event = calendar.add(department, "하나")
    calendar.events.delete_event(event.id)

    class ReadsSlowly(DynamoDBDatabase):
        def find_change(self, department_id, revision):
            found = super().find_change(department_id, revision)
            calendar.events.restore_event(department, event.id)
            calendar.events.update_event(event.id, {"title": "둘"})
            calendar.events.delete_event(event.id)
            return found

    with pytest.raises(EventIdTaken):
        Calendar(ReadsSlowly(settings)).events.restore_event(department, event.id)
    assert calendar.titles(department) == []
    assert calendar.events.restore_event(department, event.id).title == "둘"


def test_a_request_whose_answer_is_cut_off_is_sent_again(engine):
    cut: list[str] = []

    def cutting(request):
        status, answer = request.forward()
        if status == 200 and (always or request.number % 2):
            cut.append(request.operation)
            answer = answer[: len(answer) // 2]
        return status, answer

    always = False
    with StoreProxy(engine.url, cutting) as proxy:
        calendar = Calendar(DynamoDBDatabase(Settings(dynamodb_endpoint_url=proxy.url)))
        calendar.db.create_tables(report=lambda line: None)
        department = calendar.departments.create_department(new_id()).entity.id
        event = calendar.add(department, "하나")
        calendar.events.update_event(event.id, {"title": "둘"})
        assert calendar.titles(department) == ["둘"]
        assert [change.revision for change in calendar.db.changes_after(department, 0)] == [1, 2]
        always = True
        with pytest.raises(StoreUnavailable):
            calendar.events.update_event(event.id, {"title": "셋"})
        always = False
        calendar.departments.delete_department(department)
    assert {"TransactWriteItems", "GetItem", "Query"} <= set(cut)


def test_folding_ignores_case_composition_and_inner_space():
    assert fold_text("  Dev   팀 ") == fold_text("dev 팀")
    assert fold_text("팀") == fold_text("팀")
    assert fold_text("개발 팀") != fold_text("개발팀")
