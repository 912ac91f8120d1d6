"""Secret addresses of feeds with accounts: each is one account's, and ends with its right."""

import pytest
import requests

from running import wait_for


def fetch(company, url: str) -> requests.Response:
    return requests.get(f"{company.url}/feeds/{url.rpartition('/')[2]}", timeout=10)


def has_ended(company, url: str) -> bool:
    answer = fetch(company, url)
    return answer.status_code == 404 and answer.json()["error"] == "feed_not_found"


def feed_of(caller, department: str) -> str:
    url: str = caller("POST", f"/api/departments/{department}/feed")["url"]
    return url


@pytest.fixture
def department(company) -> str:
    found: str = company.department()
    company.event(found, title="주간 회의")
    return found


def test_a_reader_subscribes_without_signing_in(company, department):
    reader = company.person(department, "reader")
    answer = fetch(company, feed_of(reader, department))
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "private, no-cache")
    assert "SUMMARY:주간 회의" in answer.text
    assert "Set-Cookie" not in answer.headers


def test_each_account_has_an_address_of_its_own(company, department):
    one, other = company.person(department, "reader"), company.person(department, "writer")
    first, second = feed_of(one, department), feed_of(other, department)
    assert first != second
    feed_of(other, department)
    assert not has_ended(company, first)
    assert has_ended(company, second)


@pytest.mark.parametrize("how", ["its role is taken", "it is disabled"])
def test_an_address_ends_with_the_right_of_its_account(company, department, how):
    person = company.person(department, "reader")
    url = feed_of(person, department)
    if how == "its role is taken":
        company.role(person, department, "")
    else:
        company.disable(person)
    wait_for(lambda: has_ended(company, url), 30, "the end of the address")


def test_who_may_not_see_a_department_gets_no_address(company, department):
    stranger = company.person(company.department(), "manager")
    for method in ("GET", "POST"):
        answer = stranger(method, f"/api/departments/{department}/feed", status=404)
        assert answer["error"] == "department_not_found"
        company.nobody(method, f"/api/departments/{department}/feed", status=401)


def test_a_token_that_only_reads_gets_no_address_that_would_outlive_it(company, department):
    person = company.person(department, "writer")
    feed_of(person, department)
    path = f"/api/departments/{department}/feed"
    reading, writing = (company.program(person, scope=scope) for scope in ("read", "write"))
    for method in ("GET", "POST"):
        assert reading(method, path, status=403)["error"] == "not_allowed"
        assert writing(method, path)["url"]
