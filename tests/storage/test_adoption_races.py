"""Adoption beside a deletion or a rename, interleaved at every request of either."""

from collections.abc import Callable
from itertools import count

import pytest

from domain import REGISTRY, Department, new_id
from in_process import Calendar
from models import DynamoDBDatabase
from services.departments import DepartmentService
from store import items
from store.dynamo_client import DynamoClient


@pytest.fixture
def other(settings, db) -> DynamoDBDatabase:
    """The same tables, through a client of their own."""
    return DynamoDBDatabase(settings, DynamoClient(settings))


def service(db: DynamoDBDatabase) -> DepartmentService:
    return Calendar(db).departments


def stranger(db: DynamoDBDatabase) -> Department:
    """Write a department as another tool does: neither head nor name's row."""
    department = Department(id=new_id(), name=f"옛 부서 {new_id()}")
    item = {"id": {"S": department.id}, "name": {"S": department.name}}
    db._client.call("put_item", TableName=db._tables.names.departments, Item=item)
    return department


def before_request(db: DynamoDBDatabase, number: int, intruder: Callable[[], object]) -> list[str]:
    """Call `intruder` right before the client's request of that number; return the list of its requests."""
    call, requests = DynamoClient.call, []

    def interposed(operation, **parameters):
        requests.append(operation)
        if len(requests) == number:
            intruder()
        return call(db._client, operation, **parameters)

    db._client.call = interposed
    return requests


def require_nothing_left_over(db: DynamoDBDatabase) -> None:
    """Fail for a head without a department, for the row of a name that its owner does not have, and for a
    department without the row of its name.
    """
    db.adopt_departments()
    assert all(map(db.owns_name, db.list_departments()))
    departments = {department.id: department for department in db.list_departments()}
    heads = {items.head_key(i)["department_id"]["S"] for i in [*departments, REGISTRY]}
    names = {items.name_partition(d.name): d.id for d in departments.values()}
    for item in db._client.iterate("scan", TableName=db._tables.names.changes, ConsistentRead=True):
        if items.revision_of(item) == 0:
            partition, owner = items.partition_of(item), items.name_owner(item)
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
def test_a_department_that_goes_or_is_renamed_while_it_is_adopted_leaves_nothing_behind(db, other, act):
    for step in count(1):
        department = stranger(other)
        requests = before_request(db, step, lambda i=department.id: ACTS[act](service(other), i))
        db.adopt_departments()
        require_nothing_left_over(other)
        if step > len(requests):
            break
    assert step > 4  # the list, the heads, the head, the name


@pytest.mark.parametrize("act", ACTS)
def test_an_adoption_while_a_department_goes_or_is_renamed_leaves_nothing_behind(db, other, act):
    for step in count(1):
        department = stranger(other)
        requests = before_request(db, step, other.adopt_departments)
        ACTS[act](service(db), department.id)
        require_nothing_left_over(other)
        if step > len(requests):
            break
    assert step > 4  # the department, its name's row, the head of the list, the commit
