"""The server as Elastic Beanstalk and EC2 run it, by the commands of the shipped files, behind real nginx.

People sign in to it, as the shipped settings want.
"""

import json
import os
import re
import shlex
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import socketio
import yaml
from dotenv import dotenv_values

from accounts.company import PASSWORD
from aws_client import KEYS
from infrastructure.shipped import UnitFile, unpacked_bundle
from infrastructure.tools import (
    DEADLINE_S,
    INFRASTRUCTURE,
    engine,
    process,
    tool,
)
from running import BIN, CREATE_TABLES, free_port, is_listening, wait_for

SITE = INFRASTRUCTURE / "ec2" / "nginx-department-calendar.conf"
BEANSTALK = INFRASTRUCTURE / "elastic-beanstalk"
ENVELOPE = {"success", "error", "message", "details"}
EMAIL = "admin@example.com"
CREATE_ADMIN = [
    str(BIN / "flask"), "admin", "create", "--email", EMAIL, "--name", "관리자", "--password", PASSWORD,
]  # fmt: skip


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bundle, unpacked to where a server would run it."""
    return unpacked_bundle(tmp_path_factory.mktemp("bundle"))


@dataclass
class Front:
    """An nginx in front of the servers."""

    url: str
    ports: list[int]
    log: Path

    def seen(self, part: str) -> dict[str, set[str]]:
        """Return the upstreams that each value of a part of the log has reached."""
        found = defaultdict(set)
        for line in self.log.read_text().splitlines():
            entry = json.loads(line)
            if entry[part]:
                found[entry[part]].add(entry["upstream"])
        return found


@contextmanager
def nginx(folder: Path, port: int, http: str) -> Iterator[Path]:
    """Run nginx on a port with the given http block; yield its log, one JSON object for each request."""
    folder.mkdir()
    log = folder / "access.log"
    config = folder / "nginx.conf"
    temp = "".join(
        f"{k}_temp_path {folder}/{k};\n" for k in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config.write_text(
        f"daemon off;\npid {folder}/pid;\nerror_log {folder}/error.log;\n"
        + ("user root;\n" if os.getuid() == 0 else "")
        + "events { worker_connections 256; }\nhttp {\n"
        + """log_format seen escape=json '{"upstream":"$upstream_addr","sid":"$arg_sid","path":"$uri",'
        '"route":"$cookie_calendar_route","status":"$status"}';\n"""
        + f"access_log {log} seen;\n{temp}{http}\n}}\n"
    )
    command = [tool("nginx"), "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(config)]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "[warn]" not in checked.stderr
    with process(command) as running:
        wait_for(lambda: is_listening(port) or running.poll() is not None, DEADLINE_S, "nginx's start")
        assert running.poll() is None, (folder / "error.log").read_text()
        yield log


def site(port: int, *servers: int) -> str:
    """Return the shipped site with its ports replaced."""
    text = SITE.read_text()
    for old, new in (
        ("listen 80 ", f"listen 127.0.0.1:{port} "),
        (":8001", f":{servers[0]}"),
        (":8002", f":{servers[1]}"),
    ):
        assert text.count(f"{old}") >= 1, old
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def server(
    bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str, Path, int], Any]]:
    """Return what runs a server by a command of a shipped file, all of them on one store."""
    folder = tmp_path_factory.mktemp("store")
    with engine(folder) as url:
        shipped = dotenv_values(INFRASTRUCTURE / "ec2" / "department-calendar.env.example")
        env = {
            **{name: value or "" for name, value in shipped.items()},
            "PATH": f"{BIN}:/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "SECRET_KEY": "only-for-this-test",
            "DYNAMODB_ENDPOINT_URL": url,
            **KEYS,
        }
        for command in (CREATE_TABLES, CREATE_ADMIN):
            subprocess.run(command, cwd=bundle / "backend", env=env, check=True)

        @contextmanager
        def run(command: str, cwd: Path, port: int) -> Iterator[None]:
            log = (folder / f"{port}.log").open("wb")
            with log, process(shlex.split(command), cwd=cwd, env=env, stdout=log, stderr=log) as running:
                wait_for(
                    lambda: is_listening(port) or running.poll() is not None, DEADLINE_S, "the server's start"
                )
                assert running.poll() is None, (folder / f"{port}.log").read_text()
                yield

        yield run


@pytest.fixture(scope="module")
def front(bundle: Path, server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """Run the unit's command twice, and nginx with the shipped site in front."""
    ports = [free_port(), free_port()]
    port = free_port()
    command = UnitFile()["Service"]["ExecStart"].replace("/opt/department-calendar/.venv/bin", str(BIN))
    assert command.endswith("127.0.0.1:800%i")
    with ExitStack() as stack:
        for own in ports:
            stack.enter_context(server(command.replace("800%i", str(own)), bundle / "backend", own))
        log = stack.enter_context(nginx(tmp_path_factory.mktemp("front") / "nginx", port, site(port, *ports)))
        yield Front(f"http://127.0.0.1:{port}", ports, log)


def sign_in(url: str, **headers: str) -> requests.Session:
    """Return a browser in which the administrator has signed in."""
    browser = requests.Session()
    body = {"email": EMAIL, "password": PASSWORD}
    answer = browser.post(f"{url}/api/session", json=body, headers=headers, timeout=10)
    assert answer.status_code == 200, answer.text
    return browser


def addresses(url: str, **headers: str) -> list[str]:
    """Return the network addresses from which people have signed in, the last one first."""
    with sign_in(url, **headers) as browser:
        sessions = browser.get(f"{url}/api/sessions", timeout=10).json()["sessions"]
    return [session["address"] for session in sessions]


def make_token(url: str) -> str:
    """Return a new device token of the administrator."""
    with sign_in(url) as browser:
        body = {"name": "프로그램", "scope": "write", "expires_in_days": 1}
        made = browser.post(f"{url}/api/tokens", json=body, headers={"Origin": url}, timeout=10)
    assert made.status_code == 201, made.text
    token: str = made.json()["token"]["token"]
    return token


def assert_pushes(url: str, transport: str) -> None:
    """Join a department over one transport, and see an event that another client creates."""
    token = make_token(url)
    bearer = {"Authorization": f"Bearer {token}"}
    created = requests.post(
        f"{url}/api/departments", json={"name": f"부서 {transport} {url}"}, headers=bearer, timeout=10
    )
    assert created.status_code == 201, created.text
    department = created.json()["department"]["id"]
    got: list[dict[str, Any]] = []
    client = socketio.Client(reconnection=False)
    client.on("event_created", got.append)
    client.connect(url, transports=[transport], auth={"token": token}, wait_timeout=10)
    try:
        assert client.transport() == transport
        answer = client.call("join_department", {"department_id": department}, timeout=10)
        assert answer["success"] is True
        made = requests.post(
            f"{url}/api/events/{department}",
            json={"event_date": "2026-03-02", "title": "입학식"},
            headers=bearer,
            timeout=10,
        )
        assert made.status_code == 201
        wait_for(lambda: got, DEADLINE_S, "the broadcast")
        assert [event | {"by": "", "by_name": ""} for event in got] == [
            made.json()["event"] | {"by": "", "by_name": ""}
        ]
        assert got[0]["by_name"] == "관리자"
    finally:
        client.disconnect()


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_nginx_carries_both_transports(front: Front, transport: str) -> None:
    assert_pushes(front.url, transport)


def test_a_session_stays_with_its_server_and_clients_are_spread(front: Front) -> None:
    clients = []
    token = make_token(front.url)
    try:
        for number in range(12):
            browser = requests.Session()
            browser.cookies.set("calendar_route", str(number))
            client = socketio.Client(reconnection=False, http_session=browser)
            clients.append((client, browser))
            client.connect(front.url, transports=["polling"], auth={"token": token}, wait_timeout=10)
        for client, _ in clients:
            answer = client.call("join_department", {"department_id": "none"}, timeout=10)
            assert answer["error"] == "invalid_id"
    finally:
        for client, browser in clients:
            client.disconnect()
            browser.close()
    sessions = front.seen("sid")
    assert len(sessions) >= 12
    assert all(len(upstreams) == 1 for upstreams in sessions.values()), sessions
    assert set().union(*sessions.values()) == {f"127.0.0.1:{port}" for port in front.ports}


def test_a_browser_gets_the_cookie_of_its_route_once(front: Front) -> None:
    with requests.Session() as browser:
        first = browser.get(f"{front.url}/sign-in", timeout=10)
        assert re.fullmatch("[0-9a-f]{32}", first.cookies["calendar_route"])
        assert "Set-Cookie" not in browser.get(f"{front.url}/api/departments", timeout=10).headers
    handshake = requests.get(f"{front.url}/socket.io/?EIO=4&transport=polling", timeout=10)
    assert handshake.status_code == 200
    assert "Set-Cookie" not in handshake.headers


def test_a_page_of_the_same_origin_may_connect_and_another_may_not(front: Front) -> None:
    def handshake(origin: str, **headers: str) -> int:
        url = f"{front.url}/socket.io/?EIO=4&transport=polling"
        return requests.get(url, headers={"Origin": origin, **headers}, timeout=10).status_code

    assert handshake(front.url) == 200
    assert handshake("https://elsewhere.example") == 400
    behind_tls = front.url.replace("http:", "https:")
    assert handshake(behind_tls, **{"X-Forwarded-Proto": "https"}) == 200
    assert handshake(behind_tls) == 400


def test_the_server_knows_a_client_by_its_own_address_whatever_it_claims(front: Front) -> None:
    assert addresses(front.url, **{"X-Forwarded-For": "203.0.113.9"})[0] == "127.0.0.1"
    with sign_in(front.url) as browser:
        pretending = {"Origin": "http://evil.example", "X-Forwarded-Host": "evil.example"}
        refused = browser.delete(f"{front.url}/api/session", headers=pretending, timeout=10)
    assert (refused.status_code, refused.json()["error"]) == (403, "cross_site")


FROM_A_LOAD_BALANCER = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}
"""A client claims the first address, and the load balancer adds the one that the client really has."""


def test_behind_a_load_balancer_nginx_is_told_to_know_the_clients(front: Front, tmp_path: Path) -> None:
    port = free_port()
    text = site(port, *front.ports)
    for line in ("set_real_ip_from 10.0.0.0/8;", "real_ip_header X-Forwarded-For;"):
        assert text.count(f"\n#{line}\n") == 1
        text = text.replace(f"#{line}", line.replace("10.0.0.0/8", "127.0.0.1"))
    with nginx(tmp_path / "nginx", port, text):
        assert addresses(f"http://127.0.0.1:{port}", **FROM_A_LOAD_BALANCER)[0] == "198.51.100.7"
    assert addresses(front.url, **FROM_A_LOAD_BALANCER)[0] == "127.0.0.1", "not without the two lines"


def test_behind_tls_the_session_is_for_https_alone(front: Front) -> None:
    body = {"email": EMAIL, "password": PASSWORD}
    answer = requests.post(
        f"{front.url}/api/session", json=body, headers={"X-Forwarded-Proto": "https"}, timeout=10
    )
    assert answer.headers["Set-Cookie"].startswith("__Host-session=")
    assert "Strict-Transport-Security" in answer.headers
    plain = requests.post(f"{front.url}/api/session", json=body, timeout=10)
    assert plain.headers["Set-Cookie"].startswith("session=")
    assert "Strict-Transport-Security" not in plain.headers


def test_bodies_that_are_too_long_are_refused_by_the_server_then_by_nginx(front: Front) -> None:
    for size, answered_by_server in ((1_200_000, True), (12_000_000, False)):
        answer = requests.post(
            f"{front.url}/api/departments",
            json={"name": "a" * size},
            headers={"Connection": "close"},
            timeout=10,
        )
        assert answer.status_code == 413
        assert answer.json()["error"] == "payload_too_large"
        assert set(answer.json()) == ENVELOPE
        assert ("X-Content-Type-Options" in answer.headers) == answered_by_server


def test_no_log_of_nginx_tells_of_a_feed(front: Front) -> None:
    answer = requests.get(f"{front.url}/feeds/{'0' * 32}-secret.ics", timeout=10)
    assert (answer.status_code, answer.json()["error"]) == (404, "feed_not_found")
    requests.get(f"{front.url}/after-the-feed", timeout=10)
    wait_for(lambda: "/after-the-feed" in front.seen("path"), DEADLINE_S, "the line of the later request")
    assert [path for path in front.seen("path") if path.startswith("/feeds")] == []


def test_metrics_are_not_for_the_outside(front: Front) -> None:
    answer = requests.get(f"{front.url}/metrics", timeout=10)
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


def test_clients_do_not_notice_that_one_server_is_down(front: Front, tmp_path: Path) -> None:
    port = free_port()
    with nginx(tmp_path / "nginx", port, site(port, front.ports[0], free_port())):
        for route in range(8):
            answer = requests.get(
                f"http://127.0.0.1:{port}/readyz", cookies={"calendar_route": str(route)}, timeout=10
            )
            assert answer.status_code == 200
        assert_pushes(f"http://127.0.0.1:{port}", "websocket")


def test_when_all_servers_are_down_nginx_answers_with_the_envelope(tmp_path: Path) -> None:
    port = free_port()
    with nginx(tmp_path / "nginx", port, site(port, free_port(), free_port())):
        answer = requests.get(f"http://127.0.0.1:{port}/api/departments", timeout=10)
    assert answer.status_code == 503
    assert set(answer.json()) == ENVELOPE
    assert answer.headers["Retry-After"] == "2"


# Elastic Beanstalk.

BEANSTALK_HTTP = """
include {platform}/conf.d/*.conf;
server {{
    listen 127.0.0.1:{port};
    location / {{
        proxy_pass http://127.0.0.1:{server};
        proxy_http_version 1.1;
        proxy_set_header Host $host:{port};
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }}
    include {platform}/conf.d/elasticbeanstalk/*.conf;
}}
"""
"""Where Elastic Beanstalk's own nginx.conf reads the files of .platform."""


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_the_procfile_starts_a_server_that_the_platform_nginx_reaches(
    bundle: Path, server: Any, tmp_path: Path, transport: str
) -> None:
    own, port = free_port(), free_port()
    name, command = (bundle / "Procfile").read_text().strip().split(": ", 1)
    assert name == "web"
    platform = tmp_path / "platform"
    for path in (bundle / ".platform" / "nginx").rglob("*.conf"):
        copy = platform / path.relative_to(bundle / ".platform" / "nginx")
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text().replace(":8000", f":{own}")
        copy.write_text(text.replace("set_real_ip_from 10.0.0.0/8;", "set_real_ip_from 127.0.0.1;"))
    assert command.endswith(":8000")
    with (
        server(command.replace(":8000", f":{own}"), bundle, own),
        nginx(tmp_path / "nginx", port, BEANSTALK_HTTP.format(platform=platform, port=port, server=own)),
    ):
        url = f"http://127.0.0.1:{port}"
        assert requests.get(f"{url}/readyz", timeout=10).status_code == 200
        assert requests.get(f"{url}/docs/", timeout=10).status_code == 200
        assert requests.get(f"{url}/metrics", timeout=10).status_code == 404
        assert addresses(url, **FROM_A_LOAD_BALANCER)[0] == "198.51.100.7"
        assert_pushes(url, transport)


def beanstalk(name: str) -> Any:
    return yaml.safe_load((BEANSTALK / ".ebextensions" / name).read_text())


def test_the_load_balancer_keeps_sessions_and_asks_for_readiness() -> None:
    options = beanstalk("01-environment.config")["option_settings"]
    default = options["aws:elasticbeanstalk:environment:process:default"]
    assert default["HealthCheckPath"] == "/readyz"
    assert default["StickinessEnabled"] is True
    assert default["HealthCheckTimeout"] < default["HealthCheckInterval"]
    assert options["aws:elasticbeanstalk:environment"]["LoadBalancerType"] == "application"
    properties = options["aws:elasticbeanstalk:application:environment"]
    assert properties["FLASK_ENV"] == "production"
    assert options["aws:autoscaling:launchconfiguration"]["IamInstanceProfile"]
    assert not [key for key in properties if "KEY" in key]
    attributes = beanstalk("02-load-balancer.config")["Resources"]["AWSEBV2LoadBalancer"]["Properties"]
    (idle,) = attributes["LoadBalancerAttributes"]
    ping_interval = 25
    assert idle["Key"] == "idle_timeout.timeout_seconds"
    assert int(idle["Value"]) > 2 * ping_interval


def test_both_hosts_have_people_sign_in_and_believe_their_own_proxy_alone() -> None:
    properties = beanstalk("01-environment.config")["option_settings"]
    wanted = {"FLASK_ENV": "production", "AUTH": "on", "TRUSTED_PROXIES": "1"}
    on_ec2 = dotenv_values(INFRASTRUCTURE / "ec2" / "department-calendar.env.example")
    assert {name: on_ec2[name] for name in wanted} == wanted
    on_beanstalk = properties["aws:elasticbeanstalk:application:environment"]
    assert {name: str(on_beanstalk[name]) for name in wanted} == wanted
    assert "PUBLIC_URL" not in on_beanstalk, "each environment has its own"
