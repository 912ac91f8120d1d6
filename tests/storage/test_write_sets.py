"""Several writes that are committed together or not at all, inside the group commit, on every store."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from domain import Event, Write, WriteSet
from errors import ChangeTooLarge, DepartmentNotFound, EntityTooLarge
from models import DynamoDBDatabase, HeadMoved, Refusal, WritesRefused
from running import wait_for
from services.group_commit import GroupCommit, WriteRefused
from store import rows
from writing import Gated, LosesFirstAnswer, creation, deletion, edit, head_of, new_department


def created(db: DynamoDBDatabase, department: str, title: str = "시리즈") -> Event:
    return GroupCommit(db).commit(department, creation(department, title)).entity


def undated(write: Write) -> Write:
    """Return a write that DynamoDB rejects: the key of an index must not be empty."""
    return replace(write, entity=replace(write.entity, event_date=""))


def titles(db: DynamoDBDatabase, department: str) -> list[str]:
    return sorted(event.title for event in db.indexed_events(department))


def test_a_set_of_writes_takes_consecutive_revisions_and_one_row(client, db, settings):
    department = new_department(db)
    series, doomed = created(db, department), created(db, department, "지울 것")
    told = []
    group_commit = GroupCommit(db)
    group_commit.on_commit(lambda _partition, reached, changes: told.append((reached.revision, changes)))
    writes = [edit(series, title="새"), creation(department, "회차"), deletion(doomed)]
    changes = group_commit.commit_together(department, writes)
    assert [(c.revision, c.type, c.write_id) for c in changes] == [
        (n, write.type, write.id) for n, write in enumerate(writes, 3)
    ]
    assert told == [(5, changes)]
    found = client.iterate("query", TableName=settings.changes_table, **rows.log_after(department, 2))
    assert [(row["revision"]["N"], row["first"]["N"]) for row in found] == [("5", "3")]
    assert db.changes_after(department, 2) == changes
    assert titles(db, department) == ["새", "회차"]


def test_a_set_with_a_refused_write_writes_nothing(db):
    department = new_department(db)
    series = created(db, department)
    GroupCommit(db).commit(department, edit(series, title="먼저"))
    with pytest.raises(WriteRefused) as caught:
        GroupCommit(db).commit_together(department, [creation(department), edit(series, title="늦음")])
    assert caught.value.refusal is Refusal.CHANGED
    assert titles(db, department) == ["먼저"]
    assert head_of(db, department).revision == 2


def test_a_refused_set_does_not_fail_the_others_of_its_group(settings, db):
    department = new_department(db)
    series, stale = created(db, department), created(db, department, "낡음")
    GroupCommit(db).commit(department, edit(stale, title="먼저"))
    store = Gated(settings)
    group_commit = GroupCommit(store)
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(group_commit.commit, department, creation(department, "처음"))
        wait_for(lambda: store.commits == 1)
        refused = [creation(department, "거절"), edit(stale, title="늦음")]
        taken = [edit(series, title="새"), creation(department, "회차")]
        waiting = []
        for request, writes in (
            (group_commit.commit, creation(department, "앞")),
            (group_commit.commit_together, refused),
            (group_commit.commit_together, taken),
            (group_commit.commit, creation(department, "뒤")),
        ):
            waiting.append(pool.submit(request, department, writes))
            wait_for(lambda: group_commit.count_waiting(department) == len(waiting))
        store.gate.release(100)
        assert first.result(10).revision == 4
        assert isinstance(waiting[1].exception(10), WriteRefused)
        assert [change.revision for change in waiting[2].result(10)] == [6, 7]
        assert [waiting[0].result(10).revision, waiting[3].result(10).revision] == [5, 8]
    assert titles(db, department) == sorted(["처음", "앞", "뒤", "새", "회차", "먼저"])
    assert store.commits == 3, "alone, refused, without the refused set"


def test_a_set_that_does_not_fit_with_those_before_it_is_left_whole_for_the_next_transaction(db):
    department = new_department(db)
    singles = [creation(department) for _ in range(60)]
    together = WriteSet(tuple(creation(department) for _ in range(40)))
    first = db.commit(department, head_of(db, department), [*singles, together])
    assert len(first) == 60
    second = db.commit(department, head_of(db, department), [together, creation(department)])
    assert len(second) == 41


def test_a_set_and_a_write_of_the_same_event_do_not_share_a_transaction(db):
    department = new_department(db)
    series = created(db, department)
    together = WriteSet((edit(series, title="하나"), creation(department)))
    changes = db.commit(department, head_of(db, department), [together, edit(series, title="둘")])
    assert len(changes) == 2
    with pytest.raises(ValueError, match="one of each entity"):
        GroupCommit(db).commit_together(department, [edit(series, title="하나"), deletion(series)])


def test_a_set_that_fits_in_no_transaction_is_refused_and_fails_nobody_else(settings, db):
    department = new_department(db)
    store = Gated(settings)
    group_commit = GroupCommit(store)
    too_many = [creation(department) for _ in range(99)]
    too_large = [creation(department, description="x" * 200_000) for _ in range(2)]
    rejected = [creation(department), undated(creation(department))]
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(group_commit.commit, department, creation(department, "처음"))
        wait_for(lambda: store.commits == 1)
        waiting = []
        for writes in (too_many, too_large, rejected, [creation(department), creation(department)]):
            waiting.append(pool.submit(group_commit.commit_together, department, writes))
            wait_for(lambda: group_commit.count_waiting(department) == len(waiting))
        store.gate.release(100)
        assert first.result(10).revision == 1
        errors = [type(one.exception(10)) for one in waiting[:3]]
        assert errors == [ChangeTooLarge, ChangeTooLarge, EntityTooLarge]
        assert [change.revision for change in waiting[3].result(10)] == [2, 3]
    assert head_of(db, department).revision == 3


def test_as_many_writes_as_dynamodb_takes_are_committed_together(db):
    department = new_department(db)
    changes = GroupCommit(db).commit_together(department, [creation(department) for _ in range(98)])
    assert [change.revision for change in changes] == list(range(1, 99))
    doomed = [deletion(change.entity) for change in changes]
    with pytest.raises(WritesRefused) as caught:
        db.commit(department, head_of(db, department), [WriteSet(tuple(doomed[:50]))])
    assert caught.value.refusals == {0: Refusal.TOO_MUCH}
    assert len(GroupCommit(db).commit_together(department, doomed[:49])) == 49


def test_a_writer_whose_answer_was_lost_recognises_all_writes_of_its_set(settings, db):
    department = new_department(db)
    series = created(db, department)
    lossy = LosesFirstAnswer(settings)
    writes = [edit(series, title="새"), creation(department), creation(department)]
    changes = GroupCommit(lossy).commit_together(department, writes)
    assert lossy.lost
    assert [(c.revision, c.write_id) for c in changes] == [(n, w.id) for n, w in enumerate(writes, 2)]
    assert db.changes_after(department, 1) == changes


def test_a_set_is_committed_after_its_head_has_moved(settings, db):
    department = new_department(db)

    class Overtaken(DynamoDBDatabase):
        overtaken = False

        def commit(self, partition, head, writes):
            if not self.overtaken:
                self.overtaken = True
                created(db, department, "다른 서버")
            return super().commit(partition, head, writes)

    changes = GroupCommit(Overtaken(settings)).commit_together(
        department, [creation(department), creation(department)]
    )
    assert [change.revision for change in changes] == [2, 3]


def test_a_set_for_a_deleted_department_is_refused(settings):
    class Gone(DynamoDBDatabase):
        def commit(self, partition, head, writes):
            raise HeadMoved(None)

        def read_head(self, partition):
            return None

    with pytest.raises(DepartmentNotFound):
        GroupCommit(Gone(settings)).commit_together("x", [creation("x"), creation("x")])


def test_edits_of_several_events_that_name_the_same_one_take_turns(settings, db):
    department = new_department(db)
    series = created(db, department)
    store = Gated(settings)
    store.gate.release(100)
    group_commit = GroupCommit(store)

    def prepare() -> tuple[str, list[Write]]:
        return department, [edit(store.find_event(series.id), title="새"), creation(department)]

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda _: group_commit.edit_together(series.id, prepare), range(8)))
    assert sorted(change.revision for changes in outcomes for change in changes) == list(range(2, 18))
    assert (store.commits, group_commit.nobody_edits) == (8, True)


def test_an_edit_of_several_events_reads_again_when_one_of_them_was_changed(db):
    department = new_department(db)
    series, other = created(db, department), created(db, department, "다른 것")
    read = []

    def prepare() -> tuple[str, list[Write]]:
        before = db.find_event(other.id)
        if not read:
            GroupCommit(db).commit(department, edit(other, title="먼저"))
        read.append(before.title)
        return department, [edit(series, title="새"), edit(before, description="뒤")]

    changes = GroupCommit(db).edit_together(series.id, prepare)
    assert read == ["다른 것", "먼저"]
    assert [change.revision for change in changes] == [4, 5]
    assert titles(db, department) == ["먼저", "새"]
