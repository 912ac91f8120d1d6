"""A server with accounts, and the company on it."""

from collections.abc import Iterator

import pytest

from accounts.company import Company
from running import Server, embedded, running_server


@pytest.fixture(scope="module")
def accounts_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("accounts")
    with running_server(folder, "eventlet", embedded(folder / "data", AUTH="on")) as server:
        yield server
        assert "Traceback" not in server.log, server.log


@pytest.fixture(scope="module")
def company(accounts_server: Server) -> Company:
    return Company(accounts_server)
