"""The pages on which people come in, in a real browser: what they show, and say when something is wrong."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from playwright.sync_api import Page, expect, sync_playwright

from accounts.company import PASSWORD, Company
from programs import chromium


@pytest.fixture(scope="module")
def page_in() -> Iterator[Any]:
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield lambda locale: chrome.new_page(locale=locale)
        chrome.close()


def sign_in(page: Page, url: str, password: str = PASSWORD) -> None:
    page.goto(f"{url}/sign-in")
    page.fill("[name=email]", "admin@example.com")
    page.fill("[name=password]", password)
    page.click("button")


def accept(page: Page, link: str, email: str) -> None:
    page.goto(link)
    page.fill("[name=email]", email)
    page.fill("[name=name]", "이두리")
    page.fill("[name=password]", PASSWORD)
    page.click("form:first-of-type button")


def test_an_invitation_offers_the_own_account_to_who_is_signed_in_alone(company, page_in):
    page = page_in("ko-KR")
    offer = {"department_id": company.department(), "role": "reader"}
    link = f"{company.url}/invite#{company.invitation('admin@example.com', **offer)}"
    page.goto(link)
    mine = page.get_by_role("button", name="관리자 계정으로 받아들이기")
    expect(mine).to_be_hidden()
    sign_in(page, company.url)
    expect(page).to_have_url(f"{company.url}/")
    page.goto(link)
    mine.click()
    expect(page).to_have_url(f"{company.url}/")


def test_who_is_signed_in_is_named_and_signs_out(company, page_in):
    page = page_in("ko-KR")
    failures: list[str] = []
    page.on("console", lambda line: failures.append(line.text))
    sign_in(page, company.url)
    expect(page.get_by_text("관리자 · 로그아웃")).to_be_visible()
    page.get_by_role("link", name="로그아웃").click()
    page.get_by_role("button", name="관리자 로그아웃").click()
    expect(page.get_by_role("button", name="관리자 로그아웃")).to_be_hidden()
    page.goto(company.url)
    expect(page).to_have_url(f"{company.url}/sign-in")
    assert failures == []


@pytest.mark.parametrize(("locale", "sentence"), [("ko-KR", "링크가 잘렸습니다"), ("en-US", "incomplete")])
@pytest.mark.parametrize("name", ["setup", "invite", "reset"])
def test_a_link_that_was_cut_off_is_told_at_once_until_the_whole_one_is_opened(
    company, page_in, name, locale, sentence
):
    page = page_in(locale)
    page.goto(f"{company.url}/{name}")
    expect(page.get_by_role("alert")).to_contain_text(sentence)
    page.goto(f"{company.url}/{name}#whole")
    expect(page.get_by_role("alert")).to_be_hidden()


@pytest.mark.parametrize(("locale", "sentence"), [("ko-KR", "다른 이메일 주소"), ("en-US", "another e-mail")])
def test_who_gives_another_address_than_the_invited_one_is_told_of_it(company, page_in, locale, sentence):
    page = page_in(locale)
    email = f"{locale.lower()}@example.com"
    accept(page, f"{company.url}/invite#{company.invitation(email)}", "park@example.com")
    expect(page.get_by_role("alert")).to_contain_text(sentence)
    page.fill("[name=email]", email)
    page.dblclick("form:first-of-type button")
    expect(page).to_have_url(f"{company.url}/")


@pytest.mark.parametrize(("locale", "sentence"), [("ko-KR", r"\d+분 뒤에"), ("en-US", r"in \d+ min\.")])
def test_after_too_many_attempts_the_page_says_when_to_try_again(company, page_in, locale, sentence):
    page = page_in(locale)
    body = {"email": f"{locale}@example.com", "password": "wrong"}
    while requests.post(f"{company.url}/api/session", json=body, timeout=20).status_code != 429:
        pass
    page.goto(f"{company.url}/sign-in")
    page.fill("[name=email]", body["email"])
    page.fill("[name=password]", body["password"])
    page.click("button")
    expect(page.get_by_role("alert")).to_contain_text(re.compile(sentence))


@pytest.mark.parametrize("locale", ["ko-KR", "en-US"])
def test_input_that_the_server_refuses_is_told_in_the_language_of_the_page(company, page_in, locale):
    page = page_in(locale)
    page.goto(f"{company.url}/setup#none")
    page.fill("[name=email]", "kim@example.com")
    page.fill("[name=name]", " ")
    page.fill("[name=password]", PASSWORD)
    page.click("button")
    expect(page.get_by_role("alert")).to_be_visible()
    assert bool(re.search("[가-힣]", page.get_by_role("alert").inner_text())) == (locale == "ko-KR")


def test_who_may_see_no_department_is_told_who_gives_roles_and_no_command(company: Company, page_in):
    page = page_in("ko-KR")
    person = company.person()
    cookies = [{"name": name, "value": value, "url": company.url} for name, value in person.cookies.items()]
    page.context.add_cookies(cookies)
    page.goto(company.url)
    text = page.inner_text("main")
    assert "역할은 관리자나 그 부서의 manager가 줍니다" in text
    assert "curl" not in text
