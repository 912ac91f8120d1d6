"""One real server per way of running it; the tests of the API run against each."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from api_client import Api, Client
from config import Settings
from running import BACKEND, COMMANDS, ROOT, Server, embedded, running_server
from store.local_engine import Engine


@pytest.fixture(scope="session", params=COMMANDS)
def server(
    request: pytest.FixtureRequest,
    engine: Engine,
    engine_dir: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    settings = embedded(engine_dir)
    with running_server(tmp_path_factory.mktemp("server"), request.param, settings) as server:
        yield server
        assert "Traceback" not in server.log, server.log
        assert "shutdown error" not in server.log, server.log


@pytest.fixture
def api(server: Server) -> Iterator[Api]:
    client = Api(server.url)
    yield client
    client.session.close()


@pytest.fixture
def store(engine: Engine, aws_keys: None) -> Settings:
    """Return settings to use the servers' store past them."""
    return Settings(dynamodb_endpoint_url=engine.url)


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """Settings of a server on an embedded store of its own, in `data` of the test's folder."""
    return embedded(tmp_path / "data")


@pytest.fixture(params=["websocket", "polling"])
def transport(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def connect(server: Server) -> Iterator[Callable[..., Client]]:
    """Return a function that connects clients, which are disconnected at the end."""
    clients: list[Client] = []

    def open_client(transport: str = "websocket", **options: Any) -> Client:
        clients.append(Client(server.url, transport, **options))
        return clients[-1]

    yield open_client
    for client in clients:
        client.close()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Lay out what `make run` needs, installed already."""
    copy = tmp_path / "checkout"
    shutil.copytree(
        BACKEND, copy / "backend", ignore=shutil.ignore_patterns("__pycache__", ".env", ".mypy_cache")
    )
    for name in ("Makefile", ".env.example", "requirements.txt", "package.json", "package-lock.json"):
        shutil.copy2(ROOT / name, copy / name)
    for name in (".venv", "node_modules"):
        (copy / name).mkdir()
        for part in (ROOT / name).iterdir():
            (copy / name / part.name).symlink_to(part)
        installed = copy / name / ".installed"
        installed.unlink(missing_ok=True)
        installed.touch()
    return copy
