"""One run of the migration: the order of its steps.

The sentences about its results are in `report_lines.py`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from config import Settings
from domain import Department, Event
from errors import SetupError, TableMissing
from migration import report_lines
from migration.bulk_load import DELETED_MEANWHILE, BulkLoad, Difference, IndexWait, Kind
from migration.console import DIFFERENCES_SHOWN, RULE, Console
from migration.department_load import Candidate, DepartmentLoad, DepartmentOutcome
from migration.left_out import LeftOut, RowRefused, write_left_out
from migration.source_files import Row, SourceFile
from migration.source_rows import KnownDepartments, Remarks, RowReader
from migration.staging import Staging
from migration.stored_values import with_stored_values
from models import DynamoDBDatabase, TableResult, holds_embedded_data

ERRORS_FILE = Path("migration_errors.json")
SUPERSEDED_FILE = Path("migration_superseded.json")


@dataclass(frozen=True, slots=True)
class Options:
    """What the operator chose; `zone` is the calendar's time zone, `repair` undoes wrong decoding of text.

    `dry_run` compares the files with the tables and writes nothing; the tables need not exist. `verify_only`
    compares, too, but the tables have to exist. `yes` answers the question before writing to AWS.
    """

    departments: Path
    events: Path
    zone: ZoneInfo
    dry_run: bool = False
    verify_only: bool = False
    workers: int = 4
    repair: bool = True
    yes: bool = False

    @property
    def writes(self) -> bool:
        return not (self.dry_run or self.verify_only)


class Migration:
    """One run of the command with its options."""

    def __init__(
        self, options: Options, settings: Settings, staging: Staging, console: Console, index_wait: IndexWait
    ) -> None:
        """Open both files. Raises `FileUnusable`, a `SetupError`."""
        self._options = options
        self._console = console
        self._departments_file = SourceFile(options.departments)
        self._events_file = SourceFile(options.events)
        self._settings = settings
        self._db = DynamoDBDatabase(settings)
        self._staging = staging
        self._index_wait = index_wait
        self._remarks = Remarks(on_repair=lambda *repair: console.line(report_lines.repair_line(*repair)))
        self._reader = RowReader(self._remarks, options.zone, repair=options.repair)
        self._known = KnownDepartments()
        self._different = 0

    def run(self) -> int:
        """Return the exit status: 0 if all rows are in the tables, 1 if not.

        Raises `SetupError` or `StoreUnavailable` if the run cannot go on.
        """
        say, options = self._console.line, self._options
        if options.writes:
            self._confirm_store()
        say(RULE)
        say("🚀 JSON → DynamoDB 마이그레이션 시작")
        tables = self._prepare_tables()
        stored = self._db.list_departments() if tables else []
        departments = self._read_departments(stored)
        repeated = self._read_events() + departments.repeated
        load = BulkLoad(self._db, self._staging, workers=options.workers, index_wait=self._index_wait)
        if tables:
            for row in load.survey():
                self._staging.refuse_event(row, "같은 id의 이벤트가 다른 부서에 있습니다.")
        if not options.verify_only:
            self._load_departments(departments, tables)
            self._load_events(load)
        if not options.dry_run:
            self._verify(departments, load)
        return self._conclude(repeated)

    def _confirm_store(self) -> None:
        """Ask before writing to AWS if an embedded store holds data. Raises `SetupError` if the answer is no.

        Without a terminal nobody can answer: then only warn, since the settings name AWS.
        """
        settings, say = self._settings, self._console.line
        if settings.dynamodb_endpoint_url or not holds_embedded_data(settings):
            return
        say(f"⚠ 내장 저장소({settings.embedded_data_dir})에 데이터가 있지만, 설정에 따라 AWS로 옮깁니다.")
        if self._options.yes or not self._console.on_terminal:
            return
        if not self._console.ask(f"AWS({settings.aws_region})로 옮길까요?"):
            raise SetupError(
                "아무것도 옮기지 않았습니다.\n"
                "  → 내장 저장소로 옮기려면 backend/.env에 DYNAMODB_ENDPOINT_URL=embedded를 적으세요."
            )

    def _prepare_tables(self) -> bool:
        """Create missing tables if the run writes; return whether the tables exist."""
        if self._options.writes:
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

    def _say_created_table(self, result: str | TableResult) -> None:
        if isinstance(result, TableResult) and result.changed:
            self._console.line(str(result))

    # Reading

    def _read_departments(self, stored: Sequence[Department]) -> DepartmentLoad:
        load = DepartmentLoad(stored)
        names = KnownDepartments()
        for department in stored:
            names.add(department)
        candidates: list[Candidate] = []
        for row in self._rows(self._departments_file, "departments", "events"):
            try:
                source = self._reader.department(row, names)
            except RowRefused as error:
                self._refuse(self._options.departments, row.location, str(error), row.content)
                if isinstance(row.content, dict):
                    self._known.refuse(tuple(str(row.content.get(name)) for name in ("id", "name")))
            else:
                candidates.append(Candidate(row.location, row.content, source))
        for outcome in load.choose(candidates):
            if outcome.kind is Kind.SUPERSEDED:
                location, content = outcome.candidate.location, outcome.candidate.content
                file = self._options.departments.name
                self._staging.leave_out(LeftOut.SUPERSEDED, file, location, outcome.reason, content)
            else:
                self._refuse_department(outcome)
        for candidate in load.wanted:
            self._known.add(candidate.source.entity, candidate.source.references)
        for department in stored:
            self._known.add(department)
        return load

    def _read_events(self) -> int:
        """Stage the events; return how many rows are equal to another."""
        for row in self._rows(self._events_file, "events", "departments"):
            try:
                self._staging.add(self._reader.event(row, self._known), row.location, row.content)
            except RowRefused as error:
                self._refuse(self._options.events, row.location, str(error), row.content)
        return self._staging.keep_newest()

    def _rows(self, file: SourceFile, wrapper: str, other: str) -> Iterable[Row]:
        """Yield the rows of a file; count its other values in the remarks."""
        for found in file.rows(wrapper, other):
            if isinstance(found, Row):
                yield found
            else:
                self._remarks.left_behind[f"{file.path.name} '{found.location}'"] += 1

    # Loading

    def _load_departments(self, load: DepartmentLoad, tables: bool) -> None:
        console, dry_run = self._console, self._options.dry_run
        console.line("📋 부서 데이터 마이그레이션 시작...")
        outcomes = load.compare(self._db if tables else None) if dry_run else load.load(self._db)
        counts = dict.fromkeys(Kind, 0)
        with console.rows(len(load.wanted)):
            for outcome in outcomes:
                counts[outcome.kind] += 1
                if outcome.kind is Kind.REFUSED:
                    self._refuse_department(outcome)
                else:
                    entity = outcome.candidate.source.entity
                    console.row(report_lines.row_line(entity, outcome.kind, dry_run=dry_run))
                    if outcome.reason:
                        console.line(f"  ⚠ {report_lines.name_of(entity)}: {outcome.reason}")
        console.lines(report_lines.loaded_lines("부서", counts, dry_run=dry_run))

    def _load_events(self, load: BulkLoad) -> None:
        console, dry_run = self._console, self._options.dry_run
        console.line("📅 캘린더 이벤트 데이터 마이그레이션 시작...")
        outcomes = load.compare() if dry_run else load.load()
        counts = dict.fromkeys(Kind, 0)
        with console.rows(self._staging.count()):
            for outcome in outcomes:
                counts[outcome.kind] += 1
                if outcome.kind is not Kind.REFUSED:
                    entity = outcome.staged.source.entity
                    console.row(report_lines.row_line(entity, outcome.kind, dry_run=dry_run))
        console.lines(report_lines.loaded_lines("이벤트", counts, dry_run=dry_run))

    # Verification

    def _verify(self, departments: DepartmentLoad, load: BulkLoad) -> None:
        """Compare the tables with the files, row by row; then finish the load unless only verifying."""
        say = self._console.line
        say("🔍 마이그레이션 검증 중...")
        stored = {department.id: department for department in self._db.list_departments()}
        same = 0
        for candidate in departments.wanted:
            source = candidate.source
            found = stored.get(source.entity.id)
            wanted = with_stored_values(source, found) if found else source.entity
            same += self._compare(wanted, found)
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
        return self._compare(with_stored_values(source, found) if found else source.entity, found)

    def _compare(self, wanted: Department | Event, found: Department | Event | None) -> bool:
        """Return whether the stored entity equals that of the file; if not, print what differs."""
        if wanted == found:
            return True
        self._different += 1
        if self._different <= DIFFERENCES_SHOWN:
            self._console.line(report_lines.difference_line(wanted, found))
        return False

    def _look_for_unfinished(self, department_ids: Iterable[str]) -> None:
        if self._db.unfinished_loads(list(department_ids)):
            self._different += 1
            self._console.line("  ✗ 중간에 멈춘 마이그레이션이 있습니다. --verify-only 없이 다시 실행하세요.")

    # Rows that are not migrated

    def _refuse_events_of(self, department_id: str) -> int:
        """Refuse all events of a department that was deleted during the run; return their number."""
        if department_id not in self._staging.departments():
            return 0
        rows = [s.row for chunk in self._staging.chunks(department_id, 1_000) for s in chunk]
        for row in rows:
            self._staging.refuse_event(row, DELETED_MEANWHILE)
        return len(rows)

    def _refuse_department(self, outcome: DepartmentOutcome) -> None:
        candidate = outcome.candidate
        self._console.line(f"  ✗ {report_lines.name_of(candidate.source.entity)}: {outcome.reason}")
        self._refuse(self._options.departments, candidate.location, outcome.reason, candidate.content)
        self._known.refuse(candidate.source.references)

    def _refuse(self, file: Path, location: str, reason: str, content: object) -> None:
        self._staging.leave_out(LeftOut.REFUSED, file.name, location, reason, content)

    def _conclude(self, repeated: int) -> int:
        """Print the remarks, write the files of rows left out, and return the exit status."""
        say, staging = self._console.line, self._staging
        self._console.lines(report_lines.remark_lines(self._remarks, repeated, self._options.zone.key))
        superseded = staging.count_left_out(LeftOut.SUPERSEDED)
        write_left_out(SUPERSEDED_FILE, staging.left_out(LeftOut.SUPERSEDED))
        if superseded:
            say(f"  ⚠ 같은 id의 더 새로운 행이 있어 옮기지 않은 행: {superseded}개 → {SUPERSEDED_FILE}")
        refused = staging.count_left_out(LeftOut.REFUSED)
        write_left_out(ERRORS_FILE, staging.left_out(LeftOut.REFUSED))
        if refused:
            say(f"❌ 옮기지 못한 행: {refused}개 → {ERRORS_FILE}에서 이유를 보고 고친 뒤 다시 실행하세요.")
        say(RULE)
        return 1 if refused or self._different else 0
