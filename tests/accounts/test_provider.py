"""Sign-in with an OpenID provider: npm's `oidc-provider` runs here."""

import contextlib
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import requests
from playwright.sync_api import expect, sync_playwright

from accounts.company import Company, newcomer
from accounts.forger import METADATA, drip, endless_body, running_forger
from programs import chromium
from running import ROOT, Server, embedded, free_port, running_server, wait_for

SECRET = "secret-of-the-calendar-server-32b"
FORM = re.compile(r'<form[^>]*action="([^"]+)"')
HIDDEN = re.compile(r'name="(\w+)" value="([^"]*)"')
CALLBACK = "/auth/oidc/callback"


@contextlib.contextmanager
def running_provider(port: int, callback: str) -> Iterator[str]:
    """Run an OpenID provider with keys of its own until the block ends; yield its issuer."""
    node = shutil.which("node")
    assert node, "Node 20 or newer is needed: https://nodejs.org"
    program = Path(__file__).with_name("oidc_provider.mjs")
    process = subprocess.Popen(
        [node, str(program), str(port), callback],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout
    try:
        assert process.stdout.readline() == "ready\n"
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


def oidc_settings(folder: Path, issuer: str, port: int, **more: str) -> dict[str, str]:
    return embedded(
        folder / "data", AUTH="on", PUBLIC_URL=f"http://127.0.0.1:{port}", TRUSTED_PROXIES="1",
        OIDC_ISSUER=issuer, OIDC_CLIENT_ID="calendar", OIDC_CLIENT_SECRET=SECRET, **more,
    )  # fmt: skip


class Browser:
    """A browser that signs in by the provider, as a person does who clicks through its pages."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        # Each browser is somewhere else, as the number of requests from one address is limited.
        self.session.headers["X-Forwarded-For"] = f"10.0.{secrets.randbelow(256)}.{secrets.randbelow(256)}"

    def begin(self) -> str:
        """Begin to sign in; return the provider's address."""
        answer = self.session.get(f"{self.url}/auth/oidc", allow_redirects=False, timeout=20)
        assert answer.status_code == 302
        return answer.headers["Location"]

    def begin_with(self, invitation: str) -> str:
        """Begin to accept an invitation, as its page does; return the provider's address."""
        answer = self.session.post(f"{self.url}/auth/oidc", json={"token": invitation}, timeout=20)
        address: str = answer.json()["url"]
        return address

    def go_to_callback(self, name: str, address: str = "") -> str:
        """Sign in at the provider; return the address that it sends the browser back to."""
        address = address or self.begin()
        for _ in range(20):
            if address.startswith(self.url):
                return address
            answer = self.session.get(address, allow_redirects=False, timeout=20)
            while "Location" not in answer.headers:
                fields = dict(HIDDEN.findall(answer.text))
                if fields["prompt"] == "login":
                    fields |= {"login": name, "password": "any"}
                (action,) = FORM.findall(answer.text)
                answer = self.session.post(action, fields, allow_redirects=False, timeout=20)
            address = urljoin(answer.url, answer.headers["Location"])
        raise AssertionError(f"the provider never sent the browser back: {address}")

    def sign_in(self, name: str, address: str = "") -> str:
        """Sign in; return the path of the page that it ends on."""
        return self.come_back(self.go_to_callback(name, address))

    def come_back(self, address: str) -> str:
        answer = self.session.get(address, allow_redirects=False, timeout=20)
        assert answer.status_code == 302
        return answer.headers["Location"].removeprefix(self.url)

    def account(self) -> dict[str, Any]:
        found: dict[str, Any] = self.session.get(f"{self.url}/api/me", timeout=20).json()
        return found

    def answer(self, query: str) -> str:
        """Begin to sign in; return an address to come back to whose `{state}` and `{issuer}` are right."""
        issuer = urljoin(self.begin(), "/").rstrip("/")
        state = self.attempts()[0].split(".")[0]
        return f"{self.url}{CALLBACK}?{query.format(state=state, issuer=issuer)}"

    def attempts(self) -> list[str]:
        """Return what the server keeps in this browser of sign-ins that are under way."""
        return [attempt for attempt in (self.session.cookies.get("oidc") or "").split("~") if attempt]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, port = tmp_path_factory.mktemp("oidc"), free_port()
    with (
        running_provider(free_port(), f"http://127.0.0.1:{port}{CALLBACK}") as issuer,
        running_server(folder, "eventlet", oidc_settings(folder, issuer, port), port=port) as running,
    ):
        yield running
        assert "Traceback" not in running.log, running.log


@pytest.fixture(scope="module")
def firm(server: Server) -> Company:
    return Company(server)


@pytest.fixture
def browser(server: Server, firm: Company) -> Browser:
    return Browser(server.url)


def invite(firm: Company, name: str, **offer: Any) -> tuple[str, str]:
    """Invite somebody whom the provider knows to a new department; return the secret and the department."""
    department = firm.department()
    return firm.invitation(
        f"{name}@example.com", department_id=department, role="writer", **offer
    ), department


# Who enters


def test_who_was_invited_enters_and_is_the_same_the_next_time(firm, browser):
    _, department = invite(firm, "HONG")
    again = Browser(browser.url)
    assert browser.sign_in("hong") == "/"
    assert again.sign_in("hong") == "/"
    assert browser.account() == again.account()
    assert browser.account()["roles"] == {department: "writer"}
    account = browser.account()["account"]
    assert (account["email"], account["name"]) == ("hong@example.com", "이름 hong")


def test_who_was_not_invited_or_has_no_verified_address_does_not_enter(firm, browser):
    invite(firm, "unverified-park")
    for name in ("somebody", "unverified-park"):
        browser = Browser(browser.url)  # the provider remembers who signed in before
        assert browser.sign_in(name) == "/sign-in?error=not_invited"
        assert browser.account()["error"] == "not_signed_in"


def test_a_verified_address_in_other_case_leads_to_the_account_with_a_password(firm, browser):
    secret, _ = invite(firm, "Kim.Password")
    person = newcomer(secret, "KIM.password@example.com")
    accepted = firm.nobody.send("POST", "/api/invitations/accept", person)
    assert browser.sign_in("kim.password") == "/"
    assert browser.account()["account"] == accepted.json()["account"]


def test_another_person_with_the_address_of_a_known_one_does_not_enter(firm, browser):
    invite(firm, "son")
    assert browser.sign_in("son") == "/"
    invite(firm, "son")
    newcomer = Browser(browser.url)
    assert newcomer.sign_in("new=son") == "/sign-in?error=email_taken"
    assert newcomer.account()["error"] == "not_signed_in"


def test_a_disabled_account_does_not_enter(firm, browser):
    invite(firm, "choi")
    browser.sign_in("choi")
    firm.admin("PUT", f"/api/accounts/{browser.account()['account']['id']}", {"disabled": True})
    for name in ("choi", "new=choi"):
        assert Browser(browser.url).sign_in(name).startswith("/sign-in?error=")
    assert Browser(browser.url).sign_in("choi") == "/sign-in?error=sign_in_failed"


def test_a_disabled_account_with_a_password_does_not_enter(firm, browser):
    secret, _ = invite(firm, "disabled")
    person = newcomer(secret, "disabled@example.com")
    account = firm.nobody.send("POST", "/api/invitations/accept", person).json()["account"]
    firm.admin("PUT", f"/api/accounts/{account['id']}", {"disabled": True})
    assert browser.sign_in("disabled") == "/sign-in?error=sign_in_failed"


def test_everybody_of_the_provider_enters_when_that_is_set(tmp_path):
    port = free_port()
    with (
        running_provider(free_port(), f"http://127.0.0.1:{port}{CALLBACK}") as issuer,
        running_server(
            tmp_path, "gevent", oidc_settings(tmp_path, issuer, port, OIDC_JOIN="yes"), port=port
        ) as joining,
    ):
        browser = Browser(joining.url)
        assert browser.sign_in("anybody") == "/"
        assert browser.account()["account"]["name"] == "이름 anybody"
        assert browser.account()["roles"] == {}
        unverified = Browser(joining.url)
        assert unverified.sign_in("unverified") == "/"
        account = unverified.account()["account"]
        assert (account["email"], account["admin"]) == ("", False)
        assert account["name"]
        again = Browser(joining.url)
        assert again.sign_in("unverified") == "/"
        assert again.account()["account"] == account
        assert Browser(joining.url).sign_in("unverified-too") == "/", "no two share an address"


def test_new_keys_of_the_provider_hold_without_a_restart(tmp_path):
    port, own = free_port(), free_port()
    settings = oidc_settings(tmp_path, f"http://127.0.0.1:{port}", own, OIDC_JOIN="yes")
    with running_server(tmp_path, "eventlet", settings, port=own) as running:
        assert Browser(running.url).begin() == f"{running.url}/sign-in?error=provider_unavailable"
        for name in ("first", "second"):
            with running_provider(port, f"{running.url}{CALLBACK}"):
                wait_for(lambda: "error=" not in Browser(running.url).begin(), what="the provider")
                assert Browser(running.url).sign_in(name) == "/"


def test_when_the_company_moves_to_another_provider_people_keep_their_accounts(tmp_path):
    """Also when it moves back."""
    port, one, other, accounts = free_port(), free_port(), free_port(), []
    for provider in (one, other, one):
        with (
            running_provider(provider, f"http://127.0.0.1:{port}{CALLBACK}") as issuer,
            running_server(
                tmp_path, "eventlet", oidc_settings(tmp_path, issuer, port, OIDC_JOIN="yes"), port=port
            ) as running,
        ):
            for _ in range(2):
                browser = Browser(running.url)
                assert browser.sign_in("moved") == "/"
                accounts.append(browser.account()["account"])
    assert accounts == [accounts[0]] * 6


# One attempt


def test_a_code_is_good_once_for_the_browser_that_asked(firm, browser):
    invite(firm, "lee")
    other = Browser(browser.url)
    address = browser.go_to_callback("lee")
    assert other.come_back(address) == "/sign-in?error=provider_refused"
    other.go_to_callback("kang")
    assert other.come_back(address) == "/sign-in?error=provider_refused"
    assert browser.come_back(address) == "/"
    assert browser.come_back(address) == "/sign-in?error=provider_refused"


def test_an_answer_with_another_state_is_none(firm, browser):
    invite(firm, "state")
    address = browser.go_to_callback("state")
    for state in ("state=other", ""):
        wrong = re.sub(r"state=[^&]+", state, address)
        assert browser.come_back(wrong) == "/sign-in?error=provider_refused"
    assert browser.come_back(address) == "/"


def test_a_code_is_good_only_for_the_attempt_that_it_was_given_to(firm, browser):
    """The provider refuses it by PKCE: the other attempt has another verifier."""
    invite(firm, "jung")
    address, other = browser.go_to_callback("jung"), browser.go_to_callback("jung")
    code = re.findall(r"code=([^&]+)", address)[0]
    assert (
        browser.come_back(re.sub(r"code=[^&]+", f"code={code}", other)) == "/sign-in?error=provider_refused"
    )


def test_several_tabs_sign_in_at_the_same_time(firm, browser):
    invite(firm, "tabs")
    addresses = [browser.go_to_callback("tabs") for _ in range(3)]
    assert len(browser.attempts()) == 3
    for address in addresses:
        assert browser.come_back(address) == "/"
    assert browser.attempts() == []
    assert len(browser.session.get(f"{browser.url}/api/sessions", timeout=20).json()["sessions"]) == 1


def test_a_browser_keeps_only_the_newest_attempts(browser):
    for _ in range(10):
        browser.begin()
    assert len(browser.attempts()) == 4


def test_two_who_come_back_at_once_for_the_first_time_are_one_account(firm, browser):
    invite(firm, "twice")
    tabs = [Browser(browser.url) for _ in range(4)]
    addresses = [tab.go_to_callback("twice") for tab in tabs]
    with ThreadPoolExecutor(4) as pool:
        pages = list(pool.map(lambda pair: pair[0].come_back(pair[1]), zip(tabs, addresses, strict=True)))
    assert pages == ["/"] * 4
    assert len({tab.account()["account"]["id"] for tab in tabs}) == 1


@pytest.mark.parametrize(
    "query",
    [
        "",
        "code=c",
        "state=s&code=c",
        "state={state}",
        "state={state}&iss={issuer}",
        "state={state}&iss={issuer}&error=access_denied",
        "state={state}&iss={issuer}&code=" + "c" * 2_000,
        "state={state}&iss=https://evil.example&code=c",
        "state={state}&code=c",
    ],
)
def test_an_answer_that_is_none_leads_back_to_the_page_and_says_so(browser, query):
    assert browser.come_back(browser.answer(query)) == "/sign-in?error=provider_refused"
    assert browser.account()["error"] == "not_signed_in"


def test_the_log_tells_why_somebody_was_not_let_in_and_no_secret(server, firm, browser):
    denied = browser.answer("state={state}&iss={issuer}&error=access_denied")
    (attempt,) = browser.attempts()
    browser.come_back(denied)
    address = Browser(browser.url).go_to_callback("nobody")
    browser.come_back(address)
    browser.sign_in("unverified-nobody")
    assert "the provider says: access_denied" in server.log
    assert "email='unverified-nobody@example.com' email_verified=False" in server.log
    for secret in (SECRET, *attempt.split("."), *re.findall(r"code=([^&]+)", address)):
        assert not secret or secret not in server.log


def test_the_cookie_of_an_attempt_is_for_this_host_and_no_script(browser):
    for scheme, name, secure in (("http", "oidc", False), ("https", "__Host-oidc", True)):
        answer = requests.get(
            f"{browser.url}/auth/oidc",
            headers={"X-Forwarded-Proto": scheme},
            allow_redirects=False,
            timeout=20,
        )
        value, *flags = answer.headers["Set-Cookie"].split("; ")
        assert value.startswith(f"{name}=")
        assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=600"} <= set(flags)
        assert ("Secure" in flags) is secure
        assert not [flag for flag in flags if flag.startswith("Domain")]


# Invitations of people whose address the provider does not verify


def test_an_invitation_opens_for_an_address_that_is_not_verified(firm, browser):
    secret, department = invite(firm, "unverified-yoon")
    assert browser.sign_in("unverified-yoon") == "/sign-in?error=not_invited"
    assert browser.sign_in("unverified-yoon", browser.begin_with(secret)) == "/"
    assert browser.account()["roles"] == {department: "writer"}
    assert Browser(browser.url).sign_in("unverified-yoon") == "/"
    other = Browser(browser.url)
    assert other.sign_in("new=unverified-yoon", other.begin_with(secret)) == "/sign-in?error=link_expired"


def test_an_invitation_opens_for_no_other_address_and_is_not_spent_by_one(firm, browser):
    secret, _ = invite(firm, "unverified-im")
    for name in ("unverified-no", "verified-no"):
        assert browser.sign_in(name, browser.begin_with(secret)) == "/sign-in?error=link_expired"
        browser = Browser(browser.url)
    assert browser.sign_in("unverified-im", browser.begin_with(secret)) == "/"


def test_beginning_with_an_invitation_spends_nothing(firm, browser):
    secret, _ = invite(firm, "begun")
    for _ in range(2):
        browser.begin_with(secret)
    person = newcomer(secret, "begun@example.com")
    assert firm.nobody.send("POST", "/api/invitations/accept", person).status_code == 201


def test_who_invites_cannot_enter_the_account_of_somebody_else(firm, browser):
    """A manager knows the secrets of its invitations, and may change its address at the provider."""
    invite(firm, "owner")
    assert Browser(browser.url).sign_in("owner") == "/"
    for victim in ("admin", "owner"):
        secret, _ = invite(firm, victim)
        page = browser.sign_in(f"unverified={victim}", browser.begin_with(secret))
        assert page == "/sign-in?error=email_taken"
        assert browser.account()["error"] == "not_signed_in"
        browser = Browser(browser.url)


def test_who_has_an_account_already_gets_the_role_of_an_invitation(firm, browser):
    invite(firm, "shin")
    browser.sign_in("shin")
    secret, department = invite(firm, "shin")
    assert browser.sign_in("shin", browser.begin_with(secret)) == "/"
    assert browser.account()["roles"][department] == "writer"
    assert browser.sign_in("shin", browser.begin_with(secret)) == "/sign-in?error=link_expired"


@pytest.mark.parametrize("token", ["a b", "a;b", "a~b", "가", "a" * 201, "", None])
def test_what_cannot_be_an_invitation_begins_nothing(firm, browser, token):
    answer = browser.session.post(f"{browser.url}/auth/oidc", json={"token": token}, timeout=20)
    assert answer.status_code in (400, 410)
    assert browser.attempts() == []


# Pages


@pytest.fixture
def page_in(server: Server, firm: Company) -> Iterator[Any]:
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield lambda locale: chrome.new_page(locale=locale)
        chrome.close()


def test_the_page_of_an_invitation_leads_through_the_provider_into_the_account(firm, page_in):
    secret, department = invite(firm, "unverified-page")
    page = page_in("ko-KR")
    page.goto(f"{firm.url}/invite#{secret}")
    page.click("text=회사 계정으로 로그인")
    page.fill("input[name=login]", "unverified-page")
    page.fill("input[name=password]", "any")
    page.click("button[type=submit]")
    page.click("button[type=submit]")
    expect(page).to_have_url(f"{firm.url}/")
    account = page.context.request.get(f"{firm.url}/api/me").json()
    assert account["roles"] == {department: "writer"}


@pytest.mark.parametrize("locale", ["ko-KR", "en-US"])
def test_the_page_has_a_sentence_for_each_error(server, page_in, locale):
    page = page_in(locale)
    codes = ["sign_in_failed", "not_invited", "link_expired", "email_taken", "provider_refused"]
    sentences = set()
    for code in [*codes, "provider_unavailable", "store_unavailable", "constructor"]:
        page.goto(f"{server.url}/sign-in?error={code}")
        expect(page.get_by_role("alert")).to_be_visible()
        sentences.add(page.get_by_role("alert").inner_text())
    assert len(sentences) == 8
    assert all(re.search("[가-힣]", sentence) for sentence in sentences) == (locale == "ko-KR")


# A provider that is slow, or sends too much


@pytest.mark.parametrize("mode", ["eventlet", "gevent"])
def test_a_provider_that_never_ends_its_answer_holds_up_nobody(tmp_path, mode):
    port = free_port()
    with (
        running_forger() as forger,
        running_server(tmp_path, mode, oidc_settings(tmp_path, forger.issuer, port), port=port) as running,
    ):
        unavailable = f"{running.url}/sign-in?error=provider_unavailable"
        before = running.resident_mb()

        def begin() -> str:
            """Begin until the server asks the provider again, which it has just found out of order."""
            while True:
                page = Browser(running.url).begin()
                if forger.asked:
                    return page

        slow = [drip(sent) for sent in (b"", b"HTTP/1.0 200 OK\r\nX-Slow: ", b"HTTP/1.0 200 OK\r\n\r\n{")]
        for answer in (*slow, endless_body):
            forger.asked.clear()
            forger.answers[METADATA] = answer
            with ThreadPoolExecutor(8) as pool:
                begun = [pool.submit(begin) for _ in range(8)]
                wait_for(lambda: forger.asked, what="a question to the provider")
                assert requests.get(f"{running.url}/readyz", timeout=5).ok
                assert {one.result(20) for one in begun} == {unavailable}
        assert running.resident_mb() < before + 50
        del forger.answers[METADATA]
        wait_for(lambda: Browser(running.url).begin().startswith(forger.issuer), what="the provider again")
        assert "Traceback" not in running.log
