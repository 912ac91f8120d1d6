"""A migration into the id of a department that was deleted and can still be restored."""

import pytest

from errors import DepartmentNotFound
from in_process import Calendar
from migration.department_load import MADE_ANEW, WOULD_BE_MADE_ANEW
from migration_workspace import Workspace


@pytest.fixture
def calendar(workspace: Workspace) -> Calendar:
    return Calendar(workspace.store.created())


@pytest.fixture
def deleted(workspace: Workspace, calendar: Calendar) -> str:
    """Delete a department that has an event, and write files in which the department has another one."""
    department = calendar.departments.create_department("개발팀").entity.id
    calendar.add(department, "지우기 전")
    calendar.departments.delete_department(department)
    rows = [{"id": 1, "department_id": department, "event_date": "2024-01-20", "title": "파일의 것"}]
    workspace.write([{"id": department, "name": "개발팀"}], rows)
    return department


def test_it_is_made_anew_from_the_file_alone(workspace: Workspace, calendar: Calendar, deleted: str) -> None:
    run = workspace.migrate()
    assert run.status == 0
    assert f"  ⚠ 부서 '개발팀': {MADE_ANEW}" in run.lines
    assert calendar.titles(deleted) == ["파일의 것"]
    calendar.departments.delete_department(deleted)
    calendar.departments.restore_department(deleted)
    assert Calendar(calendar.db).titles(deleted) == ["파일의 것"]


def test_a_dry_run_says_so_and_leaves_it_restorable(
    workspace: Workspace, calendar: Calendar, deleted: str
) -> None:
    assert f"  ⚠ 부서 '개발팀': {WOULD_BE_MADE_ANEW}" in workspace.migrate("--dry-run").lines
    with pytest.raises(DepartmentNotFound):
        calendar.reading(deleted)
    calendar.departments.restore_department(deleted)
    assert calendar.titles(deleted) == ["지우기 전"]


def test_it_stays_restorable_when_another_department_has_its_name(
    workspace: Workspace, calendar: Calendar, deleted: str
) -> None:
    calendar.departments.create_department("개발팀")
    run = workspace.migrate()
    assert run.status == 1
    assert not any(MADE_ANEW in line for line in run.lines)
    calendar.departments.restore_department(deleted, "옛 개발팀")
    assert calendar.titles(deleted) == ["지우기 전"]
