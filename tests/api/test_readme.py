"""The README's commands work as printed, in both languages, and change nothing that was stored before."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest
import requests

from config import Settings
from domain import CHANGE_RETENTION, utc_now
from models import DynamoDBDatabase
from people import ACCOUNTS
from printed_guides import (
    INTERACTIVE,
    README,
    README_KO,
    SAME_DATE,
    STRICT,
    added,
    answer_prompts,
    everything,
    fill,
    harmed,
    names_in,
    type_in,
)
from programs import program
from running import (
    BIN,
    ROOT,
    Server,
    embedded,
    free_port,
    hermetic_env,
    is_ready,
    running_server,
    wait_for,
    with_env_file,
)
from services.purge import Purge
from store.local_engine import acquire

BLOCK = re.compile(r"^```(?:bash|html|csharp)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SECTION = re.compile(r"^## ([^\n]+\n.*?)(?=^## )", re.MULTILINE | re.DOTALL)
TOUR = {README: "Five-minute tour", README_KO: "5분 둘러보기"}
SIGN_IN = {README: "Sign-in", README_KO: "로그인"}
FILES = {README: "Times, series, files", README_KO: "시각, 반복, 파일"}
SETUP_LINK = re.compile(r"/setup#(\S+)")
PAGES = pytest.mark.parametrize("page", TOUR, ids=lambda page: page.name)


def section(heading: str) -> list[str]:
    """Return the blocks of a section, by its heading in either language."""
    sections = [text for page in TOUR for text in SECTION.findall(page.read_text())]
    [found] = [text for text in sections if text.startswith(heading)]
    return BLOCK.findall(found)


def tour(page: Path) -> list[str]:
    blocks = section(TOUR[page])
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
def full(tmp_path: Path, aws_keys: None) -> str:
    """Return the address of an embedded store that holds departments, some under the names of the tour."""
    return filled(tmp_path / "data", sorted({"가장 앞선 부서", "개발팀", *names_in(tour(README)[0])}))


def filled(data_dir: Path, departments: list[str]) -> str:
    """Put somebody's departments into the embedded store of a folder; return its address."""
    program("curl")
    url = acquire(data_dir).url
    db = DynamoDBDatabase(Settings(dynamodb_endpoint_url=url))
    db.create_tables(report=lambda _line: None)
    fill(db, departments)
    return url


def purge_after_30_days(url: str) -> None:
    """Remove what deleted departments leave, as servers do once they can no longer be restored."""
    purge = Purge(DynamoDBDatabase(Settings(dynamodb_endpoint_url=url)))
    assert purge.run_due(utc_now() + CHANGE_RETENTION + timedelta(hours=1)) == 1


@PAGES
@pytest.mark.parametrize("shell", [STRICT, INTERACTIVE], ids=["as a script", "typed"])
def test_the_tour_works_as_printed_and_leaves_a_full_store_as_it_was(
    tmp_path: Path, page: Path, shell: list[str], full: str
) -> None:
    before = everything(full)
    with running_server(tmp_path, "flask", embedded(tmp_path / "data")) as server:
        script = at(server.url.removeprefix("http://"), "\n".join(tour(page)))
        script = f"sleep 600 & OWN=$!\n{script}\nkill $OWN && echo their own job went on\n"
        output = walk("set -em\n" + script if shell is STRICT else script, shell)
    purge_after_30_days(full)
    assert "their own job went on" in output, output
    assert output.count('"success":true') == 5, output
    for told in ("connected", "joined_department", "event_created", "event_updated", "department_deleted"):
        assert f"→ {told} " in output, output
    assert '"title":"주간 회의"' in output
    assert '"type":"event_updated"' in output
    after = everything(full)
    assert harmed(before, after) == []
    assert added(before, after) == {}


@PAGES
@pytest.mark.parametrize("trouble", ["the name is taken", "the server comes up later"])
def test_a_tour_whose_first_line_failed_changes_nothing(
    tmp_path: Path, page: Path, trouble: str, full: str
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


@PAGES
def test_a_series_its_files_and_its_feed_work_as_printed(tmp_path: Path, page: Path, full: str) -> None:
    before = everything(full)
    blocks = section(FILES[page])
    with running_server(tmp_path, "flask", embedded(tmp_path / "data")) as server:
        output = walk(at(server.url.removeprefix("http://"), "\n".join(blocks[:2])), STRICT)
    purge_after_30_days(full)
    dates = re.findall(r'"occurrence_date":"([^"]*)"', output)
    assert dates == ["2026-03-02", "2026-03-09", "2026-03-23", "2026-03-30"], output
    assert '"event_date":"2026-03-10","title":"옮긴 회의"' in output
    assert '"counts":{"created":0,"updated":0,"equal":2,"skipped":0}' in output
    assert re.search(r'"webcal_url":"webcal://[^"]*/feeds/[^"]*\.ics"', output)
    after = everything(full)
    assert harmed(before, after) == []
    assert {key for key in added(before, after) if "feed#" not in str(key)} == set()


@pytest.fixture
def with_accounts(tmp_path: Path, full: str) -> Iterator[Server]:
    """Run a server with accounts on a store that was used without them."""
    port = free_port()
    settings = embedded(tmp_path / "data", AUTH="on", PUBLIC_URL=f"http://127.0.0.1:{port}")
    with running_server(tmp_path, "flask", settings, port=port) as server:
        yield server


def sign_in(page: Path, server: Server, setup_token: str) -> str:
    """Return what the page has a newcomer type, from the setup address to the room of a program."""
    typed = "\n".join(section(SIGN_IN[page])[2:6])
    assert typed.count("SETUP_TOKEN") == 1
    return at(server.url.removeprefix("http://"), typed).replace("SETUP_TOKEN", setup_token)


@PAGES
def test_a_second_person_and_its_program_edit_in_the_first_ones_department_as_printed(
    page: Path, with_accounts: Server, full: str
) -> None:
    before = everything(full)
    [link] = SETUP_LINK.findall(with_accounts.log)
    output = walk(sign_in(page, with_accounts, link), INTERACTIVE)
    assert '"success":false' not in output, output
    assert "The requested URL returned error" not in output, output
    [updated] = re.findall(r"→ event_updated (.*)", output)
    assert '"time":"오후 2:00"' in updated
    assert '"by_name":"이두리"' in updated
    history, _ = json.JSONDecoder().raw_decode(output.partition('"history":')[2])  # the room may talk on
    assert [change["by_name"] for change in history] == ["이두리", "이두리", "김하나"], output
    others = {key: item for key, item in before.items() if ACCOUNTS not in "".join(key)}
    assert harmed(others, everything(full)) == []


def test_without_the_right_setup_address_the_same_lines_change_nothing(
    with_accounts: Server, full: str
) -> None:
    before = everything(full)
    output = walk(sign_in(README, with_accounts, "no-such-link"), INTERACTIVE)
    assert '"success":true' not in output, output
    assert everything(full) == before


def test_make_run_with_accounts_logs_a_setup_address_and_a_terminal_makes_the_administrator(
    checkout: Path,
) -> None:
    program("make")
    port, log, password = free_port(), checkout / "log", "정확한 말 배터리 스테이플"
    start, on_a_terminal, *_ = section(SIGN_IN[README])
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["bash", "-c", start],
            cwd=checkout,
            env=with_env_file(PORT=str(port)),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    server = Server(process, f"http://127.0.0.1:{port}", log)
    try:
        wait_for(lambda: is_ready(server), 30)
        assert SETUP_LINK.search(server.log), server.log
        who = [("이메일", "kim@example.com"), ("이름", "김하나")]
        passwords = [("비밀번호", password), ("한 번 더", password)]
        shown = answer_prompts(on_a_terminal, checkout, with_env_file(), who + passwords)
        assert "관리자 '김하나' (kim@example.com)" in shown
        assert password not in shown
        asked = {"email": "kim@example.com", "password": password}
        answer = requests.post(f"{server.url}/api/session", json=asked, timeout=20)
        assert answer.json()["account"]["admin"] is True
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(20)


@PAGES
def test_the_table_of_settings_has_every_setting(page: Path) -> None:
    names = {field.name.upper() for field in fields(Settings)} - {"PRODUCTION"}
    cells = re.findall(r"^\| (`[A-Z][^|]+) \|", page.read_text(), re.MULTILINE)
    explained = set(re.findall(r"`([A-Z_]+)`", " ".join(cells)))
    assert names | {"FLASK_ENV", "AUTH_OFF_IN_PRODUCTION"} <= explained


def test_both_languages_print_the_same_commands() -> None:
    def commands(page: Path) -> list[str]:
        return [re.sub(r"[ ]+# .*", "", block) for block in BLOCK.findall(page.read_text())]

    assert commands(README) == commands(README_KO)


@pytest.fixture
def used(checkout: Path, aws_keys: None) -> str:
    """Return the address of a checkout's store, which holds somebody's data.

    It was chosen as the first `make run` chooses it.
    """
    (checkout / "backend/.env").write_text("DYNAMODB_ENDPOINT_URL=embedded\n")
    return filled(checkout / "data", ["남의 부서"])


@pytest.mark.parametrize("heading", ["In production", "운영"])
def test_the_commands_of_production_work_as_printed(checkout: Path, used: str, heading: str) -> None:
    before, port = everything(used), free_port()
    [block] = section(heading)
    *others, serve = block.replace("0.0.0.0:8000", f"127.0.0.1:{port}").splitlines()
    ready = f"until curl -fsS http://127.0.0.1:{port}/readyz; do sleep 0.1; done"
    script = "\n".join([*others, f"{serve} &", ready, "kill $!", "wait $!"])
    status, output = type_in(script, STRICT, checkout, with_env_file(), timeout=60)
    assert status == 0, output
    assert output.startswith(f"저장소: 내장 저장소, {checkout}/data\n✓ departments 테이블이 이미 있습니다.")
    assert '"status":"ready"' in output
    assert harmed(before, everything(used)) == []


@pytest.mark.parametrize("heading", ["Moving the old JSON files in", "예전 JSON 파일 옮기기"])
def test_the_commands_of_the_migration_work_as_printed(
    tmp_path: Path, checkout: Path, used: str, heading: str
) -> None:
    for file in (ROOT / "tests/migration/samples/shape_list").iterdir():
        shutil.copy(file, checkout / "backend")
    before = everything(used)
    look, move = section(heading)
    env = with_env_file(HOME=str(tmp_path))
    status, output = type_in(look, STRICT, checkout, env, timeout=60)
    assert (status, everything(used)) == (0, before), output
    status, output = type_in(f"{look}\n{move}", STRICT, checkout, env, timeout=60)
    assert status == 0, output
    assert "✅ 마이그레이션 검증 완료" in output
    assert "팀 회의" in (tmp_path / "calendar-backup/calendar_events.json").read_text()
    assert harmed(before, everything(used)) == []
