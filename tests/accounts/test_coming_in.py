"""Setup, invitations, passwords, sessions, device tokens: how people and programs come in, and go."""

import unicodedata
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from accounts.company import PASSWORD, SETUP_LINK, Caller, Company, newcomer
from api_client import Client
from domain import new_id
from running import embedded, running_server

ERROR_OF_A_SPENT_LINK = (410, "link_expired")


def outcome(answer) -> tuple[int, str]:
    return answer.status_code, answer.json().get("error", "")


def sign_in(company: Company, email: str, password: str = PASSWORD):
    return company.nobody.send("POST", "/api/session", {"email": email, "password": password})


def email_of(person: Caller) -> str:
    email: str = person("GET", "/api/me")["account"]["email"]
    return email


@pytest.fixture
def fresh_server(tmp_path):
    with running_server(tmp_path, "eventlet", embedded(tmp_path / "data", AUTH="on")) as server:
        yield server


def test_of_many_who_set_up_at_once_one_becomes_the_administrator(fresh_server, tmp_path):
    """Also with the links of two servers."""
    with running_server(tmp_path, "gevent", embedded(tmp_path / "data", AUTH="on")) as other:
        links = [SETUP_LINK.findall(server.log)[-1] for server in (fresh_server, other)]
        nobodies = [Caller(server.url) for server in (fresh_server, other)]

        def set_up(number: int):
            body = newcomer(links[number % 2], f"a{number}@b.kr")
            return nobodies[number // 2 % 2].send("POST", "/api/setup", body)

        with ThreadPoolExecutor(8) as pool:
            outcomes = [outcome(answer) for answer in pool.map(set_up, range(8))]
        assert sorted(outcomes) == [(201, ""), *[ERROR_OF_A_SPENT_LINK] * 7]
        assert outcome(set_up(9)) == ERROR_OF_A_SPENT_LINK


def test_every_start_without_an_administrator_logs_a_link_and_all_hold(tmp_path):
    settings = embedded(tmp_path / "data", AUTH="on", PUBLIC_URL="https://calendar.example.com")
    links = []
    for _ in range(2):
        with running_server(tmp_path, "eventlet", settings) as server:
            assert "https://calendar.example.com/setup#" in server.log
            links.append(SETUP_LINK.findall(server.log)[-1])
            if len(links) == 2:
                body = newcomer(links[0], "a@b.kr")
                assert outcome(Caller(server.url).send("POST", "/api/setup", body)) == (201, "")
    with running_server(tmp_path, "eventlet", settings) as server:
        assert not SETUP_LINK.findall(server.log)


def test_an_invitation_is_good_once_for_its_address_alone(company):
    email = f"{new_id()}@example.com"
    token = company.invitation(email)
    body = newcomer(token, f"x{email}")
    accept = "/api/invitations/accept"
    assert outcome(company.nobody.send("POST", accept, body)) == ERROR_OF_A_SPENT_LINK
    assert company.nobody.send("GET", f"/invite#{token}").status_code == 200
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(
            lambda _: company.nobody.send("POST", accept, {**body, "email": email.upper()}), range(8)
        )
        outcomes = sorted(map(outcome, answers))
    assert outcomes[0] == (201, "")
    assert set(outcomes[1:]) <= {ERROR_OF_A_SPENT_LINK, (409, "email_taken")}


def test_a_withdrawn_invitation_and_a_second_one_to_a_member(company):
    department = company.department()
    email = f"{new_id()}@example.com"
    answer = company.admin("POST", "/api/invitations", {"email": email}, status=201)["invitation"]
    company.admin("DELETE", f"/api/invitations/{answer['id']}")
    body = newcomer(answer["url"].split("#")[1], email)
    assert outcome(company.nobody.send("POST", "/api/invitations/accept", body)) == ERROR_OF_A_SPENT_LINK
    member = company.person(department, "reader")
    token = company.invitation(email_of(member), department_id=department, role="writer")
    assert outcome(
        company.nobody.send(
            "POST", "/api/invitations/accept", {**body, "token": token, "email": email_of(member)}
        )
    ) == (409, "email_taken")
    member("POST", "/api/invitations/accept", {"token": token})
    assert member("GET", "/api/me")["roles"] == {department: "writer"}
    assert outcome(member.send("POST", "/api/invitations/accept", {"token": token})) == ERROR_OF_A_SPENT_LINK


def test_an_invitation_is_accepted_by_its_owner_and_by_no_program(company):
    department = company.department()
    invited, other = company.person(), company.person()
    body = {"token": company.invitation(email_of(invited), department_id=department, admin=True)}
    accept = "/api/invitations/accept"
    assert outcome(other.send("POST", accept, body)) == ERROR_OF_A_SPENT_LINK
    for scope in ("read", "write"):
        program = company.program(invited, scope=scope)
        assert outcome(program.send("POST", accept, body)) == (403, "not_allowed")
    invited("POST", accept, body)
    assert invited("GET", "/api/me")["account"]["admin"] is True


def test_a_manager_invites_no_administrator_and_manages_no_invitations_of_others(company):
    department = company.department()
    manager = company.person(department, "manager")
    mine = {"email": f"{new_id()}@example.com", "department_id": department, "role": "manager"}
    assert outcome(manager.send("POST", "/api/invitations", {**mine, "admin": True})) == (403, "not_allowed")
    invitation = manager("POST", "/api/invitations", mine, status=201)["invitation"]
    others = [
        company.admin("POST", "/api/invitations", {"email": mine["email"], **offer}, status=201)["invitation"]
        for offer in ({}, {"department_id": company.department()}, {**mine, "admin": True})
    ]
    assert [one["id"] for one in manager("GET", "/api/invitations")["invitations"]] == [invitation["id"]]
    for other in others:
        refused = manager.send("DELETE", f"/api/invitations/{other['id']}")
        assert outcome(refused) == (404, "invitation_not_found")
    manager("DELETE", f"/api/invitations/{invitation['id']}")
    open_ones = company.admin("GET", "/api/invitations")["invitations"]
    assert {one["id"] for one in others} <= {one["id"] for one in open_ones}


@pytest.mark.parametrize("way", ["demoted", "disabled"])
@pytest.mark.parametrize("of_admin", [True, False])
def test_what_somebody_offered_is_void_without_its_right(company, of_admin, way):
    """Else it could invite itself again, at another address."""
    department = company.department()
    inviter = company.person(admin=True) if of_admin else company.person(department, "manager")
    email = f"{new_id()}@example.com"
    offer = {"admin": True} if of_admin else {"department_id": department, "role": "manager"}
    invited = inviter("POST", "/api/invitations", {"email": email, **offer}, status=201)["invitation"]
    if way == "disabled":
        company.disable(inviter)
    elif of_admin:
        company.admin("PUT", f"/api/accounts/{inviter.account_id}", {"admin": False})
    else:
        company.role(inviter, department, "writer")
    body = {"token": invited["url"].split("#")[1], "email": email, "name": "김", "password": PASSWORD}
    answer = company.nobody.send("POST", "/api/invitations/accept", body)
    assert outcome(answer) == ERROR_OF_A_SPENT_LINK
    open_ones = company.admin("GET", "/api/invitations")["invitations"]
    assert invited["id"] not in {one["id"] for one in open_ones}


def test_a_program_accepts_no_invitation(company):
    department = company.department()
    person = company.person(department, "reader")
    token = company.invitation(email_of(person), department_id=department, role="manager")
    program = company.program(person, scope="read")
    answer = program.send("POST", "/api/invitations/accept", {"token": token})
    assert outcome(answer) == (403, "not_allowed")
    assert person("GET", "/api/me")["roles"][department] == "reader"


def reset_link(asker: Caller, person: Caller) -> str:
    url: str = asker("POST", f"/api/accounts/{person.account_id}/reset", status=201)["url"]
    return url.split("#")[1]


@pytest.mark.parametrize("way", ["a newer link", "a new password", "disabled", "its maker is demoted"])
def test_a_reset_link_ends_with(company, way):
    person, maker = company.person(), company.person(admin=True)
    link = reset_link(maker, person)
    if way == "a newer link":
        reset_link(company.admin, person)
    elif way == "a new password":
        body = {"password": "새로 정한 비밀번호", "current_password": PASSWORD}
        person("PUT", "/api/me", body)
    elif way == "disabled":
        company.disable(person)
        company.disable(person, False)
    else:
        company.admin("PUT", f"/api/accounts/{maker.account_id}", {"admin": False})
    answer = company.nobody.send("POST", "/api/reset", {"token": link, "password": PASSWORD})
    assert outcome(answer) == ERROR_OF_A_SPENT_LINK


def test_the_last_administrator_stays_one(company):
    path = f"/api/accounts/{company.admin.account_id}"
    others = [
        a
        for a in company.admin("GET", "/api/accounts")["accounts"]
        if a["admin"] and not a["disabled"] and a["id"] != company.admin.account_id
    ]
    for other in others:
        company.admin("PUT", f"/api/accounts/{other['id']}", {"admin": False})
    for change in ({"admin": False}, {"disabled": True}):
        assert outcome(company.admin.send("PUT", path, change)) == (409, "last_admin")
    second = company.person(admin=True)
    with ThreadPoolExecutor(2) as pool:
        answers = pool.map(
            lambda pair: pair[0].send("PUT", f"/api/accounts/{pair[0].account_id}", {"admin": False}),
            [(company.admin,), (second,)],
        )
        outcomes = sorted(map(outcome, answers))
    assert outcomes == [(200, ""), (409, "last_admin")]
    left = company.admin if company.admin("GET", "/api/me")["account"]["admin"] else second
    left("PUT", f"/api/accounts/{company.admin.account_id}", {"admin": True})


@pytest.mark.parametrize("email", ["kim@Example.com", "ＫＩＭ２@example.com", "한글@예시.한국"])
def test_an_address_is_the_same_in_other_cases_and_forms(company, email):
    person = company.nobody.send(
        "POST",
        "/api/invitations/accept",
        newcomer(company.invitation(email), email),
    )
    assert outcome(person) == (201, "")
    for form in (
        email.upper(),
        email.lower(),
        unicodedata.normalize("NFD", email),
        unicodedata.normalize("NFKC", email),
    ):
        assert outcome(sign_in(company, form)) == (200, "")
        taken = newcomer(company.invitation(form), form, name="박")
        assert outcome(company.nobody.send("POST", "/api/invitations/accept", taken)) == (409, "email_taken")


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("a", "validation_failed"),
        ("가" * 9, "validation_failed"),
        ("가" * 10_000, "validation_failed"),
        ("가" * 1_000, ""),
        ("    공백    포함    ", ""),
    ],
)
def test_the_length_of_a_password(company, password, code):
    email = f"{new_id()}@example.com"
    body = newcomer(company.invitation(email), email, password=password)
    assert outcome(company.nobody.send("POST", "/api/invitations/accept", body))[1] == code
    if not code:
        assert outcome(sign_in(company, email, unicodedata.normalize("NFD", password))) == (200, "")
        assert outcome(sign_in(company, email, password[1:] + "x")) == (401, "sign_in_failed")


@pytest.mark.parametrize(
    ("path", "body", "sentence"),
    [
        ("/api/reset", {"token": "none", "password": "short"}, "10자 이상이어야 합니다."),
        ("/api/reset", {"token": "", "password": PASSWORD}, "비워 둘 수 없습니다."),
        ("/api/tokens", {"name": "프로그램", "scope": "all"}, "가능한 값: read, write"),
        ("/api/invitations", {"email": "a@b.kr", "role": "owner"}, "가능한 값: reader, writer, manager"),
        ("/api/invitations", {"email": "a@b.kr", "department_id": "x"}, "올바른 UUID여야 합니다."),
    ],
)
def test_what_is_refused_is_told_with_what_would_do(company, path, body, sentence):
    [refused] = company.admin("POST", path, body, status=400)["details"]
    assert refused["message"] == sentence


def test_an_unknown_address_and_a_wrong_password_are_answered_alike(company):
    known = email_of(company.person())
    wrong, unknown = sign_in(company, known, "틀린 비밀번호"), sign_in(company, f"{new_id()}@example.com")
    assert (wrong.status_code, wrong.content) == (unknown.status_code, unknown.content)
    assert not wrong.cookies


@pytest.mark.parametrize("email", ["", " ", "@", "\u0000", "\ufdfa" * 254])
def test_what_is_no_address_is_answered_as_an_unknown_one(company, email):
    """The last is one of 254 characters, and of more than 8 KB when it is folded."""
    assert outcome(sign_in(company, email)) == (401, "sign_in_failed")


def test_failed_sign_ins_count_on_all_servers(company, accounts_server, tmp_path):
    person = company.person()
    email = email_of(person)
    folder = accounts_server.log_file.parent / "data"
    with running_server(tmp_path, "gevent", embedded(folder, AUTH="on")) as other:
        servers = [Caller(company.url), Caller(other.url)]
        body = {"email": email, "password": "틀린 비밀번호"}
        outcomes = [outcome(servers[n % 2].send("POST", "/api/session", body)) for n in range(12)]
        assert outcomes == [(401, "sign_in_failed")] * 10 + [(429, "too_many_requests")] * 2
        refused = servers[1].send("POST", "/api/session", {"email": email, "password": PASSWORD})
        assert outcome(refused) == (429, "too_many_requests")
        assert int(refused.headers["Retry-After"]) > 0
    assert person("GET", "/api/me")["account"]["email"] == email


@pytest.mark.parametrize("way", ["disabled", "reset", "new password"])
def test_what_ends_sessions_and_tokens(company, way):
    person = company.person()
    email = email_of(person)
    program = company.program(person)
    elsewhere = Caller(company.url, cookies=sign_in(company, email).cookies.get_dict())
    if way == "disabled":
        company.disable(person)
    elif way == "reset":
        url = company.admin("POST", f"/api/accounts/{person.account_id}/reset", status=201)["url"]
        body = {"token": url.split("#")[1], "password": "새로운 비밀번호입니다"}
        assert outcome(company.nobody.send("POST", "/api/reset", body)) == (200, "")
        assert outcome(company.nobody.send("POST", "/api/reset", body)) == ERROR_OF_A_SPENT_LINK
    else:
        wrong = {"password": "새로운 비밀번호입니다", "current_password": "틀린 비밀번호"}
        assert outcome(person.send("PUT", "/api/me", wrong)) == (401, "sign_in_failed")
        person("PUT", "/api/me", {**wrong, "current_password": PASSWORD})
    for ended in (program, elsewhere, *([] if way == "new password" else [person])):
        assert outcome(ended.send("GET", "/api/me")) == (401, "not_signed_in")
    if way == "new password":
        person("GET", "/api/me")
    assert outcome(sign_in(company, email)) == (401, "sign_in_failed")
    assert outcome(sign_in(company, email, "새로운 비밀번호입니다"))[0] == (401 if way == "disabled" else 200)


def test_sessions_can_be_looked_at_and_ended(company):
    person = company.person()
    other = Caller(company.url, cookies=sign_in(company, email_of(person)).cookies.get_dict())
    sessions = person("GET", "/api/sessions")["sessions"]
    assert [session["current"] for session in sessions].count(True) == 1
    theirs = next(session["id"] for session in sessions if not session["current"])
    stranger = company.person()
    stranger("DELETE", f"/api/sessions/{theirs}")
    other("GET", "/api/me")
    person("DELETE", f"/api/sessions/{theirs}")
    assert outcome(other.send("GET", "/api/me")) == (401, "not_signed_in")
    person("DELETE", "/api/session")
    assert outcome(person.send("GET", "/api/me")) == (401, "not_signed_in")


@pytest.mark.parametrize("what", ["session", "token", "role"])
def test_what_many_end_at_once_ends_for_all_of_them(company, what):
    department = company.department()
    person = company.person(department, "reader")
    ended = person
    if what == "session":
        ended = Caller(company.url, cookies=sign_in(company, email_of(person)).cookies.get_dict())
        sessions = person("GET", "/api/sessions")["sessions"]
        path = f"/api/sessions/{next(one['id'] for one in sessions if not one['current'])}"
    elif what == "token":
        ended = company.program(person)
        path = f"/api/tokens/{ended.account_id}"
    else:
        path = f"/api/departments/{department}/members/{person.account_id}"
    ends = company.admin if what == "role" else person
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ends.send("DELETE", path), range(8)))
    assert [outcome(answer) for answer in answers] == [(200, "")] * 8
    path = f"/api/departments/{department}"
    assert outcome(ended.send("GET", path))[0] == (404 if what == "role" else 401)


def test_the_oldest_session_makes_room_for_a_new_one(company):
    person = company.person()
    email = email_of(person)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: sign_in(company, email), range(44)))
    assert {answer.status_code for answer in answers} == {200}
    held = [Caller(company.url, cookies=answer.cookies.get_dict()) for answer in answers]
    assert sum(one.send("GET", "/api/me").ok for one in held) == 40


def test_a_cookie_of_somewhere_else_is_nobodys(company):
    for value in ("x", f"{new_id()}.{'a' * 32}", "가", "." * 200, "a.b." * 1000):
        stranger = company.nobody.send("GET", "/api/me", headers={"Cookie": f"session={value}".encode()})
        assert outcome(stranger) == (401, "not_signed_in")


def test_who_changed_an_event_is_told_in_broadcasts_changes_and_history(company):
    department = company.department()
    writer = company.person(department, "writer")
    path = f"/api/events/{department}"
    listener = Client(company.url, "websocket", **company.admin.handshake)
    listener.join(department)
    since = company.admin("GET", path)["sync_token"]
    event = writer("POST", path, {"title": "회의", "event_date": "2026-11-22"}, status=201)["event"]
    writer("PUT", "/api/me", {"name": "새이름"})
    writer("PUT", f"/api/events/{event['id']}", {"title": "회의 2"})
    history = writer("GET", f"{path}/history?event_id={event['id']}")["history"]
    writer("DELETE", f"/api/events/{event['id']}")
    changes = writer("GET", f"{path}/changes?since={since}")["changes"]
    names = ("event_created", "event_updated", "event_deleted")
    broadcasts = [listener.wait(name)[0] for name in names]
    listener.close()
    told = [(writer.account_id, name) for name in ("김", "새이름", "새이름")]
    assert [(change["by"], change["by_name"]) for change in changes] == told
    assert [(payload["by"], payload["by_name"]) for payload in broadcasts] == told
    assert [(entry["by"], entry["by_name"]) for entry in history] == told[1::-1]


def test_the_links_of_a_server_begin_with_its_public_address(tmp_path):
    with ExitStack() as stack:
        settings = embedded(tmp_path / "data", AUTH="on", PUBLIC_URL="https://calendar.example.com")
        server = stack.enter_context(running_server(tmp_path, "eventlet", settings))
        company = Company(server)
        answer = company.admin.send(
            "POST",
            "/api/invitations",
            {"email": "a@b.kr"},
            headers={"Host": "evil.example", "Origin": "https://calendar.example.com"},
        )
        assert answer.json()["invitation"]["url"].startswith("https://calendar.example.com/invite#")


def test_of_guesses_that_come_at_once_few_are_answered(company):
    email = email_of(company.person())
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda number: sign_in(company, email, f"짐작 {number}"), range(40)))
    outcomes = [outcome(answer) for answer in answers]
    assert outcomes.count((401, "sign_in_failed")) < 20, outcomes
    assert outcome(sign_in(company, email)) == (429, "too_many_requests")
