"""Departments that are restored in spite of other tools, of one another, and of migrations."""

import pytest

from config import Settings
from domain import Department, new_id
from in_process import Calendar
from store.dynamo_client import DynamoClient


@pytest.fixture
def calendar(db) -> Calendar:
    return Calendar(db)


def put_department(client: DynamoClient, settings: Settings, name: str, department_id: str = "") -> str:
    """Put a department as another tool does, without a head; return its id."""
    department = Department(id=department_id or new_id(), name=name)
    item = {"id": {"S": department.id}, "name": {"S": department.name}}
    client.call("put_item", TableName=settings.departments_table, Item=item)
    return department.id


def test_a_department_that_was_deleted_before_its_adoption_can_be_written_after_its_restoration(
    settings, client, calendar
):
    department = put_department(client, settings, "다른 도구의 부서")
    calendar.departments.delete_department(department)
    calendar.departments.restore_department(department)
    assert calendar.add(department).revision == 1
