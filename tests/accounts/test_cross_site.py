"""Requests that a page of another site makes a browser send with its session, also in a real one."""

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import socketio
from playwright.sync_api import Page, sync_playwright

from accounts.company import Caller, Company
from programs import chromium
from running import embedded, running_server

FORM = """<form method="post" enctype="text/plain" action="{url}/api/departments">
<input name='{{"name":"남의 부서","x":"' value='"}}'></form><script>document.forms[0].submit()</script>"""
ATTACK = """async (url) => {
  const told = [];
  const send = async (method, path, options) => {
    try {
      const answer = await fetch(url + path, { method, credentials: "include", ...options });
      told.push(`${method} ${path} ${answer.type} ${answer.status}`);
    } catch { told.push(`${method} ${path} blocked`); }
  };
  await send("GET", "/api/me");
  await send("POST", "/api/departments", { mode: "no-cors", body: '{"name":"남의 부서"}' });
  const json = { "Content-Type": "application/json" };
  await send("POST", "/api/departments", { headers: json, body: '{"name":"남의 부서"}' });
  await send("DELETE", "/api/session");
  await new Promise((done) => {
    const socket = new WebSocket(url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket");
    socket.onopen = () => { told.push("websocket open"); done(); };
    socket.onerror = () => { told.push("websocket refused"); done(); };
  });
  return told;
}"""


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1"}, 403),
        ({"Origin": "{url}.evil.example"}, 403),
        ({"Origin": "{url}"}, 201),
        ({"Origin": "http://localhost:5000"}, 201),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Sec-Fetch-Site": "same-site", "Origin": "{url}"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
    ],
)
def test_a_change_by_cookie_needs_a_page_of_ours(company, headers, status):
    """`http://localhost:5000` is the PUBLIC_URL of a server that names none."""
    company.admin.origin = ""
    try:
        sent = {name: value.format(url=company.url) for name, value in headers.items()}
        answer = company.admin.send("POST", "/api/departments", {"name": f"부서 {headers}"}, headers=sent)
        assert answer.status_code == status
        assert company.admin.send("GET", "/api/me", headers=sent).status_code == 200
    finally:
        company.admin.origin = None


def test_a_token_needs_no_page(company):
    program = company.program(company.admin)
    for headers in ({}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = program.send("POST", "/api/departments", {"name": f"토큰 {headers}"}, headers=headers)
        assert answer.status_code == 201


def can_connect(company: Company, transport: str, origin: str | None, **shown: Any) -> bool:
    """Tell whether a page of an origin can open a connection; None for a program that tells no origin."""
    tells = {"suppress_origin": True} if origin is None else {"origin": origin}
    headers = shown.pop("headers", {})
    if transport == "polling" and origin is not None:  # for WebSocket it would be there twice, and malformed
        headers = {**headers, "Origin": origin}
    client = socketio.Client(reconnection=False, websocket_extra_options=tells)
    try:
        client.connect(company.url, headers=headers, transports=[transport], **shown)
    except socketio.exceptions.ConnectionError:
        return False
    finally:
        client.disconnect()
    return True


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_a_page_of_another_origin_opens_no_connection(company, transport):
    for origin in ("https://evil.example", "null"):
        assert not can_connect(company, transport, origin, **company.admin.handshake)
    assert can_connect(company, transport, company.url, **company.admin.handshake)


def test_a_websocket_by_cookie_that_tells_no_page_is_refused(company):
    assert not can_connect(company, "websocket", None, **company.admin.handshake)


PARTNER = "http://partner.example"


@pytest.fixture(scope="module")
def partners_company(tmp_path_factory) -> Iterator[Company]:
    """A company on a server that lets pages of another origin use its API."""
    folder = tmp_path_factory.mktemp("partner")
    settings = embedded(folder / "data", AUTH="on", CORS_ORIGINS=PARTNER)
    with running_server(folder, "eventlet", settings) as server:
        yield Company(server)


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_a_page_that_may_use_the_api_may_use_no_session(partners_company, transport):
    """Its browser sends the cookie when it is of the same site, such as another port of this machine."""
    company = partners_company
    assert not can_connect(company, transport, PARTNER, **company.admin.handshake)
    assert can_connect(company, transport, PARTNER, **company.program(company.admin).handshake)


def test_a_page_of_a_listed_origin_opens_no_connection_by_cookie(tmp_path):
    """Such pages may use the API with tokens. Browsers send the cookie to the same site by themselves."""
    listed = "http://127.0.0.1:1"
    settings = embedded(tmp_path / "data", AUTH="on", CORS_ORIGINS=listed)
    with running_server(tmp_path, "eventlet", settings) as server:
        firm = Company(server)
        page = {"Origin": listed, "Sec-Fetch-Site": "same-site"}
        with pytest.raises(socketio.exceptions.ConnectionError):
            connect(server.url, headers={**page, **firm.admin.handshake["headers"]})
        connect(server.url, headers=page, **firm.program(firm.admin).handshake)


def connect(url: str, **options: Any) -> None:
    """Connect by polling, and leave."""
    client = socketio.Client(reconnection=False)
    client.connect(url, transports=["polling"], **options)
    client.disconnect()


@pytest.fixture
def evil_page() -> Iterator[tuple[str, list[str]]]:
    """A page on another port of this machine, which is the same site, so that browsers send Lax cookies."""
    html: list[str] = [""]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = html[0].encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}", html
        serving.shutdown()


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield browser.new_page(locale="ko-KR")
        browser.close()


def signed_in(page: Page, caller: Caller) -> None:
    cookies = [
        {"name": name, "value": value, "url": caller.url, "httpOnly": True, "sameSite": "Lax"}
        for name, value in caller.cookies.items()
    ]
    page.context.add_cookies(cookies)


def test_what_a_page_of_another_origin_can_do_in_a_real_browser(company, evil_page, page):
    origin, html = evil_page
    signed_in(page, company.admin)
    before = company.admin("GET", "/api/departments")["departments"]
    page.goto(origin)
    assert page.evaluate(ATTACK, company.url) == [
        "GET /api/me blocked",
        "POST /api/departments opaque 0",
        "POST /api/departments blocked",
        "DELETE /api/session blocked",
        "websocket refused",
    ]
    html[0] = FORM.format(url=company.url)
    page.goto(origin)
    page.wait_for_url(f"{company.url}/api/departments")
    assert '"success":false' in page.content().replace(" ", "")
    assert company.admin("GET", "/api/departments")["departments"] == before


def test_our_own_page_can_do_all_of_it(company, page):
    signed_in(page, company.person(admin=True))  # it signs out
    page.goto(f"{company.url}/sign-in")
    assert page.evaluate(ATTACK, company.url) == [
        "GET /api/me basic 200",
        "POST /api/departments basic 415",
        "POST /api/departments basic 201",
        "DELETE /api/session basic 200",
        "websocket open",
    ]
