"""The commit: head, entities and log together or not at all, on every store."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from deadlines import deadline, remaining_s
from domain import REGISTRY, Receipt, Write, new_id, utc_now
from errors import DepartmentNotFound, EntityTooLarge, OutOfTime, StoreUnavailable
from models import ATTEMPT_S, DynamoDBDatabase, HeadMoved, Refusal, WritesRefused
from running import wait_for
from services.group_commit import GroupCommit, WriteRefused
from store import rows
from store.dynamo_client import DynamoClient, TransactionRefused
from writing import (
    Gated,
    LosesFirstAnswer,
    creation,
    deletion,
    department_write,
    edit,
    head_of,
    new_department,
)


def within(seconds: float, task: Callable[..., Any], *arguments: Any) -> Any:
    with deadline(seconds):
        return task(*arguments)


def test_a_new_department_has_a_head_at_revision_0_with_an_epoch_of_its_own(db):
    first, second = head_of(db, new_department(db)), head_of(db, new_department(db))
    assert first.revision == 0
    assert first.epoch != second.epoch


def test_an_event_its_log_row_and_the_head_are_written_together(db):
    department = new_department(db)
    [change] = db.commit(department, head_of(db, department), [creation(department, "팀 회의")])
    assert change.revision == 1
    assert head_of(db, department).revision == 1
    assert db.find_event(change.entity.id) == change.entity
    assert db.changes_after(department, 0) == [change]
    assert list(db.indexed_events(department)) == [change.entity]


def test_recent_heads_are_read_a_hundred_in_a_request(client, db, monkeypatch):
    department = new_department(db)
    GroupCommit(db).commit(department, creation(department))
    asked = []
    call = client.call
    monkeypatch.setattr(
        client, "call", lambda name, **parameters: asked.append(name) or call(name, **parameters)
    )
    heads = db.recent_heads([new_id() for _ in range(120)] + [REGISTRY, department])
    assert asked == ["batch_get_item"] * 2
    monkeypatch.undo()
    assert heads == {partition: db.read_head(partition) for partition in (REGISTRY, department)}


def test_a_group_takes_consecutive_revisions(db):
    department = new_department(db)
    changes = db.commit(department, head_of(db, department), [creation(department) for _ in range(49)])
    assert [change.revision for change in changes] == list(range(1, 50))
    assert sorted(event.revision for event in db.indexed_events(department)) == list(range(1, 50))
    assert db.changes_after(department, 0) == changes


def test_what_exceeds_one_transaction_is_left_for_the_next(db):
    department = new_department(db)
    changes = db.commit(department, head_of(db, department), [creation(department) for _ in range(120)])
    assert len(changes) == 98
    assert head_of(db, department).revision == 98
    deletions = [deletion(change.entity) for change in changes]
    assert len(db.commit(department, head_of(db, department), deletions)) == 49, "each has a row of its own"


def test_a_commit_has_one_row_in_the_log_at_its_last_revision(client, db, settings):
    department = new_department(db)
    db.commit(department, head_of(db, department), [creation(department)])
    changes = db.commit(department, head_of(db, department), [creation(department) for _ in range(3)])
    found = client.iterate("query", TableName=settings.changes_table, **rows.log_after(department, 0))
    assert [(row["revision"]["N"], row["first"]["N"]) for row in found] == [("1", "1"), ("4", "2")]
    assert db.changes_after(department, 1) == changes
    assert db.changes_after(department, 2) == changes[1:]
    assert db.changes_after(department, 3, 1) == changes[2:]
    assert db.changes_after(department, 1, 2) == changes[:2]


def test_large_events_share_a_commit_only_as_far_as_its_row_holds_them(db):
    department = new_department(db)
    writes = [creation(department, description="😀" * 10_000) for _ in range(20)]
    changes = db.commit(department, head_of(db, department), writes)
    assert [len(changes), len(db.changes_after(department, 0))] == [8, 8]
    group_commit = GroupCommit(db)
    with ThreadPoolExecutor(20) as pool:
        revisions = list(pool.map(lambda w: group_commit.commit(department, w).revision, writes[8:]))
    assert sorted(revisions) == list(range(9, 21))


def test_one_change_fits_whatever_its_size(db):
    department = new_department(db)
    for size in (349_000, 351_000, 390_000):
        write = creation(department, description="x" * size)
        [change] = db.commit(department, head_of(db, department), [write, creation(department)])[:1]
        assert db.find_event(change.entity.id) == change.entity
        assert db.changes_after(department, change.revision - 1)[0] == change


def test_only_the_partitions_of_the_last_writes_are_remembered(db):
    group_commit = GroupCommit(db, positions_kept=3)
    for _ in range(6):
        department = group_commit.commit(REGISTRY, department_write()).entity.id
        assert group_commit.commit(department, creation(department)).revision == 1
    assert group_commit.kept_partitions == 3
    with pytest.raises(DepartmentNotFound):
        group_commit.commit(new_id(), creation(new_id()))
    assert group_commit.kept_partitions == 3
    assert group_commit.commit(department, creation(department)).revision == 2


class Conflicting(DynamoClient):
    """Cancels the next transaction for the reasons of a test, as when another one is on its way."""

    reasons: tuple[str, ...] = ()

    def call(self, operation, **parameters):
        if operation == "transact_write_items" and self.reasons:
            reasons = [{"Code": reason} for reason in self.reasons]
            reasons += [{"Code": "None"}] * (len(parameters["TransactItems"]) - len(reasons))
            self.reasons = ()
            raise TransactionRefused(reasons)
        return super().call(operation, **parameters)


def test_a_row_that_is_there_while_the_head_is_in_a_conflict_means_that_the_head_has_moved(settings, db):
    department = new_department(db)
    seen = head_of(db, department)
    db.commit(department, seen, [creation(department)])
    client = Conflicting(settings)
    store = DynamoDBDatabase(settings, client)
    client.reasons = ("TransactionConflict", "ConditionalCheckFailed")
    with pytest.raises(HeadMoved) as caught:
        store.commit(department, seen, [creation(department)])
    assert caught.value.position == head_of(db, department)
    client.reasons = ("TransactionConflict", "ConditionalCheckFailed")
    assert GroupCommit(store).commit(department, creation(department)).revision == 2
    client.reasons = ("TransactionConflict", "ConditionalCheckFailed")
    assert GroupCommit(store).commit(REGISTRY, department_write()).revision == 2


def test_two_writes_of_one_event_do_not_share_a_transaction(db):
    department = new_department(db)
    [created] = db.commit(department, head_of(db, department), [creation(department)])
    writes = [edit(created.entity, title="하나"), edit(created.entity, title="둘")]
    assert len(db.commit(department, head_of(db, department), writes)) == 1


def test_a_lost_race_writes_nothing_and_tells_the_position_of_the_head(db):
    department = new_department(db)
    stale = head_of(db, department)
    db.commit(department, stale, [creation(department)])
    loser = creation(department)
    with pytest.raises(HeadMoved) as caught:
        db.commit(department, stale, [loser])
    assert caught.value.position == head_of(db, department)
    assert db.find_event(loser.entity.id) is None
    assert len(db.changes_after(department, 0)) == 1


def test_an_edit_of_an_older_state_is_refused_and_named_by_its_index(db):
    department = new_department(db)
    [created] = db.commit(department, head_of(db, department), [creation(department)])
    db.commit(department, head_of(db, department), [edit(created.entity, title="새 제목")])
    writes = [creation(department), edit(created.entity, title="늦은 제목")]
    with pytest.raises(WritesRefused) as caught:
        db.commit(department, head_of(db, department), writes)
    assert caught.value.refusals == {1: Refusal.CHANGED}
    assert db.find_event(created.entity.id).title == "새 제목"
    assert db.find_event(writes[0].entity.id) is None


def test_events_of_an_unknown_department_are_refused(db):
    with pytest.raises(DepartmentNotFound):
        GroupCommit(db).commit(new_id(), creation(new_id()))


def test_one_refused_write_does_not_fail_the_others_of_its_group(db):
    department = new_department(db)
    group_commit = GroupCommit(db)
    created = group_commit.commit(department, creation(department)).entity
    group_commit.commit(department, edit(created, title="먼저"))
    stale = [edit(created, title="늦음"), deletion(created)]
    good = [creation(department, f"회의 {n}") for n in range(20)]
    with ThreadPoolExecutor(22) as pool:
        outcomes = list(
            pool.map(lambda w: attempt(group_commit, department, w), [*good[:10], *stale, *good[10:]])
        )
    refused = [outcome for outcome in outcomes if isinstance(outcome, WriteRefused)]
    assert [error.refusal for error in refused] == [Refusal.CHANGED] * 2
    assert sorted(o.revision for o in outcomes if o not in refused) == list(range(3, 23))
    assert head_of(db, department).revision == 22


def attempt(group_commit: GroupCommit, partition: str, write: Write):
    try:
        return group_commit.commit(partition, write)
    except (WriteRefused, EntityTooLarge) as error:
        return error


def test_writers_on_several_servers_leave_dense_revisions_and_lose_nothing(settings, db):
    department = new_department(db)
    servers = [GroupCommit(DynamoDBDatabase(settings)) for _ in range(3)]
    writes = [creation(department, f"회의 {n}") for n in range(60)]
    with ThreadPoolExecutor(12) as pool:
        changes = list(pool.map(lambda nw: servers[nw[0] % 3].commit(department, nw[1]), enumerate(writes)))
    assert sorted(change.revision for change in changes) == list(range(1, 61))
    logged = db.changes_after(department, 0)
    assert {change.write_id for change in logged} == {write.id for write in writes}
    assert {event.id for event in db.indexed_events(department)} == {w.entity.id for w in writes}


def test_of_servers_racing_for_one_name_exactly_one_wins(settings, db):
    servers = [GroupCommit(DynamoDBDatabase(settings)) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(
            pool.map(lambda server: attempt(server, REGISTRY, department_write("개발팀")), servers)
        )
    refused = [o.refusal for o in outcomes if isinstance(o, WriteRefused)]
    assert refused == [Refusal.NAME_TAKEN] * 3
    assert len(db.list_departments()) == 1


def test_a_writer_whose_answer_was_lost_recognises_its_own_commit(settings, db):
    department = new_department(db)
    lossy = LosesFirstAnswer(settings)
    write = creation(department)
    change = GroupCommit(lossy).commit(department, write)
    assert lossy.lost
    assert change.revision == 1
    assert [c.write_id for c in db.changes_after(department, 0)] == [write.id]


class LosesFirstAnswerWhileItsEpochMoves(LosesFirstAnswer):
    def commit(self, partition, head, writes):
        try:
            return super().commit(partition, head, writes)
        except HeadMoved:
            self.begin_load(partition, "load")
            raise HeadMoved(self.read_head(partition)) from None


def test_a_lost_answer_is_recognised_though_the_epoch_has_moved_since(settings, db):
    department = new_department(db)
    write = creation(department)
    change = GroupCommit(LosesFirstAnswerWhileItsEpochMoves(settings)).commit(department, write)
    assert (change.revision, change.write_id) == (1, write.id)


def test_a_writer_that_always_loses_the_race_gives_up_with_a_503(settings, db):
    department = new_department(db)

    class AlwaysSlower(DynamoDBDatabase):
        def commit(self, partition, head, writes):
            raise HeadMoved(head.at(head.revision + 1))

    with pytest.raises(StoreUnavailable):
        within(0.1, GroupCommit(AlwaysSlower(settings)).commit, department, creation(department))


def test_writes_that_arrive_during_a_commit_share_the_next_one(settings, db):
    department = new_department(db)
    store = Gated(settings)
    group_commit = GroupCommit(store)
    with ThreadPoolExecutor(41) as pool:
        first = pool.submit(group_commit.commit, department, creation(department))
        wait_for(lambda: store.commits == 1)
        later = [pool.submit(group_commit.commit, department, creation(department)) for _ in range(40)]
        wait_for(lambda: group_commit.count_waiting(department) == 40)
        for _ in range(2):
            store.gate.release()
        assert first.result(10).revision == 1
        assert sorted(writer.result(10).revision for writer in later) == list(range(2, 42))
    assert store.commits == 2


def test_writers_behind_a_commit_that_hangs_give_up_while_their_own_could_still_end_in_time(settings, db):
    department = new_department(db)
    store = Gated(settings)
    group_commit = GroupCommit(store)

    def write_or_give_up() -> float:
        """Return how many seconds were left."""
        with pytest.raises(OutOfTime):
            group_commit.commit(department, creation(department))
        return remaining_s()

    with ThreadPoolExecutor(61) as pool:
        first = pool.submit(group_commit.commit, department, creation(department))
        wait_for(lambda: store.commits == 1)
        later = [pool.submit(within, ATTEMPT_S + 0.2, write_or_give_up) for _ in range(60)]
        assert all(writer.result(10) > 1 for writer in later)
        store.gate.release(2)
        assert first.result(10).revision == 1
        assert group_commit.commit(department, creation(department)).revision == 2
    assert store.commits == 2


@pytest.mark.parametrize("seconds", [(6, 9), (9, 6)])
def test_a_group_is_committed_by_the_writer_with_the_latest_deadline(settings, db, seconds):
    department = new_department(db)
    store = Gated(settings)
    group_commit = GroupCommit(store)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(group_commit.commit, department, creation(department))
        wait_for(lambda: store.commits == 1)
        later = []
        for left in seconds:
            later.append(pool.submit(within, left, group_commit.commit, department, creation(department)))
            wait_for(lambda: group_commit.count_waiting(department) == len(later))
        store.gate.release(2)
        for writer in (first, *later):
            assert writer.result(10)
    assert len(store.time_left) == 2
    assert 6 < store.time_left[1] < 9


def test_a_writer_leaves_a_commit_in_flight_at_its_deadline_and_the_others_get_theirs(settings, db):
    department = new_department(db)
    store = Gated(settings)
    group_commit = GroupCommit(store)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(group_commit.commit, department, creation(department))
        wait_for(lambda: store.commits == 1)
        hurried = pool.submit(within, ATTEMPT_S + 1.5, group_commit.commit, department, creation(department))
        wait_for(lambda: group_commit.count_waiting(department) == 1)
        other = pool.submit(group_commit.commit, department, creation(department))
        wait_for(lambda: group_commit.count_waiting(department) == 2)
        store.gate.release()
        assert first.result(10).revision == 1
        assert isinstance(hurried.exception(10), OutOfTime)
        store.gate.release()
        assert other.result(10).revision == 3
    assert head_of(db, department).revision == 3  # what the hurried writer wrote is there


def test_editors_of_one_event_in_one_process_never_lose_to_each_other(settings, db):
    department = new_department(db)
    event = GroupCommit(db).commit(department, creation(department)).entity
    store = Gated(settings)
    store.gate.release(100)
    group_commit = GroupCommit(store)

    def rename(title: str):
        return group_commit.edit(
            event.id, lambda: (department, edit(store.find_event(event.id), title=title))
        )

    with ThreadPoolExecutor(12) as pool:
        changes = list(pool.map(rename, "가나다라마바사아자차카타"))
    assert sorted(change.revision for change in changes) == list(range(2, 14))
    assert (store.commits, group_commit.nobody_edits) == (12, True)


def test_editors_behind_one_that_hangs_wait_no_longer_than_their_deadline(settings, db):
    department = new_department(db)
    event = GroupCommit(db).commit(department, creation(department)).entity
    store = Gated(settings)
    group_commit = GroupCommit(store)
    with ThreadPoolExecutor(11) as pool:
        first = pool.submit(group_commit.edit, event.id, lambda: (department, edit(event, title="하나")))
        wait_for(lambda: store.commits == 1)
        later = [
            pool.submit(within, 0.2, group_commit.edit, event.id, lambda: (department, deletion(event)))
            for _ in range(10)
        ]
        for editor in later:
            assert isinstance(editor.exception(10), OutOfTime)
        store.gate.release()
        assert first.result(10).revision == 2
    assert (store.commits, group_commit.nobody_edits) == (1, True)


def test_an_item_that_is_too_large_fails_its_own_writer_alone(settings, db):
    department = new_department(db)
    store = Gated(settings)
    group_commit = GroupCommit(store)
    large = creation(department, description="x" * 410_000)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(group_commit.commit, department, creation(department))
        wait_for(lambda: store.commits == 1)
        later = []
        for write in (creation(department), large, creation(department)):
            later.append(pool.submit(attempt, group_commit, department, write))
            wait_for(lambda: group_commit.count_waiting(department) == len(later))
        store.gate.release(100)
        assert first.result(10).revision == 1
        before, refused, after = (writer.result(10) for writer in later)
    assert isinstance(refused, EntityTooLarge)
    assert sorted([before.revision, after.revision]) == [2, 3]
    assert head_of(db, department).revision == 3


def test_listeners_are_told_of_changes_in_commit_order(db):
    department = new_department(db)
    group_commit = GroupCommit(db)
    told: list[int] = []
    group_commit.on_commit(lambda partition, head, changes: told.extend(c.revision for c in changes))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: group_commit.commit(department, creation(department)), range(40)))
    assert told == list(range(1, 41))


def test_log_rows_expire_30_days_after_they_were_written(client, db, settings):
    department = new_department(db)
    GroupCommit(db).commit(department, creation(department))
    answer = client.call("get_item", TableName=settings.changes_table, Key=rows.change_key(department, 1))
    kept = int(answer["Item"]["expires_at"]["N"])
    assert abs(kept - utc_now().timestamp() - 30 * 86400) < 60


def test_receipts_are_kept_for_30_days(client, db, settings):
    department = new_department(db)
    receipt = Receipt.of(department, "key 1", {"title": "회의"})
    GroupCommit(db).commit(department, replace(creation(department), receipts=(receipt,)))
    answer = client.call("get_item", TableName=settings.changes_table, Key=rows.receipt_key(receipt))
    kept = int(answer["Item"]["expires_at"]["N"])
    assert abs(kept - utc_now().timestamp() - 30 * 86400) < 60
