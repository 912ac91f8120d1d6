"""The server as Elastic Beanstalk and EC2 run it: the bundle, unpacked; the commands of unit and Procfile;
real nginx with the shipped files in front, over WebSocket and polling."""

import configparser
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
import zipfile
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

from infrastructure.tools import (
    INFRASTRUCTURE,
    ROOT,
    answers,
    engine,
    load_template,
    process,
    tool,
    wait_until,
)
from running import free_port

UNIT = INFRASTRUCTURE / "ec2" / "department-calendar@.service"
SITE = INFRASTRUCTURE / "ec2" / "nginx-department-calendar.conf"
BEANSTALK = INFRASTRUCTURE / "elastic-beanstalk"
ENVELOPE = {"success", "error", "message", "details"}
BIN = Path(sys.executable).parent
CREATE_TABLES = "from models import DynamoDBDatabase; db = DynamoDBDatabase(); db.create_tables()"


class UnitFile(configparser.RawConfigParser):
    """A systemd unit, its option names as they are written."""

    def __init__(self) -> None:
        super().__init__(strict=False)
        self.read(UNIT)

    def optionxform(self, optionstr: str) -> str:
        return optionstr


# The bundle.


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bundle, unpacked to where a server would run it."""
    return unpacked(tmp_path_factory.mktemp("bundle"))


def unpacked(folder: Path) -> Path:
    target = folder / "calendar.zip"
    build(target)
    with zipfile.ZipFile(target) as packed:
        packed.extractall(folder / "unpacked")
    return folder / "unpacked"


def build(target: Path) -> None:
    subprocess.run([sys.executable, INFRASTRUCTURE / "build_bundle.py", target], check=True)


def test_the_bundle_holds_what_runs_and_nothing_else(tmp_path: Path) -> None:
    bundle = unpacked(tmp_path)  # of its own: a server that runs in one leaves files there
    for name in (
        "Procfile",
        "requirements.txt",
        ".ebextensions/01-environment.config",
        ".platform/nginx/conf.d/elasticbeanstalk/department-calendar.conf",
        "backend/app.py",
        "backend/gunicorn.conf.py",
        "backend/static/docs/index.html",
        "backend/templates/home.html",
        "README.ko.md",
        "DYNAMODB_SETUP.md",
        "node_modules/swagger-ui-dist/swagger-ui-bundle.js",
        "node_modules/swagger-ui-dist/swagger-ui.css.map",
        "infrastructure/ec2/department-calendar@.service",
    ):
        assert (bundle / name).is_file(), name
    found = {path.relative_to(bundle).parts[0] for path in bundle.rglob("*")}
    assert not found & {"tests", ".venv", "requirements-dev.txt", ".git", "data"}
    assert not [path for path in bundle.rglob("*") if path.name in (".env", "__pycache__")]
    kinds = {path.suffix for path in (bundle / "backend").rglob("*") if path.is_file()}
    assert kinds == {".py", ".js", ".html", ".css", ".svg"}


def test_what_operators_put_beside_the_server_is_not_packed(tmp_path: Path) -> None:
    backend = tmp_path / "backend"
    backend.mkdir()
    for name in ("departments.json", "calendar_events.json", ".env", "app.py"):
        (backend / name).write_text("{}")
    script = tmp_path / "infrastructure" / "build_bundle.py"
    script.parent.mkdir()
    script.write_bytes((INFRASTRUCTURE / "build_bundle.py").read_bytes())
    (tmp_path / "package.json").write_text("{}")
    subprocess.run([sys.executable, script, tmp_path / "bundle.zip"], check=True)
    with zipfile.ZipFile(tmp_path / "bundle.zip") as bundle:
        assert bundle.namelist() == ["backend/app.py"]


def test_the_same_contents_make_the_same_bundle(tmp_path: Path) -> None:
    build(tmp_path / "one.zip")
    build(tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


# The unit.


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    place = tmp_path / "etc" / "systemd" / "system"
    place.mkdir(parents=True)
    (place / UNIT.name).write_text(UNIT.read_text())
    # In this root systemd knows no other units than these.
    for known in ("sysinit", "basic", "shutdown", "network-online", "multi-user"):
        (place / f"{known}.target").write_text(f"[Unit]\nDescription={known}\nDefaultDependencies=no\n")
    program = tmp_path / shlex.split(UnitFile()["Service"]["ExecStart"])[0].lstrip("/")
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    manual = tmp_path / "opt" / "department-calendar" / "DYNAMODB_SETUP.md"
    manual.touch()
    command = [
        tool("systemd-analyze"),
        "verify",
        "--man=no",
        f"--root={tmp_path}",
        "department-calendar@1.service",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    about_it = [line for line in done.stderr.splitlines() if "department-calendar" in line]
    assert (done.returncode, about_it) == (0, [])
    (place / UNIT.name).write_text(UNIT.read_text().replace("MemoryMax=1G", "MemoryMax=much"))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Invalid memory limit 'much'" in done.stderr


def test_the_unit_restarts_and_limits() -> None:
    unit = UnitFile()
    service = unit["Service"]
    assert service["Restart"] == "always"
    for limit in ("LimitNOFILE", "MemoryMax", "TasksMax", "TimeoutStopSec", "RestartSec"):
        assert service[limit]
    settings = runpy.run_path(str(ROOT / "backend" / "gunicorn.conf.py"))
    assert int(service["LimitNOFILE"]) > settings["worker_connections"] * 2
    assert int(service["TimeoutStopSec"]) > settings["graceful_timeout"]


def test_the_logs_that_are_shipped_are_those_that_are_written() -> None:
    agent = json.loads((INFRASTRUCTURE / "ec2" / "amazon-cloudwatch-agent.json").read_text())
    files = agent["logs"]["logs_collected"]["files"]["collect_list"]
    written = UnitFile()["Service"]["StandardOutput"].removeprefix("append:")
    assert written.replace("%i", "*") in [file["file_path"] for file in files]
    rotated = (INFRASTRUCTURE / "ec2" / "department-calendar.logrotate").read_text()
    assert f"{Path(written).parent}/*.log {{" in rotated
    template = load_template()
    name = template["Resources"]["ServerLogGroup"]["Properties"]["LogGroupName"]["Fn::Sub"]
    for parameter in ("Service", "Environment"):
        name = name.replace(f"${{{parameter}}}", template["Parameters"][parameter]["Default"])
    assert {file["log_group_name"] for file in files} == {name}


# The servers behind nginx.


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
        + """log_format seen escape=json '{"upstream":"$upstream_addr","sid":"$arg_sid",'
        '"route":"$cookie_calendar_route","status":"$status"}';\n"""
        + f"access_log {log} seen;\n{temp}{http}\n}}\n"
    )
    command = [tool("nginx"), "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(config)]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "[warn]" not in checked.stderr
    with process(command) as running:
        wait_until(lambda: answers(port) or running.poll() is not None, "nginx's start")
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
        env = {
            "PATH": f"{BIN}:/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "FLASK_ENV": "production",
            "SECRET_KEY": "only-for-this-test",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "DYNAMODB_ENDPOINT_URL": url,
        }
        subprocess.run([sys.executable, "-c", CREATE_TABLES], cwd=bundle / "backend", env=env, check=True)

        @contextmanager
        def run(command: str, cwd: Path, port: int) -> Iterator[None]:
            log = (folder / f"{port}.log").open("wb")
            with log, process(shlex.split(command), cwd=cwd, env=env, stdout=log, stderr=log) as running:
                wait_until(lambda: answers(port) or running.poll() is not None, "the server's start")
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


def assert_pushes(url: str, transport: str) -> None:
    """Join a department over one transport, and see an event that another client creates."""
    created = requests.post(f"{url}/api/departments", json={"name": f"부서 {transport} {url}"}, timeout=10)
    assert created.status_code == 201, created.text
    department = created.json()["department"]["id"]
    got: list[dict[str, Any]] = []
    client = socketio.Client(reconnection=False)
    client.on("event_created", got.append)
    client.connect(url, transports=[transport], wait_timeout=10)
    try:
        assert client.transport() == transport
        answer = client.call("join_department", {"department_id": department}, timeout=10)
        assert answer["success"] is True
        made = requests.post(
            f"{url}/api/events/{department}", json={"event_date": "2026-03-02", "title": "입학식"}, timeout=10
        )
        assert made.status_code == 201
        wait_until(lambda: got, "the broadcast")
        assert got == [made.json()["event"]]
    finally:
        client.disconnect()


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_nginx_carries_both_transports(front: Front, transport: str) -> None:
    assert_pushes(front.url, transport)


def test_a_session_stays_with_its_server_and_clients_are_spread(front: Front) -> None:
    clients = []
    try:
        for number in range(12):
            browser = requests.Session()
            browser.cookies.set("calendar_route", str(number))
            client = socketio.Client(reconnection=False, http_session=browser)
            clients.append((client, browser))
            client.connect(front.url, transports=["polling"], wait_timeout=10)
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


def test_a_page_gets_a_route_once(front: Front) -> None:
    with requests.Session() as browser:
        first = browser.get(f"{front.url}/api/departments", timeout=10)
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


def test_the_server_answers_too_long_bodies_itself_up_to_nginx_limit(front: Front) -> None:
    for size, answered_by_server in ((1_200_000, True), (3_000_000, False)):
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


def test_metrics_are_not_for_the_outside(front: Front) -> None:
    answer = requests.get(f"{front.url}/metrics", timeout=10)
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


def test_one_server_that_is_down_is_not_noticed(front: Front, tmp_path: Path) -> None:
    port = free_port()
    with nginx(tmp_path / "nginx", port, site(port, front.ports[0], free_port())):
        for route in range(8):
            answer = requests.get(
                f"http://127.0.0.1:{port}/readyz", cookies={"calendar_route": str(route)}, timeout=10
            )
            assert answer.status_code == 200
        assert_pushes(f"http://127.0.0.1:{port}", "websocket")


def test_all_servers_down_is_a_failure_like_every_other(tmp_path: Path) -> None:
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
        copy.write_text(path.read_text().replace(":8000", f":{own}"))
    assert command.endswith(":8000")
    with (
        server(command.replace(":8000", f":{own}"), bundle, own),
        nginx(tmp_path / "nginx", port, BEANSTALK_HTTP.format(platform=platform, port=port, server=own)),
    ):
        url = f"http://127.0.0.1:{port}"
        assert requests.get(f"{url}/readyz", timeout=10).status_code == 200
        assert requests.get(f"{url}/docs/", timeout=10).status_code == 200
        assert requests.get(f"{url}/metrics", timeout=10).status_code == 404
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
    assert options["aws:elasticbeanstalk:application:environment"]["FLASK_ENV"] == "production"
    assert options["aws:autoscaling:launchconfiguration"]["IamInstanceProfile"]
    assert not [key for key in options["aws:elasticbeanstalk:application:environment"] if "KEY" in key]
    attributes = beanstalk("02-load-balancer.config")["Resources"]["AWSEBV2LoadBalancer"]["Properties"]
    (idle,) = attributes["LoadBalancerAttributes"]
    ping_interval = 25
    assert idle["Key"] == "idle_timeout.timeout_seconds"
    assert int(idle["Value"]) > 2 * ping_interval
