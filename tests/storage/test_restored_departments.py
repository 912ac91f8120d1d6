"""Departments that are restored in spite of other tools, of one another, and of migrations."""

import pytest

from config import Settings
from domain import Department, new_id
from errors import DepartmentNotDeleted, EntityTooLarge
from interruption import interrupt
from migration.bulk_load import Kind
from migration.department_load import Candidate, DepartmentLoad
from migration.source_rows import SourceDepartment
from store.dynamo_client import DynamoClient
from store.items import entity_to_item


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


def test_a_department_whose_id_another_tool_has_taken_is_not_restored_over_it(settings, client, calendar):
    department = calendar.departments.create_department("지운 부서")
    calendar.departments.delete_department(department.entity.id)
    put_department(client, settings, "다른 도구의 부서", department.entity.id)
    with pytest.raises(DepartmentNotDeleted):
        calendar.departments.restore_department(department.entity.id)
    assert calendar.departments.get_department(department.entity.id).name == "다른 도구의 부서"


def test_a_name_with_which_a_department_is_too_large_ends_its_restoration(settings, client, calendar):
    department = put_department(client, settings, "큰 부서")
    client.call(
        "update_item",
        TableName=settings.departments_table,
        Key={"id": {"S": department}},
        UpdateExpression="SET newer = :text",
        ExpressionAttributeValues={":text": {"S": "x" * 380_000}},
    )
    calendar.departments.delete_department(department)
    with pytest.raises(EntityTooLarge):
        calendar.departments.restore_department(department, "긴 이름" * 3_000)
    assert calendar.departments.restore_department(department).name == "큰 부서"


def test_a_migration_that_cannot_make_a_deleted_department_anew_leaves_it_to_be_restored(calendar):
    department = calendar.departments.create_department("부서").entity
    event = calendar.add(department.id)
    calendar.departments.delete_department(department.id)
    load = DepartmentLoad(calendar.db.list_departments())
    assert not list(load.choose([Candidate("[0]", {}, SourceDepartment(department, (), frozenset()))]))
    calendar.departments.create_department("부서")
    assert [outcome.kind for outcome in load.load(calendar.db)] == [Kind.REFUSED]
    calendar.departments.restore_department(department.id, "다른 이름")
    assert calendar.events.get_event(department.id, event.id) == event


def test_an_edit_costs_the_same_however_many_deleted_departments_had_the_id(client, calendar):
    event_id = new_id()
    costs = []
    for _ in range(4):
        department = calendar.departments.create_department("부서").entity.id
        fields = {"id": event_id, "title": "회의", "event_date": "2024-01-20"}
        calendar.events.create_event(department, fields)
        requests = interrupt(client, 0, lambda: None)
        assert calendar.events.update_event(event_id, {"title": "새 제목"}).department_id == department
        costs.append(len(requests))
        del client.call
        calendar.departments.delete_department(department)
    assert costs[1] == costs[3]


def test_an_edit_of_what_another_tool_has_filled_is_refused_as_too_large(settings, client, calendar):
    department = calendar.departments.create_department("부서").entity.id
    event = calendar.add(department)
    filled = {"newer": {"S": "x" * 395_000}}
    client.call("put_item", TableName=settings.events_table, Item=entity_to_item(event) | filled)
    with pytest.raises(EntityTooLarge):
        calendar.events.update_event(event.id, {"description": "가" * 9_000})
    assert calendar.titles(department) == [event.title]
