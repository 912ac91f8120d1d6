"""`python migrate_to_dynamodb.py`: the desktop program's JSON files into the tables, and back.

The order of a run and what the operator is told; reading is in `legacy_*.py`, writing in
`department_load.py` and `bulk_load.py`. Exit status: 0 all rows are there, 1 some are not, 2 the run could
not go on.
"""

import argparse
import io
import logging
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from zoneinfo import ZoneInfo

from config import Settings
from domain import Department, Event
from errors import SetupError, StoreUnavailable, TableMissing
from migration.bulk_load import DELETED_MEANWHILE, BulkLoad, Difference, Kind
from migration.department_load import Candidate, DepartmentLoad
from migration.department_load import Outcome as DepartmentOutcome
from migration.export import export_tables
from migration.report import DIFFERENCES_SHOWN, RULE, Report, say_problem, write_rows
from migration.source_files import LegacyFile, Row
from migration.source_rows import Departments, Remarks, RowReader, RowRefused, with_stored_moments
from migration.staging import LeftOut, Staging
from models import DynamoDBDatabase, describe_store
from store import local_engine

log = logging.getLogger(__name__)

DEPARTMENTS_FILE = "departments.json"
EVENTS_FILE = "calendar_events.json"
ERRORS_FILE = Path("migration_errors.json")
SUPERSEDED_FILE = Path("migration_superseded.json")
TIMEZONE = "Asia/Seoul"
INTERRUPTED = 130


class Migration:
    """One run."""

    def __init__(
        self,
        options: argparse.Namespace,
        settings: Settings,
        zone: ZoneInfo,
        staging: Staging,
        report: Report,
    ) -> None:
        self._options = options
        self._report = report
        self._departments_file = LegacyFile(options.departments)
        self._events_file = LegacyFile(options.events)
        self._settings = settings
        self._db = DynamoDBDatabase(settings)
        self._staging = staging
        self._remarks = Remarks(on_repair=self._say_repair)
        self._zone = zone
        self._reader = RowReader(self._remarks, zone, mend=options.repair)
        self._known = Departments()
        self._different = 0

    def run(self) -> int:
        """Return the exit status. Raises `SetupError`, `StoreUnavailable`."""
        say, options = self._report.line, self._options
        if not (options.dry_run or options.verify_only):
            self._confirm_store()
        say(RULE)
        say("🚀 JSON → DynamoDB 마이그레이션 시작")
        tables = self._prepare_tables()
        stored = self._db.list_departments() if tables else []
        departments = self._read_departments(stored)
        repeated = self._read_events() + departments.repeated
        load = BulkLoad(self._db, self._staging, workers=options.workers)
        if tables:
            for row in load.survey():
                self._staging.refuse_event(row, "같은 id의 이벤트가 다른 부서에 있습니다.")
        if not options.verify_only:
            self._load_departments(departments)
            self._load_events(load)
        if not options.dry_run:
            self._verify(departments, load)
        return self._conclude(repeated)

    def _confirm_store(self) -> None:
        """Before writing to AWS: make sure it is meant where `make run` was used. Raises `SetupError`.

        Only a terminal is asked, since nobody answers a script, and its settings say AWS.
        """
        settings, say = self._settings, self._report.line
        if settings.dynamodb_endpoint_url or not local_engine.is_used(settings.embedded_data_dir):
            return
        say(f"⚠ 내장 저장소({settings.embedded_data_dir})에 데이터가 있지만, 설정에 따라 AWS로 옮깁니다.")
        if self._options.yes or not self._report.on_terminal:
            return
        if not self._report.ask(f"AWS({settings.aws_region})로 옮길까요?"):
            raise SetupError(
                "아무것도 옮기지 않았습니다.\n"
                "  → 내장 저장소로 옮기려면 backend/.env에 DYNAMODB_ENDPOINT_URL=embedded를 적으세요."
            )

    def _prepare_tables(self) -> bool:
        """Create missing tables where that is wanted; tell whether there are any."""
        if not (self._options.dry_run or self._options.verify_only):
            self._db.create_tables(report=self._say_created_table)
            self._db.adopt_departments()
            return True
        try:
            self._db.check_tables()
        except TableMissing:
            if self._options.dry_run:
                return False
            raise
        return True

    # Reading

    def _read_departments(self, stored: Sequence[Department]) -> DepartmentLoad:
        load = DepartmentLoad(stored)
        names = Departments()
        for department in stored:
            names.add(department)
        candidates: list[Candidate] = []
        for row in self._departments_file.rows("departments", "events"):
            if not isinstance(row, Row):
                self._remarks.left_behind[f"{self._options.departments.name} '{row.place}'"] += 1
                continue
            try:
                source = self._reader.department(row, names)
            except RowRefused as error:
                self._refuse(self._options.departments, row.place, str(error), row.content)
                if isinstance(row.content, dict):
                    self._known.refuse(tuple(str(row.content.get(name)) for name in ("id", "name")))
            else:
                candidates.append(Candidate(row.place, row.content, source))
        for outcome in load.settle(candidates):
            if outcome.kind is Kind.SUPERSEDED:
                place, content = outcome.candidate.place, outcome.candidate.content
                file = self._options.departments.name
                self._staging.leave_out(LeftOut.SUPERSEDED, file, place, outcome.reason, content)
            else:
                self._refuse_department(outcome)
        for candidate in load.wanted:
            self._known.add(candidate.source.entity, candidate.source.references)
        for department in stored:
            self._known.add(department)
        return load

    def _read_events(self) -> int:
        """Stage the events; return how many rows repeat another."""
        for row in self._events_file.rows("events", "departments"):
            if not isinstance(row, Row):
                self._remarks.left_behind[f"{self._options.events.name} '{row.place}'"] += 1
                continue
            try:
                self._staging.add(self._reader.event(row, self._known), row.place, row.content)
            except RowRefused as error:
                self._refuse(self._options.events, row.place, str(error), row.content)
        return self._staging.settle()

    # Loading

    def _load_departments(self, load: DepartmentLoad) -> None:
        report = self._report
        report.line("📋 부서 데이터 마이그레이션 시작...")
        outcomes = load.compare() if self._options.dry_run else load.load(self._db)
        counts = dict.fromkeys(Kind, 0)
        with report.rows(len(load.wanted)):
            for outcome in outcomes:
                counts[outcome.kind] += 1
                if outcome.kind is Kind.REFUSED:
                    self._refuse_department(outcome)
                else:
                    report.row(self._row_line(f"부서 '{outcome.candidate.source.entity.name}'", outcome.kind))
        self._say_done("부서", counts)

    def _load_events(self, load: BulkLoad) -> None:
        report = self._report
        report.line("📅 캘린더 이벤트 데이터 마이그레이션 시작...")
        outcomes = load.compare() if self._options.dry_run else load.load()
        counts = dict.fromkeys(Kind, 0)
        with report.rows(self._staging.count()):
            for outcome in outcomes:
                counts[outcome.kind] += 1
                event = outcome.staged.source.entity
                if outcome.kind is not Kind.REFUSED:
                    report.row(self._row_line(f"이벤트 '{event.title}' ({event.event_date})", outcome.kind))
        self._say_done("이벤트", counts)

    # Verification

    def _verify(self, departments: DepartmentLoad, load: BulkLoad) -> None:
        """Compare the tables with the files, row by row, and let servers see what was loaded."""
        say = self._report.line
        say("🔍 마이그레이션 검증 중...")
        stored = {department.id: department for department in self._db.list_departments()}
        same = 0
        for candidate in departments.wanted:
            source = candidate.source
            found = stored.get(source.entity.id)
            wanted = with_stored_moments(source, found) if found else source.entity
            same += self._compare(f"부서 '{source.entity.name}'", wanted, found)
        same_events = 0
        for difference in load.verify():
            same_events += 1 if difference is None else self._compare_event(difference)
        if self._options.verify_only:
            self._look_for_unfinished(stored)
        else:
            for department_id in load.finish():
                same_events -= self._refuse_events_of(department_id)
        say(f"  • 부서: {same}개")
        say(f"  • 이벤트: {same_events}개")
        if self._different:
            say(f"❌ 마이그레이션 검증 실패: {self._different}개가 파일과 다릅니다.")
        else:
            say("✅ 마이그레이션 검증 완료")

    def _compare_event(self, difference: Difference) -> bool:
        source, found = difference.staged.source, difference.stored
        wanted = with_stored_moments(source, found) if found else source.entity
        return self._compare(f"이벤트 '{wanted.title}' ({wanted.event_date})", wanted, found)

    def _compare(self, name: str, wanted: Department | Event, found: Department | Event | None) -> bool:
        """Tell whether what is stored is what the file says, and name what differs."""
        if wanted == found:
            return True
        self._different += 1
        if self._different <= DIFFERENCES_SHOWN:
            parts = [
                f"{item.name}: 파일 '{getattr(wanted, item.name)}' ≠ 표 '{getattr(found, item.name)}'"
                for item in fields(wanted)
                if found and getattr(wanted, item.name) != getattr(found, item.name)
            ]
            self._report.line(f"  ✗ {name}: {', '.join(parts) or '표에 없습니다.'}")
        return False

    def _look_for_unfinished(self, department_ids: Iterable[str]) -> None:
        if self._db.unfinished_loads(list(department_ids)):
            self._different += 1
            self._report.line("  ✗ 중간에 멈춘 마이그레이션이 있습니다. --verify-only 없이 다시 실행하세요.")

    def _refuse_events_of(self, department_id: str) -> int:
        if department_id not in self._staging.departments():
            return 0
        rows = [s.row for chunk in self._staging.chunks(department_id, 1_000) for s in chunk]
        for row in rows:
            self._staging.refuse_event(row, DELETED_MEANWHILE)
        return len(rows)

    # What the operator reads

    def _conclude(self, repeated: int) -> int:
        say, remarks = self._report.line, self._remarks
        for name, count in remarks.left_behind.items():
            say(f"  ⚠ 옮기지 않은 항목: {name} {count}개")
        if remarks.repairs:
            say(f"  ↻ 글자를 복구한 값: {remarks.repairs}개")
        if repeated:
            say(f"  ⚠ 똑같이 되풀이된 행: {repeated}개 (한 번만 옮깁니다)")
        if remarks.clashing_clocks:
            say(f"  ⚠ time에 다른 내용이 있어 쓰지 않은 시각: {remarks.clashing_clocks}개")
        if remarks.clocks or remarks.moved_days:
            say(
                f"  ↻ 날짜에서 읽은 것({self._zone.key}): time에 넣은 시각 {remarks.clocks}개, "
                f"시간대에 따라 바뀐 날짜 {remarks.moved_days}개"
            )
        superseded = self._staging.count_left_out(LeftOut.SUPERSEDED)
        write_rows(SUPERSEDED_FILE, self._staging.left_out(LeftOut.SUPERSEDED))
        if superseded:
            say(f"  ⚠ 같은 id의 더 새로운 행이 있어 옮기지 않은 행: {superseded}개 → {SUPERSEDED_FILE}")
        refused = self._staging.count_left_out(LeftOut.REFUSED)
        write_rows(ERRORS_FILE, self._staging.left_out(LeftOut.REFUSED))
        if refused:
            say(f"❌ 옮기지 못한 행: {refused}개 → {ERRORS_FILE}에서 이유를 보고 고친 뒤 다시 실행하세요.")
        say(RULE)
        return 1 if refused or self._different else 0

    def _row_line(self, name: str, kind: Kind) -> str:
        if kind is Kind.EQUAL:
            return f"  - {name} 변경 없음"
        if self._options.dry_run:
            return f"  + {name} {'추가' if kind is Kind.CREATED else '수정'} 예정"
        return f"  ✓ {name} 마이그레이션 완료"

    def _say_done(self, name: str, counts: dict[Kind, int]) -> None:
        there = counts[Kind.CREATED] + counts[Kind.UPDATED] + counts[Kind.EQUAL]
        done = "마이그레이션 예정" if self._options.dry_run else "데이터 마이그레이션 완료"
        self._report.line(f"✅ {name} {done}: {there}개")
        self._report.line(
            f"   (추가 {counts[Kind.CREATED]}, 수정 {counts[Kind.UPDATED]}, 변경 없음 {counts[Kind.EQUAL]})"
        )

    def _say_created_table(self, text: str) -> None:
        if "생성되었습니다" in text or "추가됨" in text:
            self._report.line(text)

    def _say_repair(self, place: str, before: str, after: str) -> None:
        self._report.line(f"  ↻ 글자 복구 {place}: '{before}' → '{after}'")

    def _refuse_department(self, outcome: DepartmentOutcome) -> None:
        candidate = outcome.candidate
        self._report.line(f"  ✗ 부서 '{candidate.source.entity.name}': {outcome.reason}")
        self._refuse(self._options.departments, candidate.place, outcome.reason, candidate.content)
        self._known.refuse(candidate.source.references)

    def _refuse(self, file: Path, place: str, reason: str, content: object) -> None:
        self._staging.leave_out(LeftOut.REFUSED, file.name, place, reason, content)


def _export(directory: Path, settings: Settings, zone: ZoneInfo, report: Report) -> int:
    db = DynamoDBDatabase(settings)
    db.check_tables()
    departments, events, orphans = export_tables(db, directory, DEPARTMENTS_FILE, EVENTS_FILE, zone)
    report.line(f"✅ 내보내기 완료: 부서 {departments}개, 이벤트 {events}개 → {directory}")
    if orphans:
        report.line(f"  ⚠ 삭제된 부서에 남아 있던 이벤트 {orphans}개는 내보내지 않았습니다.")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="migrate_to_dynamodb.py",
        description="데스크톱 프로그램의 JSON 파일을 DynamoDB 테이블로 옮깁니다. "
        "다시 실행하면 끊긴 일을 마무리하고, 그 뒤에 고치거나 지운 것을 파일의 내용으로 되돌립니다.",
        epilog="종료 상태: 0 모두 옮김, 1 옮기지 못했거나 다른 행이 있음, 2 실행할 수 없음(이유가 출력됨).",
    )
    add = parser.add_argument
    add("--departments", type=Path, default=Path(DEPARTMENTS_FILE), metavar="FILE", help="부서 파일")
    add("--events", type=Path, default=Path(EVENTS_FILE), metavar="FILE", help="이벤트 파일")
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--dry-run", action="store_true", help="무엇이 바뀔지 보기만 하고 표에 쓰지 않습니다")
    modes.add_argument("--verify-only", action="store_true", help="표의 내용을 파일과 비교만 합니다")
    modes.add_argument("--export", type=Path, metavar="DIR", help="표의 내용을 같은 두 파일로 내보냅니다")
    add("--workers", type=_workers, default=4, metavar="N", help="동시에 쓰는 작업 수 (기본 4)")
    add("--no-repair", dest="repair", action="store_false", help="깨진 글자를 복구하지 않습니다")
    add(
        "--timezone",
        default=TIMEZONE,
        metavar="ZONE",
        help=f"캘린더의 시간대, IANA 이름 (기본 {TIMEZONE}). Z나 +09:00이 붙은 날짜를 이 시간대로 읽습니다",
    )
    add("--yes", action="store_true", help="AWS로 옮길지 묻지 않습니다")
    add("-v", "--verbose", action="store_true", help="50행이 넘어도 한 행씩 알립니다")
    return parser.parse_args(arguments)


def _workers(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError("1에서 64 사이의 정수여야 합니다")
    return int(text)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise SetupError(
            f"--timezone {name}: 없는 시간대입니다. IANA 이름으로 적으세요. 예: Asia/Seoul"
        ) from error


def _run(options: argparse.Namespace, report: Report) -> int:
    settings, zone = Settings.from_env(), _zone(options.timezone)
    report.line(f"저장소: {describe_store(settings)}")
    if options.export:
        return _export(options.export, settings, zone, report)
    with closing(Staging(options.events.name)) as staging:
        return Migration(options, settings, zone, staging, report).run()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    options = _options(arguments)
    report = Report(verbose=options.verbose)
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    try:
        return _run(options, report)
    except SetupError as error:
        say_problem(str(error))
    except StoreUnavailable as error:
        say_problem(f"{error}\n  → 연결을 확인하고 같은 명령을 다시 실행하세요. 멈춘 곳부터 이어집니다.")
    except KeyboardInterrupt:
        say_problem("중단했습니다. 같은 명령을 다시 실행하면 이어집니다.")
        return INTERRUPTED
    except Exception:
        log.exception("마이그레이션 중 예상하지 못한 오류")
        say_problem("예상하지 못한 오류로 멈췄습니다(위 기록 참고). 같은 명령을 다시 실행하면 이어집니다.")
    return 2


if __name__ == "__main__":
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a CP949 terminal has no emoji
    sys.exit(main())
