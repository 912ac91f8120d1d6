"""Sessions, tokens, links and passwords: how long they are good, and what the tables keep of them."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from config import Settings
from domain import new_id
from errors import LinkExpired, NotSignedIn, SignInFailed, TooManyTokens
from models import DynamoDBDatabase
from people import ACCOUNTS, AccountsWrite, Act, Password, Record, Scope, Session
from services.accounts import passwords
from services.accounts.access import Principal
from services.accounts.accounts import Accounts
from services.accounts.device_tokens import TOKENS_MAX
from services.accounts.joining import NewPerson, Offer
from services.accounts.sessions import Visit
from services.core import Core, build_core
from store.local_engine import Engine

MINUTE, HOUR, DAY = 60, 3_600, 86_400
PASSWORD = "정확한 말 배터리 스테이플"
KIM = NewPerson("kim@example.com", "김하나", PASSWORD)
LEE = NewPerson("lee@example.com", "이두리", PASSWORD)
VISIT = Visit("192.0.2.7", "Mozilla/5.0")


@pytest.fixture
def settings(engine: Engine) -> Settings:
    """Settings of a store with accounts; one kind of store, as nothing here is peculiar to any."""
    prefix = new_id()[:8]
    return Settings(
        auth=True,
        dynamodb_endpoint_url=engine.url,
        departments_table=f"{prefix}-departments",
        events_table=f"{prefix}-events",
        changes_table=f"{prefix}-changes",
        accounts_table=f"{prefix}-accounts",
    )


def server_on(db: DynamoDBDatabase) -> tuple[Core, Accounts]:
    core = build_core(db, snapshot_bytes=1_000_000, accounts_url="http://localhost:5000")
    assert core.accounts
    return core, core.accounts


@pytest.fixture
def core(db: DynamoDBDatabase) -> Core:
    return server_on(db)[0]


@pytest.fixture
def accounts(core: Core) -> Accounts:
    assert core.accounts
    return core.accounts


@pytest.fixture
def kim(accounts: Accounts) -> Principal:
    """An administrator."""
    account = accounts.joining.create_admin(KIM)
    return Principal(account.id, account.name)


def let_end(core: Core, record: Record, in_s: float) -> None:
    """Let a record be over in so many seconds, as if time had passed."""
    over: Any = replace(record, expires_at=int(time.time() + in_s))  # type: ignore[call-arg]
    core.group_commit.commit(ACCOUNTS, AccountsWrite(type=Act.SESSION_SEEN, puts=(over,)))


def is_about(seconds: float, wanted: float) -> bool:
    """Tell whether a time from now is the wanted one, which was counted from up to a minute ago."""
    return wanted - MINUTE < seconds <= wanted


@pytest.mark.parametrize(("way", "lasts"), [("setup", 30 * MINUTE), ("reset", DAY), ("invitation", 7 * DAY)])
def test_a_link_is_good_until_its_time_is_over(core, accounts, way, lasts):
    joining = accounts.joining
    link = joining.begin_setup()
    spend: Callable[[], object] = lambda: joining.set_up(str(link), KIM)  # noqa: E731
    if way != "setup":
        kim = joining.create_admin(KIM)
        principal = Principal(kim.id, kim.name)
    if way == "reset":
        link = joining.begin_reset(principal, kim.id)
        spend = lambda: joining.reset(str(link), "새로운 비밀번호입니다")  # noqa: E731
    elif way == "invitation":
        _, link = joining.invite(principal, Offer(email=LEE.email))
        spend = lambda: joining.accept(str(link), LEE)  # noqa: E731
    kind = "invitation" if way == "invitation" else "link"

    def stored() -> Any:
        return core.db.find_record(kind, link.id)

    assert is_about(stored().expires_at - time.time(), lasts)
    let_end(core, stored(), 0)
    with pytest.raises(LinkExpired):
        spend()
    let_end(core, stored(), HOUR)
    spend()
    assert stored() is None


def test_a_session_lasts_for_30_days_after_its_last_use_which_is_written_down_once_a_day(core, accounts, kim):
    cookie = str(accounts.sessions.begin(accounts.own.get(kim), VISIT))

    def session() -> Session:
        [found] = accounts.view.latest().all(Session)
        return found

    begun = session()
    assert is_about(begun.expires_at - time.time(), 30 * DAY)
    accounts.sessions.of_cookie(cookie)
    assert session() == begun
    let_end(core, begun, 2 * DAY)
    accounts.sessions.of_cookie(cookie)
    extended = session()
    assert is_about(extended.expires_at - time.time(), 30 * DAY)
    assert extended.seen_at > begun.seen_at
    let_end(core, extended, 0)
    with pytest.raises(NotSignedIn):
        accounts.sessions.of_cookie(cookie)


def in_a_browser(accounts: Accounts, principal: Principal) -> Principal:
    """Return somebody as a new session of its knows it."""
    session = accounts.sessions.begin(accounts.own.get(principal), VISIT)
    return replace(principal, session_id=session.id)


def test_the_use_of_a_token_is_written_down_once_an_hour_also_after_a_restart(accounts, kim, other):
    _, token = accounts.device_tokens.create(in_a_browser(accounts, kim), "데스크톱", Scope.WRITE, None)

    def used_at(server: Accounts) -> str:
        server.sessions.of_token(token, VISIT.address)
        [found] = server.device_tokens.list_tokens(kim.account_id)
        return found.used_at

    hour = time.gmtime().tm_hour
    found = [used_at(accounts), used_at(accounts), used_at(server_on(other)[1])]
    assert found[0]
    assert len(set(found)) <= 1 + (time.gmtime().tm_hour != hour)


def test_an_account_has_so_many_tokens(core, accounts, kim):
    token, _ = accounts.device_tokens.create(in_a_browser(accounts, kim), "프로그램", Scope.READ, None)
    more = tuple(replace(token, id=new_id(), revision=0) for _ in range(TOKENS_MAX - 1))
    core.group_commit.commit(ACCOUNTS, AccountsWrite(type=Act.TOKEN_CREATED, puts=more))
    with pytest.raises(TooManyTokens):
        accounts.device_tokens.create(in_a_browser(accounts, kim), "프로그램", Scope.READ, None)
    accounts.device_tokens.end(kim, token.id)
    accounts.device_tokens.create(in_a_browser(accounts, kim), "프로그램", Scope.READ, None)


def test_the_log_of_the_accounts_is_kept_for_a_year(client, settings, kim):
    key = {"department_id": {"S": ACCOUNTS}, "revision": {"N": "1"}}
    row = client.find_item(settings.changes_table, key)
    assert is_about(int(row["expires_at"]["N"]) - time.time(), 365 * DAY)


def test_the_tables_hold_no_secret(client, settings, accounts, kim):
    account = accounts.own.get(kim)
    _, token = accounts.device_tokens.create(in_a_browser(accounts, kim), "데스크톱", Scope.WRITE, None)
    handed_out = [
        str(accounts.sessions.begin(account, VISIT)),
        token,
        str(accounts.joining.begin_reset(kim, kim.account_id)),
        str(accounts.joining.invite(kim, Offer(email=LEE.email))[1]),
    ]
    with pytest.raises(SignInFailed):
        accounts.sessions.sign_in(KIM.email, "틀린 비밀번호", VISIT)
    tables = (settings.changes_table, settings.accounts_table)
    stored = str([list(client.iterate("scan", TableName=table)) for table in tables])
    for credential in handed_out:
        id, _, secret = credential.removeprefix("dct_").partition(".")
        assert id in stored
        assert secret not in stored
    assert PASSWORD not in stored
    assert "틀린 비밀번호" not in stored


def test_a_password_is_kept_as_argon2id_with_19_mib_two_passes_and_one_lane(db, kim):
    kept = db.find_record(Password.kind, kim.account_id)
    assert kept.hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_for_an_unknown_account_as_much_is_computed_as_for_a_wrong_password():
    """By processor time, which waits of whatever kind do not change."""
    kept = passwords.hash_password(PASSWORD, "kim")

    def computed_s(known: str | None) -> float:
        begun = time.process_time()
        for _ in range(5):
            assert not passwords.is_password("틀린 비밀번호", known, "kim")
        return time.process_time() - begun

    assert computed_s(None) > computed_s(kept) / 3
    assert not passwords.is_password("the password of nobody", None, "kim")
