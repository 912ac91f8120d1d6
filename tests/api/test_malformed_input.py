"""Every wrong type, shape, size, encoding, id and method gets its 4xx, and changes nothing."""

import json
import uuid

import pytest

JSON = {"Content-Type": "application/json"}
UNKNOWN = "805d0fbd-dd60-412e-a9e7-4097e872610f"
EVENT = {"event_date": "2024-01-20", "title": "회의"}


def fields_of(refusal) -> dict[str, str]:
    assert refusal["error"] == "validation_failed"
    assert all(set(detail) == {"field", "rule", "message"} for detail in refusal["details"])
    return {detail["field"]: detail["rule"] for detail in refusal["details"]}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": "   "}, "title"),
        ({"title": "가" * 201}, "title"),
        ({"title": 7}, "title"),
        ({"title": None}, "title"),
        ({"title": ["x"]}, "title"),
        ({"title": "a\u0000b"}, "title"),
        ({"title": "a\u001fb"}, "title"),
        ({"title": "a\u007fb"}, "title"),
        ({"description": "a\u000cb"}, "description"),
        ({"description": "a\u009fb"}, "description"),
        ({"description": "가" * 10_001}, "description"),
        ({"description": None}, "description"),
        ({"description": "a" + "\u0300\u0316" * 2_000}, "description"),
        ({"description": {}}, "description"),
        ({"time": "가" * 51}, "time"),
        ({"time": True}, "time"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"url": "ftp://a.kr"}, "url"),
        ({"url": "http://"}, "url"),
        ({"url": "http://[::1"}, "url"),
        ({"url": "https://a.kr/" + "a" * 2_048}, "url"),
        ({"url": "https://a.kr/a b"}, "url"),
        ({"event_date": "2024-02-30"}, "event_date"),
        ({"event_date": "20240120"}, "event_date"),
        ({"event_date": "2024-1-2"}, "event_date"),
        ({"event_date": "2024-W01-1"}, "event_date"),
        ({"event_date": "오늘"}, "event_date"),
        ({"event_date": 20240120}, "event_date"),
        ({"event_date": ""}, "event_date"),
        ({"color": "red"}, "color"),
        ({"": "x"}, "body"),
    ],
)
def test_a_bad_field_of_an_event_is_named_and_nothing_changes(api, change, field):
    department = api.department()["id"]
    event = api.event(department)
    before = api.token(department)
    assert field in fields_of(api("POST", f"/api/events/{department}", {**EVENT, **change}, status=400))
    assert field in fields_of(api("PUT", f"/api/events/{event['id']}", change, status=400))
    assert api.token(department) == before


def test_every_bad_field_is_named_at_once(api):
    refusal = api("POST", f"/api/events/{UNKNOWN}", {"title": "", "url": "x", "zz": 1}, status=400)
    assert fields_of(refusal) == {
        "event_date": "missing",
        "title": "string_too_short",
        "url": "invalid_url",
        "zz": "extra_forbidden",
    }


def test_limits_are_met_exactly(api):
    department = api.department()["id"]
    path = "/" + "a" * (2_048 - len("https://a.kr/"))
    event = api.event(
        department, "가" * 200, description="가" * 10_000, time="가" * 50, url=f"https://a.kr{path}"
    )
    assert len(event["description"]) == 10_000
    api("POST", "/api/departments", {"name": str(uuid.uuid4()).ljust(100, "가")}, status=201)


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "가" * 101}, {"name": 1}, {"name": "x", "y": 1}])
def test_a_bad_department_is_refused(api, body):
    before = api("GET", "/api/departments")
    assert fields_of(api("POST", "/api/departments", body, status=400))
    assert api("GET", "/api/departments") == before


@pytest.mark.parametrize("body", [[], "x", 7, True, [{"name": "x"}]])
def test_a_body_that_is_no_object_is_refused(api, body):
    refusal = api("POST", "/api/departments", data=json.dumps(body), headers=JSON, status=400)
    assert list(fields_of(refusal)) == ["body"]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"{",
        b"{'name': 'x'}",
        b'{"name": NaN}',
        b'{"name": "\xb0\xb3\xb9\xdf"}',
        b'{"name": "\\ud800"}',
        b"\xff\xfe{\x00}\x00",
        b"[" * 5_000,
        b'{"a":' * 5_000,
    ],
)
def test_a_body_that_is_no_json_in_utf8_is_refused(api, raw):
    assert api("POST", "/api/departments", data=raw, headers=JSON, status=400)["error"] == "bad_request"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_other_media_types_are_refused(api, kind):
    headers = {"Content-Type": kind}
    refusal = api("POST", "/api/departments", data=b'{"name":"x"}', headers=headers, status=415)
    assert refusal["error"] == "unsupported_media_type"


def test_a_charset_beside_the_media_type_is_fine(api):
    headers = {"Content-Type": "application/json; charset=utf-8"}
    body = json.dumps({"name": f"부서 {uuid.uuid4()}"}, ensure_ascii=False).encode()
    api("POST", "/api/departments", data=body, headers=headers, status=201)


def test_a_body_over_1_mib_is_refused(api):
    body = json.dumps({"name": "x" * 1024 * 1024}).encode()
    assert (
        api("POST", "/api/departments", data=body, headers=JSON, status=413)["error"] == "payload_too_large"
    )


def chunked(body: bytes):
    """Yield a body in parts, so that it is sent without its length."""
    for start in range(0, len(body), 65_536):
        yield body[start : start + 65_536]


def test_a_chunked_body_may_be_as_large_as_any_other(api):
    body = json.dumps({"name": f"부서 {uuid.uuid4()}"}).encode()
    padded = body + b" " * (1024 * 1024 - len(body))
    api("POST", "/api/departments", data=chunked(padded), headers=JSON, status=201)
    refusal = api("POST", "/api/departments", data=chunked(padded + b" "), headers=JSON, status=413)
    assert refusal["error"] == "payload_too_large"


@pytest.mark.parametrize(
    ("marks", "rule"), [(5_000, "invalid_character"), (255_000, "string_too_long")], ids=["some", "most"]
)
def test_a_text_that_takes_the_square_of_its_length_to_normalise_does_not_block_the_server(api, marks, rule):
    """The marks of half of a body took half a minute to sort, and gunicorn ended the worker."""
    title = "a" + "\u0300\u0316" * marks
    body = json.dumps({**EVENT, "title": title}, ensure_ascii=False).encode()
    department = api.department()["id"]
    assert fields_of(api("POST", f"/api/events/{department}", data=body, headers=JSON, status=400)) == {
        "title": rule
    }


def test_a_text_that_is_too_long_in_any_form_is_refused_before_its_characters_are_looked_at(api):
    department = api.department()["id"]
    body = {**EVENT, "description": "a" * 1_000_000 + "\u0000"}
    refusal = api("POST", f"/api/events/{department}", body, status=400)
    assert fields_of(refusal) == {"description": "string_too_long"}


def test_a_text_whose_longest_form_is_too_long_is_accepted(api):
    """Four characters of this text become one in NFC."""
    department = api.department()["id"]
    event = api.event(department, description="\u03b1\u0313\u0300\u0345" * 10_000)
    assert event["description"] == "\u1f82" * 10_000


@pytest.mark.parametrize("nested", [[[]], {"a": {}}], ids=["lists", "objects"])
def test_a_body_of_countless_lists_or_objects_is_not_parsed(api, nested):
    refusal = api("POST", "/api/departments", {"name": [nested] * 50_000}, status=400)
    assert refusal["error"] == "bad_request"


@pytest.mark.parametrize("path", ["/api/departments", f"/api/events/{UNKNOWN}"])
def test_of_an_object_with_thousands_of_fields_no_field_is_looked_at(api, path):
    """Each of them would cost an error: 100,000 fit into a body."""
    refusal = api("POST", path, {f"f{n}": 1 for n in range(1_001)}, status=400)
    assert fields_of(refusal) == {"body": "too_many_fields"}


def test_no_more_than_a_hundred_broken_rules_are_listed(api):
    refusal = api("POST", "/api/departments", {f"f{n}": 1 for n in range(1_000)}, status=400)
    assert len(refusal["details"]) == 100


@pytest.mark.parametrize(
    "bad", ["1", "x", "%00", "..%2f", UNKNOWN + "0", "{" + UNKNOWN + "}", "%EA%B0%80", UNKNOWN[:-1]]
)
def test_an_id_that_is_no_uuid_is_refused(api, bad):
    department = api.department()["id"]
    for method, path in (
        ("GET", f"/api/departments/{bad}"),
        ("DELETE", f"/api/departments/{bad}"),
        ("GET", f"/api/events/{bad}"),
        ("GET", f"/api/events/{department}/{bad}"),
        ("DELETE", f"/api/events/{bad}"),
    ):
        assert api(method, path, status=400)["error"] == "invalid_id"
    for method, path, body in (
        ("PUT", f"/api/events/{bad}", {"title": "x"}),
        ("PUT", f"/api/departments/{bad}", {"name": "x"}),
        ("POST", f"/api/events/{bad}", EVENT),
    ):
        assert api(method, path, body, status=400)["error"] == "invalid_id"


def test_unknown_ids_are_not_found(api):
    department = api.department()["id"]
    for method, path, body, code in (
        ("GET", f"/api/departments/{UNKNOWN}", None, "department_not_found"),
        ("PUT", f"/api/departments/{UNKNOWN}", {"name": "x"}, "department_not_found"),
        ("DELETE", f"/api/departments/{UNKNOWN}", None, "department_not_found"),
        ("GET", f"/api/events/{UNKNOWN}", None, "department_not_found"),
        ("POST", f"/api/events/{UNKNOWN}", EVENT, "department_not_found"),
        ("GET", f"/api/events/{UNKNOWN}/changes?since=x", None, "department_not_found"),
        ("GET", f"/api/events/{department}/{UNKNOWN}", None, "event_not_found"),
        ("PUT", f"/api/events/{UNKNOWN}", {"title": "x"}, "event_not_found"),
        ("DELETE", f"/api/events/{UNKNOWN}", None, "event_not_found"),
    ):
        assert api(method, path, body, status=404)["error"] == code


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?from=yesterday", "from"),
        ("?to=2024-13-01", "to"),
        ("?from=2024-02-01&to=2024-01-01", "query"),
        ("?limit=0", "limit"),
        ("?limit=2501", "limit"),
        ("?limit=x", "limit"),
        ("?page_token=malformed", "page_token"),
        ("?page_token=WzEsMl0", "page_token"),
        ("?q=" + "x" * 201, "q"),
        ("/history", "event_id"),
        ("/changes", "since"),
        ("/changes?since=", "since"),
        ("/changes?since=x&limit=0", "limit"),
        ("/changes?since=x&limit=1001", "limit"),
        ("/changes?since=x&limit=many", "limit"),
    ],
)
def test_a_bad_query_is_refused(api, query, field):
    department = api.department()["id"]
    assert field in fields_of(api("GET", f"/api/events/{department}{query}", status=400))


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/api",
        "/api/events",
        "/docs/nothing",
        "/api//departments",
        "/guides/CHANGELOG.md",
        "/guides/",
    ],
)
def test_an_unknown_path_is_not_found(api, path):
    assert api("GET", path, status=404)["error"] == "not_found"


@pytest.mark.parametrize(
    ("method", "path"), [("PATCH", "/api/departments"), ("DELETE", "/healthz"), ("PUT", "/readyz")]
)
def test_a_method_that_a_path_does_not_have_is_refused(api, server, method, path):
    assert api(method, path, status=405)["error"] == "method_not_allowed"
    assert "GET" in api.session.request(method, server.url + path).headers["Allow"]


def test_a_slash_at_the_end_is_forgiven(api):
    assert api("GET", "/api/departments/")["departments"] is not None
