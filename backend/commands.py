"""`flask tables ...`: what an operator does to the tables from a terminal."""

import contextlib
from collections.abc import Iterator

import click
from flask.cli import AppGroup

from errors import SetupError, StoreUnavailable
from services.core import Core


def tables_commands(core: Core) -> AppGroup:
    """Build the group of commands on one store."""
    group = AppGroup("tables", help="테이블을 만들고, 중단된 일을 마무리하고, 복원한 뒤를 정리합니다.")

    @group.command(help="없는 테이블과 인덱스를 만듭니다. 데이터는 건드리지 않습니다.")
    @click.option("--provisioned", is_flag=True, help="온디맨드 대신 프로비저닝된 용량으로 만듭니다.")
    def create(provisioned: bool) -> None:
        with _errors_as_sentences():
            core.db.create_tables(provisioned=provisioned, report=click.echo)

    @group.command(help="중단된 부서 삭제를 마무리하고, 다른 도구가 쓴 부서를 등록합니다.")
    def repair() -> None:
        with _errors_as_sentences():
            click.echo(f"저장소: {core.db.store}")
            done = core.repair.run()
        click.echo(f"✓ 마무리한 부서 삭제: {done.purged}개, 새로 등록한 부서: {done.adopted}개")

    @group.command("new-epoch", help="테이블을 복원한 뒤: 모든 클라이언트가 한 번씩 전체를 다시 받게 합니다.")
    def renew_epochs() -> None:
        with _errors_as_sentences():
            click.echo(f"저장소: {core.db.store}")
            moved = core.db.renew_epochs()
        click.echo(f"✓ 새 epoch를 준 변경 기록: {moved}개. 클라이언트는 모두 한 번씩 전부 다시 받습니다.")

    return group


@contextlib.contextmanager
def _errors_as_sentences() -> Iterator[None]:
    """End a command that fails with the sentence of the error and status 1, without a traceback."""
    try:
        yield
    except (SetupError, StoreUnavailable) as error:
        raise click.ClickException(str(error)) from error
