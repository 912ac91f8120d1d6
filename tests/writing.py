"""Writes for tests of the commit, and stores that interfere with it."""

import threading
from dataclasses import replace

from deadlines import remaining_s
from domain import REGISTRY, ChangeType, Department, Event, Position, Write, new_id
from models import DynamoDBDatabase, HeadMoved
from services.group_commit import GroupCommit


def department_write(name: str = "") -> Write:
    department = Department(id=new_id(), name=name or f"부서 {new_id()}")
    return Write(type=ChangeType.DEPARTMENT_CREATED, entity=department)


def new_department(db: DynamoDBDatabase) -> str:
    return GroupCommit(db).commit(REGISTRY, department_write()).entity.id


def creation(department_id: str, title: str = "회의", **fields: str) -> Write:
    event = Event(id=new_id(), department_id=department_id, event_date="2024-01-20", title=title, **fields)
    return Write(type=ChangeType.EVENT_CREATED, entity=event)


def edit(before: Event, **fields: str) -> Write:
    return Write(type=ChangeType.EVENT_UPDATED, entity=replace(before, **fields), before=before)


def deletion(before: Event) -> Write:
    return Write(type=ChangeType.EVENT_DELETED, entity=before, before=before)


def head_of(db: DynamoDBDatabase, partition: str) -> Position:
    head = db.read_head(partition)
    assert head is not None
    return head


class LosesFirstAnswer(DynamoDBDatabase):
    """A store that loses the first answer: it commits, and the resend finds that the head has moved."""

    lost = False

    def commit(self, partition, head, writes):
        changes = super().commit(partition, head, writes)
        if self.lost:
            return changes
        self.lost = True
        raise HeadMoved(self.read_head(partition))


class Gated(DynamoDBDatabase):
    """Counts commits; each waits until a test releases `gate`."""

    def __init__(self, settings) -> None:
        super().__init__(settings)
        self.gate = threading.Semaphore(0)
        self.commits = 0
        self.time_left: list[float] = []
        """How much time each commit had, in seconds."""

    def commit(self, partition, head, writes):
        self.commits += 1
        self.time_left.append(remaining_s())
        self.gate.acquire()
        return super().commit(partition, head, writes)
