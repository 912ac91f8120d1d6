"""`flask calendar import` and `export`, as an operator types them."""

import subprocess
from pathlib import Path

import pytest

from config import Settings
from in_process import Calendar
from models import DynamoDBDatabase
from running import BIN, embedded, run
from schemas import FILE_MAX
from store.local_engine import acquire


@pytest.fixture
def calendar(tmp_path: Path, aws_keys: None) -> Calendar:
    """Return the services on an embedded store in `data` of the test's folder."""
    db = DynamoDBDatabase(Settings(dynamodb_endpoint_url=acquire(tmp_path / "data").url))
    db.create_tables(report=lambda _line: None)
    return Calendar(db)


@pytest.fixture
def department(calendar: Calendar) -> str:
    return calendar.departments.create_department("개발팀").entity.id


def flask(tmp_path: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run([BIN / "flask", "calendar", *arguments], **embedded(tmp_path / "data"))


def calendar_file(path: Path, entries: int, *more: str) -> Path:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//KO"]
    for number in range(entries):
        lines += [
            "BEGIN:VEVENT",
            f"UID:{number}",
            "DTSTART;VALUE=DATE:20260302",
            f"SUMMARY:{number}",
            *more,
            "END:VEVENT",
        ]
    path.write_bytes("\r\n".join([*lines, "END:VCALENDAR", ""]).encode())
    return path


def test_the_program_line_takes_files_that_are_too_large_for_a_request(tmp_path, calendar, department):
    file = calendar_file(tmp_path / "big.ics", 2_100, f"X-MORE:{'x' * 5_000}")
    assert file.stat().st_size > FILE_MAX
    dry = flask(tmp_path, "import", file, "--department", department, "--dry-run")
    assert (dry.returncode, "새로 만듦 2100개" in dry.stdout) == (0, True), dry
    assert calendar.titles(department) == []
    done = flask(tmp_path, "import", file, "--department", department)
    assert done.returncode == 0, done
    assert "✓ '개발팀' 부서에 가져왔습니다: 새로 만듦 2100개, 고침 0개, 그대로 0개, 건너뜀 0개" in done.stdout
    assert len(calendar.titles(department)) == 2_100
    again = flask(tmp_path, "import", file, "--department", department)
    assert "그대로 2100개" in again.stdout


def test_what_is_skipped_is_named_with_its_reason(tmp_path, calendar, department):
    file = calendar_file(tmp_path / "some.ics", 2)
    file.write_bytes(file.read_bytes().replace(b"SUMMARY:1", b"RRULE:FREQ=SECONDLY"))
    done = flask(tmp_path, "import", file, "--department", department)
    assert "건너뜀: 2026-03-02 '(제목 없음)': " in done.stdout, done
    assert calendar.titles(department) == ["0"]


@pytest.mark.parametrize("kind", ["ics", "csv"])
def test_what_is_exported_is_imported_elsewhere(tmp_path, calendar, department, kind):
    calendar.add(department, "주간 회의", "2026-03-02", rrule="FREQ=WEEKLY;COUNT=3", time="오후 2:00")
    other = calendar.departments.create_department("영업팀").entity.id
    file = tmp_path / f"calendar.{kind}"
    file.write_text("before")
    done = flask(tmp_path, "export", file, "--department", department)
    assert (done.returncode, f"'개발팀' 부서를 {file} 파일로" in done.stdout) == (0, True), done
    assert flask(tmp_path, "import", file, "--department", other).returncode == 0
    [event] = calendar.snapshot(other).events.values()
    wanted = ("주간 회의", "FREQ=WEEKLY;COUNT=3", "오후 2:00", "14:00")
    assert (event.title, event.rrule, event.time, event.start_time) == wanted
    assert [path.name for path in tmp_path.glob("calendar*")] == [file.name]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["import", "no-such-file.ics"], "파일을 읽을 수 없습니다"),
        (["import", "calendar.txt"], ".ics나 .csv로 끝나야 합니다"),
        (["export", "no/such/folder.csv"], "파일을 쓸 수 없습니다"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(tmp_path, department, arguments, said):
    done = flask(tmp_path, *arguments, "--department", department)
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_department_is_a_sentence(tmp_path, calendar):
    file = calendar_file(tmp_path / "some.ics", 1)
    done = flask(tmp_path, "import", file, "--department", "00000000-0000-4000-8000-000000000000")
    assert (done.returncode, "부서를 찾을 수 없습니다" in done.stderr) == (1, True), done
