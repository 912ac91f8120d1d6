"""`flask calendar import` and `export`: files of any number of entries, from a terminal."""

from collections import Counter
from pathlib import Path

import click
from flask.cli import AppGroup

from commands import errors_as_sentences
from domain import EventFilter
from files.reading import CSV, ICALENDAR, read_file
from schemas import parse_id
from services.core import Core
from services.import_plans import Verdict

MEDIA = {".ics": ICALENDAR, ".csv": CSV}
VERDICTS = {
    Verdict.CREATED: "새로 만듦",
    Verdict.UPDATED: "고침",
    Verdict.EQUAL: "그대로",
    Verdict.SKIPPED: "건너뜀",
}

_file = click.Path(path_type=Path, dir_okay=False)
_department = click.option("--department", "department_id", required=True, metavar="ID", help="부서의 ID")


def calendar_commands(core: Core) -> AppGroup:
    """Build the group of commands on one store."""
    group = AppGroup("calendar", help="일정을 .ics, .csv 파일에서 가져오고 파일로 내보냅니다.")

    @group.command("import", help="파일의 일정을 부서로 가져옵니다. 다시 실행해도 더 늘지 않습니다.")
    @click.argument("path", metavar="파일", type=_file)
    @_department
    @click.option("--dry-run", is_flag=True, help="무엇을 할지 보여 주기만 합니다.")
    def import_file(path: Path, department_id: str, dry_run: bool) -> None:
        media = _media(path)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise click.ClickException(f"{path} 파일을 읽을 수 없습니다: {error.strerror}") from error
        with errors_as_sentences():
            click.echo(f"저장소: {core.db.store}")
            department = core.departments.get_department(parse_id(department_id))
            entries = read_file(content, media, department.zone, None)
            judged = core.imports.run(department.id, entries, dry_run=dry_run)
        for one in judged:
            if one.reason:
                found = one.public()
                click.echo(f"{VERDICTS[one.verdict]}: {found['event_date']} '{found['title']}': {one.reason}")
        counts = Counter(one.verdict for one in judged)
        told = ", ".join(f"{word} {counts[verdict]}개" for verdict, word in VERDICTS.items())
        tense = "가져오면" if dry_run else "가져왔습니다"
        click.echo(f"✓ '{department.name}' 부서에 {tense}: {told}")

    @group.command("export", help="부서의 일정을 파일로 내보냅니다. 있던 파일은 바꿔 씁니다.")
    @click.argument("path", metavar="파일", type=_file)
    @_department
    def export_file(path: Path, department_id: str) -> None:
        media = _media(path)
        with errors_as_sentences():
            click.echo(f"저장소: {core.db.store}")
            department = core.departments.get_department(parse_id(department_id))
            write = core.files.calendar if media == ICALENDAR else core.files.table
            file = write(department.id, EventFilter(), lambda _etag: False)
            new = path.with_name(f"{path.name}.new")
            try:
                with new.open("wb") as out:
                    out.writelines(file.pieces or ())
                new.replace(path)
            except OSError as error:
                raise click.ClickException(f"{path} 파일을 쓸 수 없습니다: {error.strerror}") from error
        click.echo(f"✓ '{department.name}' 부서를 {path} 파일로 내보냈습니다.")

    return group


def _media(path: Path) -> str:
    media = MEDIA.get(path.suffix.lower())
    if media is None:
        raise click.UsageError("파일 이름은 .ics나 .csv로 끝나야 합니다.")
    return media
