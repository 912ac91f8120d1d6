"""The template: it makes the tables that the server expects, watches them so that alarms can fire, and lets
the server do what it does and nothing else."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from aws_client import aws_client
from config import Settings
from domain import new_id, utc_now
from errors import SignInFailed
from in_process import Calendar
from infrastructure.recording_client import RecordingClient
from infrastructure.tools import SCRIPT, SECOND_TEMPLATE, TEMPLATE, as_list, engine, load_template, resources
from models import DynamoDBDatabase
from people import Role, Scope
from services.accounts.administration import AccountFields
from services.accounts.joining import NewPerson, Offer
from services.accounts.sessions import Visit
from services.core import build_core
from services.repair import Repaired
from store import account_rows, rows
from store.tables import TableNames

TEMPLATE_DATA = load_template()
TABLES = resources(TEMPLATE_DATA, "AWS::DynamoDB::Table")
ALARMS = resources(TEMPLATE_DATA, "AWS::CloudWatch::Alarm")

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
PUBLISHED_WITH = {
    "ReadThrottleEvents": [{"TableName"}, {"TableName", "GlobalSecondaryIndexName"}],
    "WriteThrottleEvents": [{"TableName"}, {"TableName", "GlobalSecondaryIndexName"}],
    "ConsumedReadCapacityUnits": [{"TableName"}, {"TableName", "GlobalSecondaryIndexName"}],
    "ConsumedWriteCapacityUnits": [{"TableName"}, {"TableName", "GlobalSecondaryIndexName"}],
    "ConditionalCheckFailedRequests": [{"TableName"}],
    "TransactionConflict": [{"TableName"}],
    "TimeToLiveDeletedItemCount": [{"TableName"}],
    "SystemErrors": [{"TableName", "Operation"}],
    "ThrottledRequests": [{"TableName", "Operation"}],
    "SuccessfulRequestLatency": [{"TableName", "Operation"}],
}


def test_the_tables_are_those_that_the_server_creates() -> None:
    names = ("DepartmentsTable", "EventsTable", "ChangesTable", "AccountsTable")
    wanted = TableNames(*names).definitions()
    for name, definition in zip(names, wanted, strict=True):
        properties = TABLES[name]["Properties"]
        assert properties["TableName"] == {"Ref": f"{name}Name"}
        assert properties["KeySchema"] == definition["KeySchema"]
        assert properties["AttributeDefinitions"] == definition["AttributeDefinitions"]
        indexes = [
            {k: v for k, v in index.items() if k != "ProvisionedThroughput"}
            for index in properties.get("GlobalSecondaryIndexes", [])
        ]
        assert indexes == definition.get("GlobalSecondaryIndexes", [])
    assert len(TABLES) == len(wanted)
    defaults = Settings()
    parameters = TEMPLATE_DATA["Parameters"]
    for kind in ("departments", "events", "changes", "accounts"):
        assert parameters[f"{kind.title()}TableName"]["Default"] == getattr(defaults, f"{kind}_table")


def units(figure: int) -> dict[str, Any]:
    given = {"ReadCapacityUnits": figure, "WriteCapacityUnits": figure}
    return {"Fn::If": ["IsProvisioned", given, {"Ref": "AWS::NoValue"}]}


def test_provisioned_billing_has_the_figures_of_the_field() -> None:
    for table in TABLES.values():
        assert table["Properties"]["ProvisionedThroughput"] == units(10)
    found = {
        index["IndexName"]: index["ProvisionedThroughput"]
        for table in TABLES.values()
        for index in table["Properties"].get("GlobalSecondaryIndexes", [])
    }
    assert found == {"name-index": units(5), "department-date-index": units(10)}
    assert TEMPLATE_DATA["Parameters"]["BillingMode"]["Default"] == "PAY_PER_REQUEST"


def test_what_expires_is_rows_of_the_log_and_of_the_accounts() -> None:
    ttl = {name: table["Properties"].get("TimeToLiveSpecification") for name, table in TABLES.items()}
    assert ttl == {
        "DepartmentsTable": None,
        "EventsTable": None,
        "ChangesTable": {"AttributeName": rows.TTL_ATTRIBUTE, "Enabled": True},
        "AccountsTable": {"AttributeName": account_rows.TTL_ATTRIBUTE, "Enabled": True},
    }


def test_tables_are_hard_to_lose() -> None:
    for table in TABLES.values():
        properties = table["Properties"]
        assert table["DeletionPolicy"] == "Retain"
        assert table["UpdateReplacePolicy"] == "Retain"
        assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert properties["SSESpecification"]["SSEEnabled"] is True
        assert properties["DeletionProtectionEnabled"] == {"Fn::If": ["IsProtected", True, False]}
        assert properties["BillingMode"] == {"Ref": "BillingMode"}
    assert TEMPLATE_DATA["Parameters"]["DeletionProtection"]["Default"] == "true"


@pytest.mark.parametrize("path", [TEMPLATE, SECOND_TEMPLATE], ids=lambda path: path.name)
def test_tables_are_created_one_after_the_other(path: Path) -> None:
    tables = resources(load_template(path), "AWS::DynamoDB::Table")
    followers = {table["DependsOn"] for table in tables.values() if "DependsOn" in table}
    assert followers < set(tables)
    assert len(followers) == len(tables) - 1


def test_what_can_be_tagged_is_tagged() -> None:
    untagged = {"AWS::CloudWatch::Dashboard", "AWS::IAM::ManagedPolicy"}
    tags = [
        {"Key": "Environment", "Value": {"Ref": "Environment"}},
        {"Key": "Service", "Value": {"Ref": "Service"}},
    ]
    for name, resource in TEMPLATE_DATA["Resources"].items():
        if resource["Type"] not in untagged:
            assert resource["Properties"]["Tags"] == tags, name


def metrics(alarm: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    properties = alarm["Properties"]
    if "MetricName" in properties:
        found = [properties]
    else:
        found = [m["MetricStat"]["Metric"] for m in properties["Metrics"] if "MetricStat" in m]
        assert sum(m["ReturnData"] for m in properties["Metrics"]) == 1
    for metric in found:
        assert metric["Namespace"] == "AWS/DynamoDB"
        yield metric["MetricName"], {d["Name"]: d["Value"] for d in metric["Dimensions"]}


def test_every_alarm_can_fire() -> None:
    for name, alarm in ALARMS.items():
        for metric, dimensions in metrics(alarm):
            assert set(dimensions) in PUBLISHED_WITH[metric], f"{name}: {metric} is not published so"


def test_every_table_and_index_is_watched_for_throttling() -> None:
    watched = {
        (metric, dimensions["TableName"]["Ref"], dimensions.get("GlobalSecondaryIndexName"))
        for alarm in ALARMS.values()
        for metric, dimensions in metrics(alarm)
        if metric.endswith("ThrottleEvents")
    }
    tables_and_indexes = {(name, None) for name in TABLES} | {
        (name, index["IndexName"])
        for name, table in TABLES.items()
        for index in table["Properties"].get("GlobalSecondaryIndexes", [])
    }
    assert watched == {
        (metric, *watchable)
        for metric in ("ReadThrottleEvents", "WriteThrottleEvents")
        for watchable in tables_and_indexes
    }


def test_alarms_notify_the_topic_if_there_is_one() -> None:
    notify = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]}
    for alarm in ALARMS.values():
        assert alarm["Properties"]["AlarmActions"] == notify
        assert alarm["Properties"]["OKActions"] == notify


def test_the_dashboard_shows_metrics_that_exist() -> None:
    body = TEMPLATE_DATA["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    shown = [m for w in json.loads(body)["widgets"] for m in w["properties"].get("metrics", [])]
    assert shown
    for _, metric, *dimensions in shown:
        assert set(dimensions[::2]) in PUBLISHED_WITH[metric], metric
        assert dimensions[1].strip("${}") in TABLES


def test_outputs_are_exported_under_the_name_of_the_stack() -> None:
    outputs = TEMPLATE_DATA["Outputs"]
    for name, output in outputs.items():
        assert output["Export"] == {"Name": {"Fn::Sub": f"${{AWS::StackName}}-{name}"}}
    kinds = ("Departments", "Events", "Changes", "Accounts")
    tables = {f"{kind}Table{what}" for kind in kinds for what in ("Name", "Arn")}
    assert tables | {"ServerPolicyArn", "DeploymentPolicyArn", "LogGroupName"} <= set(outputs)


# The policies.


def allowed(policy: str) -> dict[str, set[str]]:
    """Return the actions that a policy allows, by resource as the template names it."""
    statements = TEMPLATE_DATA["Resources"][policy]["Properties"]["PolicyDocument"]["Statement"]
    found: dict[str, set[str]] = defaultdict(set)
    for statement in statements:
        assert statement["Effect"] == "Allow"
        for resource in as_list(statement["Resource"]):
            name = resource
            if isinstance(resource, dict):
                [(function, value)] = resource.items()
                name = value if function != "Fn::GetAtt" else ".".join(as_list(value))
            found[name.replace("${", "").replace("}", "")] |= set(as_list(statement["Action"]))
    return found


def use_everything(db: DynamoDBDatabase, url: str) -> None:
    """Do with the store at an address all that the server does."""
    db.check_tables()
    calendar = Calendar(db)
    departments, events = calendar.departments, calendar.events
    department = departments.create_department("개발팀").entity
    departments.update_department(department.id, {"name": "연구팀"})
    departments.list_departments()
    token = calendar.token(department.id)
    event = events.create_event(
        department.id, {"event_date": "2026-01-02", "title": "회의"}, key="하나"
    ).entity
    events.update_event(event.id, {"title": "회고"})
    events.create_event(department.id, {"event_date": "2026-01-03", "title": "점검"})
    assert calendar.sync.changes_since(department.id, token, 10).changes
    assert Calendar(db).snapshot(department.id).chunks.count()
    events.create_event(department.id, {"event_date": "2026-01-02", "title": "회의"}, key="하나")
    events.delete_event(event.id)
    events.restore_event(department.id, event.id)
    events.page_history(department.id, event.id, 10)
    departments.delete_department(department.id)
    departments.page_deleted_departments(10)
    departments.restore_department(department.id)
    departments.delete_department(department.id)
    departments.create_department("운영팀")
    stranger = {"id": {"S": new_id()}, "name": {"S": "옛 부서"}}  # as another tool writes it
    by_hand = aws_client("dynamodb", url)
    by_hand.put_item(TableName="departments", Item=stranger)
    departments.delete_department(stranger["id"]["S"])
    assert calendar.purge.run_due(utc_now() + timedelta(days=31)) == 2
    by_hand.put_item(TableName="departments", Item=stranger)
    assert calendar.repair.run() == Repaired(purged=0, adopted=1)
    use_accounts(db)


def use_accounts(db: DynamoDBDatabase) -> None:
    """Do with the accounts of a store all that the server does."""
    accounts = build_core(db, snapshot_bytes=1_000_000, accounts_url="https://calendar.example.com").accounts
    assert accounts
    link = accounts.joining.begin_setup()
    assert link
    password, visit = "정확한 말 배터리 스테이플", Visit("192.0.2.1", "a browser")
    admin = accounts.joining.set_up(str(link), NewPerson("admin@example.com", "관리자", password))
    with pytest.raises(SignInFailed):
        accounts.sessions.sign_in("admin@example.com", "another password", visit)
    _, cookie = accounts.sessions.sign_in("admin@example.com", password, visit)
    principal = accounts.sessions.of_cookie(str(cookie))
    _, token = accounts.device_tokens.create(principal, "프로그램", Scope.READ, None)
    assert accounts.sessions.of_token(token, "192.0.2.1").account_id == admin.id
    department_id = new_id()
    offer = Offer(email="kim@example.com", department_id=department_id, role=Role.READER)
    _, invitation = accounts.joining.invite(principal, offer)
    member = accounts.joining.accept(str(invitation), NewPerson("kim@example.com", "김", password))
    accounts.members.set_visibility(principal, department_id, True)
    accounts.members.forget(department_id)
    accounts.administration.change(principal, member.id, AccountFields(disabled=True))
    assert accounts.administration.page_audit(None, 10)[0]


def test_the_server_may_do_what_it_does_and_nothing_else(tmp_path: Path, aws_keys: None) -> None:
    with engine(tmp_path) as url:
        settings = Settings(dynamodb_endpoint_url=url, auth=True)
        DynamoDBDatabase(settings).create_tables(report=lambda _: None)
        client = RecordingClient(settings)
        use_everything(DynamoDBDatabase(settings, client), url)
    names = {
        "departments": "DepartmentsTable.Arn",
        "events": "EventsTable.Arn",
        "changes": "ChangesTable.Arn",
        "accounts": "AccountsTable.Arn",
    }
    needed = {}
    for resource, actions in client.needed.items():
        table, *index = resource.split("/", 1)
        needed["/".join([names[table], *index])] = actions
    granted = allowed("ServerPolicy")
    logs = granted.pop("ServerLogGroup.Arn")
    assert logs == {"logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"}
    assert granted == needed


def test_no_policy_can_delete_a_table_or_widen_itself() -> None:
    for policy in ("ServerPolicy", "DeploymentPolicy"):
        granted = allowed(policy)
        actions = set().union(*granted.values())
        assert not [a for a in actions if "*" in a]
        assert "dynamodb:DeleteTable" not in actions
        assert "DeploymentPolicy" not in granted
    assert not [
        a for a in set().union(*allowed("ServerPolicy").values()) if "Table" in a and "Describe" not in a
    ]


def test_whoever_deploys_may_do_what_the_script_does() -> None:
    called = set(re.findall(r"\bcloudformation ([a-z]+(?:-[a-z]+)+)", SCRIPT.read_text()))
    actions = {"cloudformation:" + "".join(word.title() for word in name.split("-")) for name in called}
    # Only an administrator creates the stack, for its policies, and so deletes one whose creation failed.
    actions -= {"cloudformation:DeleteStack"}
    granted = set().union(*allowed("DeploymentPolicy").values())
    assert {action for action in granted if action.startswith("cloudformation:")} == actions


def test_only_what_has_no_resource_is_allowed_on_all() -> None:
    assert allowed("DeploymentPolicy")["*"] == {
        "cloudformation:GetTemplateSummary",
        "cloudwatch:DescribeAlarms",
        "logs:DescribeLogGroups",
    }
    assert "*" not in allowed("ServerPolicy")
