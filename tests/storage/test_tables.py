"""Creating and checking the tables, on every store."""

import logging
from dataclasses import replace

import boto3
import click
import pytest

from config import Settings
from errors import SetupError, TableMissing
from models import DynamoDBDatabase, TableResult, describe_store
from store.dynamo_client import DynamoClient


def create(settings: Settings, **options) -> list[str | TableResult]:
    reported: list[str | TableResult] = []
    DynamoDBDatabase(settings).create_tables(report=reported.append, **options)
    return reported


def describe(settings: Settings, table: str) -> dict:
    return DynamoClient(settings).call("describe_table", TableName=table)["Table"]


def test_created_tables_are_announced_and_found_again(settings):
    names = settings.departments_table, settings.events_table, settings.changes_table
    store = f"저장소: {describe_store(settings)}"
    assert create(settings) == [store, *(TableResult(name, created=True) for name in names)]
    assert create(settings) == [store, *(TableResult(name, created=False) for name in names)]


def test_what_became_of_a_table_reads_as_a_sentence_wherever_it_is_reported(settings, capsys, caplog):
    name = settings.departments_table
    made, found = f"✓ {name} 테이블이 생성되었습니다.", f"✓ {name} 테이블이 이미 있습니다."
    database = DynamoDBDatabase(settings)
    database.create_tables()
    assert capsys.readouterr().out.splitlines()[1] == made
    database.create_tables(report=click.echo)
    assert capsys.readouterr().out.splitlines()[1] == found
    with caplog.at_level(logging.INFO):
        database.create_tables(report=logging.getLogger("calendar").info)
    assert found in caplog.messages


def test_tables_have_the_keys_and_indexes_of_the_contract(settings):
    create(settings)
    events = describe(settings, settings.events_table)
    assert events["KeySchema"] == [
        {"AttributeName": "id", "KeyType": "HASH"},
        {"AttributeName": "department_id", "KeyType": "RANGE"},
    ]
    index = events["GlobalSecondaryIndexes"][0]
    assert index["IndexName"] == "department-date-index"
    assert [k["AttributeName"] for k in index["KeySchema"]] == ["department_id", "event_date"]
    assert index["Projection"]["ProjectionType"] == "ALL"
    departments = describe(settings, settings.departments_table)
    assert departments["GlobalSecondaryIndexes"][0]["IndexName"] == "name-index"
    changes = describe(settings, settings.changes_table)
    assert {a["AttributeName"]: a["AttributeType"] for a in changes["AttributeDefinitions"]} == {
        "department_id": "S",
        "revision": "N",
    }


def test_the_log_expires_by_its_ttl_attribute(settings):
    create(settings)
    answer = DynamoClient(settings).call("describe_time_to_live", TableName=settings.changes_table)
    ttl = answer["TimeToLiveDescription"]
    assert ttl["AttributeName"] == "expires_at"
    assert ttl["TimeToLiveStatus"] in ("ENABLED", "ENABLING")


def test_provisioned_tables_have_the_figures_of_the_contract(settings):
    create(settings, provisioned=True)
    departments = describe(settings, settings.departments_table)
    units = departments["ProvisionedThroughput"]
    assert (units["ReadCapacityUnits"], units["WriteCapacityUnits"]) == (10, 10)
    units = departments["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]
    assert (units["ReadCapacityUnits"], units["WriteCapacityUnits"]) == (5, 5)


def test_a_missing_index_is_added_without_touching_data(settings):
    client = DynamoClient(settings)
    client.call(
        "create_table",
        TableName=settings.events_table,
        KeySchema=[
            {"AttributeName": "id", "KeyType": "HASH"},
            {"AttributeName": "department_id", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "department_id", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    client.wait_until_active(settings.events_table)
    old = {"id": {"S": "e"}, "department_id": {"S": "d"}, "event_date": {"S": "2024-01-20"}}
    client.call("put_item", TableName=settings.events_table, Item=old)

    added = TableResult(settings.events_table, created=False, added_indexes=("department-date-index",))
    assert added in create(settings)
    assert added.changed
    assert str(added) == (
        f"✓ {settings.events_table} 테이블이 이미 있습니다. 인덱스 department-date-index 추가됨."
    )

    found = DynamoDBDatabase(settings).indexed_events("d")
    assert [event.event_date for event in found] == ["2024-01-20"]


def test_a_table_with_other_keys_is_refused(settings):
    other = replace(settings, departments_table=settings.changes_table + "2")
    DynamoClient(settings).call(
        "create_table",
        TableName=other.departments_table,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    with pytest.raises(SetupError, match="키가 다릅니다"):
        create(other)


def test_a_missing_table_is_named_with_what_to_do(settings):
    with pytest.raises(TableMissing, match=f"테이블 '{settings.departments_table}'가 없습니다.") as caught:
        DynamoDBDatabase(settings).check_tables()
    assert "create_tables()" in str(caught.value)


def test_no_real_store_is_in_reach_of_the_tests():
    assert boto3.session.Session().get_credentials().access_key == "testing"
