"""`deploy-dynamodb.sh` against a fake AWS CLI: the states of a stack that ministack does not show."""

import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from infrastructure.deploy_script import deployment_environment, run_script
from infrastructure.tools import INFRASTRUCTURE, FakeAws

STACK_ID = "arn:aws:cloudformation:ap-northeast-2:123456789012:stack/department-calendar/1"


CHANGE_SET_ID = "arn:aws:cloudformation:ap-northeast-2:123456789012:changeSet/deploy-1/1"


MISSING = (
    "(ValidationError) when calling the DescribeStacks operation: "
    "Stack with id department-calendar does not exist"
)


EVENTS = {
    "StackEvents": [
        {
            "Timestamp": f"2026-01-01T00:00:{59 - n:02}Z",
            "ResourceStatus": "CREATE_FAILED",
            "LogicalResourceId": f"Resource{n}",
            "ResourceStatusReason": f"reason {n}",
        }
        for n in range(12)
    ]
}


def stack(status: str) -> dict[str, Any]:
    return {
        "Stacks": [
            {
                "StackStatus": status,
                "Parameters": [{"ParameterKey": "Environment", "ParameterValue": "staging"}],
                "Outputs": [{"OutputKey": "EventsTableName", "OutputValue": "events"}],
            }
        ]
    }


def change(action: str, replacement: str | None = None, kind: str = "AWS::DynamoDB::Table") -> dict[str, Any]:
    resource = {"Action": action, "ResourceType": kind, "LogicalResourceId": "EventsTable"}
    if replacement:
        resource["Replacement"] = replacement
    return {"ResourceChange": resource}


def change_set(*changes: dict[str, Any], status: str = "CREATE_COMPLETE", reason: str = "") -> dict[str, Any]:
    return {"Status": status, "StatusReason": reason or None, "Changes": list(changes)}


@pytest.fixture
def fake(tmp_path: Path) -> Callable[..., tuple[FakeAws, "subprocess.CompletedProcess[str]"]]:
    """Return what runs the script against a scenario: what each describe-stacks says, and the change set.

    Further `answers` are by operation; `settings` are for the script's environment.
    """

    def deploy(
        statuses: list[Any],
        prepared: Any = None,
        *,
        settings: Mapping[str, str] | None = None,
        answers: Mapping[str, list[Any]] | None = None,
    ) -> tuple[FakeAws, "subprocess.CompletedProcess[str]"]:
        scenario = {
            "get-caller-identity": [{"Account": "123456789012"}],
            "get-template-summary": [
                {"Parameters": [{"ParameterKey": "Environment"}, {"ParameterKey": "BillingMode"}]}
            ],
            "describe-stacks": [stack(s) if re.fullmatch("[A-Z_]+", s) else s for s in statuses],
            "create-change-set": [{"StackId": STACK_ID, "Id": CHANGE_SET_ID}],
            "describe-change-set": [prepared or change_set(change("Modify", "False"))],
            "describe-stack-events": [EVENTS],
        }
        aws = FakeAws(tmp_path / "fake", {**scenario, **(answers or {})})
        return aws, run_script(deployment_environment(str(aws.folder), **(settings or {})), tmp_path)

    return deploy


def test_a_rolled_back_stack_that_cannot_be_deleted_fails(fake: Any) -> None:
    aws, done = fake(["ROLLBACK_COMPLETE", "DELETE_FAILED"])
    assert done.returncode == 1
    assert "DELETE_FAILED" in done.stderr
    assert "create-change-set" not in aws.operations


@pytest.mark.parametrize(
    "progress", ["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "CREATE_IN_PROGRESS"]
)
def test_an_operation_in_progress_is_waited_for(fake: Any, progress: str) -> None:
    aws, done = fake([progress, progress, "UPDATE_COMPLETE"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"… {progress}" in done.stdout
    waited = aws.operations[: aws.operations.index("create-change-set")]
    assert waited.count("describe-stacks") >= 3


def test_waiting_for_an_operation_has_a_limit(fake: Any) -> None:
    _, done = fake(["UPDATE_IN_PROGRESS"], settings={"WAIT_SECONDS": "0"})
    assert done.returncode == 1
    assert "아직 UPDATE_IN_PROGRESS 입니다" in done.stderr


def test_a_rollback_that_stopped_is_continued(fake: Any) -> None:
    aws, done = fake(
        [
            "UPDATE_ROLLBACK_FAILED",
            "UPDATE_ROLLBACK_IN_PROGRESS",
            "UPDATE_ROLLBACK_COMPLETE",
            "UPDATE_COMPLETE",
        ]
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "continue-update-rollback" in aws.operations


@pytest.mark.parametrize("status", ["CREATE_FAILED", "ROLLBACK_FAILED", "DELETE_FAILED"])
def test_a_state_that_needs_a_person_is_refused(fake: Any, status: str) -> None:
    aws, done = fake([status])
    assert done.returncode == 1
    assert f"스택이 {status} 상태라 배포할 수 없습니다." in done.stderr
    assert "create-change-set" not in aws.operations
    assert "delete-stack" not in aws.operations


def test_an_error_that_means_no_change_is_a_success(fake: Any) -> None:
    error = "(ValidationError) when calling the CreateChangeSet operation: No updates are to be performed."
    aws, done = fake(["UPDATE_COMPLETE"], answers={"create-change-set": [error]})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✓ 변경할 것이 없습니다." in done.stdout
    assert "execute-change-set" not in aws.operations


def test_a_change_of_outputs_alone_is_deployed(fake: Any) -> None:
    aws, done = fake(["UPDATE_COMPLETE"], change_set())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "리소스 변경 없음" in done.stdout
    assert "execute-change-set" in aws.operations


@pytest.mark.parametrize(
    "losing",
    [
        change("Modify", "Conditional"),
        change("Dynamic"),
        change("Modify", "True", "AWS::DynamoDB::GlobalTable"),
    ],
)
def test_a_change_that_loses_a_table_is_refused(fake: Any, losing: dict[str, Any]) -> None:
    aws, done = fake(["UPDATE_COMPLETE"], change_set(change("Add", kind="AWS::SNS::Topic"), losing))
    assert done.returncode == 1
    assert "테이블을 교체하거나 삭제하는 변경이라 실행하지 않았습니다: EventsTable" in done.stderr
    assert "EventsTable (AWS::DynamoDB::" in done.stdout, "the change set is shown"
    assert "execute-change-set" not in aws.operations
    assert "delete-change-set" in aws.operations
    assert "delete-stack" not in aws.operations


def assert_last_ten_events(done: "subprocess.CompletedProcess[str]") -> None:
    assert [f"Resource{n}\treason {n}" in done.stderr for n in range(12)] == [True] * 10 + [False] * 2


@pytest.mark.parametrize(
    "operation", ["create-change-set", "describe-change-set", "execute-change-set", "describe-stacks"]
)
def test_a_call_that_fails_prints_the_last_ten_events(fake: Any, operation: str) -> None:
    refused = "(AccessDenied) when calling it: not authorized"
    _, done = fake(["UPDATE_COMPLETE"], answers={operation: [refused]})
    assert done.returncode == 1
    assert "not authorized" in done.stderr
    assert_last_ten_events(done)


NEEDS_ADMINISTRATOR = "관리자가 자기 컴퓨터에서 한 번 배포합니다"


def test_a_failure_for_lack_of_a_permission_says_that_an_administrator_deploys_once(fake: Any) -> None:
    reason = (
        "User: arn:aws:sts::1:assumed-role/d is not authorized to perform: dynamodb:CreateTable on resource"
    )
    refused = {**EVENTS["StackEvents"][0], "ResourceStatusReason": reason}
    _, done = fake(
        ["UPDATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"],
        answers={"describe-stack-events": [{"StackEvents": [refused]}]},
    )
    assert done.returncode == 1
    assert reason in done.stderr
    assert NEEDS_ADMINISTRATOR in done.stderr
    named = re.search('infrastructure/README.md의 "(.+)"을', done.stderr)
    assert named
    assert f"### {named[1]}\n" in (INFRASTRUCTURE / "README.md").read_text()


def test_another_failure_does_not_call_for_an_administrator(fake: Any) -> None:
    _, done = fake(["UPDATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"])
    assert done.returncode == 1
    assert "reason 1" in done.stderr
    assert NEEDS_ADMINISTRATOR not in done.stderr


def test_parameters_that_cannot_be_read_stop_the_deployment(fake: Any) -> None:
    aws, done = fake(["UPDATE_COMPLETE", "(Throttling) Rate exceeded"])
    assert done.returncode == 1
    assert "create-change-set" not in aws.operations


def test_parameters_that_are_not_given_keep_their_values(fake: Any) -> None:
    aws, done = fake(["UPDATE_COMPLETE"], settings={"PARAMETERS": 'BillingMode=A"*,\\B'})
    assert done.returncode == 0, done.stdout + done.stderr
    created = aws.arguments("create-change-set")
    assert created[created.index("--parameters") + 1] == (
        '[{"ParameterKey":"BillingMode","ParameterValue":"A\\"*,\\\\B"},'
        '{"ParameterKey":"Environment","UsePreviousValue":true}]'
    )


def test_a_new_stack_gets_the_parameters_that_are_given(fake: Any) -> None:
    aws, done = fake([MISSING, "CREATE_COMPLETE"], settings={"PARAMETERS": ""})
    assert done.returncode == 0, done.stdout + done.stderr
    created = aws.arguments("create-change-set")
    assert created[created.index("--parameters") + 1] == "[]"


def test_a_parameter_is_not_expanded_as_a_file_pattern(fake: Any, tmp_path: Path) -> None:
    (tmp_path / "BillingMode=1").touch()  # the script runs in this folder
    aws, _ = fake(["UPDATE_COMPLETE"], settings={"PARAMETERS": "BillingMode=?"})
    assert '"ParameterValue":"?"' in " ".join(aws.arguments("create-change-set"))
