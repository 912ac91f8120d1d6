"""The accounts as several servers see them: their view of the log, what they carry along, what they count."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from config import Settings
from domain import Position, new_id, utc_now
from errors import LinkExpired, NotSignedIn, SignInFailed, StoreUnavailable
from fake_transport import FakeTransport
from log_rows import LogWriter
from models import DynamoDBDatabase
from people import (
    ACCOUNTS,
    Account,
    AccountsChange,
    AccountsWrite,
    Act,
    Admins,
    AnyChange,
    AnyWrite,
    DeviceToken,
    Link,
    Membership,
    Password,
    Purpose,
    Record,
    Role,
    Scope,
    Session,
    Visibility,
)
from realtime.push import Push
from services.accounts import members
from services.accounts.access import ANYBODY, Principal
from services.accounts.accounts import Accounts
from services.accounts.administration import AccountFields
from services.accounts.joining import NewPerson
from services.accounts.sessions import Visit
from services.accounts.view import AccountsView
from services.core import Core, build_core
from services.group_commit import WriteRefused
from store import account_rows
from store.records import Records
from store.tables import TableNames

DEPARTMENT = new_id()
VISIT = Visit("127.0.0.1", "")
UNKNOWN = {"phone": {"S": "010"}, "tags": {"L": [{"S": "a"}, {"M": {"n": {"N": "3"}}}]}}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings of a store with accounts."""
    return replace(settings, auth=True, accounts_table=f"{settings.changes_table}-accounts")


@dataclass
class Server:
    """The services of a server process, and what it heard of the accounts."""

    core: Core
    heard: list[Any] = field(default_factory=list)
    """The changes that listeners were called with; None where all was read anew."""

    @classmethod
    def on(cls, db: DynamoDBDatabase) -> "Server":
        server = cls(build_core(db, snapshot_bytes=1_000_000, accounts_url="http://localhost:5000"))
        server.view.latest()
        server.view.on_change(server.heard.append)
        return server

    @property
    def accounts(self) -> Accounts:
        assert self.core.accounts
        return self.core.accounts

    @property
    def view(self) -> AccountsView:
        return self.accounts.view

    def commit(self, *puts: Record, removes: tuple[Record, ...] = ()) -> AccountsChange:
        write = AccountsWrite(type=Act.ACCOUNT_UPDATED, puts=puts, removes=removes)
        return self.core.group_commit.commit(ACCOUNTS, write)

    def give(self, role: Role, account_id: str) -> None:
        self.accounts.members.give(ANYBODY, DEPARTMENT, account_id, role)

    def take(self, account_id: str) -> None:
        self.accounts.members.take(ANYBODY, DEPARTMENT, account_id)

    def poll(self) -> None:
        """Find what other servers have committed, as the poll of the push does."""
        self.view.on_poll(self.core.db.recent_heads([ACCOUNTS]).get(ACCOUNTS), time.monotonic())

    def hint(self) -> None:
        """Do what a hint of another server does."""
        head = self.core.db.read_head(ACCOUNTS)
        assert head
        self.view.on_hint(ACCOUNTS, head.revision)

    @property
    def roles(self) -> dict[str, Role]:
        return dict(self.view.known().members(DEPARTMENT))


@pytest.fixture
def one(db: DynamoDBDatabase) -> Server:
    return Server.on(db)


@pytest.fixture
def two(one: Server, other: DynamoDBDatabase) -> Server:
    """Another server on the same tables."""
    return Server.on(other)


def account(**fields: Any) -> Account:
    return Account(id=new_id(), **{"email": f"{new_id()}@example.com", "name": "김", **fields})


# What another server has committed


@pytest.mark.parametrize("look", [Server.poll, Server.hint], ids=["poll", "hint"])
def test_a_commit_of_another_server_is_found_by_poll_and_by_hint(one, two, look):
    kim = account()
    change = one.commit(kim)
    assert two.view.known().find(Account, kim.id) is None
    look(two)
    assert two.view.known().find(Account, kim.id) == replace(kim, revision=change.revision)
    assert two.view.known().account_with_email(kim.email)
    assert [[change.revision for change in changes] for changes in two.heard] == [[change.revision]]
    assert [[change.revision for change in changes] for changes in one.heard] == [[change.revision]]
    look(two)
    assert len(two.heard) == 1


def test_a_poll_that_finds_nothing_new_saves_a_read(db, two):
    view = AccountsView(db, fresh_s=0.0)
    kim = account()
    two.commit(account())
    view.latest()
    view.on_poll(db.read_head(ACCOUNTS), time.monotonic() + 1000)
    two.commit(kim)
    assert view.current().find(Account, kim.id) is None
    view.on_poll(db.read_head(ACCOUNTS), time.monotonic())
    assert view.current().find(Account, kim.id)


def test_a_view_that_is_no_longer_fresh_is_read_again(db, two):
    view = AccountsView(db, fresh_s=0.0)
    view.latest()
    kim = account()
    two.commit(kim)
    assert view.current().find(Account, kim.id)


def test_what_is_removed_and_made_again_is_there_again(one, two):
    one.commit(kim := account())
    steps: list[tuple[Callable[[], None], dict[str, Role]]] = [
        (lambda: one.give(Role.WRITER, kim.id), {kim.id: Role.WRITER}),
        (lambda: one.take(kim.id), {}),
        (lambda: one.give(Role.READER, kim.id), {kim.id: Role.READER}),
    ]
    for step, roles in steps:
        step()
        two.poll()
        assert one.roles == two.roles == roles
    for step, _ in steps[1:]:
        step()
    two.poll()
    assert one.roles == two.roles == {kim.id: Role.READER}


class Interrupted(DynamoDBDatabase):
    """Lets somebody else act before or after the records are read."""

    before: Callable[[], object] = staticmethod(lambda: None)
    after: Callable[[], object] = staticmethod(lambda: None)

    def logged_records(self) -> Iterator[Record]:
        self.before()
        found = list(super().logged_records())
        self.after()
        return iter(found)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("what", ["edit", "removal", "removal and return", "unknown"])
def test_what_happens_while_all_is_read_is_known_afterwards(settings, one, writer, when, what):
    """The records are read after the head, so they may be newer than a change that is then applied."""
    one.commit(kim := account())
    one.give(Role.WRITER, kim.id)
    expected = {
        "edit": {kim.id: Role.MANAGER},
        "removal": {},
        "removal and return": {kim.id: Role.READER},
        "unknown": {kim.id: Role.READER},
    }[what]

    def act() -> None:
        if what == "edit":
            one.give(Role.MANAGER, kim.id)
        elif what == "unknown":
            one.give(Role.READER, kim.id)
            make_unknown(writer)
        else:
            one.take(kim.id)
            if what == "removal and return":
                one.give(Role.READER, kim.id)

    db = Interrupted(settings)
    setattr(db, when, act)
    late = AccountsView(db)
    late.latest()
    setattr(db, when, lambda: None)
    assert late.latest().members(DEPARTMENT) == expected


def test_a_record_that_is_newer_than_a_change_that_is_applied_stays(settings, one, writer):
    """The change after that one is of an unknown kind, so the log is read up to it."""
    one.commit(kim := account())

    def act() -> None:
        one.give(Role.READER, kim.id)
        one.give(Role.MANAGER, kim.id)
        make_unknown(writer)

    db = Interrupted(settings)
    db.before = act
    assert AccountsView(db).latest().members(DEPARTMENT) == {kim.id: Role.MANAGER}


def make_unknown(writer: LogWriter, **attributes: Any) -> None:
    """Make the last change of the accounts one of a kind that this server does not know."""
    row = writer.rows(ACCOUNTS)[-1]
    row["changes"]["L"][-1]["M"] |= attributes or {"type": {"S": "account_merged"}}
    writer.put(row)


def of_an_unknown_record(_writer: LogWriter) -> dict[str, Any]:
    record = {"kind": {"S": "badge"}, "id": {"S": "1"}, "colour": {"S": "red"}}
    return {"puts": {"L": [{"M": record}]}}


@pytest.mark.parametrize("newer", ["change", "record"])
def test_a_change_that_this_server_does_not_know_makes_it_read_everything_anew(one, two, writer, newer):
    kim, lee = account(), account()
    one.commit(kim)
    make_unknown(writer, **(of_an_unknown_record(writer) if newer == "record" else {}))
    one.commit(lee)
    two.poll()
    assert two.heard == [None]
    assert two.view.known().find(Account, kim.id)
    assert two.view.known().find(Account, lee.id)
    one.commit(replace(lee, name="이", revision=one.view.latest().find(Account, lee.id).revision))
    two.poll()
    assert two.view.known().find(Account, lee.id).name == "이"
    assert [heard is None for heard in two.heard] == [True, False]


def test_a_server_that_was_away_for_longer_than_the_log_reaches_reads_everything_anew(one, two, writer):
    kim = account()
    first = one.commit(kim)
    one.commit(account())
    writer.expire(ACCOUNTS, first.revision)
    two.poll()
    assert two.heard == [None]
    assert two.view.known().find(Account, kim.id)


def test_after_a_new_epoch_a_server_knows_what_the_restored_tables_have_and_nothing_else(
    one, two, client, settings
):
    kim, lee = account(), account()
    one.commit(kim, lee)
    one.give(Role.WRITER, kim.id)
    one.give(Role.WRITER, lee.id)
    two.poll()
    two.heard.clear()
    lost = account_rows.record_key(Membership.kind, Membership.id_of(DEPARTMENT, lee.id))
    client.call("delete_item", TableName=settings.accounts_table, Key=lost)
    two.poll()
    assert two.roles == {kim.id: Role.WRITER, lee.id: Role.WRITER}
    assert one.core.db.renew_epochs() == 1
    for server in (one, two):
        server.poll()
        assert server.roles == {kim.id: Role.WRITER}
    assert two.heard == [None]
    one.give(Role.READER, lee.id)
    two.poll()
    assert two.roles == {kim.id: Role.WRITER, lee.id: Role.READER}


# Conditions


def test_of_two_servers_that_change_one_record_the_second_is_refused(one, two):
    one.commit(kim := account())
    seen = two.view.latest().find(Account, kim.id)
    one.commit(replace(one.view.latest().find(Account, kim.id), name="하나"))
    with pytest.raises(WriteRefused):
        two.commit(replace(seen, name="둘"))
    with pytest.raises(WriteRefused):
        two.commit(removes=(seen,))
    with pytest.raises(WriteRefused):
        two.commit(kim)
    assert two.view.latest().find(Account, kim.id).name == "하나"


class FasterElsewhere(DynamoDBDatabase):
    """Lets another server act between the reading and the first commit of this one."""

    act: Callable[[], object] | None = None

    def commit(self, partition: str, seen: Position, writes: Sequence[AnyWrite]) -> list[AnyChange]:
        act, self.act = self.act, None
        if act:
            act()
        return super().commit(partition, seen, writes)


def test_an_edit_of_what_another_server_has_just_changed_or_ended_holds_all_the_same(settings, two):
    db = FasterElsewhere(settings)
    one = Server.on(db)
    two.commit(kim := account())
    principal = Principal(kim.id, kim.name)
    first, second = (two.accounts.sessions.begin(kim, VISIT).id for _ in range(2))
    browser = replace(principal, session_id=first)
    token, _ = two.accounts.device_tokens.create(browser, "프로그램", Scope.READ, None)

    def extend() -> None:
        session = two.view.latest().find(Session, first)
        two.commit(replace(session, seen_at="2026-11-22T00:00:00.000Z"))

    for elsewhere, here in (
        (extend, lambda: one.accounts.sessions.end(principal, first)),
        (
            lambda: two.accounts.sessions.end(principal, second),
            lambda: one.accounts.sessions.end(principal, second),
        ),
        (
            lambda: two.accounts.device_tokens.end(principal, token.id),
            lambda: one.accounts.device_tokens.end(principal, token.id),
        ),
        (lambda: two.give(Role.READER, kim.id), lambda: one.give(Role.MANAGER, kim.id)),
        (lambda: two.take(kim.id), lambda: one.give(Role.WRITER, kim.id)),
    ):
        db.act = elsewhere
        here()
        assert db.act is None
    people = two.view.latest()
    assert (people.all(Session), people.all(DeviceToken)) == ([], [])
    assert dict(people.members(DEPARTMENT)) == {kim.id: Role.WRITER}


PASSWORD = "정확한 말 배터리"


@pytest.mark.parametrize("changed", ["password", "disabled"])
def test_a_sign_in_that_others_overtake_by_ending_all_sessions_leaves_none(settings, two, changed):
    """Its password was right when it was looked at."""
    db = FasterElsewhere(settings)
    one = Server.on(db)
    boss = two.accounts.joining.create_admin(NewPerson("a@b.kr", "관리자", PASSWORD))
    kim = two.accounts.joining.create_admin(NewPerson("kim@b.kr", "김", PASSWORD))
    link = two.accounts.joining.begin_reset(Principal(boss.id, boss.name), kim.id)
    db.act = {
        "password": lambda: two.accounts.joining.reset(str(link), PASSWORD * 2),
        "disabled": lambda: two.accounts.administration.change(
            Principal(boss.id, boss.name), kim.id, AccountFields(disabled=True)
        ),
    }[changed]
    with pytest.raises(SignInFailed):
        one.accounts.sessions.sign_in("kim@b.kr", PASSWORD, VISIT)
    assert db.act is None
    assert two.view.latest().all(Session) == []


def test_a_password_is_changed_though_a_session_is_extended_meanwhile(settings, two):
    db = FasterElsewhere(settings)
    one = Server.on(db)
    kim = two.accounts.joining.create_admin(NewPerson("kim@b.kr", "김", PASSWORD))
    mine, other = (two.accounts.sessions.begin(kim, VISIT).id for _ in range(2))

    def extend() -> None:
        session = two.view.latest().find(Session, other)
        two.commit(replace(session, expires_at=session.expires_at + 60))

    db.act = extend
    one.accounts.own.change(Principal(kim.id, kim.name, session_id=mine), "", PASSWORD * 2, PASSWORD)
    assert db.act is None
    assert [session.id for session in two.view.latest().all(Session)] == [mine]
    two.accounts.sessions.sign_in("kim@b.kr", PASSWORD * 2, VISIT)


def test_of_two_who_change_one_password_the_second_has_shown_a_wrong_one(settings, two):
    db = FasterElsewhere(settings)
    one = Server.on(db)
    kim = two.accounts.joining.create_admin(NewPerson("kim@b.kr", "김", PASSWORD))
    principal = Principal(kim.id, kim.name)
    db.act = lambda: two.accounts.own.change(principal, "", PASSWORD * 2, PASSWORD)
    with pytest.raises(SignInFailed):
        one.accounts.own.change(principal, "", PASSWORD * 3, PASSWORD)
    two.accounts.sessions.sign_in("kim@b.kr", PASSWORD * 2, VISIT)


def test_a_session_that_another_server_ends_at_that_moment_makes_no_token(settings, two):
    db = FasterElsewhere(settings)
    one = Server.on(db)
    two.commit(kim := account())
    session = two.accounts.sessions.begin(kim, VISIT)
    principal = Principal(kim.id, kim.name, session_id=session.id)
    db.act = lambda: reset(two, kim)
    with pytest.raises(NotSignedIn):
        one.accounts.device_tokens.create(principal, "프로그램", Scope.READ, None)
    assert db.act is None
    assert two.view.latest().all(DeviceToken) == []


def test_a_new_password_ends_a_session_that_is_used_at_that_moment(settings, two):
    db = FasterElsewhere(settings)
    one = Server.on(db)
    two.commit(kim := account())
    two.accounts.sessions.begin(kim, VISIT)
    link = two.accounts.joining.begin_reset_by_email(kim.email)
    db.act = lambda: two.commit(*two.view.latest().all(Session))
    one.accounts.joining.reset(str(link), "새로운 비밀번호")
    assert db.act is None
    assert two.view.latest().all(Session) == []


def test_of_two_who_spend_a_reset_link_at_the_same_time_one_sets_the_password(one, two, monkeypatch):
    """The second one has seen the link, but not yet what it is to end."""
    two.commit(kim := account())
    link = str(two.accounts.joining.begin_reset_by_email(kim.email))
    find, done = one.core.db.find_record, []

    def find_late(kind: str, id: str) -> Record | None:
        if kind == Password.kind and not done:
            done.append(two.accounts.joining.reset(link, PASSWORD))
        return find(kind, id)

    monkeypatch.setattr(one.core.db, "find_record", find_late)
    with pytest.raises(LinkExpired):
        one.accounts.joining.reset(link, PASSWORD * 2)
    assert done
    two.accounts.sessions.sign_in(kim.email, PASSWORD, VISIT)


def reset(server: Server, owner: Account) -> None:
    """Give somebody a new password by a link."""
    link = server.accounts.joining.begin_reset_by_email(owner.email)
    server.accounts.joining.reset(str(link), "새로운 비밀번호")


@pytest.mark.parametrize("way", ["disabled", "new password"])
def test_more_sessions_and_tokens_than_fit_into_a_transaction_end_with_an_account_or_its_password(one, way):
    boss = one.accounts.joining.create_admin(NewPerson("a@b.kr", "관리자", PASSWORD))
    kim = account()
    one.commit(kim)
    for kind in (Session, DeviceToken):
        one.commit(*(held_by(kim, kind) for _ in range(85)))
    if way == "disabled":
        fields = AccountFields(disabled=True)
        one.accounts.administration.change(Principal(boss.id, boss.name), kim.id, fields)
    else:
        reset(one, kim)
    people = one.view.latest()
    assert (people.all(Session), people.all(DeviceToken)) == ([], [])


def held_by(owner: Account, kind: type[Session | DeviceToken]) -> Session | DeviceToken:
    times = {"created_at": "2026-11-22T00:00:00.000Z", "expires_at": int(time.time()) + 3600}
    if kind is Session:
        return Session(id=new_id(), account_id=owner.id, hash="", seen_at="", **times)
    return DeviceToken(id=new_id(), account_id=owner.id, hash="", name="", scope=Scope.READ, **times)


# Attributes of newer servers


@dataclass
class Edited:
    """A record, and the function that edits it on a server."""

    record: Record
    edit: Callable[[Server, int], object]


@pytest.fixture(params=["account", "admins", "membership", "visibility", "password"])
def edited(request, one) -> Edited:
    boss = one.accounts.joining.create_admin(NewPerson("a@b.kr", "관리자", PASSWORD))
    kim = account()
    one.commit(kim)
    principal = Principal(boss.id, boss.name)

    def change(server: Server, **fields: Any) -> None:
        server.accounts.administration.change(principal, kim.id, AccountFields(**fields))

    def show(server: Server, n: int) -> None:
        server.accounts.members.set_visibility(principal, DEPARTMENT, n % 2 == 0)

    def set_password(server: Server, n: int) -> None:
        link = server.accounts.joining.begin_reset(principal, boss.id)
        server.accounts.joining.reset(str(link), f"비밀번호 {n}" * 3)

    one.give(Role.READER, kim.id)
    one.accounts.members.set_visibility(principal, DEPARTMENT, True)
    cases: dict[str, tuple[type[Record], str, Callable[[Server, int], object]]] = {
        "account": (Account, kim.id, lambda server, n: change(server, name=f"이름 {n}")),
        "admins": (Admins, Admins.ID, lambda server, n: change(server, admin=n % 2 == 1)),
        "membership": (
            Membership,
            Membership.id_of(DEPARTMENT, kim.id),
            lambda server, n: server.give(Role(1 + n % 3), kim.id),
        ),
        "visibility": (Visibility, DEPARTMENT, show),
        "password": (Password, boss.id, set_password),
    }
    kind, id, edit = cases[request.param]
    record = one.core.db.find_record(kind.kind, id)
    assert record
    return Edited(record, edit)


def test_attributes_of_a_newer_server_survive_edits(one, two, client, settings, writer, edited):
    """Those of the table, which is read first, and those that come by the log."""
    key = account_rows.record_key(edited.record.kind, edited.record.id)
    item = {**account_rows.record_to_item(edited.record), **UNKNOWN}
    client.call("put_item", TableName=settings.accounts_table, Item=item)
    late = Server.on(two.core.db)
    for n, server in enumerate((late, two, late), 1):
        edited.edit(server, n)
        stored = client.find_item(settings.accounts_table, key)
        assert int(stored["revision"]["N"]) > int(item["revision"]["N"])
        assert {name: stored.get(name) for name in UNKNOWN} == UNKNOWN
        item = stored


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("membership", "role", {"N": "9"}),
        ("token", "scope", {"S": "audit"}),
        ("link", "purpose", {"S": "transfer"}),
    ],
)
def test_a_record_with_a_value_of_a_newer_server_allows_nothing_and_harms_no_other(
    one, two, client, settings, writer, kind, name, value
):
    kim = account()
    one.commit(kim)
    made: dict[str, Record] = {
        "membership": Membership(
            id=Membership.id_of(DEPARTMENT, kim.id),
            account_id=kim.id,
            department_id=DEPARTMENT,
            role=Role.MANAGER,
        ),
        "token": DeviceToken(id="t", account_id=kim.id, hash="", name="", scope=Scope.WRITE, created_at=""),
        "link": Link(id="l", hash="", purpose=Purpose.RESET, account_id=kim.id),
    }
    record = made[kind]
    change = one.commit(record)
    newer = {**account_rows.record_to_item(record.at_revision(change.revision)), name: value}
    client.call("put_item", TableName=settings.accounts_table, Item=newer)
    make_unknown(writer, puts={"L": [{"M": newer}]})
    one.commit(lee := account())
    two.poll()
    for server in (two, Server.on(two.core.db)):
        people = server.view.known()
        assert people.find(type(record), record.id) is None
        assert people.members(DEPARTMENT) == {}
        assert people.find(Account, lee.id)
    assert two.heard == [None]


# Failed sign-ins


def test_failed_sign_ins_are_counted_until_their_time_is_over(client, settings, db):
    records = Records(client, TableNames("", "", "", settings.accounts_table))
    now = 1_800_000_000
    assert records.count_failures("a@b.kr", now) == 0
    for n in range(1, 4):
        records.note_failure("a@b.kr", now + n, 900)
        assert records.count_failures("a@b.kr", now + n) == n
    assert records.count_failures("c@d.kr", now + 3) == 0
    assert records.count_failures("a@b.kr", now + 3 + 899) == 3
    assert records.count_failures("a@b.kr", now + 3 + 900) == 0
    records.note_failure("a@b.kr", now + 3 + 900, 900)
    assert records.count_failures("a@b.kr", now + 3 + 901) == 1


def test_counters_are_no_records(client, settings, db, one):
    db.note_sign_in_failure("a@b.kr", 900)
    assert db.count_sign_in_failures("a@b.kr") == 1
    assert list(db.logged_records()) == []
    assert db.read_head(ACCOUNTS).revision == 0


# Departments that are purged


def test_a_purge_removes_the_roles_in_its_department_and_no_others(one, two, monkeypatch):
    monkeypatch.setattr(members, "FORGOTTEN_AT_ONCE", 2)
    people = [account() for _ in range(3)]
    one.commit(*people)
    purged, kept = (one.core.departments.create_department(name).entity.id for name in ("개발팀", "영업팀"))
    for department in (purged, kept):
        for person in people:
            one.accounts.members.give(ANYBODY, department, person.id, Role.WRITER)
        one.accounts.members.set_visibility(ANYBODY, department, True)
    one.core.departments.delete_department(purged)
    two.poll()
    assert len(two.view.known().members(purged)) == 3
    assert two.core.purge.run_due(utc_now() + timedelta(days=30, minutes=1)) == 1
    one.poll()
    for server in (one, two):
        found = server.view.latest()
        assert {one.department_id for one in found.all(Membership)} == {kept}
        assert [one.id for one in found.all(Visibility)] == [kept]
        assert (found.members(purged), found.is_open(purged)) == ({}, False)
        assert len(found.members(kept)) == 3


# The poll of the push


def test_a_poll_goes_on_after_the_accounts_could_not_be_read(settings, one, db):
    class SometimesAway(DynamoDBDatabase):
        away = False

        def read_head(self, partition: str):
            if self.away:
                raise StoreUnavailable()
            return super().read_head(partition)

    far = SometimesAway(settings)
    two = Server.on(far)
    push = Push(FakeTransport(), far, two.core.sync, two.core.access, view=two.view, poll_s=None)
    one.commit(kim := account())
    session = one.accounts.sessions.begin(kim, VISIT)
    two.view.latest()
    push.connect("sid", Principal(kim.id, kim.name, session_id=session.id))
    one.give(Role.READER, kim.id)
    far.away = True
    assert push.poll_once()
    assert two.roles == {}
    far.away = False
    assert push.poll_once()
    assert two.roles == {kim.id: Role.READER}
