"""Secret addresses of feeds, without accounts: made, read, renewed, and told to no log."""

import pytest
import requests

from domain import new_id


@pytest.fixture
def feed(api):
    """Return a department with an event, and the address of its feed."""
    department = api.department("구독 부서 " + new_id())["id"]
    api.event(department, "주간 회의", time="오후 2:00")
    return department, api("POST", f"/api/departments/{department}/feed")["url"]


def fetch(server, url: str, **headers: str) -> requests.Response:
    """Fetch an address that the server told, wherever it listens."""
    return requests.get(f"{server.url}/feeds/{url.rpartition('/')[2]}", headers=headers, timeout=10)


def test_a_feed_shows_the_department_to_who_knows_its_address(api, server, feed):
    department, url = feed
    answer = fetch(server, url)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/calendar")
    assert "SUMMARY:주간 회의" in answer.text
    assert api("GET", f"/api/departments/{department}/feed")["url"] == url


def test_an_address_is_told_for_browsers_and_for_calendar_programs(api, feed):
    answer = api("GET", f"/api/departments/{feed[0]}/feed")
    assert answer["url"].startswith("http")
    assert answer["webcal_url"] == "webcal://" + answer["url"].partition("://")[2]


def test_before_the_first_there_is_no_address(api):
    answer = api("GET", f"/api/departments/{api.department()['id']}/feed", status=404)
    assert answer["error"] == "feed_not_found"


def test_a_new_address_ends_the_one_before(api, server, feed):
    department, before = feed
    after = api("POST", f"/api/departments/{department}/feed")["url"]
    assert after != before
    assert fetch(server, before).json()["error"] == "feed_not_found"
    assert fetch(server, after).status_code == 200


def test_what_a_program_holds_is_not_sent_again(api, server, feed):
    department, url = feed
    etag = fetch(server, url).headers["ETag"]
    assert fetch(server, url, **{"If-None-Match": etag}).status_code == 304
    api.event(department, "또 하나")
    assert fetch(server, url, **{"If-None-Match": etag}).status_code == 200
    etag = fetch(server, url).headers["ETag"]
    for change in ({"name": "새 이름 " + new_id()}, {"timezone": "Europe/Paris"}, {"color": "#aa0000"}):
        api("PUT", f"/api/departments/{department}", change)
        answer = fetch(server, url, **{"If-None-Match": etag})
        assert answer.status_code == 200, change
        etag = answer.headers["ETag"]


@pytest.mark.parametrize(
    "secret", ["x", "0" * 32 + "-", "0" * 32 + "-" + "0" * 48, "%00", "가", "a-b-c", "-" * 500]
)
def test_a_wrong_secret_finds_nothing(server, secret):
    answer = requests.get(f"{server.url}/feeds/{secret}.ics", timeout=10)
    assert (answer.status_code, answer.json()["error"]) == (404, "feed_not_found")


def test_a_secret_is_exact(server, feed):
    secret = feed[1].rpartition("/")[2].removesuffix(".ics")
    for wrong in (secret.upper(), secret[:-1], secret + "0", secret.replace("-", "", 1)):
        assert fetch(server, f"/{wrong}.ics").status_code == 404


def test_a_feed_ends_with_its_department_and_comes_back_with_it(api, server, feed):
    department, url = feed
    api("DELETE", f"/api/departments/{department}")
    assert fetch(server, url).json()["error"] == "feed_not_found"
    api("POST", f"/api/departments/{department}/restore")
    assert fetch(server, url).status_code == 200


def test_no_line_of_the_log_tells_an_address(api, server, feed):
    url = feed[1]
    fetch(server, url)
    fetch(server, url.replace(".ics", "0.ics"))
    secret = url.rpartition("-")[2].removesuffix(".ics")
    assert secret[:10] not in server.log


def test_robots_may_read_feeds_and_nothing_else(server):
    answer = requests.get(f"{server.url}/robots.txt", timeout=10)
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.text.splitlines() == ["User-agent: *", "Allow: /feeds/", "Disallow: /"]
