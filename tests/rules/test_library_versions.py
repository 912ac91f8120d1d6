"""The server refuses to start with versions of its libraries that it was not tried with."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from config import Settings
from errors import SetupError
from factory import create_app
from realtime.library_versions import SUPPORTED, require_supported

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements.in"


def install(folder: Path, package: str, version: str) -> None:
    """Write the metadata in which Python finds the version of an installed package."""
    metadata = folder / f"{package.replace('-', '_')}-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")


def limit(package: str) -> str:
    return re.search("<(.+)", SUPPORTED[package])[1]


@pytest.mark.parametrize("package", SUPPORTED)
def test_no_app_is_created_with_a_library_newer_than_supported(package, tmp_path, monkeypatch):
    install(tmp_path, package, limit(package))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SetupError) as caught:
        create_app(Settings(), db=object())
    sentence, remedy = str(caught.value).splitlines()
    assert sentence.startswith(f"✗ {package} {limit(package)} ")
    assert SUPPORTED[package] in sentence
    assert "pip install -r requirements.txt" in remedy


@pytest.mark.parametrize(
    ("found", "fits"),
    [("1.1", False), ("1.2", True), ("1.3.9", True), ("1.3.9rc1", True), ("1.4rc1", False), ("1.4", False)],
)
def test_the_lower_bound_is_in_the_range_and_the_upper_is_not(found, fits, tmp_path, monkeypatch):
    install(tmp_path, "some-library", found)
    monkeypatch.syspath_prepend(tmp_path)
    ranges = {"some-library": ">=1.2,<1.4"}
    if fits:
        require_supported(ranges)
    else:
        with pytest.raises(SetupError):
            require_supported(ranges)


def test_what_is_installed_is_supported_and_what_is_not_installed_is_not_needed():
    require_supported()
    require_supported({"no-such-library": ">=1,<2"})


def test_the_requirements_name_the_same_ranges():
    lines = (line for line in REQUIREMENTS.read_text().splitlines() if line and not line.startswith("#"))
    required = {found.name: found.specifier for found in map(Requirement, lines)}
    assert {name: required[name] for name in SUPPORTED} == {
        name: SpecifierSet(versions) for name, versions in SUPPORTED.items()
    }
