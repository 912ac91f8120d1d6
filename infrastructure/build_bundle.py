"""Builds the zip that Elastic Beanstalk and EC2 run: the server, what its pages need, and the host's files.

The zip is the same, byte for byte, whenever its contents are. Usage: build_bundle.py TARGET.zip
"""

import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BEANSTALK = ROOT / "infrastructure" / "elastic-beanstalk"
BACKEND_PAGES = {ROOT / "backend" / "static", ROOT / "backend" / "templates"}
GUIDES = ("README.md", "README.ko.md", "DYNAMODB_SETUP.md", "DYNAMODB_SETUP.ko.md")
AT_THE_TOP = ("requirements.txt", "LICENSE", *GUIDES)
LEFT_OUT = {"__pycache__", ".mypy_cache", ".ruff_cache"}
LONG_AGO = (1980, 1, 1, 0, 0, 0)


def files_under(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not LEFT_OUT & set(path.relative_to(folder).parts):
            yield path


def page_assets() -> Iterator[Path]:
    """Yield the npm packages that the running server serves: package.json's `dependencies`."""
    for name in json.loads((ROOT / "package.json").read_text()).get("dependencies", {}):
        folder = ROOT / "node_modules" / name
        if not folder.is_dir():
            sys.exit(f"{folder} is missing: run `make install`")
        for path in files_under(folder):
            if not path.name.endswith(".js.map"):  # megabytes; no script of our pages names one
                yield path


def contents() -> Iterator[tuple[str, Path]]:
    """Yield each file of the bundle: its name in the zip, and where it is now."""
    for path in BEANSTALK.rglob("*"):
        if path.is_file():
            yield str(path.relative_to(BEANSTALK)), path
    for name in AT_THE_TOP:
        if (ROOT / name).exists():
            yield name, ROOT / name
    for path in files_under(ROOT / "backend"):
        # Not the data that operators put beside the server.
        if path.suffix == ".py" or not BACKEND_PAGES.isdisjoint(path.parents):
            yield str(path.relative_to(ROOT)), path
    for path in files_under(ROOT / "infrastructure" / "ec2"):
        yield str(path.relative_to(ROOT)), path
    for path in page_assets():
        yield str(path.relative_to(ROOT)), path


def build(target: Path) -> int:
    """Write the zip and return how many files it holds."""
    target.parent.mkdir(parents=True, exist_ok=True)
    found = sorted(contents())
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, path in found:
            entry = zipfile.ZipInfo(name, LONG_AGO)
            entry.external_attr = (0o755 if path.stat().st_mode & 0o100 else 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            bundle.writestr(entry, path.read_bytes())
    return len(found)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    written = Path(sys.argv[1])
    count = build(written)
    sys.stdout.write(f"✓ {written}: 파일 {count}개, {written.stat().st_size / 1e6:.1f} MB\n")
