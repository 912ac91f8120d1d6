"""The command from files to tables: shapes, encodings, what is printed, and what is left alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from api_client import event_of
from domain import ChangeType, Department, new_id
from migration_workspace import COMMAND, SAMPLES, Workspace
from store import items

RULE = "=" * 50
SAME = sorted(
    path.name
    for path in SAMPLES.iterdir()
    if path.name.startswith(("shape_", "fields_", "ids_", "dates_", "nulls_", "encoding_", "misdecoded_"))
)


def expected(workspace: Workspace) -> None:
    """The two departments and three events that every well-formed sample describes."""
    departments = workspace.store.departments()
    assert {name: d.description for name, d in departments.items()} == {
        "개발팀": "제품을 만든다",
        "인사팀": "",
    }
    dev, people = departments["개발팀"].id, departments["인사팀"].id
    assert dev == "5d96e800-e7dc-54fa-aed3-241095c1ae5f"
    found = workspace.store.by_title()
    assert {
        (e.department_id, e.event_date, e.title, e.description, e.time, e.url) for e in found.values()
    } == {
        (dev, "2024-01-20", "팀 회의", "분기 실적 검토", "오후 2:00", ""),
        (dev, "2024-02-01", "제품 발표", "", "", "https://example.com/발표"),
        (people, "2024-01-20", "신입 면접", "두 사람", "10시", ""),
    }
    assert found["팀 회의"].id == "08c9825b-0fca-59b9-af8c-2a4fa4c8f3bb"
    assert {event.created_at for event in found.values()} == {"2024-01-15T10:30:00.000Z"}


@pytest.mark.parametrize("sample", SAME)
def test_every_shape_and_encoding_gives_the_same_tables(workspace: Workspace, sample: str) -> None:
    workspace.copy(sample)
    run = workspace.migrate()
    assert (run.status, run.err) == (0, "")
    expected(workspace)
    assert not (workspace.folder / "migration_errors.json").exists()


def test_the_lines_are_those_that_operators_know(workspace: Workspace) -> None:
    workspace.copy("shape_list")
    workspace.store.created()
    lines = [line for line in workspace.migrate().lines if not line.startswith("   (")]
    assert lines == [
        f"저장소: DynamoDB, {workspace.store.url}",
        RULE,
        "🚀 JSON → DynamoDB 마이그레이션 시작",
        "📋 부서 데이터 마이그레이션 시작...",
        "  ✓ 부서 '개발팀' 마이그레이션 완료",
        "  ✓ 부서 '인사팀' 마이그레이션 완료",
        "✅ 부서 데이터 마이그레이션 완료: 2개",
        "📅 캘린더 이벤트 데이터 마이그레이션 시작...",
        "  ✓ 이벤트 '팀 회의' (2024-01-20) 마이그레이션 완료",
        "  ✓ 이벤트 '제품 발표' (2024-02-01) 마이그레이션 완료",
        "  ✓ 이벤트 '신입 면접' (2024-01-20) 마이그레이션 완료",
        "✅ 이벤트 데이터 마이그레이션 완료: 3개",
        "🔍 마이그레이션 검증 중...",
        "  • 부서: 2개",
        "  • 이벤트: 3개",
        "✅ 마이그레이션 검증 완료",
        RULE,
    ]


def test_missing_tables_are_created_and_told_of_once(workspace: Workspace) -> None:
    workspace.copy("shape_list")
    first, second = workspace.migrate(), workspace.migrate()
    assert sum("테이블이 생성되었습니다." in line for line in first.lines) == 3
    assert "테이블" not in second.out


def many(count: int) -> tuple[list[object], list[object]]:
    departments: list[object] = [{"id": 1, "name": "개발팀"}]
    return departments, [
        {"id": n, "department_id": 1, "event_date": "2024-01-20", "title": f"회의 {n}"} for n in range(count)
    ]


def test_above_fifty_rows_single_lines_are_left_out_until_asked_for(workspace: Workspace) -> None:
    workspace.write(*many(51))
    assert "이벤트 '회의" not in workspace.migrate().out
    assert workspace.migrate("-v").out.count("이벤트 '회의") == 51
    workspace.write(*many(50))
    assert workspace.migrate().out.count("이벤트 '회의") == 50


def test_each_repair_is_shown_and_can_be_switched_off(workspace: Workspace) -> None:
    workspace.copy("misdecoded_twice")
    shown = workspace.migrate("--dry-run").out
    assert shown.count("글자 복구") == 11
    assert "→ '팀 회의'" in shown
    refused = workspace.migrate("--no-repair", "--dry-run")
    assert "글자 복구" not in refused.out
    assert refused.status == 1  # what is broken holds control characters, which no field may


def test_unknown_fields_are_listed(workspace: Workspace) -> None:
    workspace.copy("unknown_fields")
    out = workspace.migrate().out
    assert "옮기지 않은 항목: 부서 'color' 2개" in out
    assert "옮기지 않은 항목: 이벤트 'color' 3개" in out
    assert "옮기지 않은 항목: 이벤트 'owner' 3개" in out
    workspace.copy("shape_wrapped")
    assert "calendar_events.json 'exported' 1개" in workspace.migrate().out


def test_uuids_are_kept(workspace: Workspace) -> None:
    workspace.copy("uuids")
    assert workspace.migrate().status == 0
    assert workspace.store.departments()["개발팀"].id == "6f9619ff-8b86-d011-b42d-00c04fc964ff"
    assert workspace.store.by_title()["팀 회의"].id == "0f8fad5b-d9cb-469f-a165-70867728950e"
    assert workspace.store.by_title()["둘째"].id == "7c9e6679-7425-40de-944b-e07fc1f90ae7"


def test_other_files_can_be_named(workspace: Workspace, tmp_path: Path) -> None:
    workspace.copy("shape_list")
    (tmp_path / "departments.json").rename(tmp_path / "a.json")
    (tmp_path / "calendar_events.json").rename(tmp_path / "b.json")
    assert workspace.migrate("--departments", "a.json", "--events", "b.json", "--workers", "1").status == 0
    expected(workspace)


def test_departments_that_are_created_reach_connected_clients_through_the_log(workspace: Workspace) -> None:
    workspace.copy("shape_list")
    workspace.migrate()
    changes = workspace.store.database().changes_after("departments", 0)
    assert [change.type for change in changes] == [ChangeType.DEPARTMENT_CREATED] * 2


# Running again


@pytest.mark.parametrize("sample", ["shape_list", "shape_by_department_and_date", "duplicates", "uuids"])
def test_a_second_run_writes_nothing_at_all(workspace: Workspace, sample: str) -> None:
    workspace.copy(sample)
    workspace.migrate()
    before = workspace.store.everything()
    run = workspace.migrate()
    assert workspace.store.everything() == before
    assert "마이그레이션 완료\n" not in run.out.replace("✅ 마이그레이션 검증 완료\n", "")


def test_another_shape_of_the_same_file_meets_its_own_items(workspace: Workspace) -> None:
    workspace.copy("shape_list")
    workspace.migrate()
    before = workspace.store.everything()
    for sample in SAME:
        workspace.copy(sample)
        assert workspace.migrate().status == 0, sample
        assert workspace.store.everything() == before, sample


def test_a_row_that_changed_is_updated_alone(workspace: Workspace) -> None:
    workspace.copy("shape_list")
    workspace.migrate()
    before = workspace.store.by_title()
    rows = json.loads((workspace.folder / "calendar_events.json").read_text())
    rows[0]["time"] = "오후 3:00"
    (workspace.folder / "calendar_events.json").write_text(json.dumps(rows))
    run = workspace.migrate()
    assert "(추가 0, 수정 1, 변경 없음 2)" in run.out
    after = workspace.store.by_title()
    assert after["팀 회의"].time == "오후 3:00"
    assert after["팀 회의"].revision > before["팀 회의"].revision
    assert after["제품 발표"] == before["제품 발표"]
    assert after["신입 면접"] == before["신입 면접"]


def test_a_row_without_timestamps_leaves_those_that_are_stored(workspace: Workspace) -> None:
    workspace.copy("shape_list")
    workspace.migrate()
    before = workspace.store.everything()
    rows = json.loads((workspace.folder / "calendar_events.json").read_text())
    for row in rows:
        del row["created_at"], row["last_modified"]
    (workspace.folder / "calendar_events.json").write_text(json.dumps(rows))
    assert workspace.migrate().status == 0
    assert workspace.store.everything() == before


def test_departments_are_renamed_and_may_take_each_others_former_names(workspace: Workspace) -> None:
    workspace.write([{"id": 1, "name": "가"}, {"id": 2, "name": "나"}], [])
    workspace.migrate()
    ids = {d.id: d.name for d in workspace.store.departments().values()}
    workspace.write([{"id": 1, "name": "나"}, {"id": 2, "name": "다"}], [])
    assert workspace.migrate().status == 0
    renamed = {"가": "나", "나": "다"}
    assert {d.id: d.name for d in workspace.store.departments().values()} == {
        i: renamed[n] for i, n in ids.items()
    }
    assert all(workspace.store.database().owns_name(d) for d in workspace.store.departments().values())


def test_a_department_that_an_older_tool_wrote_gets_its_head(workspace: Workspace) -> None:
    workspace.store.created()
    department = Department(id=new_id(), name="옛 부서")
    workspace.store.client.put_item(
        TableName=workspace.store.table("DEPARTMENTS"), Item=items.entity_to_item(department)
    )
    workspace.write([], [{"department": "옛 부서", "date": "2024-01-20", "title": "회의"}])
    assert workspace.migrate().status == 0
    assert workspace.store.by_title()["회의"].department_id == department.id
    assert workspace.store.heads()[department.id] is not None


# Looking only


def test_a_dry_run_tells_what_would_be_done_and_creates_nothing(workspace: Workspace) -> None:
    workspace.copy("broken_rows")
    run = workspace.migrate("--dry-run")
    assert "이벤트 '팀 회의' (2024-01-20) 추가 예정" in run.out
    assert run.status == 1
    assert workspace.errors()
    with pytest.raises(Exception, match="테이블"):
        workspace.store.database().check_tables()


def test_a_dry_run_and_verify_only_change_nothing_in_the_tables(workspace: Workspace) -> None:
    workspace.copy("shape_list")
    workspace.migrate()
    before = workspace.store.everything()
    workspace.write(
        [{"id": 1, "name": "새 이름"}, {"id": 9, "name": "새 부서"}],
        [{"department": 1, "date": "2024-1-2", "title": "새 일"}],
    )
    dry, verify = workspace.migrate("--dry-run"), workspace.migrate("--verify-only")
    assert "부서 '새 이름' 수정 예정" in dry.out
    assert "이벤트 '새 일' (2024-01-02) 추가 예정" in dry.out
    assert (dry.status, verify.status) == (0, 1)
    assert workspace.store.everything() == before


def test_verification_names_what_differs_and_what_is_missing(workspace: Workspace) -> None:
    workspace.copy("shape_list")
    workspace.migrate()
    assert workspace.migrate("--verify-only").status == 0
    events = workspace.store.by_title()
    database = workspace.store.database()
    changed = events["팀 회의"]
    assert database.replace_event(
        event_of(changed.public() | {"time": "오후 5:00", "revision": 9}), changed.revision
    )
    gone = events["신입 면접"]
    database.remove_events([gone.key])
    run = workspace.migrate("--verify-only")
    assert run.status == 1
    assert "  ✗ 이벤트 '팀 회의' (2024-01-20): time: 파일 '오후 2:00' ≠ 표 '오후 5:00'" in run.lines
    assert "  ✗ 이벤트 '신입 면접' (2024-01-20): 표에 없습니다." in run.lines
    assert "  • 이벤트: 1개" in run.lines
    assert "❌ 마이그레이션 검증 실패: 2개가 파일과 다릅니다." in run.lines


# Terminals


def test_a_terminal_gets_a_progress_bar_and_no_row_lines(workspace: Workspace) -> None:
    workspace.write(*many(60))
    run = workspace.migrate_on_terminal(piped=True)
    assert run.status == 0
    assert "/60 [" in run.err
    assert "이벤트 '회의" not in run.out


def test_a_terminal_of_another_encoding_still_shows_the_korean_lines(workspace: Workspace) -> None:
    workspace.copy("shape_list")
    run = subprocess.run(
        [sys.executable, COMMAND],
        cwd=workspace.folder,
        env=os.environ | {"PYTHONIOENCODING": "cp949"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, b"")
    assert "이벤트 데이터 마이그레이션 완료: 3개" in run.stdout.decode("cp949")
