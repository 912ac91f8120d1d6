"""New epochs for all logs, as `flask tables new-epoch` sets them after a restore of the tables."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from domain import REGISTRY
from errors import StoreUnavailable, SyncTokenExpired
from in_process import Calendar
from store import rows


@pytest.fixture
def raw_head(settings, client) -> Callable[[str], dict[str, Any] | None]:
    """Return a function that reads the item of a partition's head."""
    return lambda partition: client.find_item(settings.changes_table, rows.head_key(partition))


def test_new_epochs_expire_every_token_and_change_nothing_else(calendar, db, raw_head):
    one, two = (calendar.departments.create_department(name).entity.id for name in ("하나", "둘"))
    event = calendar.add(one)
    tokens = {i: calendar.token(i) for i in (one, two)}
    before = {i: raw_head(i) for i in (one, two, REGISTRY)}

    assert db.renew_epochs() == 3

    for department_id, token in tokens.items():
        with pytest.raises(SyncTokenExpired):
            calendar.sync.changes_since(department_id, token, 10)
        fresh = calendar.token(department_id)
        assert calendar.sync.changes_since(department_id, fresh, 10).changes == []
    assert list(calendar.snapshot(one).chunks.events()) == [event]
    after = {i: raw_head(i) for i in before}
    assert {i: head | {"epoch": None} for i, head in after.items()} == {
        i: head | {"epoch": None} for i, head in before.items()
    }
    assert not {head["epoch"]["S"] for head in after.values()} & {h["epoch"]["S"] for h in before.values()}


def test_a_running_server_goes_on_writing_after_new_epochs_without_a_hole(calendar, db):
    department_id = calendar.departments.create_department("하나").entity.id
    calendar.add(department_id)
    db.renew_epochs()
    assert calendar.add(department_id).revision == 2
    calendar.departments.update_department(department_id, {"name": "둘"})
    assert calendar.departments.create_department("셋").entity.name == "셋"
    assert db.read_head(REGISTRY).revision == 3


def test_no_write_is_lost_while_epochs_are_renewed(calendar, db):
    department_id = calendar.departments.create_department("하나").entity.id
    with ThreadPoolExecutor() as pool:
        writes = [pool.submit(calendar.add, department_id, f"회의 {n}") for n in range(40)]
        assert [db.renew_epochs() for _ in range(5)] == [2] * 5
        revisions = sorted(write.result(30).revision for write in writes)
    assert revisions == list(range(1, 41))
    assert calendar.snapshot(department_id).chunks.count() == 40


def test_an_empty_store_has_nothing_to_renew(db, raw_head):
    assert db.renew_epochs() == 0
    assert raw_head(REGISTRY) is None


def test_departments_without_a_head_or_marked_deleted_are_passed_over(
    settings, client, db, raw_head, monkeypatch
):
    deleted = Calendar(db).departments.create_department("지운 부서").entity
    Calendar(db).departments.delete_department(deleted.id)
    head = raw_head(deleted.id)
    foreign = {"id": {"S": "00000000-0000-0000-0000-000000000001"}, "name": {"S": "옛 부서"}}
    client.call("put_item", TableName=settings.departments_table, Item=foreign)
    found = db.list_departments()
    monkeypatch.setattr(
        db, "list_departments", lambda: [*found, deleted]
    )  # as if it was listed just before its deletion

    assert db.renew_epochs() == 1  # the list of departments

    assert raw_head(deleted.id) == head
    assert raw_head(foreign["id"]["S"]) is None


def test_a_second_run_completes_one_that_failed_midway(calendar, client, db, monkeypatch):
    partitions = [calendar.departments.create_department(name).entity.id for name in "가나다"] + [REGISTRY]
    before = {partition: db.read_head(partition).epoch for partition in partitions}
    call, moves = client.call_patiently, []

    def cut_off(operation, **parameters):
        moves.append(parameters["Key"])
        if len(moves) == 3:
            raise StoreUnavailable()
        return call(operation, **parameters)

    monkeypatch.setattr(client, "call_patiently", cut_off)
    with pytest.raises(StoreUnavailable):
        db.renew_epochs()
    monkeypatch.undo()
    assert db.renew_epochs() == 4
    assert all(db.read_head(partition).epoch != epoch for partition, epoch in before.items())
