"""Finds the programs that tests start and that neither pip nor npm installs: `make test` runs apt for them.

If one is missing, the tests that need it are skipped, and the run names it at its end. In CI they fail.
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
"""The Debian package of each program whose package has another name."""


def program(name: str, *other_names: str) -> str:
    """Return the path of a program that is installed under one of its names, or skip the test."""
    for candidate in (name, *other_names):
        if found := shutil.which(candidate, path=f"{os.environ['PATH']}:/usr/sbin:/sbin"):
            return found
    pytest.skip(f"{name} is missing: apt-get install {PACKAGES.get(name, name)}")


def chromium() -> str:
    return program("chromium", "google-chrome", "chromium-browser")
