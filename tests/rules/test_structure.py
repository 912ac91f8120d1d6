"""The structure of `backend/`: `IMPORTS` lists each module with its imports, which all point up the list."""

import ast
import re
import sys
from pathlib import Path

import pytest

from running import BACKEND

FILES = sorted(p for p in BACKEND.rglob("*.py") if "__pycache__" not in p.parts)
FOLDERS = {"rest", "realtime", "services", "store", "migration", "workers"}

FLASK = {"recognition", "factory", "app", "commands", "lifecycle", "logs"}
"""The modules outside of rest/ and realtime/ that may know Flask."""
BOTO3 = {"store.dynamo_client", "store.engine_connections"}
BOUND_TO = {"workers.gevent_worker": "gevent"}
"""The modules that may know a concurrency model."""

WRITTEN_AT_RUN_TIME = {"backend/.env"}

# Each module with exactly the modules of `backend/` that it imports. They stand further up in this list.
IMPORTS = {
    # the bottom
    "acting": set(),
    "concurrency": set(),
    "deadlines": set(),
    "errors": set(),
    "logs": set(),
    "memory": set(),
    "networks": set(),
    "security_headers": set(),
    "text_order": set(),
    "tokens": set(),
    "turns": set(),
    "config": {"errors"},
    "domain": {"acting", "text_order", "tokens"},
    "failure_answers": {"errors", "security_headers"},
    "rate_limits": {"concurrency", "errors"},
    "people": {"domain"},
    "schemas": {"domain", "errors", "tokens"},
    "security_log": {"domain", "errors"},
    "account_schemas": {"errors", "people", "schemas"},
    # store/, and its facade
    "store.engine_files": set(),
    "store.engine_supervisor": {"store.engine_files"},
    "store.items": {"domain"},
    "store.local_engine": {"deadlines", "errors", "store.engine_files", "store.engine_supervisor"},
    "store.account_rows": {"people", "store.items"},
    "store.engine_connections": {"store.local_engine"},
    "store.transactions": {"store.items"},
    "store.dynamo_client": {
        "config",
        "deadlines",
        "domain",
        "errors",
        "store.engine_connections",
        "store.local_engine",
    },
    "store.rows": {"acting", "domain", "people", "store.account_rows", "store.items", "text_order"},
    "store.deletion_rows": {"domain", "store.items", "store.rows"},
    "store.tables": {"errors", "store.dynamo_client", "store.items", "store.rows"},
    "store.bulk_events": {"domain", "store.dynamo_client", "store.items", "store.tables"},
    "store.epochs": {"errors", "store.dynamo_client", "store.items", "store.rows", "store.tables"},
    "store.log": {
        "domain",
        "people",
        "store.deletion_rows",
        "store.dynamo_client",
        "store.items",
        "store.rows",
        "store.tables",
    },
    "store.records": {
        "people",
        "store.account_rows",
        "store.dynamo_client",
        "store.items",
        "store.tables",
        "store.transactions",
    },
    "store.actions": {
        "domain",
        "people",
        "store.deletion_rows",
        "store.items",
        "store.records",
        "store.rows",
        "store.tables",
        "store.transactions",
        "text_order",
    },
    "store.entities": {
        "domain",
        "store.dynamo_client",
        "store.items",
        "store.log",
        "store.rows",
        "store.tables",
    },
    "store.removal": {
        "domain",
        "store.deletion_rows",
        "store.dynamo_client",
        "store.log",
        "store.rows",
        "store.tables",
    },
    "store.adoption": {
        "domain",
        "store.actions",
        "store.dynamo_client",
        "store.entities",
        "store.epochs",
        "store.rows",
        "store.tables",
    },
    "store.commit": {
        "domain",
        "people",
        "store.actions",
        "store.dynamo_client",
        "store.epochs",
        "store.log",
        "store.rows",
        "store.tables",
        "store.transactions",
    },
    "models": {
        "config",
        "domain",
        "errors",
        "people",
        "store.adoption",
        "store.bulk_events",
        "store.commit",
        "store.dynamo_client",
        "store.entities",
        "store.epochs",
        "store.local_engine",
        "store.log",
        "store.records",
        "store.removal",
        "store.tables",
        "store.transactions",
    },
    # services/
    "services.accounts.bounded_http": {"concurrency", "deadlines"},
    "services.coalesced_reads": {"deadlines", "errors", "turns"},
    "services.fair_turns": {"deadlines", "errors"},
    "services.keyed_locks": {"deadlines", "errors"},
    "services.one_at_a_time": {"deadlines", "errors"},
    "services.accounts.credentials": {"domain"},
    "services.accounts.passwords": {"concurrency", "services.fair_turns"},
    "services.background_loads": {"deadlines", "errors", "services.one_at_a_time"},
    "services.event_chunks": {"domain", "tokens", "turns"},
    "services.accounts.provider": {
        "account_schemas",
        "deadlines",
        "errors",
        "schemas",
        "services.accounts.bounded_http",
    },
    "services.accounts.view": {
        "domain",
        "models",
        "people",
        "services.accounts.credentials",
        "services.coalesced_reads",
    },
    "services.group_commit": {
        "deadlines",
        "domain",
        "errors",
        "models",
        "people",
        "services.keyed_locks",
        "turns",
    },
    "services.history": {"deadlines", "domain", "models"},
    "services.snapshot": {"domain", "models", "services.event_chunks", "turns"},
    "services.accounts.access": {
        "acting",
        "domain",
        "errors",
        "people",
        "services.accounts.credentials",
        "services.accounts.view",
    },
    "services.accounts.edits": {"acting", "deadlines", "people", "services.group_commit"},
    "services.departments": {"domain", "errors", "models", "services.group_commit"},
    "services.large_departments": {
        "domain",
        "models",
        "services.background_loads",
        "services.event_chunks",
        "services.one_at_a_time",
        "services.snapshot",
        "tokens",
        "turns",
    },
    "services.accounts.device_tokens": {
        "domain",
        "errors",
        "models",
        "people",
        "services.accounts.access",
        "services.accounts.credentials",
        "services.accounts.edits",
        "services.accounts.view",
        "services.group_commit",
    },
    "services.accounts.members": {
        "errors",
        "people",
        "services.accounts.access",
        "services.accounts.edits",
        "services.accounts.view",
        "services.group_commit",
    },
    "services.accounts.sessions": {
        "acting",
        "domain",
        "errors",
        "models",
        "networks",
        "people",
        "security_log",
        "services.accounts.access",
        "services.accounts.credentials",
        "services.accounts.edits",
        "services.accounts.passwords",
        "services.accounts.view",
        "services.group_commit",
    },
    "services.snapshots": {
        "deadlines",
        "domain",
        "errors",
        "models",
        "services.background_loads",
        "services.coalesced_reads",
        "services.large_departments",
        "services.one_at_a_time",
        "services.snapshot",
    },
    "services.accounts.administration": {
        "errors",
        "models",
        "people",
        "services.accounts.access",
        "services.accounts.edits",
        "services.accounts.sessions",
        "services.accounts.view",
        "services.group_commit",
    },
    "services.accounts.joining": {
        "acting",
        "domain",
        "errors",
        "models",
        "people",
        "schemas",
        "services.accounts.access",
        "services.accounts.credentials",
        "services.accounts.edits",
        "services.accounts.passwords",
        "services.accounts.provider",
        "services.accounts.sessions",
        "services.accounts.view",
        "services.group_commit",
    },
    "services.events": {
        "domain",
        "errors",
        "models",
        "services.event_chunks",
        "services.group_commit",
        "services.history",
        "services.one_at_a_time",
        "services.snapshot",
        "services.snapshots",
        "text_order",
        "tokens",
    },
    "services.purge": {"domain", "errors", "models", "services.accounts.members"},
    "services.sync": {"domain", "errors", "models", "schemas", "services.event_chunks", "services.snapshots"},
    "services.accounts.own_account": {
        "errors",
        "models",
        "people",
        "services.accounts.access",
        "services.accounts.administration",
        "services.accounts.edits",
        "services.accounts.joining",
        "services.accounts.passwords",
        "services.accounts.sessions",
        "services.accounts.view",
        "services.group_commit",
    },
    "services.repair": {"errors", "models", "services.purge"},
    "services.accounts.accounts": {
        "domain",
        "models",
        "people",
        "security_log",
        "services.accounts.access",
        "services.accounts.administration",
        "services.accounts.credentials",
        "services.accounts.device_tokens",
        "services.accounts.joining",
        "services.accounts.members",
        "services.accounts.own_account",
        "services.accounts.sessions",
        "services.accounts.view",
        "services.group_commit",
    },
    "services.core": {
        "models",
        "services.accounts.access",
        "services.accounts.accounts",
        "services.departments",
        "services.events",
        "services.group_commit",
        "services.purge",
        "services.repair",
        "services.snapshots",
        "services.sync",
    },
    # recognition, which rest/ and realtime/ share
    "recognition": {"errors", "services.accounts.access", "services.accounts.sessions"},
    # realtime/
    "realtime.client_groups": set(),
    "realtime.delayed_calls": set(),
    "realtime.inbox": set(),
    "realtime.large_answers": set(),
    "realtime.origins": set(),
    "realtime.library_versions": {"errors"},
    "realtime.outbox": {"realtime.large_answers"},
    "realtime.pings": {"realtime.delayed_calls"},
    "realtime.silent_clients": {"realtime.client_groups", "realtime.delayed_calls"},
    "realtime.websocket": {"turns"},
    "realtime.admission": {"errors", "networks", "rate_limits", "realtime.client_groups"},
    "realtime.redis_hints": {"concurrency", "domain", "errors"},
    "realtime.refusals": {"errors", "failure_answers", "realtime.websocket"},
    "realtime.websocket_transport": {"realtime.websocket", "turns"},
    "realtime.engineio_guard": {
        "errors",
        "networks",
        "realtime.admission",
        "realtime.inbox",
        "realtime.large_answers",
        "realtime.library_versions",
        "realtime.outbox",
        "realtime.pings",
        "realtime.refusals",
        "realtime.silent_clients",
        "realtime.websocket",
        "realtime.websocket_transport",
    },
    "realtime.handshake": {
        "deadlines",
        "errors",
        "realtime.admission",
        "recognition",
        "security_log",
        "services.accounts.access",
    },
    "realtime.payloads": {"domain", "realtime.large_answers", "services.sync"},
    "realtime.room": {"concurrency", "domain", "errors", "models", "realtime.payloads", "services.sync"},
    "realtime.push": {
        "concurrency",
        "domain",
        "errors",
        "models",
        "people",
        "realtime.payloads",
        "realtime.room",
        "services.accounts.access",
        "services.accounts.view",
        "services.sync",
    },
    "realtime.messages": {
        "deadlines",
        "domain",
        "errors",
        "realtime.engineio_guard",
        "realtime.handshake",
        "realtime.payloads",
        "realtime.push",
        "schemas",
        "services.accounts.access",
        "services.sync",
    },
    # rest/
    "rest.json_provider": set(),
    "rest.proxies": set(),
    "rest.development_server": {"errors", "security_headers"},
    "rest.security_headers": {"security_headers"},
    "rest.assets": {"config"},
    "rest.docs_page": {"config"},
    "rest.request_headers": {"failure_answers"},
    "rest.answer_shapes": {"schemas"},
    "rest.request_bodies": {"schemas"},
    "rest.account_answers": {"rest.answer_shapes"},
    "rest.callers": {
        "errors",
        "people",
        "recognition",
        "schemas",
        "services.accounts.access",
        "services.accounts.credentials",
        "services.accounts.sessions",
    },
    "rest.failures": {"errors", "recognition", "security_log"},
    "rest.limits": {"networks", "rate_limits", "recognition", "services.accounts.access"},
    "rest.conditions": {"errors", "rest.callers", "schemas"},
    "rest.home": {
        "config",
        "domain",
        "errors",
        "rest.callers",
        "services.accounts.access",
        "services.departments",
    },
    "rest.sign_in_pages": {"errors", "rest.callers"},
    "rest.openapi": {
        "errors",
        "recognition",
        "rest.account_answers",
        "rest.answer_shapes",
        "rest.conditions",
        "schemas",
    },
    "rest.provider_sign_in": {
        "account_schemas",
        "errors",
        "rest.callers",
        "security_log",
        "services.accounts.accounts",
        "services.accounts.credentials",
        "services.accounts.provider",
    },
    "rest.accounts": {
        "account_schemas",
        "errors",
        "rest.account_answers",
        "rest.callers",
        "rest.openapi",
        "schemas",
        "services.accounts.access",
        "services.accounts.accounts",
        "services.accounts.administration",
        "tokens",
    },
    "rest.departments": {
        "account_schemas",
        "domain",
        "errors",
        "people",
        "rest.answer_shapes",
        "rest.callers",
        "rest.conditions",
        "rest.openapi",
        "schemas",
        "services.accounts.access",
        "services.accounts.members",
        "services.departments",
        "tokens",
    },
    "rest.device_tokens": {
        "account_schemas",
        "errors",
        "people",
        "rest.account_answers",
        "rest.answer_shapes",
        "rest.callers",
        "rest.openapi",
        "schemas",
        "services.accounts.access",
        "services.accounts.accounts",
    },
    "rest.events": {
        "domain",
        "errors",
        "people",
        "rest.answer_shapes",
        "rest.callers",
        "rest.conditions",
        "rest.openapi",
        "schemas",
        "services.accounts.access",
        "services.event_chunks",
        "services.events",
        "services.sync",
        "tokens",
    },
    "rest.health": {"errors", "rest.answer_shapes", "rest.openapi"},
    "rest.members": {
        "account_schemas",
        "errors",
        "people",
        "rest.account_answers",
        "rest.answer_shapes",
        "rest.callers",
        "rest.openapi",
        "schemas",
        "services.accounts.access",
        "services.accounts.accounts",
        "services.accounts.joining",
        "services.departments",
    },
    "rest.sessions": {
        "account_schemas",
        "errors",
        "rest.account_answers",
        "rest.answer_shapes",
        "rest.callers",
        "rest.openapi",
        "services.accounts.access",
        "services.accounts.accounts",
        "services.accounts.joining",
        "services.departments",
    },
    # migration/
    "migration.json_list": set(),
    "migration.text_repair": set(),
    "migration.console": {"logs"},
    "migration.left_out": {"errors", "migration.json_list"},
    "migration.source_encoding": {"errors"},
    "migration.source_dates": {"domain"},
    "migration.source_files": {"migration.source_encoding"},
    "migration.source_rows": {
        "domain",
        "errors",
        "migration.source_dates",
        "migration.source_files",
        "migration.text_repair",
        "schemas",
        "text_order",
    },
    "migration.staging": {"domain", "migration.left_out", "migration.source_rows"},
    "migration.bulk_load": {"domain", "errors", "migration.source_rows", "migration.staging", "models"},
    "migration.export": {
        "domain",
        "errors",
        "migration.json_list",
        "migration.source_files",
        "migration.source_rows",
        "migration.staging",
        "models",
    },
    "migration.report_lines": {"domain", "migration.bulk_load", "migration.source_rows"},
    "migration.department_load": {
        "domain",
        "migration.bulk_load",
        "migration.source_rows",
        "models",
        "services.group_commit",
        "services.purge",
        "text_order",
    },
    "migration.run": {
        "config",
        "domain",
        "errors",
        "migration.bulk_load",
        "migration.console",
        "migration.department_load",
        "migration.left_out",
        "migration.report_lines",
        "migration.source_files",
        "migration.source_rows",
        "migration.staging",
        "models",
    },
    # workers/
    "workers.client_socket": {"turns"},
    "workers.connections": {"failure_answers", "turns", "workers.client_socket"},
    "workers.eventlet_worker": {"turns", "workers.connections"},
    "workers.gevent_worker": {"workers.connections"},
    # the entries
    "gunicorn.conf": {"errors", "failure_answers", "logs"},
    "migrate_to_dynamodb": {
        "config",
        "errors",
        "migration.bulk_load",
        "migration.console",
        "migration.export",
        "migration.run",
        "migration.staging",
        "models",
    },
    "commands": {
        "account_schemas",
        "errors",
        "schemas",
        "services.accounts.accounts",
        "services.accounts.joining",
        "services.core",
    },
    "lifecycle": {
        "config",
        "deadlines",
        "domain",
        "errors",
        "logs",
        "memory",
        "people",
        "realtime.engineio_guard",
        "realtime.push",
        "realtime.redis_hints",
        "rest.development_server",
        "services.core",
    },
    "factory": {
        "acting",
        "commands",
        "concurrency",
        "config",
        "deadlines",
        "lifecycle",
        "models",
        "rate_limits",
        "realtime.admission",
        "realtime.engineio_guard",
        "realtime.handshake",
        "realtime.messages",
        "realtime.origins",
        "realtime.push",
        "realtime.redis_hints",
        "recognition",
        "rest.accounts",
        "rest.assets",
        "rest.callers",
        "rest.departments",
        "rest.device_tokens",
        "rest.docs_page",
        "rest.events",
        "rest.failures",
        "rest.health",
        "rest.home",
        "rest.json_provider",
        "rest.limits",
        "rest.members",
        "rest.openapi",
        "rest.provider_sign_in",
        "rest.proxies",
        "rest.request_bodies",
        "rest.request_headers",
        "rest.security_headers",
        "rest.sessions",
        "rest.sign_in_pages",
        "services.accounts.access",
        "services.accounts.provider",
        "services.core",
    },
    "app": {"config", "errors", "factory", "lifecycle"},
}


def name_of(file: Path) -> str:
    return ".".join(file.relative_to(BACKEND).with_suffix("").parts)


MODULES = {name_of(file): file for file in FILES if file.name != "__init__.py"}


def imports(file: Path) -> set[str]:
    """Return the full names of all modules and names that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


def libraries(file: Path) -> set[str]:
    return {module.split(".")[0] for module in imports(file)}


def test_every_module_is_listed():
    assert set(MODULES) == set(IMPORTS)


@pytest.mark.parametrize("name", IMPORTS)
def test_a_module_imports_what_is_listed_and_only_from_above(name):
    listed = list(IMPORTS)
    assert imports(MODULES[name]) & set(MODULES) == IMPORTS[name]
    assert set(listed[: listed.index(name)]) >= IMPORTS[name]


@pytest.mark.parametrize("name", MODULES)
def test_rest_and_realtime_do_not_know_each_other(name):
    folder = name.split(".")[0]
    other = {"rest": "realtime.", "realtime": "rest."}.get(folder)
    assert not [module for module in IMPORTS[name] if other and module.startswith(other)]


@pytest.mark.parametrize("name", MODULES)
def test_modules_outside_the_store_reach_it_through_its_facade(name):
    if name != "models" and not name.startswith("store."):
        assert not [module for module in IMPORTS[name] if module.startswith("store.")]


@pytest.mark.parametrize("name", MODULES)
def test_flask_stays_above_the_services_and_boto3_in_the_store(name):
    used = libraries(MODULES[name])
    if name not in FLASK and not name.startswith(("rest.", "realtime.")):
        assert not used & {"flask", "flask_socketio", "apiflask", "werkzeug", "flask_cors"}
    if name not in BOTO3:
        assert not used & {"boto3", "botocore"}


@pytest.mark.parametrize("name", MODULES)
def test_no_module_but_the_worker_of_a_concurrency_model_is_bound_to_it(name):
    assert not libraries(MODULES[name]) & {"eventlet", "gevent", "asyncio"} - {BOUND_TO.get(name)}


@pytest.mark.parametrize("name", MODULES)
def test_only_the_push_emits(name):
    calls = {
        node.func.attr
        for node in ast.walk(ast.parse(MODULES[name].read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert ("emit" in calls) == (name == "realtime.push")


@pytest.mark.parametrize("name", MODULES)
def test_only_the_settings_read_the_environment(name):
    text = MODULES[name].read_text()
    if name != "config":
        assert "getenv" not in text
        assert "os.environ" not in text


@pytest.mark.parametrize("folder", sorted(FOLDERS))
def test_a_folder_says_in_two_lines_what_it_owns(folder):
    said = ast.get_docstring(ast.parse((BACKEND / folder / "__init__.py").read_text())) or ""
    assert 1 <= len(said.splitlines()) <= 2


@pytest.mark.parametrize("document", ["README.md", "README.ko.md", "docs/architecture.md", "docs/storage.md"])
def test_documents_name_only_files_that_exist(document):
    text = (BACKEND.parent / document).read_text()
    named = set(re.findall(r"\b(?:backend|infrastructure|tests|docs)/[\w./-]*\w", text))
    assert {name for name in named if not (BACKEND.parent / name).exists()} <= WRITTEN_AT_RUN_TIME


def test_no_module_shadows_the_standard_library():
    names = {p.stem for p in BACKEND.glob("*.py")} | FOLDERS
    assert not names & (set(sys.stdlib_module_names) | {"socketio", "flask", "redis"})
