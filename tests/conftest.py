"""Fixtures that all layers share, and the rule that in CI a skip is a failure."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from aws_client import KEYS
from older_version import OLDER, lay_out
from store import local_engine


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where everything must run: {report.longrepr}"
    return report


@pytest.fixture(autouse=True, scope="session")
def _no_real_account() -> None:
    """Hide credentials, the role of an EC2 instance and the developer's `.env` from this process."""
    os.environ["PYTHON_DOTENV_DISABLED"] = "1"
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        del os.environ[name]
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.environ["AWS_CONFIG_FILE"] = os.devnull


@pytest.fixture
def aws_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process find invented credentials, for a store that requires some."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def engine_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engine")


@pytest.fixture(scope="session")
def engine(engine_dir: Path) -> Iterator[local_engine.Engine]:
    """One embedded engine for the whole run; tests use tables or departments of their own."""
    return local_engine.acquire(engine_dir)


@pytest.fixture(scope="session")
def older_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of the server of version 1.1."""
    return lay_out(OLDER, tmp_path_factory.mktemp("older"))
