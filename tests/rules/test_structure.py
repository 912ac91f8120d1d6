"""The structure holds: who may import whom, and who alone may do what."""

import ast
import sys
from pathlib import Path

import pytest

BACKEND = Path(__file__).resolve().parents[2] / "backend"
FILES = sorted(p for p in BACKEND.rglob("*.py") if "__pycache__" not in p.parts)
FOLDERS = {"rest", "realtime", "services", "store", "migration"}
NAMES = {p.stem for p in BACKEND.glob("*.py")} | FOLDERS

FLASK = {"factory", "app", "logs", "refusals", "realtime.messages"} | {
    f"rest.{p.stem}" for p in (BACKEND / "rest").glob("*.py")
}
BOTO3 = {"models", "store.items", "store.dynamo_client"}
ALLOWED = {
    "domain": set(),
    "errors": set(),
    "realtime.concurrency": set(),
    "realtime.redis_hints": {"domain", "errors"},
    "realtime.engineio_guard": set(),
    "refusals": {"errors"},
    "config": {"errors", "store"},
    "store.local_engine": {"errors"},
    "schemas": {"domain", "errors"},
    "store.items": {"domain"},
    "store.dynamo_client": {"config", "domain", "errors", "store"},
    "models": {"config", "domain", "store.dynamo_client", "errors", "store", "store.items"},
    "services.change_log": {"domain", "errors", "store.items", "models"},
    "services.snapshots": {"domain", "errors", "models"},
    "services.departments": {"services.change_log", "domain", "errors", "store.items", "models"},
    "services.events": {"services.change_log", "domain", "errors", "models", "services.snapshots"},
    "realtime.push": {"domain", "errors", "models", "services.snapshots"},
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
def test_flask_stays_in_rest_and_boto3_in_the_store(file):
    roots = {module.split(".")[0] for module in imports(file)}
    if name_of(file) not in FLASK:
        assert not roots & {"flask", "flask_socketio", "apiflask", "werkzeug", "flask_cors"}
    if name_of(file) not in BOTO3:
        assert not roots & {"boto3", "botocore"}


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_no_module_is_bound_to_one_concurrency_model(file):
    assert not {m.split(".")[0] for m in imports(file)} & {"eventlet", "gevent", "asyncio"}


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_only_the_push_emits(file):
    calls = {
        node.func.attr
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert ("emit" in calls) == (name_of(file) == "realtime.push")


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_only_the_settings_read_the_environment(file):
    text = file.read_text()
    if name_of(file) != "config":
        assert "getenv" not in text
        assert "os.environ" not in text


def test_no_module_shadows_the_standard_library():
    assert not NAMES & (set(sys.stdlib_module_names) | {"socketio", "flask", "redis"})
