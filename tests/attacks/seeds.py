"""The departments that attacks need, written straight to the store of the server."""

from collections.abc import Callable, Iterable
from datetime import date, timedelta
from itertools import islice

from config import Settings
from domain import Event, new_id, timestamp, utc_now
from models import DynamoDBDatabase
from people import Scope
from services.accounts.access import Principal
from services.accounts.joining import NewPerson
from services.accounts.sessions import Visit
from services.core import build_core

LARGE = 50_000
LONG = 3_000
CROWDED = 2_500
MEDIUM = 300
LONG_TEXT = "가" * 10_000
FIRST_DATE = date(2020, 1, 1)
PUT_AT_ONCE = 500


class Seeds:
    """Makes departments in one store: new ones, or one of a kind that is made when it is first needed."""

    def __init__(self, settings: Settings, large: int = LARGE) -> None:
        """`large` is how many events a large department has."""
        self._db = DynamoDBDatabase(settings)
        self._db.create_tables(report=lambda _: None)
        core = build_core(self._db, snapshot_bytes=1_000_000, accounts_url="http://localhost:5000")
        assert core.accounts
        self._departments, self._accounts = core.departments, core.accounts
        self._token = ""
        self._large = large
        self._made: dict[str, str] = {}
        self._kinds: dict[str, Callable[[], str]] = {
            "large": lambda: self._loaded(large),
            "long": lambda: self._loaded(LONG, LONG_TEXT),
            "crowded": lambda: self._loaded(CROWDED, LONG_TEXT, dates=1),
            "medium": lambda: self._loaded(MEDIUM),
        }

    def department(self, kind: str) -> str:
        """Return the id of a department: a new one if it is `small` or `doomed`."""
        if kind == "small":
            return self._loaded(20)
        if kind == "doomed":
            return self._loaded(self._large)
        if kind not in self._made:
            self._made[kind] = self._kinds[kind]()
        return self._made[kind]

    def token(self) -> str:
        """Return a device token of an administrator, whose account is made when it is first needed."""
        if not self._token:
            person = NewPerson("admin@example.com", "관리자", "정확한 말 배터리 스테이플")
            account = self._accounts.joining.create_admin(person)
            session = self._accounts.sessions.begin(account, Visit("192.0.2.1", "seeds"))
            principal = Principal(account.id, account.name, session_id=session.id)
            _, self._token = self._accounts.device_tokens.create(principal, "프로그램", Scope.WRITE, None)
        return self._token

    def event_ids(self, department_id: str) -> set[str]:
        """Return the ids of the events that the store has of a department."""
        return {key.id for key in self._db.indexed_keys(department_id)}

    def _loaded(self, count: int, description: str = "주간 보고와 일정", dates: int = 3_000) -> str:
        """Make a department and put events into it in bulk."""
        department_id = self._departments.create_department(f"부서 {new_id()}", "").entity.id
        load = new_id()
        revision = self._db.begin_load(department_id, load)
        events = iter(_events(department_id, revision, count, description, dates))
        while part := list(islice(events, PUT_AT_ONCE)):
            self._db.put_events(part)
        self._db.finish_load(department_id, [load])
        return department_id


def _events(department_id: str, revision: int, count: int, description: str, dates: int) -> Iterable[Event]:
    now = timestamp(utc_now())
    for number in range(count):
        yield Event(
            id=new_id(),
            department_id=department_id,
            event_date=str(FIRST_DATE + timedelta(days=number % dates)),
            title=f"팀 회의 {number}",
            description=description,
            time="오후 2:00",
            created_at=now,
            last_modified=now,
            revision=revision,
        )
