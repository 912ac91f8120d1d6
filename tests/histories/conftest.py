"""The store that histories are played on."""

import pytest

from config import Settings
from models import DynamoDBDatabase
from store.local_engine import Engine


@pytest.fixture
def engine_settings(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of the embedded engine by its address, as a store whose index may lag."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    settings = Settings(dynamodb_endpoint_url=engine.url)
    DynamoDBDatabase(settings).create_tables(report=lambda line: None)
    return settings
