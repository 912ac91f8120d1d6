"""Tests that need a missing program are skipped, and the run names the program; in CI it fails.

Tests that need the history of the checkout are left out without it, in CI, too.
"""

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
    """Return a PATH with only the programs that the installing script uses."""
    for name in ("bash", "dirname"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    return str(tmp_path)


@pytest.mark.parametrize(("tests", "program"), NEEDS.items())
def test_tests_that_need_a_missing_program_are_skipped_and_the_end_names_it(nothing, tests, program):
    done = run([sys.executable, "-m", "pytest", "-n0", tests], PATH=nothing)
    assert done.returncode == 0, done.stdout
    told = rf"^SKIPPED \[\d+\] \S+: {program} is missing: apt-get install {program}$"
    assert re.search(told, done.stdout, re.M), done.stdout


def test_in_ci_a_skipped_test_fails(nothing):
    done = run(
        [sys.executable, "-m", "pytest", "-n0", "tests/client/test_browser.py"], PATH=nothing, CI="true"
    )
    assert done.returncode == 1
    assert "skipped in CI" in done.stdout


@pytest.mark.parametrize(
    ("ci", "told"), [({}, "SKIPPED"), ({"CI": "true"}, "XFAIL")], ids=["at home", "in CI"]
)
def test_without_history_tests_of_earlier_versions_are_left_out_and_the_end_says_so(ci, told):
    tests = "tests/api/test_two_versions.py"
    done = run([sys.executable, "-m", "pytest", "-n0", tests], GIT_DIR="/nonexistent", **ci)
    assert done.returncode == 0, done.stdout
    assert re.search(rf"^{told} .*{tests}.* this checkout has no commit \S+: ", done.stdout, re.M), (
        done.stdout
    )


@pytest.mark.parametrize(("ci", "status"), [({}, 0), ({"CI": "true"}, 1)], ids=["at home", "in CI"])
def test_the_installer_says_that_a_system_has_no_apt(nothing, ci, status):
    done = run(["/usr/bin/bash", str(INSTALL)], PATH=nothing, **ci)
    assert done.returncode == status
    assert done.stdout.startswith("Debian packages: this system has no apt-get;")
