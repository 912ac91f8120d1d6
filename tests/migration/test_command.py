"""The command from files to tables: shapes, encodings, what is said, what is refused, what is left alone."""

import contextlib
import json
import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from domain import ChangeType, Department, Event, new_id
from migration.source_rows import UNKNOWN_AT, stable_id
from migration.staging import Staging
from migration_store import COMMAND, SAMPLES, Desk, command
from store import items

RULE = "=" * 50
DEPARTMENTS, EVENTS = "departments.json", "calendar_events.json"
SAME = sorted(
    path.name
    for path in SAMPLES.iterdir()
    if path.name.startswith(("shape_", "fields_", "ids_", "dates_", "nulls_", "encoding_", "misdecoded_"))
)


def expected(desk: Desk) -> None:
    """The two departments and three events that every well-formed sample describes."""
    departments = desk.store.departments()
    assert {name: d.description for name, d in departments.items()} == {
        "개발팀": "제품을 만든다",
        "인사팀": "",
    }
    dev, people = departments["개발팀"].id, departments["인사팀"].id
    assert dev == "5d96e800-e7dc-54fa-aed3-241095c1ae5f"
    found = desk.store.by_title()
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
def test_every_shape_and_encoding_gives_the_same_tables(desk: Desk, sample: str) -> None:
    desk.copy(sample)
    run = desk.migrate()
    assert (run.status, run.err) == (0, "")
    expected(desk)
    assert not (desk.place / "migration_errors.json").exists()


def test_the_lines_are_those_that_operators_know(desk: Desk) -> None:
    desk.copy("shape_list")
    desk.store.created()
    lines = [line for line in desk.migrate().lines if not line.startswith("   (")]
    assert lines == [
        f"저장소: DynamoDB, {desk.store.url}",
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


def test_missing_tables_are_created_and_told_of_once(desk: Desk) -> None:
    desk.copy("shape_list")
    first, second = desk.migrate(), desk.migrate()
    assert sum("테이블이 생성되었습니다." in line for line in first.lines) == 3
    assert "테이블" not in second.out


def many(count: int) -> tuple[list[object], list[object]]:
    departments: list[object] = [{"id": 1, "name": "개발팀"}]
    return departments, [
        {"id": n, "department_id": 1, "event_date": "2024-01-20", "title": f"회의 {n}"} for n in range(count)
    ]


def test_above_fifty_rows_single_lines_are_left_out_until_asked_for(desk: Desk) -> None:
    desk.write(*many(51))
    assert "이벤트 '회의" not in desk.migrate().out
    assert desk.migrate("-v").out.count("이벤트 '회의") == 51
    desk.write(*many(50))
    assert desk.migrate().out.count("이벤트 '회의") == 50


def test_each_repair_is_shown_and_can_be_switched_off(desk: Desk) -> None:
    desk.copy("misdecoded_twice")
    shown = desk.migrate("--dry-run").out
    assert shown.count("글자 복구") == 11
    assert "→ '팀 회의'" in shown
    refused = desk.migrate("--no-repair", "--dry-run")
    assert "글자 복구" not in refused.out
    assert refused.status == 1  # what is broken holds control characters, which no field may


def test_unknown_fields_are_listed(desk: Desk) -> None:
    desk.copy("unknown_fields")
    out = desk.migrate().out
    assert "옮기지 않은 항목: 부서 'color' 2개" in out
    assert "옮기지 않은 항목: 이벤트 'color' 3개" in out
    assert "옮기지 않은 항목: 이벤트 'owner' 3개" in out
    desk.copy("shape_wrapped")
    assert "calendar_events.json 'exported' 1개" in desk.migrate().out


def test_uuids_are_kept(desk: Desk) -> None:
    desk.copy("uuids")
    assert desk.migrate().status == 0
    assert desk.store.departments()["개발팀"].id == "6f9619ff-8b86-d011-b42d-00c04fc964ff"
    assert desk.store.by_title()["팀 회의"].id == "0f8fad5b-d9cb-469f-a165-70867728950e"
    assert desk.store.by_title()["둘째"].id == "7c9e6679-7425-40de-944b-e07fc1f90ae7"


# Rows that cannot be migrated


def test_broken_rows_are_written_down_and_the_rest_is_migrated(desk: Desk) -> None:
    desk.copy("broken_rows")
    run = desk.migrate()
    assert run.status == 1
    assert set(desk.store.by_title()) == {"팀 회의", "제품 발표", "신입 면접"}
    assert set(desk.store.departments()) == {"개발팀", "개 발팀", "인사팀"}
    errors = desk.errors()
    assert f"❌ 옮기지 못한 행: {len(errors)}개 → migration_errors.json" in run.out
    source = json.loads((desk.place / "calendar_events.json").read_text())
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


def test_mended_rows_end_the_list_of_errors(desk: Desk) -> None:
    desk.copy("broken_rows")
    desk.migrate()
    desk.copy("shape_list")
    assert desk.migrate().status == 0
    assert not (desk.place / "migration_errors.json").exists()


def test_of_rows_with_one_id_the_last_changed_stays_and_the_others_are_kept_in_a_file(desk: Desk) -> None:
    desk.copy("duplicates")
    run = desk.migrate()
    assert (run.status, run.err) == (0, "")
    assert set(desk.store.by_title()) == {"팀 회의", "제품 발표", "신입 면접", "번호 없는 행"}
    assert "똑같이 되풀이된 행: 3개" in run.out
    assert "같은 id의 더 새로운 행이 있어 옮기지 않은 행: 2개 → migration_superseded.json" in run.out
    assert "옮기지 못한 행" not in run.out
    assert not (desk.place / "migration_errors.json").exists()
    department, event = desk.superseded()
    source = {name: json.loads((desk.place / name).read_text()) for name in (DEPARTMENTS, EVENTS)}
    assert (department["file"], department["place"]) == (DEPARTMENTS, "[3]")
    assert (event["file"], event["place"]) == (EVENTS, "[0]")
    assert department["content"] == source[DEPARTMENTS][3]
    assert event["content"] == source[EVENTS][0]
    assert "[1]" in event["reason"]
    desk.copy("shape_list")
    desk.migrate()
    assert not (desk.place / "migration_superseded.json").exists()


def test_a_row_that_is_refused_is_shown_as_it_is_in_the_file(desk: Desk) -> None:
    desk.store.created()
    desk.write([{"id": 1, "name": "개발팀"}, {"id": 2, "name": "인사팀"}], [])
    desk.migrate()
    elsewhere = desk.store.departments()["인사팀"].id
    taken = Event(id=new_id(), department_id=elsewhere, event_date="2024-01-20", title="회의")
    desk.store.database().put_events([taken])
    garbled = "회의".encode().decode("latin-1")
    row = {
        "ID": taken.id.upper(),
        "dept": None,
        "date": "2024-01-20T05:30:00Z",
        "Title": garbled,
        "색": [1.5],
    }
    desk.write("[]", {"events": {"개발팀": [{"title": "앞", "date": "2024-01-20"}, row]}})
    assert desk.migrate().status == 1
    (error,) = desk.errors()
    assert (error["file"], error["place"]) == (EVENTS, "events.개발팀[1]")
    assert "다른 부서" in error["reason"]
    assert error["content"] == row


def test_an_id_that_another_department_has_is_refused_not_doubled(desk: Desk) -> None:
    event_id = new_id()
    departments = [{"id": 1, "name": "개발팀"}, {"id": 2, "name": "인사팀"}]
    row = {"id": event_id, "department_id": 1, "event_date": "2024-01-20", "title": "회의"}
    desk.write(departments, [row])
    assert desk.migrate().status == 0
    desk.write(departments, [row | {"department_id": 2}])
    assert desk.migrate().status == 1
    assert "다른 부서" in desk.errors()[0]["reason"]
    assert [e.department_id for e in desk.store.events().values()] == [desk.store.departments()["개발팀"].id]


def test_a_name_that_a_department_of_the_tables_has_is_refused(desk: Desk) -> None:
    desk.write([{"id": 1, "name": "개발팀"}], [])
    desk.migrate()
    desk.write([{"id": 2, "name": " 개발팀 "}], [{"department_id": 2, "date": "2024-01-20", "title": "회의"}])
    assert desk.migrate().status == 1
    assert ["같은 이름" in error["reason"] for error in desk.errors()] == [True, False]
    assert desk.store.events() == {}


# Running again


@pytest.mark.parametrize("sample", ["shape_list", "shape_by_department_and_date", "duplicates", "uuids"])
def test_a_second_run_writes_nothing_at_all(desk: Desk, sample: str) -> None:
    desk.copy(sample)
    desk.migrate()
    before = desk.store.everything()
    run = desk.migrate()
    assert desk.store.everything() == before
    assert "마이그레이션 완료\n" not in run.out.replace("✅ 마이그레이션 검증 완료\n", "")


def test_another_shape_of_the_same_file_meets_its_own_items(desk: Desk) -> None:
    desk.copy("shape_list")
    desk.migrate()
    before = desk.store.everything()
    for sample in SAME:
        desk.copy(sample)
        assert desk.migrate().status == 0, sample
        assert desk.store.everything() == before, sample


def test_a_row_that_changed_is_updated_alone(desk: Desk) -> None:
    desk.copy("shape_list")
    desk.migrate()
    before = desk.store.by_title()
    rows = json.loads((desk.place / "calendar_events.json").read_text())
    rows[0]["time"] = "오후 3:00"
    (desk.place / "calendar_events.json").write_text(json.dumps(rows))
    run = desk.migrate()
    assert "(추가 0, 수정 1, 변경 없음 2)" in run.out
    after = desk.store.by_title()
    assert after["팀 회의"].time == "오후 3:00"
    assert after["팀 회의"].revision > before["팀 회의"].revision
    assert after["제품 발표"] == before["제품 발표"]
    assert after["신입 면접"] == before["신입 면접"]


def test_a_row_without_timestamps_leaves_those_that_are_stored(desk: Desk) -> None:
    desk.copy("shape_list")
    desk.migrate()
    before = desk.store.everything()
    rows = json.loads((desk.place / "calendar_events.json").read_text())
    for row in rows:
        del row["created_at"], row["last_modified"]
    (desk.place / "calendar_events.json").write_text(json.dumps(rows))
    assert desk.migrate().status == 0
    assert desk.store.everything() == before


def test_departments_are_renamed_and_may_take_each_others_former_names(desk: Desk) -> None:
    desk.write([{"id": 1, "name": "가"}, {"id": 2, "name": "나"}], [])
    desk.migrate()
    ids = {d.id: d.name for d in desk.store.departments().values()}
    desk.write([{"id": 1, "name": "나"}, {"id": 2, "name": "다"}], [])
    assert desk.migrate().status == 0
    renamed = {"가": "나", "나": "다"}
    assert {d.id: d.name for d in desk.store.departments().values()} == {
        i: renamed[n] for i, n in ids.items()
    }
    assert all(desk.store.database().owns_name(d) for d in desk.store.departments().values())


def test_a_department_that_an_older_tool_wrote_gets_its_head(desk: Desk) -> None:
    database = desk.store.created()
    department = Department(id=new_id(), name="옛 부서")
    database._client.call(
        "put_item", TableName=database._tables.departments, Item=items.department_to_item(department)
    )
    desk.write([], [{"department": "옛 부서", "date": "2024-01-20", "title": "회의"}])
    assert desk.migrate().status == 0
    assert desk.store.by_title()["회의"].department_id == department.id
    assert desk.store.heads()[department.id] is not None


# Dates with clocks and zones


def row_without_id(value: object, **fields: object) -> dict[str, object]:
    return {"department_id": 1, "event_date": value, "title": "회의", **fields}


def days_and_times(desk: Desk) -> list[tuple[str, str]]:
    return sorted((event.event_date, event.time) for event in desk.store.events().values())


def stored_by_an_older_version(desk: Desk, *days: str) -> list[str]:
    """Store events as they were made of rows without id when only the written day was read; their ids."""
    department_id = stable_id("department", "1")
    moments = {"created_at": UNKNOWN_AT, "last_modified": UNKNOWN_AT}
    ids = []
    for day in days:
        fields = {"description": "", "event_date": day, "time": "", "title": "회의", "url": ""}
        content = repr((department_id, sorted(fields.items()), moments))
        ids.append(stable_id("event-content", content))
        event = Event(id=ids[-1], department_id=department_id, **fields, **moments)
        desk.store.database().put_events([event])
    return ids


def test_clocks_and_moved_days_are_counted_in_one_line_and_the_zone_can_be_chosen(desk: Desk) -> None:
    rows = [
        {"id": n, **row_without_id(value)}
        for n, value in enumerate(["2024-01-20T14:30:00", "2024-01-19T15:00:00.000Z", "2024-01-20"])
    ]
    desk.write([{"id": 1, "name": "개발팀"}], rows)
    run = desk.migrate()
    assert run.status == 0
    told = "  ↻ 날짜에서 읽은 것({}): time에 넣은 시각 {}개, 시간대에 따라 바뀐 날짜 {}개"
    assert told.format("Asia/Seoul", 1, 1) in run.lines
    assert days_and_times(desk) == [("2024-01-20", ""), ("2024-01-20", ""), ("2024-01-20", "오후 2:30")]
    run = desk.migrate("--timezone", "Europe/Paris")
    assert told.format("Europe/Paris", 2, 0) in run.lines
    assert "(추가 0, 수정 1, 변경 없음 2)" in run.out
    assert ("2024-01-19", "오후 4:00") in days_and_times(desk)
    desk.write([{"id": 1, "name": "개발팀"}], rows[2:])
    assert "날짜에서 읽은 것" not in desk.migrate().out


@pytest.mark.parametrize("zone", ["Seoul", "Asia", "", "../etc/passwd", "/etc/localtime", "한국", "\0"])
def test_a_time_zone_that_does_not_exist_is_one_sentence(desk: Desk, zone: str) -> None:
    desk.copy("shape_list")
    for mode in ((), ("--export", "out")):
        run = desk.migrate("--timezone", zone, *mode)
        assert (run.status, run.out) == (2, "")
        assert run.err == f"--timezone {zone}: 없는 시간대입니다. IANA 이름으로 적으세요. 예: Asia/Seoul\n"


def test_the_time_zones_are_there_on_a_machine_that_has_none(desk: Desk) -> None:
    desk.copy("shape_list")
    nothing = str(desk.place / "nothing")
    run = command(desk.place, desk.store.environment() | {"PYTHONTZPATH": nothing}, "--dry-run")
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
    desk: Desk, again: tuple[str, ...]
) -> None:
    departments, rows = [{"id": 1, "name": "개발팀"}], [row_without_id(value) for value in MOMENTS]
    desk.write(departments, rows)
    desk.migrate(*again)
    before = desk.store.everything()
    for order in (rows, rows[::-1]):
        desk.write(departments, order)
        assert desk.migrate(*again).status == 0
        assert desk.store.everything() == before
    assert desk.migrate("--timezone", "Pacific/Auckland").status == 0
    assert len(desk.store.events()) == len(MOMENTS)


@pytest.mark.parametrize("filler", [0, 300])
def test_what_an_older_version_stored_of_rows_without_id_is_corrected_and_not_doubled(
    desk: Desk, filler: int
) -> None:
    """With few rows each id is looked up; with many the table is scanned."""
    departments = [{"id": 1, "name": "개발팀"}]
    desk.write(departments, [])
    desk.migrate()
    former = stored_by_an_older_version(desk, "2024-01-19", "2024-01-20", "2024-01-21")
    more = [{"id": n, **row_without_id("2025-01-01", title=f"일 {n}")} for n in range(filler)]
    rows = [row_without_id("2024-01-19T15:00:00Z"), row_without_id("2024-01-20T14:30:00"), *more]
    desk.write(departments, [*rows, row_without_id("2024-01-21")])
    assert desk.migrate("--verify-only").status == 1
    run = desk.migrate()
    assert (run.status, run.err) == (0, "")
    assert f"(추가 {filler}, 수정 2, 변경 없음 1)" in run.out
    found = {i: (e.event_date, e.time) for i, e in desk.store.events().items() if e.title == "회의"}
    assert found == dict(
        zip(former, [("2024-01-20", ""), ("2024-01-20", "오후 2:30"), ("2024-01-21", "")], strict=True)
    )
    before = desk.store.everything()
    for order in (rows, rows[::-1]):
        desk.write(departments, [*order, row_without_id("2024-01-21")])
        assert desk.migrate().status == 0
        assert desk.store.everything() == before


def test_rows_that_an_older_version_took_for_one_become_as_many_as_they_are(desk: Desk) -> None:
    departments = [{"id": 1, "name": "개발팀"}]
    desk.write(departments, [])
    desk.migrate()
    (former,) = stored_by_an_older_version(desk, "2024-01-20")
    clocks = [row_without_id(f"2024-01-20T{clock}") for clock in ("10:00", "14:00", "16:00")]
    desk.write(departments, clocks)
    assert "(추가 2, 수정 1, 변경 없음 0)" in desk.migrate().out
    assert desk.store.events()[former].time == "오전 10:00"
    before = desk.store.everything()
    desk.write(departments, clocks[::-1])
    desk.migrate()
    assert desk.store.everything() == before


def test_a_row_with_the_day_alone_keeps_the_id_that_rows_with_clocks_had_as_well(desk: Desk) -> None:
    departments = [{"id": 1, "name": "개발팀"}]
    desk.write(departments, [])
    desk.migrate()
    (former,) = stored_by_an_older_version(desk, "2024-01-20")
    desk.write(departments, [row_without_id("2024-01-20T10:00"), row_without_id("2024-01-20")])
    assert "(추가 1, 수정 0, 변경 없음 1)" in desk.migrate().out
    assert desk.store.events()[former].time == ""
    assert days_and_times(desk) == [("2024-01-20", ""), ("2024-01-20", "오전 10:00")]


# Looking only


def test_a_dry_run_tells_what_would_be_done_and_creates_nothing(desk: Desk) -> None:
    desk.copy("broken_rows")
    run = desk.migrate("--dry-run")
    assert "이벤트 '팀 회의' (2024-01-20) 추가 예정" in run.out
    assert run.status == 1
    assert desk.errors()
    with pytest.raises(Exception, match="테이블"):
        desk.store.database().check_tables()


def test_a_dry_run_and_verify_only_change_nothing_in_the_tables(desk: Desk) -> None:
    desk.copy("shape_list")
    desk.migrate()
    before = desk.store.everything()
    desk.write(
        [{"id": 1, "name": "새 이름"}, {"id": 9, "name": "새 부서"}],
        [{"department": 1, "date": "2024-1-2", "title": "새 일"}],
    )
    dry, verify = desk.migrate("--dry-run"), desk.migrate("--verify-only")
    assert "부서 '새 이름' 수정 예정" in dry.out
    assert "이벤트 '새 일' (2024-01-02) 추가 예정" in dry.out
    assert (dry.status, verify.status) == (0, 1)
    assert desk.store.everything() == before


def test_verification_names_what_differs_and_what_is_missing(desk: Desk) -> None:
    desk.copy("shape_list")
    desk.migrate()
    assert desk.migrate("--verify-only").status == 0
    events = desk.store.by_title()
    database = desk.store.database()
    changed = events["팀 회의"]
    assert database.replace_event(
        Event(**(changed.public() | {"time": "오후 5:00", "revision": 9})), changed.revision
    )
    gone = events["신입 면접"]
    database.remove_events([gone.key])
    run = desk.migrate("--verify-only")
    assert run.status == 1
    assert "  ✗ 이벤트 '팀 회의' (2024-01-20): time: 파일 '오후 2:00' ≠ 표 '오후 5:00'" in run.lines
    assert "  ✗ 이벤트 '신입 면접' (2024-01-20): 표에 없습니다." in run.lines
    assert "  • 이벤트: 1개" in run.lines
    assert "❌ 마이그레이션 검증 실패: 2개가 파일과 다릅니다." in run.lines


# The way back


@pytest.mark.parametrize(
    "sample", ["shape_list", "dates_of_all_kinds", "unknown_fields", "uuids", "duplicates"]
)
def test_an_export_migrates_into_empty_tables_to_the_same_export(
    desk: Desk, sample: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.copy(sample)
    desk.migrate()
    assert desk.migrate("--export", "first").status == 0
    monkeypatch.chdir(desk.place / "first")
    for kind in ("DEPARTMENTS", "EVENTS", "CHANGES"):
        monkeypatch.setenv(f"{kind}_TABLE", new_id())
    assert desk.migrate().status == 0
    assert desk.migrate("--export", "../second").status == 0
    for name in ("departments.json", "calendar_events.json"):
        first = (desk.place / "first" / name).read_bytes()
        assert first == (desk.place / "second" / name).read_bytes()
        assert json.loads(first)
        assert b'"revision"' not in first


def test_an_export_of_empty_tables_can_be_migrated_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.store.created()
    assert desk.migrate("--export", "out").status == 0
    monkeypatch.chdir(desk.place / "out")
    assert desk.migrate().status == 0


def test_what_an_older_tool_wrote_is_exported_as_it_would_be_migrated(desk: Desk) -> None:
    database = desk.store.created()
    desk.write([{"id": 1, "name": "개발팀"}], [])
    desk.migrate()
    dev = desk.store.departments()["개발팀"].id
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
    run = desk.migrate("--export", "out")
    assert "이벤트 1개는 내보내지 않았습니다" in run.out
    rows = {r["event_date"]: r for r in json.loads((desk.place / "out/calendar_events.json").read_text())}
    assert rows["2024-01-02"]["title"] == "옛 일"
    assert rows["2024-01-02"]["created_at"] == "2023-01-01T09:00:00.000Z"
    assert rows["2024-01-03"]["title"] == "긴" * 201
    assert len(rows) == 2


# What the operator has to mend


def test_a_missing_file_is_named_and_nothing_is_touched(desk: Desk) -> None:
    run = desk.migrate()
    assert run.status == 2
    assert "파일 'departments.json'이(가) 없습니다." in run.err
    assert "--departments" in run.err
    desk.copy("shape_list")
    assert "'none.json'이(가) 없습니다" in desk.migrate("--events", "none.json").err
    with pytest.raises(Exception, match="테이블"):
        desk.store.database().check_tables()


def test_other_files_can_be_named(desk: Desk, tmp_path: Path) -> None:
    desk.copy("shape_list")
    (tmp_path / "departments.json").rename(tmp_path / "a.json")
    (tmp_path / "calendar_events.json").rename(tmp_path / "b.json")
    assert desk.migrate("--departments", "a.json", "--events", "b.json", "--workers", "1").status == 0
    expected(desk)


def test_broken_json_is_placed_and_nothing_is_written(desk: Desk) -> None:
    desk.copy("shape_list")
    text = (desk.place / "calendar_events.json").read_text()
    (desk.place / "calendar_events.json").write_text(text.replace('"신입 면접"', "신입 면접"))
    run = desk.migrate()
    assert run.status == 2
    line = next(n for n, content in enumerate(text.splitlines(), 1) if "신입 면접" in content)
    column = text.splitlines()[line - 1].index('"신입') + 1
    assert f"'calendar_events.json'의 {line}행 {column}열" in run.err
    assert desk.store.departments() == {}


@pytest.mark.parametrize("arguments", [("--verify-only",), ("--export", "out")])
def test_missing_tables_are_named_with_what_creates_them(desk: Desk, arguments: tuple[str, ...]) -> None:
    desk.copy("shape_list")
    run = desk.migrate(*arguments)
    assert run.status == 2
    assert "'가 없습니다." in run.err
    assert "create_tables()" in run.err


def test_missing_credentials_are_said_plainly(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.copy("shape_list")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    for variable in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(variable, "none")
    run = desk.migrate()
    assert run.status == 2
    assert "✗ DynamoDB 연결 실패: 자격증명 오류" in run.err


def test_a_place_that_cannot_be_written_is_named(desk: Desk) -> None:
    desk.copy("broken_rows")
    desk.store.created()
    (desk.place / "file").write_text("")
    run = desk.migrate("--export", "file/out")
    assert run.status == 2
    assert "쓸 수 없습니다" in run.err
    (desk.place / "migration_errors.json").mkdir()
    run = desk.migrate()
    assert run.status == 2
    assert "migration_errors.json" in run.err


def test_a_wrong_number_of_workers_is_refused(desk: Desk) -> None:
    for text in ("0", "-1", "65", "many"):
        with pytest.raises(SystemExit) as left:
            desk.migrate("--workers", text)
        assert left.value.code == 2


def test_departments_that_are_created_reach_connected_clients_through_the_log(desk: Desk) -> None:
    desk.copy("shape_list")
    desk.migrate()
    changes = desk.store.database().changes_after("departments", 0)
    assert [change.type for change in changes] == [ChangeType.DEPARTMENT_CREATED] * 2


# Terminals


def test_a_terminal_gets_a_progress_bar_and_no_row_lines(desk: Desk) -> None:
    desk.write(*many(60))
    screen, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    run = subprocess.Popen(
        [sys.executable, COMMAND],
        cwd=desk.place,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=terminal,
        text=True,
    )
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # the terminal closes with the process
        while part := os.read(screen, 1_000):
            shown += part
    os.close(screen)
    out, _ = run.communicate(timeout=60)
    assert run.returncode == 0
    assert "/60 [" in shown.decode()
    assert "이벤트 '회의" not in out


def test_a_terminal_of_another_encoding_still_shows_the_korean_lines(desk: Desk) -> None:
    desk.copy("shape_list")
    run = subprocess.run(
        [sys.executable, COMMAND],
        cwd=desk.place,
        env=os.environ | {"PYTHONIOENCODING": "cp949"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, b"")
    assert "이벤트 데이터 마이그레이션 완료: 3개" in run.stdout.decode("cp949")


def test_an_unexpected_failure_is_no_bare_traceback(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_staging: Staging, _event_file: str = "") -> None:
        raise RuntimeError("a mistake of ours")

    desk.copy("shape_list")
    monkeypatch.setattr(Staging, "__init__", fail)
    run = desk.migrate()
    assert run.status == 2
    assert "a mistake of ours" in caplog.text
    assert run.err.splitlines()[-1].startswith("예상하지 못한 오류로 멈췄습니다")


def test_a_setting_that_cannot_be_right_is_named(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.copy("shape_list")
    monkeypatch.setenv("AWS_REGION", "no region")
    run = desk.migrate()
    assert (run.status, run.out) == (2, "")
    assert run.err.startswith("AWS_REGION=no region 값을 쓸 수 없습니다.")
