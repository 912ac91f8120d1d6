"""Dates with clocks and zones through the command, and rows without ids that have them."""

import pytest

from domain import Event
from migration.source_rows import UNKNOWN_AT, stable_id
from migration_workspace import Workspace, command


def row_without_id(value: object, **fields: object) -> dict[str, object]:
    return {"department_id": 1, "event_date": value, "title": "회의", **fields}


def days_and_times(workspace: Workspace) -> list[tuple[str, str]]:
    return sorted((event.event_date, event.time) for event in workspace.store.events().values())


def stored_by_an_older_version(workspace: Workspace, *days: str) -> list[str]:
    """Store events as they were made of rows without id when only the written day was read; their ids."""
    department_id = stable_id("department", "1")
    moments = {"created_at": UNKNOWN_AT, "last_modified": UNKNOWN_AT}
    ids = []
    for day in days:
        fields = {"description": "", "event_date": day, "time": "", "title": "회의", "url": ""}
        content = repr((department_id, sorted(fields.items()), moments))
        ids.append(stable_id("event-content", content))
        event = Event(id=ids[-1], department_id=department_id, **fields, **moments)
        workspace.store.database().put_events([event])
    return ids


def test_clocks_and_moved_days_are_counted_in_one_line_and_the_zone_can_be_chosen(
    workspace: Workspace,
) -> None:
    rows = [
        {"id": n, **row_without_id(value)}
        for n, value in enumerate(["2024-01-20T14:30:00", "2024-01-19T15:00:00.000Z", "2024-01-20"])
    ]
    workspace.write([{"id": 1, "name": "개발팀"}], rows)
    run = workspace.migrate()
    assert run.status == 0
    told = "  ↻ 날짜에서 읽은 것({}): time에 넣은 시각 {}개, 시간대에 따라 바뀐 날짜 {}개"
    assert told.format("Asia/Seoul", 1, 1) in run.lines
    assert days_and_times(workspace) == [("2024-01-20", ""), ("2024-01-20", ""), ("2024-01-20", "오후 2:30")]
    run = workspace.migrate("--timezone", "Europe/Paris")
    assert told.format("Europe/Paris", 2, 0) in run.lines
    assert "(추가 0, 수정 1, 변경 없음 2)" in run.out
    assert ("2024-01-19", "오후 4:00") in days_and_times(workspace)
    workspace.write([{"id": 1, "name": "개발팀"}], rows[2:])
    assert "날짜에서 읽은 것" not in workspace.migrate().out


@pytest.mark.parametrize("zone", ["Seoul", "Asia", "", "../etc/passwd", "/etc/localtime", "한국", "\0"])
def test_a_time_zone_that_does_not_exist_is_one_sentence(workspace: Workspace, zone: str) -> None:
    workspace.copy("shape_list")
    for mode in ((), ("--export", "out")):
        run = workspace.migrate("--timezone", zone, *mode)
        assert (run.status, run.out) == (2, "")
        assert run.err == f"--timezone {zone}: 없는 시간대입니다. IANA 이름으로 적으세요. 예: Asia/Seoul\n"


def test_the_time_zones_are_there_on_a_machine_that_has_none(workspace: Workspace) -> None:
    workspace.copy("shape_list")
    nothing = str(workspace.folder / "nothing")
    run = command(workspace.folder, workspace.store.environment() | {"PYTHONTZPATH": nothing}, "--dry-run")
    assert (run.communicate(timeout=60)[1], run.returncode) == ("", 0)


MOMENTS = [
    "2024-01-20T10:00",
    "2024-01-20T14:00",
    "2024-01-20T00:00:00Z",
    "2024-01-20T15:00:00Z",
    "2024-01-20",
]


@pytest.mark.parametrize("again", [(), ("--timezone", "UTC"), ("--timezone", "America/New_York")])
def test_rows_without_id_meet_their_own_items_in_any_order_and_zone(
    workspace: Workspace, again: tuple[str, ...]
) -> None:
    departments, rows = [{"id": 1, "name": "개발팀"}], [row_without_id(value) for value in MOMENTS]
    workspace.write(departments, rows)
    workspace.migrate(*again)
    before = workspace.store.everything()
    for order in (rows, rows[::-1]):
        workspace.write(departments, order)
        assert workspace.migrate(*again).status == 0
        assert workspace.store.everything() == before
    assert workspace.migrate("--timezone", "Pacific/Auckland").status == 0
    assert len(workspace.store.events()) == len(MOMENTS)


@pytest.mark.parametrize("filler", [0, 300])
def test_what_an_older_version_stored_of_rows_without_id_is_corrected_and_not_doubled(
    workspace: Workspace, filler: int
) -> None:
    """With few rows each id is looked up; with many the table is scanned."""
    departments = [{"id": 1, "name": "개발팀"}]
    workspace.write(departments, [])
    workspace.migrate()
    former = stored_by_an_older_version(workspace, "2024-01-19", "2024-01-20", "2024-01-21")
    more = [{"id": n, **row_without_id("2025-01-01", title=f"일 {n}")} for n in range(filler)]
    rows = [row_without_id("2024-01-19T15:00:00Z"), row_without_id("2024-01-20T14:30:00"), *more]
    workspace.write(departments, [*rows, row_without_id("2024-01-21")])
    assert workspace.migrate("--verify-only").status == 1
    run = workspace.migrate()
    assert (run.status, run.err) == (0, "")
    assert f"(추가 {filler}, 수정 2, 변경 없음 1)" in run.out
    found = {i: (e.event_date, e.time) for i, e in workspace.store.events().items() if e.title == "회의"}
    assert found == dict(
        zip(former, [("2024-01-20", ""), ("2024-01-20", "오후 2:30"), ("2024-01-21", "")], strict=True)
    )
    before = workspace.store.everything()
    for order in (rows, rows[::-1]):
        workspace.write(departments, [*order, row_without_id("2024-01-21")])
        assert workspace.migrate().status == 0
        assert workspace.store.everything() == before


def test_rows_that_an_older_version_took_for_one_become_as_many_as_they_are(workspace: Workspace) -> None:
    departments = [{"id": 1, "name": "개발팀"}]
    workspace.write(departments, [])
    workspace.migrate()
    (former,) = stored_by_an_older_version(workspace, "2024-01-20")
    clocks = [row_without_id(f"2024-01-20T{clock}") for clock in ("10:00", "14:00", "16:00")]
    workspace.write(departments, clocks)
    assert "(추가 2, 수정 1, 변경 없음 0)" in workspace.migrate().out
    assert workspace.store.events()[former].time == "오전 10:00"
    before = workspace.store.everything()
    workspace.write(departments, clocks[::-1])
    workspace.migrate()
    assert workspace.store.everything() == before


def test_a_row_with_the_day_alone_keeps_the_id_that_rows_with_clocks_had_as_well(
    workspace: Workspace,
) -> None:
    departments = [{"id": 1, "name": "개발팀"}]
    workspace.write(departments, [])
    workspace.migrate()
    (former,) = stored_by_an_older_version(workspace, "2024-01-20")
    workspace.write(departments, [row_without_id("2024-01-20T10:00"), row_without_id("2024-01-20")])
    assert "(추가 1, 수정 0, 변경 없음 1)" in workspace.migrate().out
    assert workspace.store.events()[former].time == ""
    assert days_and_times(workspace) == [("2024-01-20", ""), ("2024-01-20", "오전 10:00")]
