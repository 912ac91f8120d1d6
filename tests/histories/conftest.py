"""The store on which histories run."""

import pytest

from config import Settings
from models import DynamoDBDatabase
from store.local_engine import Engine


@pytest.fixture
def engine_settings(engine: Engine, aws_keys: None) -> Settings:
    """Return settings with the address of the engine, so that servers treat its index as one that lags."""
    settings = Settings(dynamodb_endpoint_url=engine.url)
    DynamoDBDatabase(settings).create_tables(report=lambda line: None)
    return settings
