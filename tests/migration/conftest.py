"""A store of its own for each test, on the embedded engine that all tests share."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from migration_workspace import Store, Workspace
from store import local_engine


@pytest.fixture(scope="session")
def new_store(engine: local_engine.Engine, engine_dir: Path) -> Callable[[], Store]:
    return partial(Store, engine.url, engine_dir)


@pytest.fixture
def store(new_store: Callable[[], Store], monkeypatch: pytest.MonkeyPatch) -> Store:
    """New tables, which the environment names."""
    store = new_store()
    for name, value in store.environment().items():
        monkeypatch.setenv(name, value)
    return store


@pytest.fixture
def workspace(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Workspace:
    monkeypatch.chdir(tmp_path)
    return Workspace(tmp_path, store, capsys)
