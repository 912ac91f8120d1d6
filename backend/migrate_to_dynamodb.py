"""`python migrate_to_dynamodb.py`: moves the desktop program's JSON files into the tables, and back.

Parses the arguments and returns the exit status: 0 if all rows are in the tables, 1 if some are not, 2 if
the run stopped at an error, 130 after Ctrl-C. The run itself is in `migration/`.
"""

import argparse
import io
import logging
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

from config import Settings
from errors import SetupError, StoreUnavailable
from migration.bulk_load import INDEX_WAIT, IndexWait
from migration.console import Console, say_problem
from migration.export import export_tables
from migration.run import Migration, Options
from migration.staging import Staging
from models import DynamoDBDatabase, describe_store

log = logging.getLogger(__name__)

DEPARTMENTS_FILE = "departments.json"
EVENTS_FILE = "calendar_events.json"
TIMEZONE = "Asia/Seoul"
INTERRUPTED = 130


def _export(directory: Path, settings: Settings, zone: ZoneInfo, console: Console) -> int:
    db = DynamoDBDatabase(settings)
    db.check_tables()
    departments, events, orphans = export_tables(db, directory, DEPARTMENTS_FILE, EVENTS_FILE, zone)
    console.line(f"✅ 내보내기 완료: 부서 {departments}개, 이벤트 {events}개 → {directory}")
    if orphans:
        console.line(f"  ⚠ 삭제된 부서에 남아 있던 이벤트 {orphans}개는 내보내지 않았습니다.")
    return 0


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
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


def _run(parsed: argparse.Namespace, console: Console, index_wait: IndexWait) -> int:
    settings, zone = Settings.from_env(), _zone(parsed.timezone)
    console.line(f"저장소: {describe_store(settings)}")
    if parsed.export:
        return _export(parsed.export, settings, zone, console)
    options = Options(
        departments=parsed.departments,
        events=parsed.events,
        zone=zone,
        dry_run=parsed.dry_run,
        verify_only=parsed.verify_only,
        workers=parsed.workers,
        repair=parsed.repair,
        yes=parsed.yes,
    )
    with closing(Staging(options.events.name)) as staging:
        return Migration(options, settings, staging, console, index_wait).run()


def main(arguments: Sequence[str] | None = None, *, index_wait: IndexWait = INDEX_WAIT) -> int:
    """Run the command and return its exit status; without `arguments` those of the process."""
    parsed = _parsed(arguments)
    console = Console(verbose=parsed.verbose)
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    try:
        return _run(parsed, console, index_wait)
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
