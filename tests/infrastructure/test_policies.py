"""The policies that are shipped as files: the same as in the stack, and no wider than needed."""

import json
import re
from typing import Any

import pytest

from config import Settings
from in_process import Calendar
from infrastructure.recording_client import RecordingClient
from infrastructure.tools import INFRASTRUCTURE, as_list, load_template
from models import DynamoDBDatabase
from store.tables import TableNames


def policy(name: str) -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = json.loads((INFRASTRUCTURE / "iam" / name).read_text())["Statement"]
    return statements


def test_the_server_policy_is_the_one_of_the_stack() -> None:
    stack = load_template()["Resources"]["ServerPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    table = "arn:aws:dynamodb:ap-northeast-2:*:table/"
    kinds = ("Departments", "Events", "Changes", "Accounts")
    names = {f"{kind}Table": f"{table}{kind.lower()}" for kind in kinds}
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
                    r"arn:aws:dynamodb:ap-northeast-2:\*:table/(departments|events|changes|accounts)(\*|/(index|stream)/\*)?",
                    resource,
                )


@pytest.mark.parametrize("name", ["setup-policy.json", "backup-policy.json", "server-policy.json"])
def test_a_new_epoch_needs_no_more_than_a_policy_allows(name: str, account_settings: Settings) -> None:
    db = DynamoDBDatabase(account_settings)
    db.create_tables(report=lambda _: None)
    Calendar(db).departments.create_department("개발팀")
    client = RecordingClient(account_settings)
    assert DynamoDBDatabase(account_settings, client).renew_epochs() > 1
    assert client.needed
    for table, actions in client.needed.items():
        arn = f"arn:aws:dynamodb:ap-northeast-2:*:table/{table}"
        about = [s for s in policy(name) if {arn, f"{arn}*"} & set(as_list(s["Resource"]))]
        assert actions <= {action for statement in about for action in as_list(statement["Action"])}


def test_the_setup_policy_reaches_the_indexes() -> None:
    resources = [r for s in policy("setup-policy.json") for r in as_list(s["Resource"])]
    for definition in TableNames("departments", "events", "changes", "accounts").definitions():
        table = f"arn:aws:dynamodb:ap-northeast-2:*:table/{definition['TableName']}"
        assert table in resources
        assert (f"{table}/index/*" in resources) == ("GlobalSecondaryIndexes" in definition)
