"""Without the programs that tests start, the suite runs the rest and names what it left out; CI fails."""

import re
import subprocess
import sys

import pytest

from running import ROOT, hermetic_env

INSTALL = ROOT / "tests/install-debian-packages"
NEEDS_CHROMIUM = "tests/client/test_browser.py"
LEFT_OUT = re.compile(r"SKIPPED \[\d+\] tests/programs.py:\d+: chromium is missing: apt-get install chromium")


def run(command: list[str], **settings: str) -> "subprocess.CompletedProcess[str]":
    env = {name: value for name, value in hermetic_env().items() if name != "CI"} | settings
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=100)


@pytest.fixture
def nothing(tmp_path) -> str:
    """Return a PATH on which no more is than the installing script itself uses."""
    for name in ("bash", "dirname"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    return str(tmp_path)


@pytest.mark.parametrize(("ci", "status"), [({}, 0), ({"CI": "true"}, 1)], ids=["at home", "in CI"])
def test_what_needs_a_missing_program_is_left_out_and_named_at_the_end(nothing, ci, status):
    done = run([sys.executable, "-m", "pytest", "-n0", NEEDS_CHROMIUM], PATH=nothing, **ci)
    assert done.returncode == status, done.stdout
    if ci:
        assert "skipped in CI" in done.stdout
    else:
        assert LEFT_OUT.fullmatch(done.stdout.splitlines()[-2])


@pytest.mark.parametrize(("ci", "status"), [({}, 0), ({"CI": "true"}, 1)], ids=["at home", "in CI"])
def test_a_system_without_apt_is_told_so(nothing, ci, status):
    done = run(["/usr/bin/bash", str(INSTALL)], PATH=nothing, **ci)
    assert done.returncode == status
    assert done.stdout.startswith("Debian packages: this system has no apt-get;")
