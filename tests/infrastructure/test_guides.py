"""The guides are typed in as printed: every block that needs neither AWS nor a machine to change, in order,
in one shell, against moto. Only ports and addresses are replaced, to meet nothing else on the machine.

On an account that is in use they leave everything as it was, as a script and as a person types them.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from accounts.company import PASSWORD
from aws_client import KEYS, aws_client
from config import Settings
from infrastructure.guides import Block, blocks
from infrastructure.tools import INFRASTRUCTURE
from models import DynamoDBDatabase
from printed_guides import (
    INTERACTIVE,
    SAME_DATE,
    SETUP,
    STRICT,
    Content,
    added,
    everything,
    fill,
    harmed,
    names_in,
    type_in,
)
from programs import program
from running import ROOT, free_port
from services.accounts.joining import NewPerson
from services.core import build_core

pytestmark = pytest.mark.timeout(240)

WAIT_FOR_SERVER = (
    'for _ in $(seq 200); do curl -fsS "$URL" >/dev/null 2>&1 && break; sleep 0.1; done; curl -fsS "$URL"'
)


TABLES = ("departments", "events", "changes", "accounts")
EMAIL = "you@example.com"
"""The address that the guide prints."""

OLD_FILES = {
    "departments.json": [{"id": 1, "name": "옮긴 부서"}],
    "calendar_events.json": [
        {"id": n, "department_id": 1, "event_date": f"2024-03-{n:02}", "title": f"옮긴 일정 {n}"}
        for n in range(1, 6)
    ],
}
"""What the guide has its reader put into `backend/`."""

ASKED = "flask admin create"
ANSWERED = f"{ASKED} --email {EMAIL} --name 관리자 --password '{PASSWORD}'"
"""What a person answers who is asked for it."""

FREE_PORT = (
    """python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'"""
)
"""Run right before a server starts: another program may take a free port within a minute."""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Copy what git has, with the installed packages of this checkout."""
    for name in ("curl", "unzip"):
        program(name)
    copy = tmp_path / "checkout"
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(
        listed, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    for name in (".venv", ".venv-infra", "node_modules"):
        (copy / name).symlink_to(ROOT / name)
    for name, rows in OLD_FILES.items():
        (copy / "backend" / name).write_text(json.dumps(rows))
    return copy


def script(found: Sequence[Block], warm_aws: str, in_use: bool = False) -> str:
    """Put the blocks into one text to type, with what a reader has to put in.

    An account in use is never emptied before a block, and has an administrator.
    """
    lines = ["trap 'jobs -p | xargs -r kill' EXIT"]
    ports: list[str] = []
    for number, block in enumerate(found):
        if block.how.startswith("not run"):
            continue
        lines.append(f"echo '--- block {number}: {block.how}'")
        text = block.text.replace("paste-the-password", PASSWORD)
        if block.how == "run: asks":
            if in_use:
                continue
            assert text.count(ASKED) == 1
            text = text.replace(ASKED, ANSWERED)
        if block.how == "run: fresh account" and not in_use:
            lines.append('curl -fsS -X POST "$AWS_ENDPOINT_URL/moto-api/reset"')
        if block.how.startswith("run: server"):
            port = block.how.split()[-1]
            ports.append(port)
            assert port in text
            lines.append(f"PORT_{port}=$({FREE_PORT})")
        for taken in ports:
            text = re.sub(rf"(?<=[:=]){taken}\b", f"$PORT_{taken}", text)
        text = re.sub(r"0\.0\.0\.0|localhost", "127.0.0.1", text)
        if block.how.startswith("run: server"):
            lines += [f"(\n{text}\n) &", f"URL=http://127.0.0.1:$PORT_{port}/readyz", WAIT_FOR_SERVER]
        else:
            lines += [text, "test $? = 0", f'export PATH="{warm_aws}:$PATH"']  # set -e spares chains by &&
    return "\n".join(lines) + "\n"


def run(text: str, checkout: Path, aws_url: str, shell: Sequence[str] = STRICT) -> str:
    """Type a text into a shell; a script stops at the first command that fails, and the test with it."""
    env = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(checkout.parent),
        "LC_ALL": "C.UTF-8",
        "AWS_ENDPOINT_URL": aws_url,
        **KEYS,
        "POLL_SECONDS": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    strictly = "" if shell is INTERACTIVE else "set -euo pipefail\n"
    status, output = type_in(strictly + text, shell, checkout, env, timeout=200)
    assert shell is INTERACTIVE or status == 0, output
    return output


def migrated(db: DynamoDBDatabase) -> list[str]:
    """Return the titles of the events that the guide had its reader migrate."""
    [department] = [d for d in db.list_departments() if d.name == "옮긴 부서"]
    return sorted(event.title for event in db.all_events() if event.department_id == department.id)


def test_the_setup_guide_works_as_printed(
    checkout: Path, aws_url: str, warm_aws: str, account_settings: Settings
) -> None:
    output = run(script(blocks(SETUP), warm_aws), checkout, aws_url)
    assert output.count("✓ departments 테이블이 생성되었습니다.") == 1
    assert output.count("✓ 스택 department-calendar 배포가 끝났습니다") == 2
    assert '"status":"ready"' in output
    assert '"time":"오후 7:00"' in output
    assert "이벤트가 삭제되었습니다." in output
    assert "backend/app.py" in output, "the bundle's contents"
    assert "changes-restored-" in output
    assert "✓ 새 epoch를 준 변경 기록: 3개." in output
    assert f"✓ 관리자 '관리자' ({EMAIL})" in output
    assert "http://localhost:5000/setup#" in output
    db = DynamoDBDatabase(account_settings)
    assert [d.name for d in db.list_departments()] == ["옮긴 부서"]
    assert migrated(db) == [f"옮긴 일정 {n}" for n in range(1, 6)]


@pytest.fixture
def in_use(account_settings: Settings, checkout: Path) -> DynamoDBDatabase:
    """An account and a checkout in which every name of the guide is taken."""
    db = DynamoDBDatabase(account_settings)
    db.create_tables(report=lambda _: None)
    fill(db, sorted({"가장 앞선 부서", "개발팀", *names_in(SETUP.read_text())}))
    accounts = build_core(db, snapshot_bytes=1_000_000, accounts_url="http://localhost:5000").accounts
    assert accounts
    accounts.joining.create_admin(NewPerson(EMAIL, "관리자", PASSWORD))
    names = {f"{kind}_table": f"{kind}-restored" for kind in TABLES}
    restored = DynamoDBDatabase(replace(account_settings, **names))
    restored.create_tables(report=lambda _: None)
    fill(restored, ["되살린 부서"])
    iam = aws_client("iam", account_settings.dynamodb_endpoint_url)
    iam.create_user(UserName="department-calendar")
    iam.create_role(RoleName="department-calendar-server", AssumeRolePolicyDocument="{}")
    (checkout.parent / ".aws").mkdir()
    (checkout.parent / ".aws" / "config").write_text(PROFILE)
    (checkout / "backend" / ".env").write_text(SETTINGS)
    return db


PROFILE = "[default]\nregion = eu-west-1\n"
SETTINGS = "SECRET_KEY=somebody-elses\nCORS_ORIGINS=https://calendar.example.com\n"


def outside_the_stack(section: str) -> list[Block]:
    """Return the blocks of a chapter, without those that change the stack: moto's takes over what exists."""
    return [b for b in blocks(SETUP) if b.section == section and not _STACK.search(b.text)]


_STACK = re.compile(r"deploy-dynamodb\.sh|eb-bundle")


def require_unharmed(before: Content, aws_url: str, checkout: Path) -> None:
    """Fail when anything of the account or the checkout has changed, or when something was left behind."""
    after = everything(aws_url)
    assert harmed(before, after) == []
    new = added(before, after)
    made = {item["id"]["S"]: item["name"]["S"] for (table, _), item in new.items() if table == "departments"}
    assert set(made.values()) <= {"옮긴 부서"}
    events = [item for (table, _), item in new.items() if table == "events"]
    assert {event["department_id"]["S"] for event in events} <= set(made)
    assert (checkout.parent / ".aws" / "config").read_text() == PROFILE
    assert SETTINGS in [path.read_text() for path in (checkout / "backend").glob(".env*")]


def continuous_backups(aws_url: str) -> list[str]:
    """Return the status of each table's continuous backups: a guide that switches them on costs money."""
    dynamodb = aws_client("dynamodb", aws_url)
    found = [dynamodb.describe_continuous_backups(TableName=table) for table in TABLES]
    return [
        backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
        for backups in found
    ]


@pytest.mark.parametrize("shell", [STRICT, INTERACTIVE], ids=["as a script", "typed"])
def test_the_setup_guide_changes_nothing_of_an_account_in_use(
    checkout: Path, aws_url: str, warm_aws: str, in_use: DynamoDBDatabase, shell: list[str]
) -> None:
    before, backups = everything(aws_url), continuous_backups(aws_url)
    sections = ["2", "3", "4", "5", "6", "7", "8", "13"]
    if shell is STRICT:
        sections.remove("3")  # stops at the first name that is taken
    found = [block for section in sections for block in outside_the_stack(section)]
    if shell is STRICT:
        found = [block for block in found if "create-table" not in block.text]
    output = run(script(found, warm_aws, in_use=True), checkout, aws_url, shell)
    assert '"time":"오후 7:00"' in output, output
    assert migrated(in_use) == [f"옮긴 일정 {n}" for n in range(1, 6)]
    require_unharmed(before, aws_url, checkout)
    assert continuous_backups(aws_url) == backups
    iam = aws_client("iam", aws_url)
    assert iam.list_attached_role_policies(RoleName="department-calendar-server")["AttachedPolicies"] == []
    assert iam.list_attached_user_policies(UserName="department-calendar")["AttachedPolicies"] == []
    assert iam.list_access_keys(UserName="department-calendar")["AccessKeyMetadata"] == []


@pytest.mark.parametrize(
    "trouble", ["the name is taken", "the server comes up later", "the password is wrong"]
)
def test_a_trial_whose_first_line_failed_changes_nothing(
    checkout: Path, aws_url: str, warm_aws: str, in_use: DynamoDBDatabase, trouble: str
) -> None:
    before = everything(aws_url)
    found = [*outside_the_stack("7")[:1], *outside_the_stack("8")]
    text = script(found, warm_aws, in_use=True)
    if trouble == "the name is taken":
        text = SAME_DATE + text
    elif trouble == "the password is wrong":
        assert PASSWORD in text
        text = text.replace(PASSWORD, "another password")
    else:
        creation = '-X POST "$API/api/departments"'
        assert creation in text
        text = text.replace(creation, f"-X POST http://127.0.0.1:{free_port()}/api/departments")
    output = run(text, checkout, aws_url, INTERACTIVE)
    assert '"status":"ready"' in output
    assert '"time":"오후 7:00"' not in output
    require_unharmed(before, aws_url, checkout)
    assert added(before, everything(aws_url)) == {}


def test_the_infrastructure_readme_works_as_printed(checkout: Path, aws_url: str, warm_aws: str) -> None:
    output = run(script(blocks(INFRASTRUCTURE / "README.md"), warm_aws), checkout, aws_url)
    assert "✓ 스택 sessions-results 배포가 끝났습니다" in output
