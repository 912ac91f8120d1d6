"""A company on a server with `AUTH=on`: an administrator, its people in all roles, their programs."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import requests

from config import Settings
from domain import new_id
from models import DynamoDBDatabase
from people import ACCOUNTS, AccountsWrite, Act, DeviceToken, Session
from running import Server, wait_for
from services.core import build_core

PASSWORD = "정확한 말 배터리 스테이플"
SETUP_LINK = re.compile(r"/setup#(\S+)")


def newcomer(token: str, email: str, *, name: str = "김", password: str = PASSWORD) -> dict[str, str]:
    """Return the body with which somebody gets an account, by a setup link or an invitation."""
    return {"token": token, "email": email, "name": name, "password": password}


@dataclass
class Caller:
    """Somebody or some program that sends requests."""

    url: str
    cookies: dict[str, str] = field(default_factory=dict)
    token: str = ""
    account_id: str = ""
    origin: str | None = None
    """The page that sends the requests; its own server's by default, empty for none."""

    @property
    def headers(self) -> dict[str, str]:
        origin = self.url if self.origin is None else self.origin
        return {
            **({"Authorization": f"Bearer {self.token}"} if self.token else {}),
            **({"Origin": origin} if origin and self.cookies else {}),
        }

    @property
    def handshake(self) -> dict[str, Any]:
        """How this caller opens a Socket.IO connection: options of python-socketio's `connect`."""
        if self.token:
            return {"auth": {"token": self.token}}
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"headers": {"Cookie": cookies}} if cookies else {}

    def send(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        more: Mapping[str, str] = options.pop("headers", {})
        return requests.request(
            method,
            self.url + path,
            json=body,
            cookies=self.cookies,
            headers={**self.headers, **more},
            timeout=20,
            allow_redirects=False,
            **options,
        )

    def __call__(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        answer = self.send(method, path, body)
        assert answer.status_code == status, (answer.status_code, answer.text)
        return answer.json()


class Company:
    """The accounts of one server. Every method raises `AssertionError` when the server refuses."""

    def __init__(self, server: Server) -> None:
        self.url = server.url
        self._server = server
        link = wait_for(lambda: SETUP_LINK.findall(server.log), what="a setup address in the log")[-1]
        self.nobody = Caller(self.url)
        self.admin = self.set_up(link)

    def set_up(self, link: str) -> Caller:
        """Become the first administrator."""
        body = newcomer(link, "admin@example.com", name="관리자")
        return self._signed_in(self.nobody.send("POST", "/api/setup", body), 201)

    def department(self, name: str = "", *, visibility: str = "") -> str:
        """Create a department; return its id."""
        body = {"name": name or f"부서 {new_id()}"}
        department_id: str = self.admin("POST", "/api/departments", body, status=201)["department"]["id"]
        if visibility:
            self.admin("PUT", f"/api/departments/{department_id}", {"visibility": visibility})
        return department_id

    def event(self, department_id: str, **fields: str) -> str:
        """Create an event; return its id."""
        body = {"title": "회의", "event_date": "2026-11-22", **fields}
        event_id: str = self.admin("POST", f"/api/events/{department_id}", body, status=201)["event"]["id"]
        return event_id

    def invitation(self, email: str, **offer: Any) -> str:
        """Invite somebody; return the secret of the link."""
        answer = self.admin("POST", "/api/invitations", {"email": email, **offer}, status=201)
        link: str = answer["invitation"]["url"]
        return link.split("#")[1]

    def person(self, department_id: str = "", role: str = "", **offer: Any) -> Caller:
        """Invite somebody, who accepts; return its browser."""
        email = f"{new_id()}@example.com"
        if department_id:
            offer |= {"department_id": department_id, "role": role}
        body = newcomer(self.invitation(email, **offer), email)
        return self._signed_in(self.nobody.send("POST", "/api/invitations/accept", body), 201)

    def program(self, owner: Caller, **wanted: Any) -> Caller:
        """Make a device token for somebody; return the program that has it."""
        token = owner("POST", "/api/tokens", {"name": "프로그램", **wanted}, status=201)["token"]
        return Caller(self.url, token=token["token"], account_id=token["id"])

    def role(self, caller: Caller, department_id: str, role: str) -> None:
        """Give somebody a role, or take it with an empty one."""
        path = f"/api/departments/{department_id}/members/{caller.account_id}"
        if role:
            self.admin("PUT", path, {"role": role})
        else:
            self.admin("DELETE", path)

    def disable(self, caller: Caller, disabled: bool = True) -> None:
        self.admin("PUT", f"/api/accounts/{caller.account_id}", {"disabled": disabled})

    def let_end(self, kind: type[Session | DeviceToken], owner: Caller, in_s: float) -> None:
        """Let somebody's session or token be over in so many seconds, as time would do."""
        folder = self._server.log_file.parent / "data"
        settings = Settings(auth=True, dynamodb_endpoint_url="embedded", embedded_data_dir=folder)
        core = build_core(DynamoDBDatabase(settings), snapshot_bytes=1_000_000, accounts_url=self.url)
        assert core.accounts
        records = core.accounts.view.latest().all(kind)
        (held,) = [one for one in records if one.account_id == owner.account_id]
        over = replace(held, expires_at=int(time.time() + in_s))
        core.group_commit.commit(ACCOUNTS, AccountsWrite(type=Act.SESSION_SEEN, puts=(over,)))

    def _signed_in(self, answer: requests.Response, status: int) -> Caller:
        assert answer.status_code == status, answer.text
        return Caller(self.url, cookies=answer.cookies.get_dict(), account_id=answer.json()["account"]["id"])
