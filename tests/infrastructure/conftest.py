"""What several of these tests use."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from config import Settings
from infrastructure.tools import DEADLINE_S, ministack_server, moto_server, process, tool
from infrastructure.warm_aws import CLIENT
from running import wait_for


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def aws_url(moto: str) -> str:
    """Return the address of an AWS account with nothing in it."""
    requests.post(f"{moto}/moto-api/reset", timeout=10).raise_for_status()
    return moto


@pytest.fixture
def account_settings(aws_url: str, aws_keys: None) -> Settings:
    """Return settings to use the account's store past the guides."""
    return Settings(dynamodb_endpoint_url=aws_url, auth=True)


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ministack_server(tmp_path_factory.mktemp("ministack")) as url:
        yield url


@pytest.fixture
def stacks_url(ministack: str) -> str:
    """Return the address of an AWS account with nothing in it, whose stacks behave as those of AWS."""
    requests.post(f"{ministack}/_ministack/reset", timeout=30).raise_for_status()
    return ministack


@pytest.fixture(scope="session")
def warm_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return a folder for the PATH whose `aws` is the real AWS CLI, started already."""
    folder = tmp_path_factory.mktemp("aws")
    path = folder / "socket"
    program = folder / "aws"
    program.write_text(CLIENT.format(python=sys.executable, path=str(path)))
    program.chmod(0o755)
    with process(
        [str(Path(tool("aws")).parent / "python"), str(Path(__file__).parent / "warm_aws.py"), str(path)]
    ):
        wait_for(path.exists, DEADLINE_S, "the start of the AWS CLI")
        yield str(folder)
