"""An adoption and a deletion, rename or edit of one department, interleaved at every request of either."""

from itertools import count

import pytest

from config import Settings
from domain import REGISTRY, Department, new_id, utc_now
from in_process import Calendar
from interruption import interrupt
from models import DynamoDBDatabase
from services.departments import DepartmentService
from store import rows
from store.dynamo_client import DynamoClient


def service(db: DynamoDBDatabase) -> DepartmentService:
    return Calendar(db).departments


def write_foreign_department(client: DynamoClient, settings: Settings) -> Department:
    """Write a department as another tool does, without a head and without the row of its name."""
    department = Department(id=new_id(), name=f"옛 부서 {new_id()}")
    item = {"id": {"S": department.id}, "name": {"S": department.name}}
    client.call("put_item", TableName=settings.departments_table, Item=item)
    return department


def require_consistent(db: DynamoDBDatabase, client: DynamoClient, settings: Settings) -> None:
    """Require that every head has its department, every name row its owner, every department its name row."""
    db.adopt_departments()
    assert all(map(db.owns_name, db.list_departments()))
    departments = {department.id: department for department in db.list_departments()}
    deleted = [d.department.id for d in db.list_deleted_departments(utc_now(), 1_000)]
    heads = {rows.head_key(i)["department_id"]["S"] for i in [*departments, *deleted, REGISTRY]}
    names = {rows.name_partition(d.name): d.id for d in departments.values()}
    for item in client.iterate("scan", TableName=settings.changes_table, ConsistentRead=True):
        if rows.revision_of(item) == 0:
            partition, owner = rows.partition_of(item), rows.name_owner(item)
            assert names.get(partition) == owner if owner else partition in heads, item


ACTS = {
    "deletion": DepartmentService.delete_department,
    "rename": lambda service, department_id: service.update_department(
        department_id, {"name": f"새 이름 {new_id()}"}
    ),
    "edit": lambda service, department_id: service.update_department(
        department_id, {"description": "새 설명"}
    ),
}


@pytest.mark.parametrize("act", ACTS)
def test_a_department_that_is_deleted_or_edited_during_its_adoption_stays_consistent(
    settings, client, db, other_client, other, act
):
    for step in count(1):
        department = write_foreign_department(other_client, settings)
        requests = interrupt(client, step, lambda i=department.id: ACTS[act](service(other), i))
        db.adopt_departments()
        require_consistent(other, other_client, settings)
        if step > len(requests):
            break
    assert step > 4  # the list, the heads, the head, the name


@pytest.mark.parametrize("act", ACTS)
def test_an_adoption_during_a_deletion_or_edit_leaves_the_department_consistent(
    settings, client, db, other_client, other, act
):
    for step in count(1):
        department = write_foreign_department(other_client, settings)
        requests = interrupt(client, step, other.adopt_departments)
        ACTS[act](service(db), department.id)
        require_consistent(other, other_client, settings)
        if step > len(requests):
            break
    assert step > 4  # the department, its name's row, the head of the list, the commit
