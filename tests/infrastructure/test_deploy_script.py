"""`deploy-dynamodb.sh` with the real AWS CLI, against ministack."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_client import KEYS, REGION, aws_client
from infrastructure.deploy_script import deployment_environment, run_script
from infrastructure.tools import SECOND_TEMPLATE, TEMPLATE, load_template, tool
from older_version import OLDER, lay_out
from store.tables import TableNames

TABLES = ("Departments", "Events", "Changes", "Accounts")
OTHER_NAMES = (
    "DepartmentsTableName=teams EventsTableName=termine ChangesTableName=protokoll AccountsTableName=konten"
)
Deploy = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def deploy(stacks_url: str, warm_aws: str, tmp_path: Path) -> Deploy:
    """Run the script with the real AWS CLI against ministack, from a folder that is not its own."""

    def deploy(**settings: str) -> "subprocess.CompletedProcess[str]":
        return run_script(
            deployment_environment(warm_aws, AWS_ENDPOINT_URL=stacks_url, **(KEYS | settings)), tmp_path
        )

    return deploy


@dataclass
class Account:
    """What the tests ask of the account, and put into it, beside the script."""

    url: str

    def client(self, service: str, region: str = REGION) -> Any:
        return aws_client(service, self.url, region)

    def stack(self, name: str = "department-calendar", region: str = REGION) -> dict[str, Any]:
        stacks = self.client("cloudformation", region).describe_stacks(StackName=name)["Stacks"]
        found: dict[str, Any] = stacks[0]
        return found

    def outputs(self) -> dict[str, str]:
        return {o["OutputKey"]: o["OutputValue"] for o in self.stack()["Outputs"]}

    def resources(self) -> dict[str, str]:
        found = self.client("cloudformation").describe_stack_resources(StackName="department-calendar")
        return {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in found["StackResources"]}

    def make_tables(self, *names: str) -> None:
        """Create the tables as the server does, with a department in the first."""
        dynamodb = self.client("dynamodb")
        for definition in TableNames(*names).definitions():
            dynamodb.create_table(**definition, BillingMode="PAY_PER_REQUEST")
        dynamodb.put_item(TableName=names[0], Item={"id": {"S": "1"}, "name": {"S": "개발팀"}})

    def departments(self, table: str) -> list[str]:
        return [item["name"]["S"] for item in self.client("dynamodb").scan(TableName=table)["Items"]]


@pytest.fixture
def account(stacks_url: str) -> Account:
    return Account(stacks_url)


def with_a_broken_alarm(folder: Path, template: Path = TEMPLATE) -> str:
    """Return a copy of the template in which one alarm more, after the tables, cannot be created."""
    text = template.read_text()
    last = [name for name, r in load_template(template)["Resources"].items() if "DependsOn" in r][-1]
    alarm = f"  Broken:\n    Type: AWS::CloudWatch::Alarm\n    DependsOn: {last}\n"
    properties = "    Properties: { Namespace: AWS/DynamoDB, MetricName: ReadThrottleEvents, Threshold: 1 }\n"
    copy = folder / "broken.yaml"
    copy.write_text(text.replace("\nResources:\n", f"\nResources:\n{alarm}{properties}"))
    return str(copy)


def test_the_template_is_deployed_updated_and_left_alone(deploy: Deploy, account: Account) -> None:
    created = deploy(PARAMETERS="Environment=staging EventsTableName=termine")
    assert created.returncode == 0, created.stdout + created.stderr
    assert "+ 추가 EventsTable (AWS::DynamoDB::Table)" in created.stdout
    assert "✓ 스택 department-calendar 배포가 끝났습니다: CREATE_COMPLETE" in created.stdout
    assert account.outputs()["EventsTableName"] == "termine"
    assert account.outputs()["LogGroupName"] == "/department-calendar/staging/server"
    for key, value in account.outputs().items():
        assert f"  {key}\t{value}\n" in created.stdout
    tables = account.client("dynamodb").list_tables()["TableNames"]
    assert tables == ["accounts", "changes", "departments", "termine"]

    updated = deploy(PARAMETERS="LogRetentionDays=7")
    assert updated.returncode == 0, updated.stdout + updated.stderr
    assert "ServerLogGroup (AWS::Logs::LogGroup)" in updated.stdout, "a change of something else is no loss"
    assert "배포가 끝났습니다: UPDATE_COMPLETE" in updated.stdout
    (group,) = account.client("logs").describe_log_groups()["logGroups"]
    assert (group["logGroupName"], group["retentionInDays"]) == ("/department-calendar/staging/server", 7)
    assert account.outputs()["EventsTableName"] == "termine", "a parameter that is not given keeps its value"

    again = deploy()
    assert again.returncode == 0, again.stdout + again.stderr
    assert "✓ 변경할 것이 없습니다." in again.stdout
    assert "  EventsTableName\ttermine\n" in again.stdout


def test_a_stack_without_accounts_gets_their_table_and_keeps_its_data(
    deploy: Deploy, account: Account, tmp_path: Path
) -> None:
    older = lay_out(OLDER, tmp_path, "infrastructure") / "infrastructure" / TEMPLATE.name
    assert deploy(TEMPLATE=str(older), PARAMETERS="EventsTableName=termine").returncode == 0
    dynamodb = account.client("dynamodb")
    dynamodb.put_item(TableName="departments", Item={"id": {"S": "1"}, "name": {"S": "개발팀"}})
    upgraded = deploy(PARAMETERS="AccountsTableName=konten")
    assert upgraded.returncode == 0, upgraded.stdout + upgraded.stderr
    assert "  + 추가 AccountsTable (AWS::DynamoDB::Table)\n" in upgraded.stdout
    assert account.outputs()["AccountsTableName"] == "konten"
    assert dynamodb.list_tables()["TableNames"] == ["changes", "departments", "konten", "termine"]
    assert account.departments("departments") == ["개발팀"]


def test_a_table_is_not_replaced_by_mistake(deploy: Deploy, account: Account) -> None:
    assert deploy().returncode == 0
    account.client("dynamodb").put_item(TableName="departments", Item={"id": {"S": "1"}, "name": {"S": "가"}})
    refused = deploy(PARAMETERS="DepartmentsTableName=teams")
    assert refused.returncode == 1, refused.stdout + refused.stderr
    assert "! 교체 DepartmentsTable (AWS::DynamoDB::Table)" in refused.stdout, "the change set is shown"
    assert "삭제하는 변경이라 실행하지 않았습니다: DepartmentsTable" in refused.stderr
    assert account.resources()["DepartmentsTable"] == "departments"
    found = account.client("cloudformation").list_change_sets(StackName="department-calendar")["Summaries"]
    assert [c for c in found if c["ExecutionStatus"] == "AVAILABLE"] == [], "the change set is discarded"

    allowed = deploy(PARAMETERS="DepartmentsTableName=teams", ALLOW_REPLACEMENT="1")
    assert allowed.returncode == 0, allowed.stdout + allowed.stderr
    assert account.resources()["DepartmentsTable"] == "teams"
    assert account.departments("departments") == ["가"], "UpdateReplacePolicy: Retain keeps the old table"


def test_a_table_that_the_template_no_longer_has_is_not_removed(deploy: Deploy, tmp_path: Path) -> None:
    settings = {"STACK_NAME": "pair", "TEMPLATE": str(SECOND_TEMPLATE)}
    assert deploy(**settings).returncode == 0
    sessions = SECOND_TEMPLATE.read_text().split("  ResultsTable:\n")[0]
    smaller = tmp_path / "smaller.yaml"
    outputs = "Outputs:\n  SessionsTableArn:\n    Value: !GetAtt SessionsTable.Arn\n"
    smaller.write_text(sessions + outputs)
    done = deploy(**settings | {"TEMPLATE": str(smaller)})
    assert done.returncode == 1, done.stdout + done.stderr
    assert "- 삭제 ResultsTable (AWS::DynamoDB::Table)" in done.stdout
    assert "실행하지 않았습니다: ResultsTable" in done.stderr


def test_tables_that_exist_are_taken_in_with_their_data(deploy: Deploy, account: Account) -> None:
    account.make_tables("teams", "termine", "protokoll", "konten")
    account.client("logs").create_log_group(logGroupName="/calendar/try/server")
    done = deploy(PARAMETERS=f"{OTHER_NAMES} Service=calendar Environment=try", IMPORT_EXISTING="1")
    assert done.returncode == 0, done.stdout + done.stderr
    for imported in (*(f"{table}Table" for table in TABLES), "ServerLogGroup"):
        assert f"< 가져오기 {imported} (" in done.stdout
    assert done.stdout.count("< 가져오기") == 5
    assert account.departments("teams") == ["개발팀"]
    tables = {key: value for key, value in account.resources().items() if key.endswith("Table")}
    assert tables == {
        "DepartmentsTable": "teams",
        "EventsTable": "termine",
        "ChangesTable": "protokoll",
        "AccountsTable": "konten",
    }

    again = deploy()
    assert again.returncode == 0, again.stdout + again.stderr
    assert "✓ 변경할 것이 없습니다." in again.stdout, "names by parameter mean the same as names written out"


def test_a_table_that_exists_is_taken_into_a_stack_that_exists(
    deploy: Deploy, account: Account, tmp_path: Path
) -> None:
    smaller = tmp_path / "smaller.yaml"
    smaller.write_text(SECOND_TEMPLATE.read_text().split("  ResultsTable:\n")[0])
    parameters = "Environment=staging ResultsTableName=quiz-results"
    assert deploy(STACK_NAME="pair", TEMPLATE=str(smaller), PARAMETERS=parameters).returncode == 0
    dynamodb = account.client("dynamodb")
    dynamodb.create_table(
        TableName="quiz-results",
        KeySchema=[{"AttributeName": "resultId", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "resultId", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.put_item(TableName="quiz-results", Item={"resultId": {"S": "1"}})
    done = deploy(STACK_NAME="pair", TEMPLATE=str(SECOND_TEMPLATE), IMPORT_EXISTING="1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "< 가져오기 ResultsTable (AWS::DynamoDB::Table)" in done.stdout
    assert "가져오기 SessionsTable" not in done.stdout
    assert dynamodb.scan(TableName="quiz-results")["Count"] == 1
    assert {"ParameterKey": "Environment", "ParameterValue": "staging"} in account.stack("pair")["Parameters"]


def test_a_table_restored_under_its_name_is_still_the_one_of_the_stack(
    deploy: Deploy, account: Account
) -> None:
    assert deploy(PARAMETERS=f"{OTHER_NAMES} DeletionProtection=false").returncode == 0
    dynamodb = account.client("dynamodb")
    for table in ("teams", "termine", "protokoll", "konten"):
        dynamodb.delete_table(TableName=table)
    account.make_tables("teams", "termine", "protokoll", "konten")
    done = deploy(IMPORT_EXISTING="1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✓ 변경할 것이 없습니다." in done.stdout
    assert account.departments("teams") == ["개발팀"]


def test_a_table_that_the_template_does_not_retain_is_not_taken_in(
    deploy: Deploy, account: Account, tmp_path: Path
) -> None:
    account.make_tables("departments", "events", "changes", "accounts")
    template = tmp_path / "careless.yaml"
    template.write_text(TEMPLATE.read_text().replace("    DeletionPolicy: Retain\n", ""))
    done = deploy(TEMPLATE=str(template), IMPORT_EXISTING="1")
    assert done.returncode == 1, done.stdout + done.stderr
    assert (
        "✗ 변경 세트를 만들지 못했습니다: CloudFormation is attempting to import some resources"
        in done.stderr
    )
    assert account.departments("departments") == ["개발팀"]
    with pytest.raises(ClientError, match="does not exist"):
        account.stack()


def test_a_creation_that_failed_is_made_again_with_the_tables_that_it_left(
    deploy: Deploy, account: Account, tmp_path: Path
) -> None:
    failed = deploy(TEMPLATE=with_a_broken_alarm(tmp_path))
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert "✗ 배포에 실패했습니다: ROLLBACK_COMPLETE" in failed.stderr
    assert "\tCREATE_FAILED\tBroken\tComparisonOperator is required" in failed.stderr
    assert len(failed.stderr.split("최근 이벤트 10개 (최신순):\n")[1].splitlines()) == 10
    assert account.stack()["StackStatus"] == "ROLLBACK_COMPLETE"
    account.client("dynamodb").put_item(TableName="departments", Item={"id": {"S": "1"}, "name": {"S": "가"}})

    mended = deploy()
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert "첫 생성에 실패한 스택입니다(ROLLBACK_COMPLETE)" in mended.stdout
    assert [f"< 가져오기 {table}Table (" in mended.stdout for table in TABLES] == [True] * 4
    assert account.stack()["StackStatus"] == "CREATE_COMPLETE"
    assert account.departments("departments") == ["가"]


def test_an_update_that_failed_is_rolled_back_and_told(
    deploy: Deploy, account: Account, tmp_path: Path
) -> None:
    settings = {"STACK_NAME": "pair", "TEMPLATE": str(SECOND_TEMPLATE)}
    assert deploy(**settings).returncode == 0
    failed = deploy(**settings | {"TEMPLATE": with_a_broken_alarm(tmp_path, SECOND_TEMPLATE)})
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert "✗ 배포에 실패했습니다: UPDATE_ROLLBACK_COMPLETE" in failed.stderr
    assert "\tBroken\tComparisonOperator is required" in failed.stderr
    updated = deploy(**settings, PARAMETERS="Environment=staging")
    assert updated.returncode == 0, updated.stdout + updated.stderr


def test_a_stack_in_review_is_created(deploy: Deploy, account: Account) -> None:
    account.client("cloudformation").create_change_set(
        StackName="pair",
        ChangeSetName="never-run",
        ChangeSetType="CREATE",
        TemplateBody=SECOND_TEMPLATE.read_text(),
    )
    assert account.stack("pair")["StackStatus"] == "REVIEW_IN_PROGRESS"
    done = deploy(STACK_NAME="pair", TEMPLATE=str(SECOND_TEMPLATE), AWS_REGION="ap-northeast-2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert account.stack("pair")["StackStatus"] == "CREATE_COMPLETE"


def test_the_region_is_the_one_that_is_named(deploy: Deploy, account: Account) -> None:
    done = deploy(STACK_NAME="pair", TEMPLATE=str(SECOND_TEMPLATE), AWS_REGION="us-east-1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "리전 us-east-1, 계정 000000000000" in done.stdout
    assert account.stack("pair", "us-east-1")["StackStatus"] == "CREATE_COMPLETE"
    with pytest.raises(ClientError, match="does not exist"):
        account.stack("pair")


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
def test_malformed_input_is_one_sentence_and_changes_nothing(
    deploy: Deploy, account: Account, settings: dict[str, str], sentence: str
) -> None:
    name = settings.get("STACK_NAME", "never-made")
    done = deploy(**{"STACK_NAME": name, **settings})
    assert done.returncode == 2, done.stdout + done.stderr
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""
    assert account.client("cloudformation").describe_stacks()["Stacks"] == []


def test_an_invalid_template_is_refused(deploy: Deploy, tmp_path: Path) -> None:
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
    env = {**deployment_environment(str(bare)), "PATH": str(bare)}
    done = run_script(env, tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("✗ AWS CLI(aws)가 없습니다.")
