"""The README's tour works as printed, in both languages, and touches nothing of what others have stored."""

import os
import re
from pathlib import Path

import pytest

from config import Settings
from documents import (
    INTERACTIVE,
    SAME_DATE,
    STRICT,
    Content,
    added,
    everything,
    fill,
    harmed,
    names_in,
    type_in,
)
from local_engine import acquire
from models import DynamoDBDatabase
from running import BIN, ROOT, Server, embedded, free_port, hermetic_env, running_server, wait_for

PARTS = re.compile(r"^## (?:Five-minute tour|5분 둘러보기)$(.*?)^## ", re.MULTILINE | re.DOTALL)
PAGES = pytest.mark.parametrize("page", ["README.md", "README.ko.md"])


def tour(page: str) -> list[str]:
    [part] = PARTS.findall((ROOT / page).read_text())
    blocks: list[str] = re.findall(r"^```bash\n(.*?)^```", part, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 3
    return blocks


def at(address: str, text: str) -> str:
    return text.replace("localhost:5000", address)


def walk(script: str, shell: list[str]) -> str:
    env = hermetic_env(PATH=f"{BIN}:{os.environ['PATH']}")
    status, output = type_in(script, shell, ROOT, env, timeout=40)
    assert shell is INTERACTIVE or status == 0, output
    return output


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DynamoDBDatabase:
    """An embedded store with somebody's departments, under the very names of the tour among others."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    db = DynamoDBDatabase(Settings(dynamodb_endpoint_url=acquire(tmp_path / "data").url))
    db.create_tables(report=lambda _line: None)
    fill(db, sorted({"가장 앞선 부서", "개발팀", *names_in(tour("README.md")[0])}))
    return db


def wait_until_removed(db: DynamoDBDatabase, before: Content) -> None:
    wait_for(lambda: not added(before, everything(db)), what="the removal of what the tour made")


@PAGES
@pytest.mark.parametrize("shell", [STRICT, INTERACTIVE], ids=["as a script", "typed"])
def test_the_tour_works_as_printed_and_leaves_a_full_store_as_it_was(
    tmp_path: Path, page: str, shell: list[str], full: DynamoDBDatabase
) -> None:
    before = everything(full)
    with running_server(tmp_path, "flask", embedded(tmp_path / "data")) as server:
        script = at(server.url.removeprefix("http://"), "\n".join(tour(page)))
        script = f"sleep 600 & OWN=$!\n{script}\nkill $OWN && echo their own job went on\n"
        output = walk("set -em\n" + script if shell is STRICT else script, shell)
        wait_until_removed(full, before)
    assert "their own job went on" in output, output
    assert output.count('"success":true') == 5, output
    for told in ("connected", "joined_department", "event_created", "event_updated", "department_deleted"):
        assert f"→ {told} " in output, output
    assert '"title":"주간 회의"' in output
    assert '"type":"event_updated"' in output
    assert harmed(before, everything(full)) == []


@PAGES
@pytest.mark.parametrize("trouble", ["the name is taken", "the server comes up later"])
def test_a_tour_whose_first_line_failed_touches_nothing(
    tmp_path: Path, page: str, trouble: str, full: DynamoDBDatabase
) -> None:
    before = everything(full)

    def typed(server: Server) -> str:
        address = server.url.removeprefix("http://")
        first, *others = tour(page)
        if trouble == "the name is taken":
            return SAME_DATE + at(address, "\n".join([first, *others]))
        return at(f"localhost:{free_port()}", first) + at(address, "\n".join(others))

    with running_server(tmp_path, "flask", embedded(tmp_path / "data")) as server:
        output = walk(typed(server), INTERACTIVE)
        assert '"success":true' not in output, output
    after = everything(full)
    assert harmed(before, after) == []
    assert added(before, after) == {}
