"""The server's own pages as a person sees them in a real browser: nothing in the console, no other host."""

import uuid
from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from api_client import Api
from programs import chromium
from running import Server, embedded, running_server

WIDE = {"width": 1200, "height": 900}
PHONE = {"width": 360, "height": 740}
DRAWN = """(syllable) => {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d");
  context.font = "32px " + getComputedStyle(document.body).fontFamily;
  context.fillText(syllable, 10, 50);
  return canvas.toDataURL();
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("pages")
    with running_server(folder, "eventlet", embedded(folder / "data")) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield browser
        browser.close()


class Visit:
    """A page of the browser which notes what a person would find in its console and its network panel."""

    def __init__(self, browser: Browser, **options) -> None:
        self.told: list[str] = []
        self.requested: list[str] = []
        self.page: Page = browser.new_page(**{"locale": "ko-KR", "viewport": WIDE, **options})
        self.page.on("console", lambda message: self.told.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.told.append(f"error: {error}"))
        self.page.on("requestfailed", lambda request: self.told.append(f"failed: {request.url}"))
        self.page.on("request", lambda request: self.requested.append(request.url))

    def check(self, server: Server) -> None:
        """Nothing in the console, nobody else asked, nothing too wide, Korean in real letters."""
        assert self.told == []
        assert [url for url in self.requested if not url.startswith((f"{server.url}/", "data:"))] == []
        assert self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
        assert self.page.evaluate(DRAWN, "가") != self.page.evaluate(DRAWN, "힣")  # not twice the same box


@pytest.fixture
def visit(browser: Browser, server: Server):
    visits: list[Visit] = []

    def open_page(path: str, **options) -> Visit:
        visits.append(Visit(browser, **options))
        visits[-1].page.goto(server.url + path)
        return visits[-1]

    yield open_page
    for each in visits:
        each.page.close()


def operation(page: Page, method: str, path: str) -> Locator:
    return page.locator(f".opblock-{method}").filter(has=page.locator(f'[data-path="{path}"]'))


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("path", ["/docs", "/docs/"])
def test_the_api_page_lists_the_operations_and_tries_one_out(tmp_path, server, visit, path, viewport):
    name = Api(server.url).department()["name"]
    paths = requests.get(f"{server.url}/openapi.json", timeout=10).json()["paths"]
    visited = visit(path, viewport=viewport)
    page = visited.page
    expect(page.get_by_role("heading", name="부서 캘린더 API")).to_be_visible()
    expect(page.locator(".opblock")).to_have_count(sum(len(methods) for methods in paths.values()))

    listing = operation(page, "get", "/api/departments")
    listing.locator(".opblock-summary-control").click()
    listing.get_by_role("button", name="Try it out").click()
    listing.get_by_role("button", name="Execute").click()
    answer = listing.locator(".live-responses-table .highlight-code")
    expect(answer.first).to_contain_text(f'"name": "{name}"')
    page.screenshot(path=tmp_path / "docs.png", full_page=True)
    visited.check(server)
    assert f"{server.url}/api/departments" in visited.requested


def test_every_operation_of_the_api_page_opens(server, visit):
    visited = visit("/docs")
    summaries = visited.page.locator(".opblock-summary-control")
    expect(summaries.first).to_be_visible()
    opened = visited.page.locator(".opblock.is-open")
    for summary in summaries.all():
        summary.click()
        expect(opened).to_have_count(1)
        for model in opened.locator(".tablinks", has_text="Schema").all():
            model.click()
        summary.click()
        expect(opened).to_have_count(0)
    visited.check(server)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize(("locale", "heading"), [("ko-KR", "부서"), ("en-US", "Departments")])
def test_the_first_page_leads_on(tmp_path, server, visit, locale, heading, viewport, scheme):
    api = Api(server.url)
    hostile = api.department(f"<script>alert('{uuid.uuid4()}')</script>")
    api.department("가나다" * 20 + uuid.uuid4().hex)
    api.event(hostile["id"], "팀 회의")
    visited = visit("/", locale=locale, viewport=viewport, color_scheme=scheme)
    page = visited.page
    expect(page.get_by_role("heading", level=2).first).to_contain_text(heading)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(244, 246, 250)", "dark": "rgb(18, 22, 31)"}[scheme]
    page.screenshot(path=tmp_path / "home.png", full_page=True)
    visited.check(server)

    page.get_by_role("link", name=hostile["name"]).click()
    expect(page.locator("body")).to_contain_text("팀 회의")
    page.go_back()
    page.get_by_role("link", name="Start and operation").click()
    expect(page.locator("body")).to_contain_text("make run")
    visited.check(server)
    page.go_back()
    page.locator('a[href="/docs/"]').click()
    expect(page.locator(".opblock").first).to_be_visible()
    visited.check(server)


def test_the_icon_is_a_picture(server, visit):
    visited = visit("/")
    loaded = visited.page.evaluate(
        "new Promise((done) => { const i = new Image(); i.onload = () => done(i.width > 0);"
        " i.onerror = () => done(false); i.src = '/favicon.ico'; })"
    )
    assert loaded
    visited.check(server)
