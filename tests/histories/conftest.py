"""The store that histories are played on."""

import pytest

from config import Settings
from models import DynamoDBDatabase
from store.local_engine import Engine


@pytest.fixture
def engine_settings(engine: Engine, aws_keys: None) -> Settings:
    """Return settings of the embedded engine by its address, as a store whose index may lag."""
    settings = Settings(dynamodb_endpoint_url=engine.url)
    DynamoDBDatabase(settings).create_tables(report=lambda line: None)
    return settings
