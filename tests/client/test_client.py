"""Runs the browser client's own tests, which are in Node, as part of the suite."""

import shutil
import subprocess
from pathlib import Path

import pytest
import requests

from running import BIN, embedded, hermetic_env, running_server

HERE = Path(__file__).parent


@pytest.mark.timeout(90)
def test_the_browser_client_holds_against_the_real_server():
    node = shutil.which("node")
    assert node, "Node 20 or newer is needed: https://nodejs.org"
    files = sorted(map(str, HERE.glob("*.test.mjs")))
    run = subprocess.run(
        [node, "--test", "--test-reporter=spec", *files],
        env=hermetic_env(CALENDAR_TEST_BIN=str(BIN)),
        capture_output=True,
        text=True,
        timeout=80,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "ℹ fail 0" in run.stdout, run.stdout  # it ran, and this is its summary


def test_the_module_is_served_as_a_module(tmp_path, engine, engine_dir):
    settings = embedded(engine_dir)
    with running_server(tmp_path, "flask", settings) as server:
        answer = requests.get(f"{server.url}/static/calendar-sync.js", timeout=10)
    assert answer.status_code == 200
    # Browsers refuse modules of any other type.
    assert answer.headers["Content-Type"].split(";")[0] == "text/javascript"
    assert "export class CalendarSync" in answer.text
