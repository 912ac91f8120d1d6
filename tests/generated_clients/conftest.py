"""A real server, and its OpenAPI document as a file for the generators."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from api_client import Api
from running import Server, embedded, running_server
from store.local_engine import Engine


@pytest.fixture(scope="session")
def server(engine: Engine, engine_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("server"), "flask", embedded(engine_dir)) as server:
        yield server


@pytest.fixture(scope="session")
def document(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("document") / "openapi.json"
    file.write_bytes(requests.get(f"{server.url}/openapi.json", timeout=10).content)
    return file


@pytest.fixture
def api(server: Server) -> Iterator[Api]:
    client = Api(server.url)
    yield client
    client.session.close()
