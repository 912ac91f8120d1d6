"""The guides are typed in as printed: every block that needs neither AWS nor a machine to change, in order,
in one shell, against moto. Only ports and addresses are replaced, to meet nothing else on the machine.

On an account that is in use they leave everything as it was, as a script and as a person types them.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from config import Settings
from documents import (
    INTERACTIVE,
    SAME_DATE,
    STRICT,
    Content,
    added,
    everything,
    fill,
    harmed,
    names_in,
    type_in,
)
from infrastructure.costs import LARGE, MIDDLE, SMALL
from infrastructure.test_template import Recorder
from infrastructure.tools import INFRASTRUCTURE, ROOT, load_template
from models import DynamoDBDatabase
from programs import program
from running import free_port
from store.tables import TableNames

pytestmark = pytest.mark.timeout(240)

GUIDE, GUIDE_KO = ROOT / "DYNAMODB_SETUP.md", ROOT / "DYNAMODB_SETUP.ko.md"
BLOCK = re.compile(
    r"(?:^<!-- (?P<how>.+?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
WAYS = re.compile(r"run|run: fresh account|run: server \d+|not run here: .+")
WAIT_FOR_SERVER = (
    'for _ in $(seq 200); do curl -fsS "$URL" >/dev/null 2>&1 && break; sleep 0.1; done; curl -fsS "$URL"'
)


OLD_FILES = {
    "departments.json": [{"id": 1, "name": "옮긴 부서"}],
    "calendar_events.json": [
        {"id": n, "department_id": 1, "event_date": f"2024-03-{n:02}", "title": f"옮긴 일정 {n}"}
        for n in range(1, 6)
    ],
}
"""What the guide has its reader put into `backend/`."""

FREE_PORT = (
    """python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'"""
)
"""Asked right before a server starts: a port that is free now is somebody else's a minute later."""


@dataclass
class Block:
    how: str
    text: str
    section: str
    """The number of the chapter it stands in."""


def blocks(path: Path) -> list[Block]:
    page = path.read_text()
    found = [m for m in BLOCK.finditer(page) if m["language"] in ("bash", "sh", "console", "")]
    for match in found:
        assert match["how"], f"{path.name}: does this block run? {match['text']}"
        assert WAYS.fullmatch(match["how"]), f"{path.name}: {match['how']}"
        assert match["language"] == "bash"

    def section(match: re.Match[str]) -> str:
        return (re.findall(r"^## (\d+)\.", page[: match.start()], re.MULTILINE) or [""])[-1]

    return [Block(m["how"], m["text"], section(m)) for m in found]


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
    """Put the blocks into one text to type; on an account in use, none starts with an empty one."""
    lines = ["trap 'jobs -p | xargs -r kill' EXIT"]
    ports: list[str] = []
    for number, block in enumerate(found):
        if block.how.startswith("not run"):
            continue
        lines.append(f"echo '--- block {number}: {block.how}'")
        text = block.text
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
    """Type a text in; as a script it stops at the first failure, and that is the test's."""
    env = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(checkout.parent),
        "LC_ALL": "C.UTF-8",
        "AWS_ENDPOINT_URL": aws_url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
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


@pytest.fixture
def tables(aws_url: str, monkeypatch: pytest.MonkeyPatch) -> DynamoDBDatabase:
    """The tables of the account, past the guide."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    return DynamoDBDatabase(Settings(dynamodb_endpoint_url=aws_url))


def test_the_setup_guide_works_as_printed(
    checkout: Path, aws_url: str, warm_aws: str, tables: DynamoDBDatabase
) -> None:
    output = run(script(blocks(GUIDE), warm_aws), checkout, aws_url)
    assert output.count("✓ departments 테이블이 생성되었습니다.") == 1
    assert output.count("✓ 스택 department-calendar 배포가 끝났습니다") == 2
    assert '"status":"ready"' in output
    assert '"time":"오후 7:00"' in output
    assert "이벤트가 삭제되었습니다." in output
    assert "backend/app.py" in output, "the bundle's contents"
    assert "changes-restored-" in output
    assert "✓ 새 epoch를 준 변경 기록: 2개." in output
    assert [d.name for d in tables.list_departments()] == ["옮긴 부서"]
    assert migrated(tables) == [f"옮긴 일정 {n}" for n in range(1, 6)]


@pytest.fixture
def in_use(tables: DynamoDBDatabase, checkout: Path) -> DynamoDBDatabase:
    """An account and a checkout in which every name of the guide is taken."""
    tables.create_tables(report=lambda _: None)
    fill(tables, sorted({"가장 앞선 부서", "개발팀", *names_in(GUIDE.read_text())}))
    restored = Settings(
        departments_table="departments-restored",
        events_table="events-restored",
        changes_table="changes-restored",
        dynamodb_endpoint_url=tables._client._settings.dynamodb_endpoint_url,
    )
    DynamoDBDatabase(restored).create_tables(report=lambda _: None)
    fill(DynamoDBDatabase(restored), ["되살린 부서"])
    iam = boto3.client("iam", endpoint_url=restored.dynamodb_endpoint_url, region_name="ap-northeast-2")
    iam.create_user(UserName="department-calendar")
    iam.create_role(RoleName="department-calendar-server", AssumeRolePolicyDocument="{}")
    (checkout.parent / ".aws").mkdir()
    (checkout.parent / ".aws" / "config").write_text(PROFILE)
    (checkout / "backend" / ".env").write_text(SETTINGS)
    return tables


PROFILE = "[default]\nregion = eu-west-1\n"
SETTINGS = "SECRET_KEY=somebody-elses\nCORS_ORIGINS=https://calendar.example.com\n"


def outside_the_stack(section: str) -> list[Block]:
    """Return the blocks of a chapter, without those that change the stack: moto's takes over what exists."""
    return [b for b in blocks(GUIDE) if b.section == section and not _STACK.search(b.text)]


_STACK = re.compile(r"deploy-dynamodb\.sh|eb-bundle")


def require_unharmed(before: Content, db: DynamoDBDatabase, checkout: Path) -> None:
    """Fail for anything of the account and the checkout that is other than it was, and for what was left."""
    after = everything(db)
    assert harmed(before, after) == []
    new = added(before, after)
    made = {item["id"]["S"]: item["name"]["S"] for (table, _), item in new.items() if table == "departments"}
    assert set(made.values()) <= {"옮긴 부서"}
    events = [item for (table, _), item in new.items() if table == "events"]
    assert {event["department_id"]["S"] for event in events} <= set(made)
    assert (checkout.parent / ".aws" / "config").read_text() == PROFILE
    assert SETTINGS in [path.read_text() for path in (checkout / "backend").glob(".env*")]


def continuous_backups(db: DynamoDBDatabase) -> list[str]:
    """Return which of somebody's tables have them, which costs money."""
    tables = [definition["TableName"] for definition in db._tables.names.definitions()]
    found = [db._client.call("describe_continuous_backups", TableName=table) for table in tables]
    return [
        backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
        for backups in found
    ]


@pytest.mark.parametrize("shell", [STRICT, INTERACTIVE], ids=["as a script", "typed"])
def test_the_setup_guide_changes_nothing_of_an_account_in_use(
    checkout: Path, aws_url: str, warm_aws: str, in_use: DynamoDBDatabase, shell: list[str]
) -> None:
    before, backups = everything(in_use), continuous_backups(in_use)
    sections = ["2", "3", "4", "5", "6", "7", "8", "13"]
    if shell is STRICT:
        sections.remove("3")  # stops at the first name that is taken
    found = [block for section in sections for block in outside_the_stack(section)]
    if shell is STRICT:
        found = [block for block in found if "create-table" not in block.text]
    output = run(script(found, warm_aws, in_use=True), checkout, aws_url, shell)
    assert '"time":"오후 7:00"' in output, output
    assert migrated(in_use) == [f"옮긴 일정 {n}" for n in range(1, 6)]
    require_unharmed(before, in_use, checkout)
    assert continuous_backups(in_use) == backups
    iam = boto3.client("iam", endpoint_url=aws_url, region_name="ap-northeast-2")
    assert iam.list_attached_role_policies(RoleName="department-calendar-server")["AttachedPolicies"] == []
    assert iam.list_attached_user_policies(UserName="department-calendar")["AttachedPolicies"] == []
    assert iam.list_access_keys(UserName="department-calendar")["AccessKeyMetadata"] == []


@pytest.mark.parametrize("trouble", ["the name is taken", "the server comes up later"])
def test_a_trial_whose_first_line_failed_touches_nothing(
    checkout: Path, aws_url: str, warm_aws: str, in_use: DynamoDBDatabase, trouble: str
) -> None:
    before = everything(in_use)
    found = [*outside_the_stack("7")[:1], *outside_the_stack("8")]
    text = script(found, warm_aws, in_use=True)
    if trouble == "the name is taken":
        text = SAME_DATE + text
    else:
        creation = '-X POST "$API/api/departments"'
        assert creation in text
        text = text.replace(creation, f"-X POST http://127.0.0.1:{free_port()}/api/departments")
    output = run(text, checkout, aws_url, INTERACTIVE)
    assert '"status":"ready"' in output
    assert '"time":"오후 7:00"' not in output
    require_unharmed(before, in_use, checkout)
    assert added(before, everything(in_use)) == {}


def test_the_infrastructure_readme_works_as_printed(checkout: Path, aws_url: str, warm_aws: str) -> None:
    output = run(script(blocks(INFRASTRUCTURE / "README.md"), warm_aws), checkout, aws_url)
    assert "✓ 스택 sessions-results 배포가 끝났습니다" in output


def test_both_languages_have_the_same_commands() -> None:
    def bare(block: Block) -> tuple[str, str]:
        return block.how, re.sub(r" # .*", "", block.text)

    assert [bare(b) for b in blocks(GUIDE)] == [bare(b) for b in blocks(GUIDE_KO)]


def test_both_languages_have_the_same_sections() -> None:
    def sections(path: Path) -> list[str]:
        return re.findall(r"^(#+ (?:\d+|[a-d])\.)", path.read_text(), re.MULTILINE)

    assert sections(GUIDE) == sections(GUIDE_KO)
    assert len(sections(GUIDE)) == 13 + 4


@pytest.mark.parametrize("path", [GUIDE, GUIDE_KO, INFRASTRUCTURE / "README.md"], ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text()):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        page = path.parent / name if name else path
        assert page.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
            slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert anchor in slugs, target


@pytest.mark.parametrize("path", [GUIDE, GUIDE_KO], ids=lambda path: path.name)
def test_the_costs_are_computed(path: Path) -> None:
    rows = [line for line in path.read_text().splitlines() if re.search(r"\$[\d.]+ \|$", line)]
    sizes = (SMALL, MIDDLE, LARGE)
    assert rows == [size.row(row.split("|")[1].strip()) for size, row in zip(sizes, rows, strict=True)]


def test_the_guide_names_every_error_it_should() -> None:
    for path in (GUIDE, GUIDE_KO):
        for name in (
            "NoCredentialsError",
            "ResourceNotFoundException",
            "ProvisionedThroughputExceededException",
            "ResourceInUseException",
        ):
            assert name in path.read_text()


# The policies that are shipped as files.


def policy(name: str) -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = json.loads((INFRASTRUCTURE / "iam" / name).read_text())["Statement"]
    return statements


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_the_server_policy_is_the_one_of_the_stack() -> None:
    stack = load_template()["Resources"]["ServerPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    table = "arn:aws:dynamodb:ap-northeast-2:*:table/"
    names = {f"{kind}Table": f"{table}{kind.lower()}" for kind in ("Departments", "Events", "Changes")}
    names["ServerLogGroup"] = (
        "arn:aws:logs:ap-northeast-2:*:log-group:/department-calendar/production/server:*"
    )

    def resolve(resource: Any) -> str:
        if "Fn::Sub" in resource:
            return re.sub(r"\$\{(\w+)\.Arn\}", lambda m: names[m[1]], resource["Fn::Sub"])
        got = resource["Fn::GetAtt"]
        return names[got.split(".")[0] if isinstance(got, str) else got[0]]

    def plain(statement: dict[str, Any], resolved: list[str]) -> dict[str, Any]:
        return {**statement, "Resource": resolved, "Action": as_list(statement["Action"])}

    wanted = [plain(s, [resolve(r) for r in as_list(s["Resource"])]) for s in stack]
    assert [plain(s, as_list(s["Resource"])) for s in policy("server-policy.json")] == wanted


@pytest.mark.parametrize("name", ["setup-policy.json", "backup-policy.json", "streams-policy.json"])
def test_the_other_policies_are_about_the_tables_alone(name: str) -> None:
    for statement in policy(name):
        assert statement["Effect"] == "Allow"
        assert "dynamodb:DeleteTable" not in statement["Action"]
        for resource in as_list(statement["Resource"]):
            if resource == "*":
                assert statement["Action"] in ("dynamodb:ListBackups", "dynamodb:ListStreams")
            else:
                assert re.fullmatch(
                    r"arn:aws:dynamodb:ap-northeast-2:\*:table/(departments|events|changes)(\*|/(index|stream)/\*)?",
                    resource,
                )


@pytest.mark.parametrize("name", ["setup-policy.json", "backup-policy.json", "server-policy.json"])
def test_a_new_epoch_needs_no_more_than_a_policy_allows(name: str, in_use: DynamoDBDatabase) -> None:
    recorder = Recorder(in_use._client)
    in_use._client.call = recorder.call  # type: ignore[method-assign]
    assert in_use.renew_epochs() > 1
    assert recorder.needed
    for table, actions in recorder.needed.items():
        arn = f"arn:aws:dynamodb:ap-northeast-2:*:table/{table}"
        about = [s for s in policy(name) if {arn, f"{arn}*"} & set(as_list(s["Resource"]))]
        assert actions <= {action for statement in about for action in as_list(statement["Action"])}


def test_the_setup_policy_reaches_the_indexes() -> None:
    resources = [r for s in policy("setup-policy.json") for r in as_list(s["Resource"])]
    for definition in TableNames("departments", "events", "changes").definitions():
        table = f"arn:aws:dynamodb:ap-northeast-2:*:table/{definition['TableName']}"
        assert table in resources
        assert (f"{table}/index/*" in resources) == ("GlobalSecondaryIndexes" in definition)
