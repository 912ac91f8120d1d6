"""Rows that cannot be migrated, or that repeat others: what is reported of them, and where."""

import json

from domain import Event, new_id
from migration_workspace import Workspace

DEPARTMENTS, EVENTS = "departments.json", "calendar_events.json"


def test_broken_rows_are_written_down_and_the_rest_is_migrated(workspace: Workspace) -> None:
    workspace.copy("broken_rows")
    run = workspace.migrate()
    assert run.status == 1
    assert set(workspace.store.by_title()) == {"팀 회의", "제품 발표", "신입 면접"}
    assert set(workspace.store.departments()) == {"개발팀", "개 발팀", "인사팀"}
    errors = workspace.errors()
    assert f"❌ 옮기지 못한 행: {len(errors)}개 → migration_errors.json" in run.out
    source = json.loads((workspace.folder / "calendar_events.json").read_text())
    written = {e["place"]: e for e in errors if e["file"] == "calendar_events.json"}
    assert set(written) == {f"[{index}]" for index in range(3, len(source))}
    for index in range(3, len(source)):
        assert written[f"[{index}]"]["content"] == source[index]
    reasons = [written[f"[{index}]"]["reason"] for index in range(3, 11)]
    words = ["title", "2024-02-30", "부서 '99'", "부서가 적혀", "event_date", "200자", "url", "부서 '5'의 행"]
    assert [word in reason for word, reason in zip(words, reasons, strict=True)] == [True] * 8
    departments = {e["place"]: e["reason"] for e in errors if e["file"] == "departments.json"}
    assert set(departments) == {"[2]", "[4]", "[5]", "[6]"}
    assert "같은 이름" in departments["[4]"]


def test_mended_rows_end_the_list_of_errors(workspace: Workspace) -> None:
    workspace.copy("broken_rows")
    workspace.migrate()
    workspace.copy("shape_list")
    assert workspace.migrate().status == 0
    assert not (workspace.folder / "migration_errors.json").exists()


def test_of_rows_with_one_id_the_last_changed_stays_and_the_others_are_kept_in_a_file(
    workspace: Workspace,
) -> None:
    workspace.copy("duplicates")
    run = workspace.migrate()
    assert (run.status, run.err) == (0, "")
    assert set(workspace.store.by_title()) == {"팀 회의", "제품 발표", "신입 면접", "번호 없는 행"}
    assert "똑같이 되풀이된 행: 3개" in run.out
    assert "같은 id의 더 새로운 행이 있어 옮기지 않은 행: 2개 → migration_superseded.json" in run.out
    assert "옮기지 못한 행" not in run.out
    assert not (workspace.folder / "migration_errors.json").exists()
    department, event = workspace.superseded()
    source = {name: json.loads((workspace.folder / name).read_text()) for name in (DEPARTMENTS, EVENTS)}
    assert (department["file"], department["place"]) == (DEPARTMENTS, "[3]")
    assert (event["file"], event["place"]) == (EVENTS, "[0]")
    assert department["content"] == source[DEPARTMENTS][3]
    assert event["content"] == source[EVENTS][0]
    assert "[1]" in event["reason"]
    workspace.copy("shape_list")
    workspace.migrate()
    assert not (workspace.folder / "migration_superseded.json").exists()


def test_a_row_that_is_refused_is_shown_as_it_is_in_the_file(workspace: Workspace) -> None:
    workspace.store.created()
    workspace.write([{"id": 1, "name": "개발팀"}, {"id": 2, "name": "인사팀"}], [])
    workspace.migrate()
    elsewhere = workspace.store.departments()["인사팀"].id
    taken = Event(id=new_id(), department_id=elsewhere, event_date="2024-01-20", title="회의")
    workspace.store.database().put_events([taken])
    garbled = "회의".encode().decode("latin-1")
    row = {
        "ID": taken.id.upper(),
        "dept": None,
        "date": "2024-01-20T05:30:00Z",
        "Title": garbled,
        "색": [1.5],
    }
    workspace.write("[]", {"events": {"개발팀": [{"title": "앞", "date": "2024-01-20"}, row]}})
    assert workspace.migrate().status == 1
    (error,) = workspace.errors()
    assert (error["file"], error["place"]) == (EVENTS, "events.개발팀[1]")
    assert "다른 부서" in error["reason"]
    assert error["content"] == row


def test_an_id_that_another_department_has_is_refused_not_doubled(workspace: Workspace) -> None:
    event_id = new_id()
    departments = [{"id": 1, "name": "개발팀"}, {"id": 2, "name": "인사팀"}]
    row = {"id": event_id, "department_id": 1, "event_date": "2024-01-20", "title": "회의"}
    workspace.write(departments, [row])
    assert workspace.migrate().status == 0
    workspace.write(departments, [row | {"department_id": 2}])
    assert workspace.migrate().status == 1
    assert "다른 부서" in workspace.errors()[0]["reason"]
    assert [e.department_id for e in workspace.store.events().values()] == [
        workspace.store.departments()["개발팀"].id
    ]


def test_a_name_that_a_department_of_the_tables_has_is_refused(workspace: Workspace) -> None:
    workspace.write([{"id": 1, "name": "개발팀"}], [])
    workspace.migrate()
    workspace.write(
        [{"id": 2, "name": " 개발팀 "}], [{"department_id": 2, "date": "2024-01-20", "title": "회의"}]
    )
    assert workspace.migrate().status == 1
    assert ["같은 이름" in error["reason"] for error in workspace.errors()] == [True, False]
    assert workspace.store.events() == {}
