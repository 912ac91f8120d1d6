"""What all answers of REST have in common: health, headers, encoding."""

import uuid

import pytest


def test_korean_is_sent_unescaped_in_utf8(api, server):
    name = f"개발팀 {uuid.uuid4()}"
    department = api.department(name)
    answer = api.session.get(f"{server.url}/api/departments/{department['id']}")
    assert f'"name":"{name}"'.encode() in answer.content


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_and_readiness_are_answered(api, path):
    assert api("GET", path)["status"] in ("alive", "ready")


def test_answers_are_not_kept_by_caches_or_read_as_pages(api, server):
    headers = api.session.get(f"{server.url}/readyz").headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
