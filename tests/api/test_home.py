"""`/`: a page for people, links for programs, and in production no details of the store."""

import re
import subprocess
import uuid
from contextlib import contextmanager
from html import unescape
from urllib.parse import urljoin

import pytest
import requests

from api_client import Api
from aws_client import KEYS, aws_client
from printed_guides import GUIDES
from programs import program
from running import (
    CREATE_TABLES,
    embedded,
    free_port,
    is_alive,
    run,
    running_server,
    wait_for,
)

PERSON = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PRODUCTION = {"FLASK_ENV": "production", "SECRET_KEY": "x" * 32, "AUTH_OFF_IN_PRODUCTION": "yes"}


def page(url: str, language: str = "ko-KR,ko;q=0.9,en;q=0.8", **headers: str) -> requests.Response:
    answer = requests.get(f"{url}/", headers={**PERSON, "Accept-Language": language, **headers}, timeout=20)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    return answer


@contextmanager
def server_with_tables(tmp_path, engine, **settings):
    """Run a server on tables of its own in the shared engine; yield it and its departments table."""
    tables = {
        f"{kind}_TABLE": f"{kind.lower()}-{uuid.uuid4()}" for kind in ("DEPARTMENTS", "EVENTS", "CHANGES")
    }
    settings |= {"DYNAMODB_ENDPOINT_URL": engine.url, **KEYS, **tables}
    run(CREATE_TABLES, **settings).check_returncode()
    with running_server(tmp_path, "eventlet", settings) as server:
        yield server, tables["DEPARTMENTS_TABLE"]


def test_the_page_shows_the_version_and_links_that_lead_on(server):
    answer = page(server.url)
    assert "1.5.0" in answer.text
    links = set(re.findall(r'href="([^"]+)"', answer.text))
    assert links >= {"/docs/", "/openapi.json"} | {f"/guides/{guide.name}" for guide in GUIDES}
    for link in links:
        assert requests.get(urljoin(answer.url, link), timeout=20).ok, link


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.name)
def test_a_guide_is_the_file_of_the_repository(server, guide):
    answer = requests.get(f"{server.url}/guides/{guide.name}", timeout=10)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.content == guide.read_bytes()


@pytest.mark.parametrize(
    ("wanted", "language", "heading"),
    [
        ("ko-KR,ko;q=0.9,en;q=0.8", "ko", "부서"),
        ("en-US,en;q=0.9,ko;q=0.8", "en", "Departments"),
        ("en-GB", "en", "Departments"),
        ("ja,de;q=0.5", "ko", "부서"),
        ("", "ko", "부서"),
    ],
)
def test_the_page_speaks_the_language_of_the_browser(server, wanted, language, heading):
    answer = page(server.url, wanted)
    assert f'<html lang="{language}">' in answer.text
    assert f"<h2>{heading}" in answer.text
    assert answer.headers["Content-Language"] == language
    assert {v.strip() for v in answer.headers["Vary"].split(",")} >= {"Accept", "Accept-Language"}


def test_the_page_runs_no_script_and_is_not_kept(server):
    answer = page(server.url)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "script" not in policy
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_hostile_name_stays_text(api, server):
    name = f'<script>alert("{uuid.uuid4()}")</script>'
    body = {"name": name, "description": "</li><img src=x>"}
    department = api("POST", "/api/departments", body, status=201)["department"]
    text = page(server.url).text
    assert name not in text
    assert "<img" not in text
    link = f'<a href="/api/events/{department["id"]}">'
    assert name in unescape(text.split(link)[1].split("</a>")[0])


@pytest.mark.parametrize("accept", ["application/json", "application/json, text/plain, */*"])
def test_a_program_gets_json(api, accept):
    answer = api("GET", "/", headers={"Accept": accept})
    assert (answer["name"], answer["version"]) == ("department-calendar", "1.5.0")
    for link in ("documentation", "openapi", "departments"):
        assert requests.get(urljoin(api.url, answer[link]), timeout=20).ok


@pytest.mark.parametrize("accept", ["*/*", "image/png", "malformed;;q=x"])
def test_a_client_without_a_preference_gets_the_page(server, accept):
    page(server.url, Accept=accept)


def test_head_is_answered_with_the_headers_only(server):
    answer = requests.head(f"{server.url}/", headers=PERSON, timeout=20)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


def test_other_methods_are_refused(api):
    assert api("POST", "/", {}, status=405)["error"] == "method_not_allowed"


@pytest.mark.parametrize("language", ["ko", "en"])
def test_a_fresh_server_says_how_to_make_a_department_and_the_line_works(tmp_path, language):
    with running_server(tmp_path, "flask", embedded(tmp_path / "data")) as server:
        [line] = re.findall(r"<pre><code>(.*?)</code></pre>", page(server.url, language).text, re.DOTALL)
        program("curl")
        done = subprocess.run(["bash", "-ec", unescape(line)], capture_output=True, text=True, timeout=20)
        assert '"success":true' in done.stdout, done
        [department] = Api(server.url)("GET", "/api/departments")["departments"]
        assert f'<a href="/api/events/{department["id"]}">' in page(server.url, language).text


def test_the_line_names_the_address_that_the_browser_used(tmp_path):
    with running_server(tmp_path, "flask", embedded(tmp_path / "data")) as server:
        text = page(server.url, Host="calendar.example.com", **{"X-Forwarded-Proto": "https"}).text
        assert "curl -X POST https://calendar.example.com/api/departments " in text
        hostile = page(server.url, Host="x';rm -rf ~;'", **{"X-Forwarded-Proto": "javascript"}).text
        assert "curl -X POST http://localhost:5000/api/departments " in hostile


def test_development_names_the_store_and_production_only_its_kind(tmp_path):
    settings = embedded(tmp_path / "data")
    with running_server(tmp_path, "flask", settings) as server:
        assert str(tmp_path / "data") in page(server.url).text
    with running_server(tmp_path, "flask", settings | PRODUCTION) as server:
        text = page(server.url).text
        assert "내장 저장소" in text
        assert str(tmp_path) not in text


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_page_is_there_when_the_store_is_not(tmp_path, language):
    endpoint = f"http://127.0.0.1:{free_port()}"
    with running_server(
        tmp_path, "eventlet", {"DYNAMODB_ENDPOINT_URL": endpoint, **KEYS}, ready=False
    ) as server:
        wait_for(lambda: is_alive(server.url), 30)
        text = page(server.url, language).text
        assert {"ko": "저장소를 사용할 수 없어", "en": "The store cannot be used"}[language] in text
        assert endpoint in text
        assert 'href="/docs/"' in text
        assert "curl" not in text


@pytest.mark.parametrize("production", [False, True])
def test_missing_tables_are_told_with_what_to_do_but_not_in_production(tmp_path, engine, production):
    with server_with_tables(tmp_path, engine, **PRODUCTION if production else {}) as (server, table):
        aws_client("dynamodb", engine.url).delete_table(TableName=table)
        text = unescape(page(server.url).text)
        assert "저장소를 사용할 수 없어" in text
        assert ("create_tables()" in text) is not production
        assert "create_tables()" in server.log
