"""The programs that tests start and that neither pip nor npm installs: `make test` has apt install them.

Where one is missing all the same, the tests that need it are left out, and the run says so at its end. In CI
that is a failure.
"""

import os
import shutil

import pytest

PACKAGES = {
    "java": "default-jre-headless",
    "mcs": "mono-mcs",
    "mono": "mono-runtime",
    "mvn": "maven",
    "systemd-analyze": "systemd",
}
"""Debian's packages of the programs that are not named as their package is."""


def program(name: str, *other_names: str) -> str:
    """Return the path of a program, under the first of its names that this machine knows."""
    for candidate in (name, *other_names):
        if found := shutil.which(candidate, path=f"{os.environ['PATH']}:/usr/sbin:/sbin"):
            return found
    pytest.skip(f"{name} is missing: apt-get install {PACKAGES.get(name, name)}")


def chromium() -> str:
    return program("chromium", "google-chrome", "chromium-browser")
