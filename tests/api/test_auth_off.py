"""A server without accounts: everybody may do everything, and nothing of accounts is there."""

import pytest
import requests

from api_client import Api, Client, by_nobody
from aws_client import KEYS
from domain import new_id
from running import BIN, FLASK_RUN, embedded, free_port, run, running_server, wait_for

ID = "0b9a2ff8-5374-4fdc-894e-1d09ef8564bf"
WARNING = "이 저장소에는 계정이 있지만"
ROUTES = [
    ("POST", "/api/setup"),
    ("POST", "/api/reset"),
    ("POST", "/api/session"),
    ("DELETE", "/api/session"),
    ("GET", "/api/sessions"),
    ("DELETE", f"/api/sessions/{ID}"),
    ("GET", "/api/accounts"),
    ("PUT", f"/api/accounts/{ID}"),
    ("POST", f"/api/accounts/{ID}/reset"),
    ("GET", f"/api/departments/{ID}/members"),
    ("PUT", f"/api/departments/{ID}/members/{ID}"),
    ("DELETE", f"/api/departments/{ID}/members/{ID}"),
    ("GET", "/api/invitations"),
    ("POST", "/api/invitations"),
    ("DELETE", f"/api/invitations/{ID}"),
    ("POST", "/api/invitations/accept"),
    ("GET", "/api/tokens"),
    ("POST", "/api/tokens"),
    ("DELETE", f"/api/tokens/{ID}"),
    ("GET", "/auth/oidc"),
    ("GET", "/auth/oidc/callback"),
    ("GET", "/api/audit"),
    ("GET", "/setup"),
    ("GET", "/invite"),
    ("GET", "/reset"),
    ("GET", "/sign-in"),
]


def test_nobody_has_an_account(api):
    assert api("GET", "/api/me") == {"success": True, "account": None, "roles": {}}


def test_ones_own_account_cannot_be_changed(api):
    assert api("PUT", "/api/me", {"name": "김"}, status=405)["error"] == "method_not_allowed"


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_a_route_of_accounts_is_not_there(api, route):
    method, path = route
    assert api(method, path, None if method == "GET" else {}, status=404)["error"] == "not_found"


def test_credentials_make_no_difference(api, connect):
    shown = {"Authorization": f"Bearer dct_{ID}.secret", "Cookie": f"session={ID}.secret"}
    foreign = {**shown, "Sec-Fetch-Site": "cross-site"}
    department = api("POST", "/api/departments", {"name": new_id()}, status=201, headers=foreign)[
        "department"
    ]
    assert "visibility" not in department
    client = connect(headers=shown, auth={"token": f"dct_{ID}.secret"})
    client.join(department["id"])
    event = api.event(department["id"])
    assert client.wait("event_created") == [by_nobody(event)]
    (change,) = api.history(event)
    assert (change["by"], change["by_name"]) == ("", "")


def test_a_visibility_is_refused_as_what_does_not_exist(api):
    department = api.department()
    refused = api("PUT", f"/api/departments/{department['id']}", {"visibility": "company"}, status=400)
    assert [detail["rule"] for detail in refused["details"]] == ["extra_forbidden"]


@pytest.fixture
def names(engine) -> dict[str, str]:
    """Settings of tables of their own on the engine, which nobody creates but `flask tables create`."""
    prefix = new_id()
    names = ("departments", "events", "changes", "accounts")
    tables = {f"{name.upper()}_TABLE": f"{prefix}-{name}" for name in names}
    return {"DYNAMODB_ENDPOINT_URL": engine.url, **KEYS, **tables}


def test_a_store_of_before_accounts_needs_the_new_table_only_for_accounts(tmp_path, names):
    create = [str(BIN / "flask"), "tables", "create"]
    made = run(create, **names)
    assert made.returncode == 0, made.stderr
    assert "accounts" not in made.stdout
    with running_server(tmp_path, "eventlet", names) as server:
        department = Api(server.url).department()
    flask = [part.format(port=free_port()) for part in FLASK_RUN]
    refused = run(flask, **names, AUTH="on")
    assert refused.returncode != 0
    assert refused.stderr.count(f"테이블 '{names['ACCOUNTS_TABLE']}'가 없습니다.") == 1
    made = run(create, **names, AUTH="on")
    assert f"✓ {names['ACCOUNTS_TABLE']} 테이블이 생성되었습니다." in made.stdout
    with running_server(tmp_path, "eventlet", {**names, "AUTH": "on"}) as server:
        assert "/setup#" in server.log
        answer = requests.get(f"{server.url}/api/departments/{department['id']}", timeout=20)
        assert (answer.status_code, answer.json()["error"]) == (401, "not_signed_in")
    with running_server(tmp_path, "eventlet", names) as server:
        assert Api(server.url)("GET", "/api/departments")["departments"] == [department]


def test_a_server_without_accounts_goes_on_where_one_with_accounts_was(tmp_path):
    data = tmp_path / "data"
    with running_server(tmp_path, "eventlet", embedded(data)) as server:
        wait_for(lambda: "AUTH=off" in server.log)
        assert WARNING not in server.log
    with running_server(tmp_path, "eventlet", embedded(data, AUTH="on")) as server:
        assert requests.get(f"{server.url}/api/departments", timeout=20).status_code == 401
    with running_server(tmp_path, "eventlet", embedded(data)) as server:
        wait_for(lambda: WARNING in server.log)
        client = Client(server.url)
        department = Api(server.url).department()
        assert client.wait("department_created") == [department]
        client.close()
