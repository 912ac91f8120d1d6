"""How much strangers and accounts may ask for, how proxies are trusted, and the headers of all answers."""

import itertools
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
import requests
import websocket

from accounts.company import PASSWORD, Caller, Company, newcomer
from config import Settings
from domain import new_id
from factory import create_app
from realtime.admission import ACCOUNT_MAX
from realtime.silent_clients import SILENT_MAX
from rest.limits import BY_ACCOUNT, BY_ADDRESS, WRITES
from running import RedisServer, Server, embedded, running_server, wait_for

HANDSHAKE = "/socket.io/?EIO=4&transport=polling"
addresses = (f"10.1.{number // 250}.{number % 250}" for number in itertools.count())
"""Each test has networks of its own, as what they have used is remembered."""


def amount(rule: str) -> int:
    return int(rule.split()[0])


def coming_from(address: str) -> dict[str, dict[str, str]]:
    """Return how a request comes from an address: options of `send`, for a server behind one proxy."""
    return {"headers": {"X-Forwarded-For": address}}


def try_to_set_up(caller: Caller, address: str) -> requests.Response:
    body = newcomer("x.y", "a@b.kr")
    return caller.send("POST", "/api/setup", body, **coming_from(address))


@pytest.fixture(scope="module", params=["eventlet", "gevent"])
def server(request, tmp_path_factory) -> Iterator[Server]:
    """A server behind one proxy, which the tests play."""
    folder = tmp_path_factory.mktemp("limits")
    settings = embedded(folder / "data", AUTH="on", TRUSTED_PROXIES="1")
    with running_server(folder, request.param, settings) as running:
        yield running
        assert "Traceback" not in running.log, running.log


@pytest.fixture(scope="module")
def firm(server) -> Company:
    return Company(server)


def assert_told_to_wait(answer: requests.Response) -> None:
    assert answer.status_code == 429, answer.text
    assert int(answer.headers["Retry-After"]) > 0
    found = answer.json()
    assert (found["success"], found["error"]) == (False, "too_many_requests")
    assert set(found) == {"success", "error", "message", "details"}


def until_refused(send: Callable[[int], requests.Response], allowed: int, status: int) -> requests.Response:
    """Send until a limit refuses it, which must answer with `status` before; return the refusal.

    Of what came before the present minute or hour the counters know only how many it were, not when.
    """
    for number in range(2 * allowed + 2):
        answer = send(number)
        if answer.status_code == 429:
            assert number >= allowed
            assert_told_to_wait(answer)
            return answer
        assert answer.status_code == status, answer.text
    raise AssertionError("never refused")


def test_each_limit_names_a_route():
    app = create_app(
        Settings(auth=True, oidc_issuer="https://id.example.com", oidc_client_id="a", oidc_client_secret="b")
    )
    assert {*BY_ADDRESS, *BY_ACCOUNT} - set(app.view_functions) == set()


def test_sign_ins_from_one_network_end_for_a_while_and_those_from_others_go_on(firm):
    busy, quiet = next(addresses), next(addresses)
    allowed = amount(BY_ADDRESS["sessions.sign_in"])
    with requests.Session() as session:

        def sign_in(number: int) -> requests.Response:
            told = {"X-Forwarded-For": f"192.0.2.{number % 250}, {busy}"}
            return session.post(f"{firm.url}/api/session", json={}, headers=told, timeout=20)

        until_refused(sign_in, allowed, 400)
    body = {"email": "admin@example.com", "password": PASSWORD}
    assert_told_to_wait(firm.nobody.send("POST", "/api/session", body, **coming_from(busy)))
    assert firm.nobody.send("POST", "/api/session", body, **coming_from(quiet)).status_code == 200


def test_a_flood_of_sign_ins_from_one_network_keeps_nobody_else_out(firm):
    busy = next(addresses)

    def sign_in(email: str, address: str) -> int:
        body = {"email": email, "password": PASSWORD}
        return firm.nobody.send("POST", "/api/session", body, **coming_from(address)).status_code

    with ThreadPoolExecutor(60) as pool:
        flood = [pool.submit(sign_in, f"{new_id()}@example.com", busy) for _ in range(240)]
        assert [sign_in("admin@example.com", next(addresses)) for _ in range(3)] == [200] * 3
        assert {one.result() for one in flood} <= {401, 503}


@pytest.mark.parametrize(
    ("method", "path", "rule", "status"),
    [
        ("POST", "/api/tokens", BY_ACCOUNT["tokens.create_token"], 400),
        ("PUT", "/api/me", BY_ACCOUNT["sessions.update_me"], 200),
        ("DELETE", "/api/events/00000000-0000-4000-8000-000000000000", WRITES, 404),
    ],
)
def test_an_account_that_does_too_much_waits_and_others_do_not(firm, method, path, rule, status):
    busy, quiet = firm.person(), firm.person()
    until_refused(lambda _: busy.send(method, path, {}), amount(rule), status)
    assert quiet.send(method, path, {}).status_code == status
    assert busy.send("GET", "/api/departments").status_code == 200


class Window:
    """A Socket.IO connection by WebSocket."""

    def __init__(self, url: str, token: str) -> None:
        self._socket = websocket.create_connection(
            f"{url.replace('http', 'ws', 1)}/socket.io/?EIO=4&transport=websocket", timeout=20
        )
        assert self._socket.recv().startswith("0")
        self._socket.send("40" + json.dumps({"token": token}))
        self.answer = str(self._socket.recv())

    def close(self) -> None:
        self._socket.close()


def test_an_account_has_so_many_connections(firm):
    person = firm.person()
    program = firm.program(person)
    windows = [Window(firm.url, program.token) for _ in range(ACCOUNT_MAX)]
    try:
        assert {window.answer[:2] for window in windows} == {"40"}
        refused = Window(firm.url, program.token)
        assert refused.answer.startswith("44")
        assert json.loads(refused.answer[2:])["data"]["error"] == "too_many_requests"
        refused.close()
        assert_told_to_wait(person.send("GET", HANDSHAKE))
        assert requests.get(firm.url + HANDSHAKE, timeout=20).status_code == 200
        windows.pop().close()
        wait_for(lambda: person.send("GET", HANDSHAKE).status_code == 200)
    finally:
        for window in windows:
            window.close()


def test_half_open_handshakes_of_one_network_end_those_of_no_other(firm):
    """A program from elsewhere takes its time between handshake and CONNECT."""
    program = firm.program(firm.person())

    def handshake(session: requests.Session, address: str) -> str:
        answer = session.get(firm.url + HANDSHAKE, **coming_from(address), timeout=20)
        assert answer.status_code == 200
        sid: str = json.loads(answer.text[1:])["sid"]
        return f"{firm.url}{HANDSHAKE}&sid={sid}"

    busy = next(addresses)
    with requests.Session() as session, requests.Session() as attacker:
        honest = handshake(session, next(addresses))
        first, *_ = [handshake(attacker, busy) for _ in range(SILENT_MAX + 20)]
        assert attacker.post(first, "40", timeout=20).json()["error"] == "unknown_session"
        connect = "40" + json.dumps({"token": program.token})
        assert session.post(honest, connect, timeout=20).text == "OK"
        assert session.get(honest, timeout=20).text.startswith("40")


def test_nobody_is_believed_about_addresses_and_schemes_without_trusted_proxies(tmp_path):
    with running_server(tmp_path, "eventlet", embedded(tmp_path / "data", AUTH="on")) as running:
        company = Company(running)
        allowed = amount(BY_ADDRESS["sessions.set_up"]) - 1  # one has made the administrator
        until_refused(lambda _: try_to_set_up(company.nobody, next(addresses)), allowed, 410)
        told = {"X-Forwarded-For": "192.0.2.77", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "b.kr"}
        body = {"email": "admin@example.com", "password": PASSWORD}
        answer = company.nobody.send("POST", "/api/session", body, headers=told)
        assert set(answer.cookies.get_dict()) == {"session"}
        assert not answer.cookies._cookies["127.0.0.1"]["/"]["session"].secure
        for path in ("/", "/api/me", HANDSHAKE):
            assert "Strict-Transport-Security" not in company.nobody.send("GET", path, headers=told).headers
        program = company.program(company.admin)
        program.send("GET", "/api/me", headers=told)
        origin = {"Origin": "https://127.0.0.1", **told}
        assert requests.get(running.url + HANDSHAKE, headers=origin, timeout=20).status_code == 400
        assert '"address":"127.0.0.1"' in running.log
        assert "192.0.2.77" not in running.log


def test_a_trusted_proxy_tells_address_and_scheme_of_rest_and_of_socket_io(firm, server):
    address = next(addresses)
    told = {"X-Forwarded-For": f"192.0.2.88, {address}", "X-Forwarded-Proto": "https"}
    body = {"email": "admin@example.com", "password": PASSWORD}
    answer = firm.nobody.send("POST", "/api/session", body, headers=told)
    [cookie] = answer.headers["Set-Cookie"].split(", __Host-session=")[-1:]
    assert cookie.startswith("__Host-session=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    host = firm.url.removeprefix("http")
    for path in ("/sign-in", "/api/me", HANDSHAKE):
        answer = firm.nobody.send("GET", path, headers={**told, "Origin": f"https{host}"})
        assert "max-age" in answer.headers["Strict-Transport-Security"]
        assert answer.status_code != 400
    assert firm.nobody.send("GET", HANDSHAKE, headers={**told, "Origin": firm.url}).status_code == 400
    program = firm.program(firm.admin)
    client = websocket.create_connection(
        f"ws{host}/socket.io/?EIO=4&transport=websocket", timeout=20, header=told, suppress_origin=True
    )
    client.recv()
    client.send("40" + json.dumps({"token": program.token}))
    assert client.recv().startswith("40")
    client.close()
    noted = [line for line in server.log.splitlines() if "token_used_from_new_address" in line]
    assert json.loads(noted[-1])["address"] == address
    assert "192.0.2.88" not in server.log


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/sign-in", 200),
        ("GET", "/docs/", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/static/calendar-sync.js", 200),
        ("GET", "/healthz", 200),
        ("GET", "/api/me", 200),
        ("GET", "/api/departments", 200),
        ("GET", "/api/events/{department}", 200),
        ("GET", "/api/nowhere", 404),
        ("PATCH", "/api/me", 405),
        ("OPTIONS", "/api/me", 200),
        ("GET", HANDSHAKE, 200),
        ("GET", f"{HANDSHAKE}&sid=x", 400),
        ("PATCH", HANDSHAKE, 405),
    ],
)
def test_every_answer_has_the_headers_that_protect(firm, method, path, status):
    answer = firm.admin.send(method, path.format(department=firm.department()))
    assert answer.status_code == status
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"]
    if path.startswith(("/api", "/socket.io")) or path == "/":
        assert answer.headers["Cache-Control"] in ("no-store", "private, no-cache")


def test_a_request_that_the_app_does_not_see_is_answered_with_them_too(firm):
    answer = firm.nobody.send("GET", "/", headers={"X-Long": "a" * 9_000})
    assert answer.status_code == 431
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


def test_no_cache_that_others_share_keeps_what_an_account_was_answered(firm):
    department = firm.department()
    first = firm.admin.send("GET", f"/api/events/{department}")
    again = firm.admin.send(
        "GET", f"/api/events/{department}", headers={"If-None-Match": first.headers["ETag"]}
    )
    assert (first.status_code, again.status_code) == (200, 304)
    for answer in (first, again):
        assert answer.headers["Cache-Control"] == "private, no-cache"
    nobody = firm.nobody.send(
        "GET", f"/api/events/{department}", headers={"If-None-Match": first.headers["ETag"]}
    )
    assert (nobody.status_code, nobody.headers["Cache-Control"]) == (401, "no-store")


# Redis


@pytest.fixture
def redis_server(tmp_path) -> Iterator[RedisServer]:
    running = RedisServer(tmp_path)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def servers(redis_server, tmp_path) -> Iterator[list[Server]]:
    settings = embedded(tmp_path / "data", AUTH="on", TRUSTED_PROXIES="1", REDIS_URL=redis_server.url)
    with (
        running_server(tmp_path, "eventlet", settings) as one,
        running_server(tmp_path, "gevent", settings) as other,
    ):
        yield [one, other]


def is_counted_in_redis(server: Server, redis_server: RedisServer) -> bool:
    address = next(addresses)
    try_to_set_up(Caller(server.url), address)
    with redis.Redis.from_url(redis_server.url) as client:
        return bool(client.keys(f"department-calendar:limits*{address}*"))


def test_servers_with_redis_count_together(servers, redis_server):
    for server in servers:
        wait_for(lambda server=server: is_counted_in_redis(server, redis_server))
    allowed, address = amount(BY_ADDRESS["sessions.set_up"]), next(addresses)
    callers = [Caller(server.url) for server in servers]
    until_refused(lambda number: try_to_set_up(callers[number % 2], address), allowed, 410)
    assert_told_to_wait(try_to_set_up(callers[0], address))
    assert_told_to_wait(try_to_set_up(callers[1], address))


@pytest.mark.parametrize("trouble", ["frozen", "gone"])
def test_no_request_waits_for_redis_or_fails_because_of_it(servers, redis_server, trouble):
    company = Company(servers[0])
    person = company.person()
    wait_for(lambda: is_counted_in_redis(servers[0], redis_server))

    def change_name(number: int) -> int:
        answer = requests.put(
            f"{company.url}/api/events/{new_id()}",
            json={"title": f"{number}"},
            cookies=person.cookies,
            headers=person.headers,
            timeout=5,
        )
        return answer.status_code

    redis_server.freeze() if trouble == "frozen" else redis_server.stop()
    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(change_name, range(60))) == {404}
    allowed, address = amount(BY_ADDRESS["sessions.set_up"]), next(addresses)
    until_refused(lambda _: try_to_set_up(company.nobody, address), allowed, 410)
    redis_server.thaw() if trouble == "frozen" else redis_server.start()
    wait_for(lambda: is_counted_in_redis(servers[0], redis_server))
    assert servers[0].log.count("요청 수를 서버마다 따로 셉니다") == 1
    assert servers[0].log.count("요청 수를 다시 Redis에서") == 1
    assert "Traceback" not in servers[0].log
