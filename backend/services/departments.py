"""Use cases of departments: list, get, create, update, delete."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from domain import (
    REGISTRY,
    Change,
    ChangeType,
    Created,
    Department,
    PendingPurge,
    Receipt,
    Write,
    new_id,
    timestamp,
    utc_now,
)
from errors import (
    DepartmentNameTaken,
    DepartmentNotFound,
    IdempotencyKeyReused,
)
from models import DynamoDBDatabase, Refusal
from services.group_commit import GroupCommit, WriteRefused
from services.purge import Purge


class DepartmentService:
    """The departments of one store."""

    def __init__(self, db: DynamoDBDatabase, group_commit: GroupCommit, purge: Purge) -> None:
        self._db = db
        self._group_commit = group_commit
        self._purge = purge

    def list_departments(self) -> list[Department]:
        """Return all departments, by name."""
        return sorted(self._db.list_departments(), key=lambda d: (d.name.casefold(), d.id))

    def get_department(self, department_id: str) -> Department:
        """Return a department. Raises `DepartmentNotFound`."""
        department = self._db.find_department(department_id)
        if department is None:
            raise DepartmentNotFound()
        return department

    def create_department(
        self, name: str, description: str = "", key: str | None = None
    ) -> Created[Department]:
        """Create a department; a repetition under the same key returns the first one instead.

        Raises `DepartmentNameTaken` (names are compared after NFC, case and space folding), and
        `IdempotencyKeyReused` when the key came with other fields before.
        """
        now = timestamp(utc_now())
        department = Department(
            id=new_id(), name=name, description=description, created_at=now, updated_at=now
        )
        fields = {"name": name, "description": description}
        receipt = Receipt.of(REGISTRY, f"key {key}", fields) if key else None
        write = Write(
            type=ChangeType.DEPARTMENT_CREATED,
            entity=department,
            receipts=(receipt,) if receipt else (),
            at=now,
        )
        try:
            return Created(_committed(lambda: self._group_commit.commit(REGISTRY, write)))
        except WriteRefused as error:
            earlier = self._db.find_created_department(receipt) if receipt else None
            if receipt is None or earlier is None:
                raise
            if earlier.request_hash != receipt.request_hash:
                raise IdempotencyKeyReused() from error
            return Created(earlier.entity, repeated=True)

    def update_department(self, department_id: str, fields: Mapping[str, Any]) -> Department:
        """Change the given fields only. Raises `DepartmentNotFound`, `DepartmentNameTaken`."""
        if not fields:
            return self.get_department(department_id)

        def updated(before: Department) -> Department:
            return replace(before, **fields, updated_at=timestamp(utc_now()))

        return self._edit(department_id, ChangeType.DEPARTMENT_UPDATED, updated)

    def delete_department(self, department_id: str) -> None:
        """Delete a department. It is gone for all readers at once; its events are removed in the background.

        Raises `DepartmentNotFound`.
        """
        deleted = self._edit(department_id, ChangeType.DEPARTMENT_DELETED, lambda before: before)
        self._purge.begin(PendingPurge(deleted.revision, department_id))

    def _edit(
        self, department_id: str, kind: ChangeType, after: Callable[[Department], Department]
    ) -> Department:
        def prepare() -> tuple[str, Write]:
            before = self.get_department(department_id)
            releases_name = self._db.owns_name(before)
            return REGISTRY, Write(
                type=kind, entity=after(before), before=before, releases_name=releases_name
            )

        return _committed(lambda: self._group_commit.edit(department_id, prepare))


def _committed(commit: Callable[[], Change]) -> Department:
    """Commit a write and return its department. Raises `DepartmentNameTaken`."""
    try:
        entity = commit().entity
    except WriteRefused as error:
        if error.refusal is Refusal.NAME_TAKEN:
            raise DepartmentNameTaken() from error
        raise
    assert isinstance(entity, Department)  # noqa: S101 - narrows the type for mypy
    return entity
