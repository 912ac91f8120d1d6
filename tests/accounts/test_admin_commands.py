"""`flask admin`: administrators and reset links from a terminal, with and without a server that runs."""

import contextlib
import fcntl
import os
import pty
import re
import subprocess
import termios
from pathlib import Path

import pytest

from accounts.company import PASSWORD, SETUP_LINK, Caller, Company, newcomer
from domain import new_id
from running import BACKEND, BIN, CREATE_TABLES, embedded, hermetic_env, run, running_server, wait_for

FLASK = str(BIN / "flask")
RESET_LINK = re.compile(r"^(\S+)/reset#(\S+)$", re.MULTILINE)


def admin(settings: dict[str, str], *words: str) -> tuple[int, str]:
    """Run `flask admin` with these words; return its status and what it printed."""
    done = run([FLASK, "admin", *words], **settings)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def create(settings: dict[str, str], email: str, password: str = PASSWORD) -> tuple[int, str]:
    return admin(settings, "create", "--email", email, "--name", "김관리", "--password", password)


def sign_in(url: str, email: str, password: str = PASSWORD) -> Caller:
    answer = Caller(url).send("POST", "/api/session", {"email": email, "password": password})
    assert answer.status_code == 200, answer.text
    return Caller(url, cookies=answer.cookies.get_dict())


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    return embedded(tmp_path / "data", AUTH="on", PUBLIC_URL="https://calendar.example.com")


def test_the_first_administrator_may_come_from_a_terminal_before_the_server_starts(tmp_path, settings):
    assert run(CREATE_TABLES, **settings).returncode == 0
    status, said = create(settings, "Kim@Example.com")
    assert status == 0
    assert said.splitlines() == [
        f"저장소: 내장 저장소, {tmp_path / 'data'}",
        "✓ 관리자 '김관리' (Kim@Example.com)을(를) 만들었습니다.",
    ]
    with running_server(tmp_path, "eventlet", settings) as server:
        assert not SETUP_LINK.findall(server.log)
        me = sign_in(server.url, "kim@example.com")("GET", "/api/me")["account"]
        assert (me["email"], me["name"], me["admin"]) == ("Kim@Example.com", "김관리", True)


def test_an_administrator_from_a_terminal_may_come_in_at_once_and_ends_the_setup_address(tmp_path, settings):
    with running_server(tmp_path, "eventlet", settings) as server:
        link = SETUP_LINK.findall(server.log)[-1]
        for email in ("first@example.com", "second@example.com"):
            assert create(settings, email)[0] == 0
            assert sign_in(server.url, email)("GET", "/api/me")["account"]["admin"]
        body = newcomer(link, "late@example.com", name="늦은 이")
        assert Caller(server.url).send("POST", "/api/setup", body).json()["error"] == "link_expired"
        accounts = sign_in(server.url, "first@example.com")("GET", "/api/accounts")["accounts"]
        assert [account["admin"] for account in accounts] == [True, True]


def test_what_cannot_become_an_administrator_is_refused_in_a_sentence(settings):
    assert run(CREATE_TABLES, **settings).returncode == 0
    assert create(settings, "kim@example.com")[0] == 0
    for email, password in (("KIM@example.com", PASSWORD), ("no address", PASSWORD), ("a@b.kr", "short")):
        status, said = create(settings, email, password)
        assert status == 1
        assert re.fullmatch(r"저장소: .*\nError: .*[가-힣].*\n", said), said


def test_a_terminal_asks_for_what_is_not_given_and_shows_no_password(settings):
    assert run(CREATE_TABLES, **settings).returncode == 0
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [FLASK, "admin", "create"],
        cwd=BACKEND,
        env=hermetic_env(**settings),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(terminal)
    os.set_blocking(controller, False)
    said = b""

    def says(text: str) -> bool:
        nonlocal said
        with contextlib.suppress(BlockingIOError):
            said += os.read(controller, 10_000)  # perhaps half of a letter
        return text.encode() in said

    try:
        for question, answer in (
            ("이메일", "kim@example.com"), ("이름", "김관리"), ("비밀번호", PASSWORD), ("한 번 더", PASSWORD),
        ):  # fmt: skip
            wait_for(lambda question=question: says(f"{question}"), what=question)
            os.write(controller, f"{answer}\n".encode())
        wait_for(lambda: says("만들었습니다."), what="the end")
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(controller)
    assert PASSWORD.encode() not in said


def test_a_new_password_by_an_address_from_a_terminal(tmp_path, settings):
    with running_server(tmp_path, "eventlet", settings) as server:
        company = Company(server)
        status, said = admin(settings, "reset-password", "ADMIN@example.com")
        assert status == 0
        ((address, token),) = RESET_LINK.findall(said)
        assert address == "https://calendar.example.com"
        company.admin("GET", "/api/me")
        body = {"token": token, "password": "새로운 비밀번호입니다"}
        assert company.nobody.send("POST", "/api/reset", body).status_code == 200
        assert company.nobody.send("POST", "/api/reset", body).status_code == 410
        assert company.admin.send("GET", "/api/me").status_code == 401
        sign_in(server.url, "admin@example.com", "새로운 비밀번호입니다")
    status, said = admin(settings, "reset-password", f"{new_id()}@example.com")
    assert status == 1
    assert said == f"저장소: 내장 저장소, {tmp_path / 'data'}\nError: 계정을 찾을 수 없습니다.\n"


def test_without_accounts_the_commands_ask_nothing_and_say_what_they_need(settings):
    for words in (["create"], ["reset-password", "kim@example.com"]):
        status, said = admin({**settings, "AUTH": "off"}, *words)
        assert status == 1
        assert said == "Error: 로그인을 켠 서버의 명령입니다. backend/.env에 AUTH=on 을 쓰세요.\n"
