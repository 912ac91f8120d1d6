"""Use cases of departments: list, get, create, update, delete, restore."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from domain import (
    DEFAULT_TIMEZONE,
    REGISTRY,
    Change,
    ChangeType,
    Created,
    DeletedDepartment,
    Department,
    Receipt,
    Write,
    new_id,
    timestamp,
    utc_now,
)
from errors import (
    DepartmentNameTaken,
    DepartmentNotDeleted,
    DepartmentNotFound,
    IdempotencyKeyReused,
)
from models import DynamoDBDatabase, Refusal
from services.group_commit import GroupCommit, WriteRefused


@dataclass(frozen=True, slots=True)
class DeletedPage:
    """A part of the departments that can be restored, and the number with which the next page begins."""

    departments: list[DeletedDepartment]
    next_number: int | None


class DepartmentService:
    """The departments of one store."""

    def __init__(self, db: DynamoDBDatabase, group_commit: GroupCommit) -> None:
        self._db = db
        self._group_commit = group_commit

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
        self,
        name: str,
        description: str = "",
        key: str | None = None,
        *,
        timezone: str = DEFAULT_TIMEZONE,
        color: str = "",
    ) -> Created[Department]:
        """Create a department; a repetition under the same key returns the first one instead.

        Raises `DepartmentNameTaken` (names are compared after NFC, case and space folding), and
        `IdempotencyKeyReused` when the key came with other fields before.
        """
        now = timestamp(utc_now())
        fields: dict[str, Any] = {"name": name, "description": description}
        fields |= {"timezone": timezone, "color": color}
        department = Department(id=new_id(), **fields, created_at=now, updated_at=now)
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
        """Delete a department. It is gone for all readers at once, and can be restored for 30 days.

        Raises `DepartmentNotFound`.
        """
        self._edit(department_id, ChangeType.DEPARTMENT_DELETED, lambda before: before)

    def page_deleted_departments(self, limit: int, begin: int | None = None) -> DeletedPage:
        """Return `limit` departments at most that can be restored, the last deleted first.

        `begin` is the number with which the page begins.
        """
        found = self._db.list_deleted_departments(utc_now(), limit + 1, begin)
        return DeletedPage(found[:limit], found[limit].number if len(found) > limit else None)

    def restore_department(self, department_id: str, name: str = "") -> Department:
        """Restore a deleted department with its events, under another name if one is given.

        Raises `DepartmentNotFound` when there is none or its 30 days are over, `DepartmentNotDeleted` when it
        is there, `DepartmentNameTaken`.
        """

        def prepare() -> tuple[str, Write]:
            deleted = self._db.find_deleted_department(department_id, utc_now())
            if deleted is None or self._db.find_department(department_id):
                self.get_department(department_id)
                raise DepartmentNotDeleted()
            now = timestamp(utc_now())
            department = replace(deleted.department, name=name or deleted.department.name, updated_at=now)
            return REGISTRY, Write(
                type=ChangeType.DEPARTMENT_CREATED,
                entity=department,
                restores=deleted,
                at=now,
            )

        return _committed(lambda: self._group_commit.edit(department_id, prepare))

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
