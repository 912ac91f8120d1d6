"""Builds the services on one store, for the server, for the commands of `flask` and for tests."""

from dataclasses import dataclass

from models import DynamoDBDatabase
from services.accounts.access import Access, OpenAccess
from services.accounts.accounts import Accounts, build_accounts
from services.calendar_files import CalendarFiles
from services.departments import DepartmentService
from services.events import EventService
from services.feeds import FeedService
from services.group_commit import GroupCommit
from services.imports import ImportService
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
    feeds: FeedService
    files: CalendarFiles
    imports: ImportService
    access: Access
    accounts: Accounts | None
    """None on a server without accounts, where everybody may do everything."""


def build_core(db: DynamoDBDatabase, *, snapshot_bytes: int, accounts_url: str | None = None) -> Core:
    """Build the services; snapshots take `snapshot_bytes` of memory at most.

    With `accounts_url`, the server's address in links, there are accounts.
    """
    group_commit = GroupCommit(db)
    snapshots = Snapshots(db, snapshot_bytes)
    group_commit.on_commit(snapshots.on_commit)
    accounts = build_accounts(db, group_commit, accounts_url) if accounts_url else None
    access = accounts.access if accounts else OpenAccess()
    purge = Purge(db, accounts.members if accounts else None)
    departments = DepartmentService(db, group_commit)
    events = EventService(db, group_commit, snapshots)
    return Core(
        db=db,
        group_commit=group_commit,
        snapshots=snapshots,
        departments=departments,
        events=events,
        sync=SyncService(db, snapshots),
        purge=purge,
        repair=Repair(db, purge),
        feeds=FeedService(db, access),
        files=CalendarFiles(departments, events.lists),
        imports=ImportService(db, group_commit, snapshots, events.edits),
        access=access,
        accounts=accounts,
    )
