"""`deploy-dynamodb.sh`: against moto with the real AWS CLI, and against a fake one for the states that moto
cannot show."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from infrastructure.tools import SCRIPT, SECOND_TEMPLATE, TEMPLATE, FakeAws, tool

Deploy = Callable[..., "subprocess.CompletedProcess[str]"]


def environment(path: str, **settings: str) -> dict[str, str]:
    return {
        "PATH": f"{path}:/usr/bin:/bin",
        "HOME": "/nonexistent",
        "LC_ALL": "C.UTF-8",
        "AWS_EC2_METADATA_DISABLED": "true",
        "POLL_SECONDS": "0",
        **settings,
    }


def run(env: dict[str, str], cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([str(SCRIPT)], env=env, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture
def deploy(aws_url: str, warm_aws: str, tmp_path: Path) -> Deploy:
    """Run the script with the real AWS CLI against moto, from a folder that is not its own."""

    def deploy(**settings: str) -> "subprocess.CompletedProcess[str]":
        keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
        return run(environment(warm_aws, AWS_ENDPOINT_URL=aws_url, **(keys | settings)), tmp_path)

    return deploy


def client(aws_url: str, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=aws_url,
        region_name="ap-northeast-2",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )


def test_the_real_cli_creates_and_updates_any_template(deploy: Deploy, aws_url: str) -> None:
    settings = {"STACK_NAME": "pair", "TEMPLATE": str(SECOND_TEMPLATE)}
    created = deploy(**settings, PARAMETERS="Environment=staging ResultsTableName=quiz-results")
    assert created.returncode == 0, created.stdout + created.stderr
    assert "+ 추가 ResultsTable (AWS::DynamoDB::Table)" in created.stdout
    assert "✓ 스택 pair 배포가 끝났습니다: CREATE_COMPLETE" in created.stdout
    results = client(aws_url, "dynamodb").describe_table(TableName="quiz-results")["Table"]
    assert [i["IndexName"] for i in results["GlobalSecondaryIndexes"]] == ["sessionId-index"]
    stack = client(aws_url, "cloudformation").describe_stacks(StackName="pair")["Stacks"][0]
    assert {"ParameterKey": "Environment", "ParameterValue": "staging"} in stack["Parameters"]

    updated = deploy(**settings, PARAMETERS="Environment=production")
    assert updated.returncode == 0, updated.stdout + updated.stderr
    assert "배포가 끝났습니다: UPDATE_COMPLETE" in updated.stdout


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "AWS에 로그인할 수 없습니다"),
        ({"TEMPLATE": "/nowhere.yaml"}, "템플릿 파일 '/nowhere.yaml'을 읽을 수 없습니다."),
        ({"AWS_REGION": ""}, "AWS_REGION=''은 리전이 아닙니다"),
        ({"AWS_REGION": "Seoul"}, "AWS_REGION='Seoul'은 리전이 아닙니다"),
        ({"STACK_NAME": "my stack"}, "STACK_NAME='my stack'은 스택 이름으로 쓸 수 없습니다"),
        ({"PARAMETERS": "staging"}, "PARAMETERS의 'staging'는 이름=값 꼴이 아닙니다"),
        ({"PARAMETERS": "Colour=blue"}, "템플릿에 'Colour' 매개변수가 없습니다"),
    ],
)
def test_bad_input_is_one_sentence_and_changes_nothing(
    deploy: Deploy, aws_url: str, settings: dict[str, str], sentence: str
) -> None:
    name = settings.get("STACK_NAME", "never-made")
    done = deploy(**{"STACK_NAME": name, **settings})
    assert done.returncode == 2, done.stdout + done.stderr
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""
    stacks = client(aws_url, "cloudformation").describe_stacks()["Stacks"]
    assert name not in [stack["StackName"] for stack in stacks]


def test_a_template_that_is_none_is_refused(deploy: Deploy, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("Resources: [")
    done = deploy(TEMPLATE=str(broken))
    assert done.returncode == 2
    assert f"템플릿 '{broken}'이 올바르지 않습니다" in done.stderr
    broken.write_text(TEMPLATE.read_text() + "#" * 51_200)
    done = deploy(TEMPLATE=str(broken))
    assert done.returncode == 2
    assert "한도 51200바이트보다 큽니다" in done.stderr


def test_a_missing_cli_is_refused(tmp_path: Path) -> None:
    bare = tmp_path / "bin"
    bare.mkdir()
    for name in ("bash", "dirname", "env", "mktemp", "rm"):
        (bare / name).symlink_to(tool(name))
    env = {**environment(str(bare)), "PATH": str(bare)}
    done = run(env, tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("✗ AWS CLI(aws)가 없습니다.")


# The states that moto does not show.

STACK_ID = "arn:aws:cloudformation:ap-northeast-2:123456789012:stack/department-calendar/1"
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
    """Run the script against a scenario: what each describe-stacks says, and the change set."""

    def deploy(
        statuses: list[Any], prepared: Any = None, **more: Any
    ) -> tuple[FakeAws, "subprocess.CompletedProcess[str]"]:
        settings = {k: more.pop(k) for k in list(more) if k.isupper()}
        answers = {
            "get-caller-identity": [{"Account": "123456789012"}],
            "get-template-summary": [
                {"Parameters": [{"ParameterKey": "Environment"}, {"ParameterKey": "BillingMode"}]}
            ],
            "describe-stacks": [stack(s) if re.fullmatch("[A-Z_]+", s) else s for s in statuses],
            "create-change-set": [{"StackId": STACK_ID}],
            "describe-change-set": [prepared or change_set(change("Modify", "False"))],
            "describe-stack-events": [EVENTS],
        }
        aws = FakeAws(tmp_path / "fake", answers | {k.replace("_", "-"): v for k, v in more.items()})
        return aws, run(environment(str(aws.folder), **settings), tmp_path)

    return deploy


def test_a_stack_that_was_rolled_back_is_deleted_and_made_again(fake: Any) -> None:
    aws, done = fake(
        ["ROLLBACK_COMPLETE", "DELETE_IN_PROGRESS", "DELETE_IN_PROGRESS", MISSING, "CREATE_COMPLETE"]
    )
    assert done.returncode == 0, done.stdout + done.stderr
    steps = [o for o in aws.operations if not o.startswith(("describe", "get"))]
    assert steps == ["delete-stack", "create-change-set", "execute-change-set"]
    created = aws.arguments("create-change-set")
    assert created[created.index("--change-set-type") + 1] == "CREATE"
    assert "--import-existing-resources" in created, "tables that outlived the rollback are in the way"
    assert done.stdout.count("… DELETE_IN_PROGRESS") == 1


def test_a_rolled_back_stack_that_cannot_be_deleted_fails(fake: Any) -> None:
    aws, done = fake(["ROLLBACK_COMPLETE", "DELETE_FAILED"])
    assert done.returncode == 1
    assert "DELETE_FAILED" in done.stderr
    assert "create-change-set" not in aws.operations


def test_a_stack_in_review_is_created(fake: Any) -> None:
    aws, done = fake(["REVIEW_IN_PROGRESS", "REVIEW_IN_PROGRESS", "CREATE_IN_PROGRESS", "CREATE_COMPLETE"])
    assert done.returncode == 0, done.stdout + done.stderr
    created = aws.arguments("create-change-set")
    assert created[created.index("--change-set-type") + 1] == "CREATE"
    assert "--import-existing-resources" not in created
    assert "delete-stack" not in aws.operations


@pytest.mark.parametrize(
    "progress", ["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "CREATE_IN_PROGRESS"]
)
def test_an_operation_in_progress_is_waited_for(fake: Any, progress: str) -> None:
    aws, done = fake([progress, progress, "UPDATE_COMPLETE"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"… {progress}" in done.stdout
    waited = aws.operations[: aws.operations.index("create-change-set")]
    assert waited.count("describe-stacks") >= 3


def test_waiting_ends(fake: Any) -> None:
    _, done = fake(["UPDATE_IN_PROGRESS"], WAIT_SECONDS="0")
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


def test_no_change_is_success(fake: Any) -> None:
    nothing = change_set(
        status="FAILED",
        reason="The submitted information didn't contain changes. Submit different information.",
    )
    aws, done = fake(["UPDATE_COMPLETE"], nothing)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✓ 변경할 것이 없습니다." in done.stdout
    assert "  EventsTableName\tevents" in done.stdout
    assert "execute-change-set" not in aws.operations
    assert "delete-change-set" in aws.operations


def test_no_change_that_is_told_as_an_error_is_success(fake: Any) -> None:
    error = "(ValidationError) when calling the CreateChangeSet operation: No updates are to be performed."
    aws, done = fake(["UPDATE_COMPLETE"], create_change_set=[error])
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
        change("Modify", "True"),
        change("Modify", "Conditional"),
        change("Remove"),
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


def test_a_change_that_loses_a_table_can_be_allowed(fake: Any) -> None:
    aws, done = fake(["UPDATE_COMPLETE"], change_set(change("Modify", "True")), ALLOW_REPLACEMENT="1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "! 교체 EventsTable" in done.stdout
    assert "execute-change-set" in aws.operations


def test_replacing_something_else_is_no_loss(fake: Any) -> None:
    aws, done = fake(["UPDATE_COMPLETE"], change_set(change("Modify", "True", "AWS::CloudWatch::Alarm")))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "execute-change-set" in aws.operations


def assert_last_ten_events(done: "subprocess.CompletedProcess[str]") -> None:
    assert [f"Resource{n}\treason {n}" in done.stderr for n in range(12)] == [True] * 10 + [False] * 2


def test_a_failed_deployment_prints_the_last_ten_events(fake: Any) -> None:
    _, done = fake(
        [
            "UPDATE_COMPLETE",
            "UPDATE_COMPLETE",
            "UPDATE_IN_PROGRESS",
            "UPDATE_ROLLBACK_IN_PROGRESS",
            "UPDATE_ROLLBACK_COMPLETE",
        ]
    )
    assert done.returncode == 1
    assert "✗ 배포에 실패했습니다: UPDATE_ROLLBACK_COMPLETE" in done.stderr
    assert_last_ten_events(done)


@pytest.mark.parametrize(
    "operation", ["create_change_set", "describe_change_set", "execute_change_set", "describe_stacks"]
)
def test_a_call_that_fails_prints_the_last_ten_events(fake: Any, operation: str) -> None:
    refused = "(AccessDenied) when calling it: not authorized"
    arguments = {operation: [refused]}
    _, done = fake(["UPDATE_COMPLETE"], **arguments)
    assert done.returncode == 1
    assert "not authorized" in done.stderr
    assert_last_ten_events(done)


def test_parameters_that_cannot_be_read_stop_the_deployment(fake: Any) -> None:
    aws, done = fake(["UPDATE_COMPLETE", "(Throttling) Rate exceeded"])
    assert done.returncode == 1
    assert "create-change-set" not in aws.operations


def test_a_change_set_that_fails_prints_its_reason(fake: Any) -> None:
    aws, done = fake([MISSING], change_set(status="FAILED", reason="No such thing as a Tabel"))
    assert done.returncode == 1
    assert "✗ 변경 세트를 만들지 못했습니다: No such thing as a Tabel" in done.stderr
    assert_last_ten_events(done)
    assert "delete-stack" in aws.operations, "the empty stack of the change set is left behind"


def test_parameters_that_are_not_given_keep_their_values(fake: Any) -> None:
    aws, done = fake(["UPDATE_COMPLETE"], PARAMETERS='BillingMode=A"*,\\B')
    assert done.returncode == 0, done.stdout + done.stderr
    created = aws.arguments("create-change-set")
    assert created[created.index("--parameters") + 1] == (
        '[{"ParameterKey":"BillingMode","ParameterValue":"A\\"*,\\\\B"},'
        '{"ParameterKey":"Environment","UsePreviousValue":true}]'
    )


def test_a_parameter_is_no_file_pattern(fake: Any, tmp_path: Path) -> None:
    (tmp_path / "BillingMode=1").touch()  # the script runs in this folder
    aws, _ = fake(["UPDATE_COMPLETE"], PARAMETERS="BillingMode=?")
    assert '"ParameterValue":"?"' in " ".join(aws.arguments("create-change-set"))


def test_the_region_reaches_the_cli(fake: Any, tmp_path: Path) -> None:
    _, done = fake(["UPDATE_COMPLETE"], AWS_REGION="us-east-1")
    assert "리전 us-east-1, 계정 123456789012" in done.stdout
    assert os.access(SCRIPT, os.X_OK)
