"""The settings: defaults, the environment, and what production refuses."""

import re
from pathlib import Path

import pytest

import config
from config import ROOT_DIR, Settings
from errors import SetupError
from factory import create_app
from models import DynamoDBDatabase
from realtime.redis_hints import Hints

PRODUCTION = {
    "FLASK_ENV": "production",
    "SECRET_KEY": "a-long-secret",
    "CORS_ORIGINS": "https://a.kr",
    "AUTH": "on",
    "PUBLIC_URL": "https://calendar.example.com",
}
OIDC = {
    "AUTH": "on",
    "OIDC_ISSUER": "https://login.example.com",
    "OIDC_CLIENT_ID": "calendar",
    "OIDC_CLIENT_SECRET": "secret",
}


def test_nothing_set_is_a_development_server_on_aws_in_seoul():
    settings = Settings.from_env({})
    assert settings == Settings()
    assert settings.aws_region == "ap-northeast-2"
    assert not settings.production
    assert not settings.embedded
    assert settings.embedded_data_dir == ROOT_DIR / "data"


def test_links_begin_with_the_port_that_flask_run_takes():
    assert Settings.from_env({}).public_url == "http://localhost:5000"
    assert Settings.from_env({"FLASK_RUN_PORT": "8080"}).public_url == "http://localhost:8080"
    named = {"FLASK_RUN_PORT": "8080", "PUBLIC_URL": "https://b.kr"}
    assert Settings.from_env(named).public_url == "https://b.kr"


def test_every_variable_is_read():
    settings = Settings.from_env(
        {
            **PRODUCTION,
            "AWS_REGION": "us-east-1",
            "DEPARTMENTS_TABLE": "dev-d",
            "EVENTS_TABLE": "dev-e",
            "CHANGES_TABLE": "dev-c",
            "DYNAMODB_ENDPOINT_URL": "embedded",
            "EMBEDDED_DATA_DIR": "/tmp/x",  # noqa: S108 - only a path to read back
            "CORS_ORIGINS": " https://a.kr/ , http://b.kr:81 ",
            "LOG_LEVEL": "debug",
            "SNAPSHOT_CACHE_MB": "64",
            "REDIS_URL": "redis://localhost:6379/0",
            "ACCOUNTS_TABLE": "dev-a",
            "PUBLIC_URL": "https://b.kr/",
            "TRUSTED_PROXIES": "2",
            "OIDC_ISSUER": "https://login.b.kr/realms/b",
            "OIDC_CLIENT_ID": "calendar",
            "OIDC_CLIENT_SECRET": "secret",
            "OIDC_JOIN": "yes",
        }
    )
    assert settings == Settings(
        aws_region="us-east-1",
        departments_table="dev-d",
        events_table="dev-e",
        changes_table="dev-c",
        dynamodb_endpoint_url="embedded",
        embedded_data_dir=Path("/tmp/x"),  # noqa: S108 - see above
        production=True,
        secret_key="a-long-secret",
        cors_origins=("https://a.kr", "http://b.kr:81"),
        log_level="DEBUG",
        snapshot_cache_mb=64,
        redis_url="redis://localhost:6379/0",
        auth=True,
        accounts_table="dev-a",
        public_url="https://b.kr",
        trusted_proxies=2,
        oidc_issuer="https://login.b.kr/realms/b",
        oidc_client_id="calendar",
        oidc_client_secret="secret",
        oidc_join=True,
    )


def test_blank_values_count_as_not_set():
    assert Settings.from_env({"AWS_REGION": " ", "SECRET_KEY": "", "FLASK_ENV": ""}) == Settings()


@pytest.mark.parametrize("change", [{"SECRET_KEY": ""}, {"SECRET_KEY": "change-me"}])
def test_production_refuses_a_default_secret_and_says_what_to_set(change):
    with pytest.raises(SetupError, match="SECRET_KEY="):
        Settings.from_env({**PRODUCTION, **change})


def test_production_without_sign_in_starts_only_on_purpose_and_with_it_needs_its_address():
    production = {
        name: value for name, value in PRODUCTION.items() if not name.startswith(("AUTH", "PUBLIC"))
    }
    with pytest.raises(SetupError, match=r"AUTH=on .* AUTH_OFF_IN_PRODUCTION=yes"):
        Settings.from_env(production)
    assert not Settings.from_env({**production, "AUTH_OFF_IN_PRODUCTION": "yes"}).auth
    with pytest.raises(SetupError, match="PUBLIC_URL=https://"):
        Settings.from_env({**production, "AUTH": "on"})
    assert Settings.from_env({**production, "AUTH": "on", "PUBLIC_URL": "https://calendar.example.com"}).auth
    assert not Settings.from_env({}).auth


def test_production_refuses_every_origin_and_says_what_to_set():
    with pytest.raises(SetupError, match="CORS_ORIGINS=https://"):
        Settings.from_env({**PRODUCTION, "CORS_ORIGINS": "https://a.kr,*"})
    assert Settings.from_env({"CORS_ORIGINS": "*"}).cors_origins == ("*",)


@pytest.mark.parametrize(
    "name", ["FLASK_ENV", "LOG_LEVEL", "AUTH", "SNAPSHOT_CACHE_MB", "DYNAMODB_ENDPOINT_URL"]
)
def test_a_value_that_does_not_exist_is_refused_by_name(name):
    with pytest.raises(SetupError, match=f"(?i){name}=nonsense"):
        Settings.from_env({name: "nonsense"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DYNAMODB_ENDPOINT_URL", "http://"),
        ("DYNAMODB_ENDPOINT_URL", "http://localhost:port"),
        ("CORS_ORIGINS", "calendar.example.com"),
        ("CORS_ORIGINS", "https://calendar.example.com/page"),
        ("CORS_ORIGINS", "https://*.example.com"),
        ("CORS_ORIGINS", "https://달력.kr"),
        ("CORS_ORIGINS", "https://user@calendar.example.com"),
        ("AWS_REGION", "ap northeast"),
        ("AWS_REGION", "-"),
        ("SNAPSHOT_CACHE_MB", "0"),
        ("EVENTS_TABLE", "a"),
        ("CHANGES_TABLE", "변경"),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(name, value):
    with pytest.raises(SetupError, match=re.escape(f"{name}={value} ")):
        Settings.from_env({name: value})


@pytest.mark.parametrize(
    "issuer",
    [
        "login.example.com",
        "ftp://login.example.com",
        "https://login.example.com/?realm=a",
        "https://login.example.com/#a",
        "https://user@login.example.com",
        "https://login.example.com/" + "a" * 500,
        "https://login.example.com/{tenantid}/v2.0",
        "https://login.microsoftonline.com/common/v2.0",
        "https://login.microsoftonline.com/organizations/v2.0",
        "https://login.microsoftonline.com/consumers",
    ],
)
def test_an_issuer_that_cannot_be_of_one_company_is_refused(issuer):
    with pytest.raises(SetupError, match="OIDC_ISSUER="):
        Settings.from_env({**OIDC, "OIDC_ISSUER": issuer})


@pytest.mark.parametrize(
    "issuer",
    [
        "https://login.example.com/",
        "https://login.example.com/realms/common",
        "https://login.microsoftonline.com/8c8a1a3e-0000-0000-0000-000000000000/v2.0",
        "http://localhost:8080/realms/a",
        "http://127.0.0.1:8080",
        "http://[::1]:8080",
    ],
)
def test_an_issuer_of_one_company_is_taken_also_in_production(issuer):
    assert Settings.from_env({**OIDC, **PRODUCTION, "OIDC_ISSUER": issuer}).oidc_issuer == issuer


def test_an_issuer_without_tls_elsewhere_is_for_development_only():
    settings = {**OIDC, "OIDC_ISSUER": "http://keycloak:8080/realms/a"}
    assert Settings.from_env(settings).oidc_issuer
    with pytest.raises(SetupError, match="https"):
        Settings.from_env({**settings, **PRODUCTION})


@pytest.mark.parametrize("missing", ["OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"])
def test_half_a_provider_is_refused(missing):
    with pytest.raises(SetupError, match=f"없는 것: {missing}"):
        Settings.from_env({**OIDC, missing: ""})


@pytest.mark.parametrize("value", ["somewhere", "redis://:secret@localhost:port/0"])
def test_a_redis_address_that_cannot_work_is_refused_and_its_password_not_shown(value):
    with pytest.raises(SetupError, match="REDIS_URL") as refused:
        Settings.from_env({"REDIS_URL": value})
    assert value not in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("value", ["rediss://:p%40ss@[::1]:6379/0", "unix:///run/redis.sock?db=1"])
def test_every_form_of_a_redis_address_is_taken(value):
    Hints(value, tasks=object())
    assert Settings.from_env({"REDIS_URL": value}).redis_url == value


@pytest.mark.parametrize("query", ["socket_timeout=soon", "colour=red"])
def test_an_option_of_redis_that_does_not_exist_is_refused(query):
    with pytest.raises(SetupError, match="REDIS_URL"):
        Hints(f"redis://localhost/0?{query}", tasks=object())


def test_a_number_of_thousands_of_digits_is_refused():
    with pytest.raises(SetupError, match="SNAPSHOT_CACHE_MB"):
        Settings.from_env({"SNAPSHOT_CACHE_MB": "9" * 5_000})


@pytest.mark.parametrize(
    ("named", "sent"),
    [
        ("https://Calendar.Example.com/", "https://calendar.example.com"),
        ("https://a.kr:443", "https://a.kr"),
        ("http://a.kr:80", "http://a.kr"),
        ("http://[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_an_allowed_origin_is_recognised_as_browsers_send_it_and_no_other_is(named, sent):
    settings = Settings.from_env({"CORS_ORIGINS": named})
    assert settings.cors_origins == (sent,)
    browser = create_app(settings, DynamoDBDatabase(settings, object())).test_client()
    for origin in (sent, sent.replace(".", "x").replace("::", "x"), f"{sent}.evil.net", "http://1:3000"):
        answer = browser.get("/static/calendar-sync.js", headers={"Origin": origin}, buffered=True)
        assert answer.headers.get("Access-Control-Allow-Origin") == (sent if origin == sent else None)
    exposed = browser.get("/api/nowhere", headers={"Origin": sent}).headers["Access-Control-Expose-Headers"]
    assert set(exposed.split(", ")) == {"ETag", "Idempotent-Replayed", "Retry-After"}


def test_a_relative_data_folder_is_counted_from_the_backend():
    assert Settings.from_env({"EMBEDDED_DATA_DIR": "../x"}).embedded_data_dir == ROOT_DIR / "x"


@pytest.fixture
def env_file(tmp_path, monkeypatch) -> Path:
    """Let the settings read a `.env` file, which other tests switch off, and return its path."""
    monkeypatch.delenv("PYTHON_DOTENV_DISABLED")
    monkeypatch.setattr(config, "BACKEND_DIR", tmp_path)
    return tmp_path / ".env"


def test_a_file_of_another_encoding_is_refused_by_name(env_file):
    env_file.write_bytes("# 저장소\nEVENTS_TABLE=file\n".encode("cp949"))
    with pytest.raises(SetupError, match=r"\.env 파일을 UTF-8로"):
        Settings.from_env()


def test_the_file_completes_the_environment_and_never_overrides_it(env_file, monkeypatch):
    env_file.write_text("EVENTS_TABLE=file\nCHANGES_TABLE=file\n")
    monkeypatch.setenv("EVENTS_TABLE", "process")
    monkeypatch.setenv("CHANGES_TABLE", "")  # makes monkeypatch restore it
    monkeypatch.delenv("CHANGES_TABLE")
    settings = Settings.from_env()
    assert (settings.events_table, settings.changes_table) == ("process", "file")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("DYNAMODB_ENDPOINT=embedded", "DYNAMODB_ENDPOINT_URL"),
        ("dynamodb_endpoint_url=embedded", "DYNAMODB_ENDPOINT_URL"),
        ("AWS_SECRET_ACCES_KEY=x", "AWS_SECRET_ACCESS_KEY"),
        ("EVENT_TABLE=x", "EVENTS_TABLE"),
    ],
)
def test_a_name_that_is_nearly_a_setting_is_refused(env_file, written, meant):
    env_file.write_text(f"{written}\n")
    with pytest.raises(SetupError, match=f"{written.split('=')[0]}은.*{meant}을"):
        Settings.from_env()


def test_a_file_that_is_switched_off_is_not_looked_into(env_file, monkeypatch):
    env_file.write_bytes("# 저장소\nDYNAMODB_ENDPOINT=embedded\n".encode("cp949"))
    monkeypatch.setenv("PYTHON_DOTENV_DISABLED", "1")
    assert Settings.from_env() == Settings()


def test_settings_of_other_programs_are_ignored(env_file, monkeypatch):
    names = (
        "AWS_PROFILE",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL_DYNAMODB",
        "FLASK_DEBUG",
        "PORT",
        "MY_TABLE",
    )
    for name in names:
        monkeypatch.setenv(name, "")  # makes monkeypatch restore it
        monkeypatch.delenv(name)
    env_file.write_text("".join(f"{name}=\n" for name in names))
    assert Settings.from_env() == Settings()


def test_a_shell_command_pasted_as_the_secret_is_refused(env_file):
    with pytest.raises(SetupError, match="SECRET_KEY를 직접"):
        Settings.from_env({**PRODUCTION, "SECRET_KEY": "$(python3 -c 'import secrets')"})


def test_the_example_file_names_every_setting_and_sets_nothing_unsafe():
    lines = (ROOT_DIR / ".env.example").read_text().splitlines()
    named = {line.lstrip("# ").split("=")[0] for line in lines if "=" in line}
    fields = {name.upper() for name in Settings.__dataclass_fields__} - {"PRODUCTION"}
    assert fields | {"FLASK_ENV", "AUTH", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= named
    active = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    assert Settings.from_env(active) == Settings()


def test_the_settings_limit_the_memory_of_snapshots():
    for megabytes in (1, 256):
        app = create_app(Settings(snapshot_cache_mb=megabytes), DynamoDBDatabase(Settings(), object()))
        assert app.extensions["calendar"].core.snapshots.budget_bytes == megabytes * 1024 * 1024


def test_every_commit_is_told_to_the_snapshots_then_the_push_then_other_servers():
    app = create_app(Settings(redis_url="redis://127.0.0.1:1/0"), DynamoDBDatabase(Settings(), object()))
    calendar = app.extensions["calendar"]
    assert calendar.core.group_commit.listeners == (
        calendar.core.snapshots.on_commit,
        calendar.push.on_commit,
        calendar.hints.on_commit,
    )
