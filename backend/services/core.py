"""Builds the services on one store, for the server, for `flask tables` and for tests."""

from dataclasses import dataclass

from models import DynamoDBDatabase
from services.departments import DepartmentService
from services.events import EventService
from services.group_commit import GroupCommit
from services.purge import Purge
from services.repair import Repair
from services.snapshots import Snapshots
from services.sync import SyncService


@dataclass(frozen=True, slots=True)
class Core:
    """The services of one process on one store."""

    db: DynamoDBDatabase
    group_commit: GroupCommit
    snapshots: Snapshots
    departments: DepartmentService
    events: EventService
    sync: SyncService
    purge: Purge
    repair: Repair


def build_core(db: DynamoDBDatabase, *, snapshot_bytes: int) -> Core:
    """Build the services; snapshots take `snapshot_bytes` of memory at most."""
    group_commit = GroupCommit(db)
    snapshots = Snapshots(db, snapshot_bytes)
    group_commit.on_commit(snapshots.on_commit)
    purge = Purge(db)
    return Core(
        db=db,
        group_commit=group_commit,
        snapshots=snapshots,
        departments=DepartmentService(db, group_commit),
        events=EventService(db, group_commit, snapshots),
        sync=SyncService(db, snapshots),
        purge=purge,
        repair=Repair(db, purge),
    )
