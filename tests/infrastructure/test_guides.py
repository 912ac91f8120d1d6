"""The guides are typed in as printed: every block that needs neither AWS nor a machine to change, in order,
in one shell, against moto. Only ports and addresses are replaced, to meet nothing else on the machine."""

import json
import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import items
from infrastructure.costs import LARGE, MIDDLE, SMALL
from infrastructure.tools import INFRASTRUCTURE, ROOT, free_port, load_template

GUIDE, GUIDE_KO = ROOT / "DYNAMODB_SETUP.md", ROOT / "DYNAMODB_SETUP.ko.md"
BLOCK = re.compile(
    r"(?:^<!-- (?P<how>.+?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
WAYS = re.compile(r"run|run: fresh account|run: server \d+|not run here: .+")
WAIT_FOR_SERVER = (
    'for _ in $(seq 200); do curl -fsS "$URL" >/dev/null 2>&1 && break; sleep 0.1; done; curl -fsS "$URL"'
)


@dataclass
class Block:
    how: str
    text: str


def blocks(path: Path) -> list[Block]:
    found = [m for m in BLOCK.finditer(path.read_text()) if m["language"] in ("bash", "sh", "console", "")]
    for match in found:
        assert match["how"], f"{path.name}: does this block run? {match['text']}"
        assert WAYS.fullmatch(match["how"]), f"{path.name}: {match['how']}"
        assert match["language"] == "bash"
    return [Block(m["how"], m["text"]) for m in found]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Copy what git has, with the installed packages of this checkout."""
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
    return copy


def script(found: list[Block], warm_aws: str) -> str:
    """Put the blocks into one script that stops at the first failure and says where it is."""
    lines = ["set -euo pipefail", "trap 'jobs -p | xargs -r kill' EXIT"]
    ports: dict[str, int] = {}
    for number, block in enumerate(found):
        if block.how.startswith("not run"):
            continue
        lines.append(f"echo '--- block {number}: {block.how}'")
        text = block.text
        if block.how == "run: fresh account":
            lines.append('curl -fsS -X POST "$AWS_ENDPOINT_URL/moto-api/reset"')
        if block.how.startswith("run: server"):
            port = block.how.split()[-1]
            ports[port] = free_port()
            assert port in text
        for port, free in ports.items():
            text = re.sub(rf"(?<=[:=]){port}\b", str(free), text)
        text = re.sub(r"0\.0\.0\.0|localhost", "127.0.0.1", text)
        if block.how.startswith("run: server"):
            lines += [f"(\n{text}\n) &", f"URL=http://127.0.0.1:{free}/readyz", WAIT_FOR_SERVER]
        else:
            lines += [text, f'export PATH="{warm_aws}:$PATH"']
    return "\n".join(lines) + "\n"


def type_in(path: Path, checkout: Path, aws_url: str, warm_aws: str) -> str:
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
    command = ["bash", "-c", script(blocks(path), warm_aws)]
    with subprocess.Popen(
        command,
        cwd=checkout,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as running:
        try:
            output, _ = running.communicate(timeout=100)
        finally:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)
    assert running.returncode == 0, output
    return output


def test_the_setup_guide_works_as_printed(checkout: Path, aws_url: str, warm_aws: str) -> None:
    output = type_in(GUIDE, checkout, aws_url, warm_aws)
    assert output.count("✓ departments 테이블이 생성되었습니다.") == 1
    assert output.count("✓ 스택 department-calendar 배포가 끝났습니다") == 2
    assert '"status":"ready"' in output
    assert '"time":"오후 7:00"' in output
    assert "이벤트가 삭제되었습니다." in output
    assert "backend/app.py" in output, "the bundle's contents"
    assert "changes-restored" in output


def test_the_infrastructure_readme_works_as_printed(checkout: Path, aws_url: str, warm_aws: str) -> None:
    output = type_in(INFRASTRUCTURE / "README.md", checkout, aws_url, warm_aws)
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


def test_the_setup_policy_reaches_the_indexes() -> None:
    resources = [r for s in policy("setup-policy.json") for r in as_list(s["Resource"])]
    for definition in items.Tables("departments", "events", "changes").definitions():
        table = f"arn:aws:dynamodb:ap-northeast-2:*:table/{definition['TableName']}"
        assert table in resources
        assert (f"{table}/index/*" in resources) == ("GlobalSecondaryIndexes" in definition)
