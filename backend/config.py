"""`Settings`: the only reader of the environment. Knows nothing of Flask, AWS or the store."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from dotenv import dotenv_values, load_dotenv

from errors import SetupError

BACKEND_DIR = Path(__file__).resolve().parent
ROOT_DIR = BACKEND_DIR.parent

EMBEDDED = "embedded"
DEVELOPMENT_SECRET = "development-only"  # noqa: S105 - refused in production, see below
REGION = r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?"
ORIGIN = r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?/?"
CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
MISSPELT_RATIO = 0.85
"""Similarity by difflib (0 to 1) from which an unknown name counts as a misspelt setting."""
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the operator chose; README.md explains each. Field names are the variables in lower case."""

    aws_region: str = "ap-northeast-2"
    departments_table: str = "departments"
    events_table: str = "events"
    changes_table: str = "changes"
    dynamodb_endpoint_url: str = ""
    embedded_data_dir: Path = ROOT_DIR / "data"
    production: bool = False
    secret_key: str = DEVELOPMENT_SECRET
    cors_origins: tuple[str, ...] = ()
    snapshot_cache_mb: int = 256
    redis_url: str = ""
    log_level: str = "INFO"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the process environment, completed by `backend/.env`; or only `environ` if it is given.

        Raises `SetupError` with a Korean sentence for a value that cannot be used.
        """
        if environ is None:
            file = BACKEND_DIR / ".env"
            try:
                if load_dotenv(file):  # into os.environ, where boto3 reads its own variables
                    _refuse_misspelt(dotenv_values(file))
            except UnicodeDecodeError as error:
                raise SetupError(f"{file} 파일을 UTF-8로 저장하세요.") from error
            except OSError as error:
                raise SetupError(f"{file} 파일을 읽을 수 없습니다: {error.strerror}") from error
            environ = os.environ

        def text(name: str, default: str = "") -> str:
            return environ.get(name, "").strip() or default

        data_dir = text("EMBEDDED_DATA_DIR")
        settings = cls(
            aws_region=_matching("AWS_REGION", text("AWS_REGION", cls.aws_region), REGION),
            departments_table=_table_name(
                "DEPARTMENTS_TABLE", text("DEPARTMENTS_TABLE", cls.departments_table)
            ),
            events_table=_table_name("EVENTS_TABLE", text("EVENTS_TABLE", cls.events_table)),
            changes_table=_table_name("CHANGES_TABLE", text("CHANGES_TABLE", cls.changes_table)),
            dynamodb_endpoint_url=_endpoint(text("DYNAMODB_ENDPOINT_URL")),
            embedded_data_dir=(BACKEND_DIR / data_dir).resolve() if data_dir else cls.embedded_data_dir,
            production=_choice("FLASK_ENV", text("FLASK_ENV", "development"), "development", "production")
            == "production",
            secret_key=text("SECRET_KEY", DEVELOPMENT_SECRET),
            cors_origins=tuple(_origin(o.strip()) for o in text("CORS_ORIGINS").split(",") if o.strip()),
            snapshot_cache_mb=_number("SNAPSHOT_CACHE_MB", text("SNAPSHOT_CACHE_MB"), cls.snapshot_cache_mb),
            redis_url=_redis_url(text("REDIS_URL")),
            log_level=_choice("LOG_LEVEL", text("LOG_LEVEL", "INFO").upper(), *LOG_LEVELS),
        )
        _choice("AUTH", text("AUTH", "off"), "off")
        settings._refuse_unsafe_production()
        return settings

    @property
    def embedded(self) -> bool:
        return self.dynamodb_endpoint_url == EMBEDDED

    def _refuse_unsafe_production(self) -> None:
        if not self.production:
            return
        if self.secret_key in (DEVELOPMENT_SECRET, "change-me") or self.secret_key.startswith("$("):
            raise SetupError(
                "FLASK_ENV=production에서는 SECRET_KEY를 직접 정해야 합니다. "
                "다음 명령이 출력하는 줄을 쓰세요: "
                """python3 -c 'import secrets; print("SECRET_KEY=" + secrets.token_hex(32))'"""
            )
        if "*" in self.cors_origins:
            raise SetupError(
                "FLASK_ENV=production에서는 CORS_ORIGINS=* 를 쓸 수 없습니다. "
                "허용할 주소를 쉼표로 나열하세요. 예: CORS_ORIGINS=https://calendar.example.com"
            )


def _refuse_misspelt(written: Iterable[str]) -> None:
    """Refuse a misspelt setting: a misspelt DYNAMODB_ENDPOINT_URL, for one, would mean AWS."""
    known = {field.name.upper() for field in fields(Settings)} | {"FLASK_ENV", "AUTH", *CREDENTIALS}
    for name in written:
        if name not in known and (meant := get_close_matches(name.upper(), known, 1, MISSPELT_RATIO)):
            raise SetupError(
                f"backend/.env의 {name}은(는) 없는 설정입니다. {meant[0]}을(를) 쓰려던 것인가요?"
            )


def _endpoint(value: str) -> str:
    if value and value != EMBEDDED and not _is_address(value, "http", "https"):
        raise SetupError(
            f"DYNAMODB_ENDPOINT_URL={value} 값을 쓸 수 없습니다. 비우거나(AWS), embedded 또는 "
            "http://, https://로 시작하는 주소를 쓰세요."
        )
    return value


def _redis_url(value: str) -> str:
    if value and not value.startswith("unix://") and not _is_address(value, "redis", "rediss"):
        # The value is not shown: it may hold a password.
        raise SetupError("REDIS_URL 값을 쓸 수 없습니다. 예: redis://localhost:6379/0")
    return value


def _origin(value: str) -> str:
    """Return an origin as browsers send it: lower case, without the default port. Raises `SetupError`."""
    if value == "*":
        return value
    if not _is_address(value, "http", "https") or not re.fullmatch(ORIGIN, value):
        raise SetupError(f"CORS_ORIGINS={value} 값을 쓸 수 없습니다. 예: https://calendar.example.com")
    parts = urlsplit(value.rstrip("/").lower())
    default_port = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{parts.netloc}".removesuffix(f":{default_port}")


def _is_address(value: str, *schemes: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _table_name(name: str, value: str) -> str:
    return _matching(name, value, r"[A-Za-z0-9_.-]{3,255}")


def _matching(name: str, value: str, pattern: str) -> str:
    if not re.fullmatch(pattern, value):
        raise SetupError(f"{name}={value} 값을 쓸 수 없습니다. AWS의 이름 규칙: {pattern}")
    return value


def _number(name: str, value: str, default: int) -> int:
    if not value:
        return default
    if not re.fullmatch(r"[1-9][0-9]{0,6}", value):
        raise SetupError(f"{name}={value[:20]} 값을 쓸 수 없습니다. 1 이상의 정수여야 합니다.")
    return int(value)


def _choice(name: str, value: str, *allowed: str) -> str:
    if value not in allowed:
        raise SetupError(f"{name}={value} 값을 쓸 수 없습니다. 가능한 값: {', '.join(allowed)}")
    return value
