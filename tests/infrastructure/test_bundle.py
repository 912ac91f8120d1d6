"""The bundle holds what runs, and nothing of the operator's."""

import subprocess
import sys
import zipfile
from pathlib import Path

from infrastructure.shipped import build_bundle, unpacked_bundle
from infrastructure.tools import (
    INFRASTRUCTURE,
)


def test_the_bundle_holds_what_runs_and_nothing_else(tmp_path: Path) -> None:
    bundle = unpacked_bundle(tmp_path)  # of its own: a server that runs in one leaves files there
    for name in (
        "Procfile",
        "requirements.txt",
        ".ebextensions/01-environment.config",
        ".platform/nginx/conf.d/elasticbeanstalk/department-calendar.conf",
        "backend/app.py",
        "backend/gunicorn.conf.py",
        "backend/static/docs/index.html",
        "backend/templates/home.html",
        "backend/templates/sign_in.html",
        "backend/static/sign-in.js",
        "README.ko.md",
        "DYNAMODB_SETUP.md",
        "node_modules/swagger-ui-dist/swagger-ui-bundle.js",
        "node_modules/swagger-ui-dist/swagger-ui.css.map",
        "infrastructure/ec2/department-calendar@.service",
    ):
        assert (bundle / name).is_file(), name
    found = {path.relative_to(bundle).parts[0] for path in bundle.rglob("*")}
    assert not found & {"tests", ".venv", "requirements-dev.txt", ".git", "data"}
    assert not [path for path in bundle.rglob("*") if path.name in (".env", "__pycache__")]
    kinds = {path.suffix for path in (bundle / "backend").rglob("*") if path.is_file()}
    assert kinds == {".py", ".js", ".html", ".css", ".svg"}


def test_what_operators_put_beside_the_server_is_not_packed(tmp_path: Path) -> None:
    backend = tmp_path / "backend"
    backend.mkdir()
    for name in ("departments.json", "calendar_events.json", ".env", "app.py"):
        (backend / name).write_text("{}")
    script = tmp_path / "infrastructure" / "build_bundle.py"
    script.parent.mkdir()
    script.write_bytes((INFRASTRUCTURE / "build_bundle.py").read_bytes())
    (tmp_path / "package.json").write_text("{}")
    subprocess.run([sys.executable, script, tmp_path / "bundle.zip"], check=True)
    with zipfile.ZipFile(tmp_path / "bundle.zip") as bundle:
        assert bundle.namelist() == ["backend/app.py"]


def test_the_same_contents_make_the_same_bundle(tmp_path: Path) -> None:
    build_bundle(tmp_path / "one.zip")
    build_bundle(tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
