"""The OpenAPI document: true of the server, whatever is sent, and shown by a page of our own files."""

import re
from urllib.parse import urljoin

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings

import rest.answers
from running import ROOT


def answers_as_described(case) -> None:
    answer = case.call()
    assert answer.status_code < 500, answer.text
    described = case.operation.definition.raw["responses"]
    if str(answer.status_code) in described:
        reference = described[str(answer.status_code)]["content"]["application/json"]["schema"]["$ref"]
        getattr(rest.answers, reference.rsplit("/", 1)[1]).model_validate(answer.json())
    else:
        assert answer.status_code in (400, 404, 405, 413, 415)
        rest.answers.Failure.model_validate(answer.json())


def test_whatever_is_sent_the_answer_is_as_described(server):
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) == 15
    for operation in operations:
        settings(
            max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
        )(given(operation.as_strategy())(answers_as_described))()


def test_the_document_is_openapi_3_1_and_names_every_path(api, server):
    document = requests.get(f"{server.url}/openapi.json", timeout=10).json()
    assert document["openapi"].startswith("3.1")
    assert {(path, method) for path, methods in document["paths"].items() for method in methods} == {
        ("/api/departments", "get"),
        ("/api/departments", "post"),
        ("/api/departments/{department_id}", "get"),
        ("/api/departments/{department_id}", "put"),
        ("/api/departments/{department_id}", "delete"),
        ("/api/events/{department_id}", "get"),
        ("/api/events/{department_id}", "post"),
        ("/api/events/{department_id}/{event_id}", "get"),
        ("/api/events/{department_id}/{event_id}/restore", "post"),
        ("/api/events/{department_id}/history", "get"),
        ("/api/events/{department_id}/changes", "get"),
        ("/api/events/{event_id}", "put"),
        ("/api/events/{event_id}", "delete"),
        ("/healthz", "get"),
        ("/readyz", "get"),
    }
    shapes = document["components"]["schemas"]
    assert shapes["EventNew"]["required"] == ["event_date", "title"]
    assert shapes["EventNew"]["properties"]["title"]["maxLength"] == 200
    assert "EventShape" in shapes


def test_every_reference_of_the_document_leads_somewhere(server):
    text = requests.get(f"{server.url}/openapi.json", timeout=10).text
    shapes = requests.get(f"{server.url}/openapi.json", timeout=10).json()["components"]["schemas"]
    references = set(re.findall(r'"\$ref":\s*"([^"]+)"', text))
    assert references
    assert all(r.removeprefix("#/components/schemas/") in shapes for r in references)


def test_the_page_and_all_its_files_are_our_own(server):
    page = requests.get(f"{server.url}/docs", timeout=10)
    assert page.ok
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(files) == 4
    for name in files:
        assert "//" not in name
        file = requests.get(urljoin(page.url, name), timeout=10)
        assert file.ok
        for source_map in re.findall(r"# sourceMappingURL=([^\s*]+)", file.text):
            assert requests.get(urljoin(file.url, source_map), timeout=10).ok
    script = (ROOT / "backend/static/docs/docs.js").read_text()
    assert "validatorUrl: null" in script


def test_the_page_without_its_slash_leads_to_it_by_a_relative_address(server):
    """A proxy may have another host, scheme or folder than we see."""
    answer = requests.get(f"{server.url}/docs", timeout=10, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (308, "docs/")


@pytest.mark.parametrize("name", ["nothing.js", "a" * 300, "..%2findex.html", "%00"])
def test_what_the_page_does_not_have_is_not_found(api, name):
    assert api("GET", f"/docs/{name}", status=404)["error"] == "not_found"
