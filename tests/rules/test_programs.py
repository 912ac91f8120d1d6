"""Without the programs that tests start, the suite runs the rest and names what it left out; CI fails."""

import re
import subprocess
import sys

import pytest

from running import ROOT, hermetic_env

INSTALL = ROOT / "tests/install-debian-packages"
NEEDS = {
    "tests/client/test_browser.py": "chromium",
    "tests/client/test_pages.py": "chromium",
    "tests/api/test_readme.py": "curl",
}


def run(command: list[str], **settings: str) -> "subprocess.CompletedProcess[str]":
    env = {name: value for name, value in hermetic_env().items() if name != "CI"} | settings
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=100)


@pytest.fixture
def nothing(tmp_path) -> str:
    """Return a PATH on which no more is than the installing script itself uses."""
    for name in ("bash", "dirname"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    return str(tmp_path)


@pytest.mark.parametrize(("tests", "program"), NEEDS.items())
def test_what_needs_a_missing_program_is_left_out_and_named_at_the_end(nothing, tests, program):
    done = run([sys.executable, "-m", "pytest", "-n0", tests], PATH=nothing)
    assert done.returncode == 0, done.stdout
    told = rf"SKIPPED \[\d+\] \S+: {program} is missing: apt-get install {program}"
    assert re.fullmatch(told, done.stdout.splitlines()[-2]), done.stdout


def test_in_ci_what_is_left_out_has_failed(nothing):
    done = run(
        [sys.executable, "-m", "pytest", "-n0", "tests/client/test_browser.py"], PATH=nothing, CI="true"
    )
    assert done.returncode == 1
    assert "skipped in CI" in done.stdout


@pytest.mark.parametrize(("ci", "status"), [({}, 0), ({"CI": "true"}, 1)], ids=["at home", "in CI"])
def test_a_system_without_apt_is_told_so(nothing, ci, status):
    done = run(["/usr/bin/bash", str(INSTALL)], PATH=nothing, **ci)
    assert done.returncode == status
    assert done.stdout.startswith("Debian packages: this system has no apt-get;")
