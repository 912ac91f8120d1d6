"""The export of the tables, and its migration into others."""

import json

import pytest

from domain import Event, new_id
from migration_workspace import Workspace


@pytest.mark.parametrize(
    "sample", ["shape_list", "dates_of_all_kinds", "unknown_fields", "uuids", "duplicates"]
)
def test_an_export_migrates_into_empty_tables_to_the_same_export(
    workspace: Workspace, sample: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.copy(sample)
    workspace.migrate()
    assert workspace.migrate("--export", "first").status == 0
    monkeypatch.chdir(workspace.folder / "first")
    for kind in ("DEPARTMENTS", "EVENTS", "CHANGES"):
        monkeypatch.setenv(f"{kind}_TABLE", new_id())
    assert workspace.migrate().status == 0
    assert workspace.migrate("--export", "../second").status == 0
    for name in ("departments.json", "calendar_events.json"):
        first = (workspace.folder / "first" / name).read_bytes()
        assert first == (workspace.folder / "second" / name).read_bytes()
        assert json.loads(first)
        assert b'"revision"' not in first


def test_an_export_of_empty_tables_can_be_migrated_too(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.store.created()
    assert workspace.migrate("--export", "out").status == 0
    monkeypatch.chdir(workspace.folder / "out")
    assert workspace.migrate().status == 0


def test_what_an_older_tool_wrote_is_exported_as_it_would_be_migrated(workspace: Workspace) -> None:
    database = workspace.store.created()
    workspace.write([{"id": 1, "name": "개발팀"}], [])
    workspace.migrate()
    dev = workspace.store.departments()["개발팀"].id
    database.put_events(
        [
            Event(
                id=new_id(),
                department_id=dev,
                event_date="2024/1/2",
                title=" 옛 일 ",
                created_at="2023-01-01 09:00",
            ),
            Event(id=new_id(), department_id=dev, event_date="2024-01-03", title="긴" * 201),
            Event(id=new_id(), department_id=new_id(), event_date="2024-01-04", title="남은 일"),
        ]
    )
    run = workspace.migrate("--export", "out")
    assert "이벤트 1개는 내보내지 않았습니다" in run.out
    rows = {
        r["event_date"]: r for r in json.loads((workspace.folder / "out/calendar_events.json").read_text())
    }
    assert rows["2024-01-02"]["title"] == "옛 일"
    assert rows["2024-01-02"]["created_at"] == "2023-01-01T09:00:00.000Z"
    assert rows["2024-01-03"]["title"] == "긴" * 201
    assert len(rows) == 2
