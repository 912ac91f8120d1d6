"""The structure holds: who may import whom, and who alone may do what."""

import ast
import sys
from pathlib import Path

import pytest

BACKEND = Path(__file__).resolve().parents[2] / "backend"
FILES = sorted(p for p in BACKEND.rglob("*.py") if "__pycache__" not in p.parts)
NAMES = {p.stem for p in FILES} | {"rest"}

DOORS = {"factory", "app", "logs", "refusals", "sockets"} | {
    f"rest.{p.stem}" for p in (BACKEND / "rest").glob("*.py")
}
STORAGE = {"models", "items", "dynamo_client"}
ALLOWED = {
    "domain": set(),
    "errors": set(),
    "concurrency": set(),
    "hints": {"domain", "errors"},
    "wire": set(),
    "refusals": {"errors"},
    "config": {"errors", "local_engine"},
    "local_engine": {"errors"},
    "schemas": {"domain", "errors"},
    "items": {"domain"},
    "dynamo_client": {"config", "domain", "errors", "local_engine"},
    "models": {"config", "domain", "dynamo_client", "errors", "items"},
    "change_log": {"domain", "errors", "items", "models"},
    "snapshots": {"domain", "errors", "models"},
    "department_service": {"change_log", "domain", "errors", "items", "models"},
    "event_service": {"change_log", "domain", "errors", "models", "snapshots"},
    "broadcasts": {"domain", "errors", "models", "snapshots"},
}


def name_of(file: Path) -> str:
    return ".".join(file.relative_to(BACKEND).with_suffix("").parts)


def imports(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_modules_import_only_what_lies_below_them(file):
    name = name_of(file)
    ours = {module for module in imports(file) if module.split(".")[0] in NAMES}
    if name in ALLOWED:
        assert ours <= ALLOWED[name]


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_flask_stays_at_the_doors_and_boto3_in_the_storage(file):
    roots = {module.split(".")[0] for module in imports(file)}
    if name_of(file) not in DOORS:
        assert not roots & {"flask", "flask_socketio", "apiflask", "werkzeug", "flask_cors"}
    if name_of(file) not in STORAGE:
        assert not roots & {"boto3", "botocore"}


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_no_module_is_bound_to_one_concurrency_model(file):
    assert not {m.split(".")[0] for m in imports(file)} & {"eventlet", "gevent", "asyncio"}


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_only_broadcasts_emits(file):
    calls = {
        node.func.attr
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert ("emit" in calls) == (name_of(file) == "broadcasts")


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_only_the_settings_read_the_environment(file):
    text = file.read_text()
    if name_of(file) != "config":
        assert "getenv" not in text
        assert "os.environ" not in text


def test_no_module_shadows_the_standard_library():
    assert not NAMES & (set(sys.stdlib_module_names) | {"socketio", "flask", "redis"})
