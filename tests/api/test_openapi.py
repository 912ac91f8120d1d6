"""The OpenAPI document: true of the server, whatever is sent, and shown by a page of our own files."""

import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import openapi_spec_validator
import pytest
import requests

from rest import answer_shapes as shapes
from running import BIN, ROOT

OPERATIONS = {
    "list_departments": ("get", "/api/departments"),
    "create_department": ("post", "/api/departments"),
    "get_department": ("get", "/api/departments/{department_id}"),
    "update_department": ("put", "/api/departments/{department_id}"),
    "delete_department": ("delete", "/api/departments/{department_id}"),
    "list_deleted_departments": ("get", "/api/departments/deleted"),
    "restore_department": ("post", "/api/departments/{department_id}/restore"),
    "list_events": ("get", "/api/events/{id}"),
    "create_event": ("post", "/api/events/{id}"),
    "update_event": ("put", "/api/events/{id}"),
    "delete_event": ("delete", "/api/events/{id}"),
    "get_event": ("get", "/api/events/{department_id}/{event_id}"),
    "restore_event": ("post", "/api/events/{department_id}/{event_id}/restore"),
    "get_calendar": ("get", "/api/events/{department_id}.ics"),
    "get_table": ("get", "/api/events/{department_id}.csv"),
    "import_events": ("post", "/api/events/{department_id}/import"),
    "get_feed": ("get", "/api/departments/{department_id}/feed"),
    "renew_feed": ("post", "/api/departments/{department_id}/feed"),
    "get_event_history": ("get", "/api/events/{department_id}/history"),
    "list_changes": ("get", "/api/events/{department_id}/changes"),
    "get_health": ("get", "/healthz"),
    "get_readiness": ("get", "/readyz"),
    "get_me": ("get", "/api/me"),
}
OR_NULL = re.compile(r"'anyOf': \[{'\$ref': '[^']+'}, {'type': 'null'}\]")
CONDITIONAL = ("list_departments", "list_events", "get_event", "get_calendar", "get_table")


@pytest.fixture
def document(server) -> dict[str, Any]:
    return requests.get(f"{server.url}/openapi.json", timeout=10).json()


@pytest.fixture
def operations(document) -> dict[str, Any]:
    return {name: document["paths"][path][method] for name, (method, path) in OPERATIONS.items()}


def header_names(operation: dict[str, Any]) -> set[str]:
    return {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "header"}


def test_the_document_is_valid_openapi_3_1(document):
    assert document["openapi"].startswith("3.1")
    openapi_spec_validator.validate(document)


@pytest.mark.timeout(300)
def test_schemathesis_finds_no_answer_that_is_not_as_described(server, tmp_path):
    config = Path(__file__).with_name("schemathesis.toml")
    command = [BIN / "schemathesis", "--config-file", config, "run", f"{server.url}/openapi.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=290, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Tested: {len(OPERATIONS)}" in done.stdout


def test_every_route_is_an_operation_with_the_name_of_a_method(document):
    assert {
        operation["operationId"]: (method, path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    } == OPERATIONS


def test_paths_differ_in_more_than_the_names_of_their_parameters(document):
    shapes = [re.sub(r"{\w+}", "{}", path) for path in document["paths"]]
    assert len(set(shapes)) == len(shapes)


def test_requests_are_described_with_their_limits_and_no_value_for_what_is_left_out(document):
    shapes = document["components"]["schemas"]
    assert shapes["EventNew"]["required"] == ["event_date", "title"]
    assert shapes["EventNew"]["properties"]["title"]["maxLength"] == 200
    for name in ("EventNew", "EventChange", "DepartmentNew", "DepartmentChange"):
        assert shapes[name]["additionalProperties"] is False
        assert "default" not in str(shapes[name])
    for name in ("EventChange", "DepartmentChange"):
        assert "required" not in shapes[name]


def test_what_a_schema_says_of_a_parameter_stands_where_the_page_shows_it(operations):
    parameters = [one for operation in operations.values() for one in operation["parameters"]]
    assert not [one["name"] for one in parameters if "description" in one["schema"]]
    described = {one["name"] for one in parameters if one.get("description")}
    assert {"occurrence", "following", "expand", "dry_run", "limit", "page_token"} <= described


def test_bodies_are_required_where_there_are_any(operations):
    with_body = {name for name, operation in operations.items() if "requestBody" in operation}
    required = {name for name in with_body if operations[name]["requestBody"]["required"]}
    assert required == {
        "create_department", "update_department", "create_event", "update_event", "import_events",
    }  # fmt: skip
    assert with_body - required == {"restore_department"}


def test_the_headers_that_a_route_reads_are_parameters(operations):
    minded = {name: header_names(operation) for name, operation in operations.items()}
    assert {name: headers for name, headers in minded.items() if headers} == {
        **{name: {"If-None-Match"} for name in CONDITIONAL},
        **{name: {"Idempotency-Key"} for name in ("create_department", "create_event")},
        **{name: {"If-Match"} for name in ("update_event", "delete_event")},
    }


def test_the_headers_of_answers_are_described(operations):
    sent = {
        (name, status, header)
        for name, operation in operations.items()
        for status, response in operation["responses"].items()
        for header in response.get("headers", ())
    }
    assert sent == {
        *((name, status, "ETag") for name in CONDITIONAL for status in ("200", "304")),
        *((name, "200", "ETag") for name in ("update_event", "restore_event")),
        ("create_event", "201", "ETag"),
        *((name, "201", "Idempotent-Replayed") for name in ("create_department", "create_event")),
        *((name, "503", "Retry-After") for name in OPERATIONS if name != "get_health"),
    }


def test_an_answer_that_nothing_changed_is_described_without_content(operations):
    assert all("content" not in operations[name]["responses"]["304"] for name in CONDITIONAL)


@pytest.mark.parametrize(
    ("name", "status", "codes"),
    [
        ("create_department", 400, {"bad_request", "validation_failed"}),
        ("create_department", 409, {"department_name_taken"}),
        ("create_department", 422, {"idempotency_key_reused"}),
        ("update_department", 404, {"department_not_found"}),
        ("list_events", 400, {"invalid_id", "validation_failed"}),
        ("create_event", 409, {"event_id_taken"}),
        ("get_event", 400, {"invalid_id"}),
        ("get_event", 404, {"department_not_found", "event_not_found"}),
        ("update_event", 400, {"bad_request", "invalid_id", "too_many_replacements", "validation_failed"}),
        ("update_event", 404, {"event_not_found", "occurrence_not_found"}),
        ("update_event", 412, {"event_changed"}),
        ("update_event", 413, {"change_too_large", "payload_too_large", "entity_too_large"}),
        ("update_event", 415, {"unsupported_media_type"}),
        ("delete_event", 400, {"invalid_id", "too_many_replacements", "validation_failed"}),
        ("delete_event", 409, {"too_many_exdates"}),
        ("list_events", 409, {"too_many_series"}),
        ("get_table", 400, {"invalid_id", "validation_failed"}),
        ("get_table", 409, {"too_many_series"}),
        ("get_calendar", 409, {"too_many_series"}),
        ("import_events", 400, {"bad_request", "file_refused", "invalid_id", "validation_failed"}),
        ("import_events", 413, {"payload_too_large", "too_many_entries"}),
        ("import_events", 415, {"unsupported_media_type"}),
        ("get_feed", 404, {"department_not_found", "feed_not_found"}),
        ("restore_event", 409, {"event_id_taken"}),
        ("restore_event", 415, {"unsupported_media_type"}),
        ("list_changes", 410, {"sync_token_expired"}),
        ("get_readiness", 503, {"store_unavailable"}),
        ("get_health", 500, {"internal_error"}),
    ],
)
def test_a_failure_is_described_with_the_codes_that_it_may_carry(operations, name, status, codes):
    described = operations[name]["responses"][str(status)]["description"]
    assert set(re.findall(r"`(\w+)`", described)) == codes


def test_answers_may_grow_without_breaking_generated_clients(document, operations):
    """New fields, codes and kinds of changes will come."""
    shapes = document["components"]["schemas"]
    answered, found = set(), str([operation["responses"] for operation in operations.values()])
    while further := set(re.findall(r"#/components/schemas/(\w+)", found)) - answered:
        answered |= further
        found = str([shapes[name] for name in further])
    assert {"Failure", "EventsAnswer", "EventShape", "ChangeShape", "ChangedEventShape"} <= answered
    for name in answered:
        assert shapes[name].get("additionalProperties") is not False
        shape = OR_NULL.sub("", str(shapes[name]))
        assert not re.search(r"'(enum|const|anyOf|oneOf|default)'", shape)


def test_answers_hold_what_is_described_and_nothing_else(api):
    def answer(model, *request: Any, **options: Any) -> dict[str, Any]:
        found = api(*request, **options)
        model.model_validate(found, strict=True, extra="forbid")
        return found

    department = answer(shapes.DepartmentAnswer, "POST", "/api/departments", {"name": api.url}, status=201)
    where = department["department"]["id"]
    answer(shapes.DepartmentAnswer, "GET", f"/api/departments/{where}")
    answer(shapes.DepartmentAnswer, "PUT", f"/api/departments/{where}", {"description": "설명"})
    answer(shapes.DepartmentsAnswer, "GET", "/api/departments")
    token = answer(shapes.EventsAnswer, "GET", f"/api/events/{where}")["sync_token"]
    event = {"event_date": "2024-01-20", "title": "회의"}
    which = answer(shapes.EventAnswer, "POST", f"/api/events/{where}", event, status=201)["event"]["id"]
    answer(shapes.EventAnswer, "GET", f"/api/events/{where}/{which}")
    answer(shapes.EventAnswer, "PUT", f"/api/events/{which}", {"title": "새"})
    answer(shapes.EventsAnswer, "GET", f"/api/events/{where}?limit=1")
    answer(shapes.EventsAnswer, "GET", f"/api/events/{where}?from=2024-01-01&to=2024-01-31&expand=true")
    table, headers = "날짜,제목,비밀번호\n2024-01-20,회의,x\n".encode(), {"Content-Type": "text/csv"}
    imported = answer(shapes.ImportAnswer, "POST", f"/api/events/{where}/import", data=table, headers=headers)
    assert imported["unread_columns"] == ["비밀번호"]
    answer(shapes.FeedAnswer, "POST", f"/api/departments/{where}/feed")
    answer(shapes.FeedAnswer, "GET", f"/api/departments/{where}/feed")
    answer(shapes.MessageAnswer, "DELETE", f"/api/events/{which}")
    answer(shapes.ChangesAnswer, "GET", f"/api/events/{where}/changes?since={token}")
    answer(shapes.HistoryAnswer, "GET", f"/api/events/{where}/history?event_id={which}")
    answer(shapes.EventAnswer, "POST", f"/api/events/{where}/{which}/restore")
    answer(shapes.MessageAnswer, "DELETE", f"/api/departments/{where}")
    answer(shapes.Failure, "GET", f"/api/departments/{where}", status=404)
    answer(shapes.StatusAnswer, "GET", "/healthz")
    answer(shapes.StatusAnswer, "GET", "/readyz")


def test_every_reference_of_the_document_leads_somewhere(document):
    shapes = document["components"]["schemas"]
    references = set(re.findall(r"'\$ref': '([^']+)'", str(document)))
    assert references
    assert all(r.removeprefix("#/components/schemas/") in shapes for r in references)


def test_the_page_and_all_its_files_are_our_own(server):
    page = requests.get(f"{server.url}/docs", timeout=10)
    assert page.ok
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(files) == 5
    for name in files:
        assert "//" not in name
        file = requests.get(urljoin(page.url, name), timeout=10)
        assert file.ok
        for source_map in re.findall(r"# sourceMappingURL=([^\s*]+)", file.text):
            assert requests.get(urljoin(file.url, source_map), timeout=10).ok
    script = (ROOT / "backend/static/docs/docs.js").read_text()
    assert "validatorUrl: null" in script


def test_the_page_without_its_slash_leads_to_it_by_a_relative_address(server):
    """A proxy may publish the server under another host, scheme or folder."""
    answer = requests.get(f"{server.url}/docs", timeout=10, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (308, "docs/")


@pytest.mark.parametrize("name", ["nothing.js", "a" * 300, "..%2findex.html", "%00"])
def test_what_the_page_does_not_have_is_not_found(api, name):
    assert api("GET", f"/docs/{name}", status=404)["error"] == "not_found"
