"""`flask tables ...` and `flask admin ...`: what an operator does from a terminal."""

import contextlib
from collections.abc import Iterator

import click
from flask.cli import AppGroup

from account_schemas import NewAccount
from errors import CalendarError, DepartmentNameTaken, SetupError
from schemas import NUMBERED_PAGE_MAX, DepartmentRestore, parse_id
from services.accounts.accounts import Accounts
from services.accounts.joining import NewPerson
from services.core import Core


def tables_commands(core: Core) -> AppGroup:
    """Build the group of commands on one store."""
    group = AppGroup("tables", help="테이블을 만들고 정리하고, 지운 부서를 되살립니다.")

    @group.command(help="없는 테이블과 인덱스를 만듭니다. 데이터는 건드리지 않습니다.")
    @click.option("--provisioned", is_flag=True, help="온디맨드 대신 프로비저닝된 용량으로 만듭니다.")
    def create(provisioned: bool) -> None:
        with errors_as_sentences():
            core.db.create_tables(provisioned=provisioned, report=click.echo)

    @group.command(help="지운 지 30일이 지난 부서를 정리하고, 다른 도구가 쓴 부서를 등록합니다.")
    def repair() -> None:
        with errors_as_sentences():
            click.echo(f"저장소: {core.db.store}")
            done = core.repair.run()
        click.echo(f"✓ 정리한 부서: {done.purged}개, 새로 등록한 부서: {done.adopted}개")

    @group.command(
        "restore-department",
        help="지운 부서를 이벤트와 함께 되살립니다. ID를 주지 않으면 되살릴 수 있는 부서를 보여 줍니다.",
    )
    @click.argument("department_id", metavar="[ID]", required=False)
    @click.option(
        "--name",
        help="되살릴 부서의 새 이름. 그사이 다른 부서가 같은 이름을 쓰고 있을 때 줍니다.",
    )
    def restore_department(department_id: str | None, name: str | None) -> None:
        if name is not None and department_id is None:
            raise click.UsageError("--name은 ID와 함께 줍니다.")
        with errors_as_sentences():
            click.echo(f"저장소: {core.db.store}")
            if department_id is None:
                _list_deleted_departments(core)
            else:
                _restore_department(core, department_id, name)

    @group.command("new-epoch", help="테이블을 복원한 뒤: 모든 클라이언트가 한 번씩 전체를 다시 받게 합니다.")
    def renew_epochs() -> None:
        with errors_as_sentences():
            click.echo(f"저장소: {core.db.store}")
            moved = core.db.renew_epochs()
        click.echo(f"✓ 새 epoch를 준 변경 기록: {moved}개. 클라이언트는 모두 한 번씩 전부 다시 받습니다.")

    return group


def admin_commands(core: Core) -> AppGroup:
    """Build the commands that make administrators and reset links on one store."""

    def accounts() -> Accounts:
        if core.accounts is None:
            raise click.ClickException("로그인을 켠 서버의 명령입니다. backend/.env에 AUTH=on 을 쓰세요.")
        return core.accounts

    def refuse_without_accounts() -> None:
        accounts()

    group = AppGroup(
        "admin",
        help="관리자를 만들고, 비밀번호를 다시 정할 주소를 만듭니다.",
        callback=refuse_without_accounts,
    )

    @group.command(help="관리자 계정을 만듭니다.")
    @click.option("--email", prompt="이메일")
    @click.option("--name", prompt="이름")
    @click.option(
        "--password", prompt="비밀번호 (10자 이상)", hide_input=True, confirmation_prompt="한 번 더"
    )
    def create(email: str, name: str, password: str) -> None:
        with errors_as_sentences():
            click.echo(f"저장소: {core.db.store}")
            given = NewAccount.model_validate({"email": email, "name": name, "password": password})
            account = accounts().joining.create_admin(NewPerson(given.email, given.name, given.password))
        click.echo(f"✓ 관리자 '{account.name}' ({account.email})을(를) 만들었습니다.")

    @group.command(
        "reset-password", help="새 비밀번호를 정할 주소를 만듭니다. 24시간 동안 한 번 쓸 수 있습니다."
    )
    @click.argument("email", metavar="이메일")
    def reset_password(email: str) -> None:
        with errors_as_sentences():
            click.echo(f"저장소: {core.db.store}")
            link = accounts().joining.begin_reset_by_email(email)
        click.echo(accounts().url("reset", link))

    return group


def _restore_department(core: Core, department_id: str, name: str | None) -> None:
    wanted = DepartmentRestore.model_validate({} if name is None else {"name": name})
    try:
        restored = core.departments.restore_department(parse_id(department_id), wanted.name)
    except DepartmentNameTaken as error:
        raise click.ClickException(f"{error} 다른 이름으로 되살리려면 --name을 주세요.") from error
    click.echo(f"✓ '{restored.name}' 부서를 이벤트와 함께 되살렸습니다.")


def _list_deleted_departments(core: Core) -> None:
    page = core.departments.page_deleted_departments(NUMBERED_PAGE_MAX)
    for deleted in page.departments:
        click.echo(f"{deleted.department.id}  지운 때 {deleted.at}  '{deleted.department.name}'")
    if page.next_number:
        click.echo(f"최근에 지운 {NUMBERED_PAGE_MAX}개만 보여 줍니다.")
    elif not page.departments:
        click.echo("되살릴 수 있는 부서가 없습니다.")


@contextlib.contextmanager
def errors_as_sentences() -> Iterator[None]:
    """End a command that fails with the sentence of the error and status 1, without a traceback."""
    try:
        yield
    except (SetupError, CalendarError) as error:
        raise click.ClickException(str(error)) from error
