"""A store of its own for each test, on one embedded engine."""

from pathlib import Path

import pytest

from migration import bulk_load
from migration_store import Desk, Store
from store import local_engine


@pytest.fixture(scope="session")
def migration_engine(tmp_path_factory: pytest.TempPathFactory) -> local_engine.Engine:
    return local_engine.acquire(tmp_path_factory.mktemp("engine"))


@pytest.fixture
def store(migration_engine: local_engine.Engine, monkeypatch: pytest.MonkeyPatch) -> Store:
    store = Store(migration_engine)
    for name, value in store.environment().items():
        monkeypatch.setenv(name, value)
    return store


@pytest.fixture
def desk(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Desk:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bulk_load, "INDEX_SETTLE_S", 0.0)  # this engine has no replicas to wait for
    return Desk(tmp_path, store, capsys)
