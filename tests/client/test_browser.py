"""The page of README.md in a real browser, from an origin of its own: it shows events, live."""

import functools
import http.server
import queue
import re
import subprocess
import threading

import pytest

from api_client import Api
from printed_guides import README, README_KO
from programs import chromium
from running import embedded, running_server

TELLING = """<script type="module">
  new MutationObserver(() => fetch("/told", { method: "POST", body: document.body.textContent }))
    .observe(document.body, { childList: true, characterData: true, subtree: true });
</script>"""


class Page(http.server.BaseHTTPRequestHandler):
    """Serves one page, and keeps what it tells."""

    def __init__(self, html: list[str], told: "queue.Queue[str]", *arguments) -> None:
        self._html, self._told = html, told
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(self._html[0].encode())

    def do_POST(self) -> None:
        self._told.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_arguments) -> None:
        pass


@pytest.mark.timeout(90)
@pytest.mark.parametrize("readme", [README, README_KO], ids=lambda readme: readme.name)
def test_the_documented_page_shows_events_live(tmp_path, engine, engine_dir, readme):
    [snippet] = re.findall(r"^```html\n(.*?)^```", readme.read_text(), re.MULTILINE | re.DOTALL)
    html: list[str] = []
    told: queue.Queue[str] = queue.Queue()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Page, html, told)) as pages:
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        origin = f"http://127.0.0.1:{pages.server_port}"
        settings = embedded(engine_dir, CORS_ORIGINS=origin)
        with running_server(tmp_path, "eventlet", settings) as server:
            api = Api(server.url)
            department = api.department()["id"]
            api.event(department, "먼저 있던 것")
            page = snippet.replace("http://localhost:5000", server.url).replace("DEPARTMENT_ID", department)
            html.append(f"<!doctype html><body>{TELLING}{page}")
            browser = subprocess.Popen(
                [
                    chromium(),
                    "--headless",
                    "--no-sandbox",
                    "--disable-gpu",
                    f"--user-data-dir={tmp_path}/chromium",
                    origin,
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                assert told.get(timeout=40) == "먼저 있던 것"
                api.event(department, "새 것", event_date="2024-02-01")
                assert told.get(timeout=20) == "먼저 있던 것, 새 것"
            finally:
                browser.terminate()
                browser.wait(20)
        pages.shutdown()
