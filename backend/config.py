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
OIDC = ("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET")
ISSUER_MAX = 500
TEMPLATED_ISSUER = r"\{|^https?://login\.microsoftonline\.[a-z]+/(common|organizations|consumers)(/|$)"
"""Entra ID's addresses for accounts of whichever company."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the operator chose; README.md explains each. Field names are the variables in lower case."""

    aws_region: str = "ap-northeast-2"
    departments_table: str = "departments"
    events_table: str = "events"
    changes_table: str = "changes"
    accounts_table: str = "accounts"
    auth: bool = False
    public_url: str = "http://localhost:5000"
    trusted_proxies: int = 0
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: str = ""
    oidc_join: bool = False
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
            accounts_table=_table_name("ACCOUNTS_TABLE", text("ACCOUNTS_TABLE", cls.accounts_table)),
            dynamodb_endpoint_url=_endpoint(text("DYNAMODB_ENDPOINT_URL")),
            embedded_data_dir=(BACKEND_DIR / data_dir).resolve() if data_dir else cls.embedded_data_dir,
            production=_choice("FLASK_ENV", text("FLASK_ENV", "development"), "development", "production")
            == "production",
            secret_key=text("SECRET_KEY", DEVELOPMENT_SECRET),
            cors_origins=tuple(
                o if o == "*" else _origin("CORS_ORIGINS", o)
                for o in map(str.strip, text("CORS_ORIGINS").split(","))
                if o
            ),
            snapshot_cache_mb=_number("SNAPSHOT_CACHE_MB", text("SNAPSHOT_CACHE_MB"), cls.snapshot_cache_mb),
            redis_url=_redis_url(text("REDIS_URL")),
            log_level=_choice("LOG_LEVEL", text("LOG_LEVEL", "INFO").upper(), *LOG_LEVELS),
            auth=_choice("AUTH", text("AUTH", "off"), "off", "on") == "on",
            public_url=_origin(
                "PUBLIC_URL", text("PUBLIC_URL", f"http://localhost:{text('FLASK_RUN_PORT', '5000')}")
            ),
            trusted_proxies=_proxies(text("TRUSTED_PROXIES", "0")),
            oidc_issuer=_issuer(text("OIDC_ISSUER")),
            oidc_client_id=text("OIDC_CLIENT_ID"),
            oidc_client_secret=text("OIDC_CLIENT_SECRET"),
            oidc_join=_choice("OIDC_JOIN", text("OIDC_JOIN", "no"), "no", "yes") == "yes",
        )
        settings._refuse_half_a_provider()
        settings._refuse_unsafe_production()
        settings._refuse_open_production(
            open_on_purpose=_choice(
                "AUTH_OFF_IN_PRODUCTION", text("AUTH_OFF_IN_PRODUCTION", "no"), "no", "yes"
            )
            == "yes",
            has_public_url=bool(text("PUBLIC_URL")),
        )
        return settings

    @property
    def embedded(self) -> bool:
        return self.dynamodb_endpoint_url == EMBEDDED

    def _refuse_half_a_provider(self) -> None:
        given = {name: getattr(self, name.lower()) for name in OIDC}
        if any(given.values()) and not all(given.values()):
            missing = ", ".join(name for name, value in given.items() if not value)
            raise SetupError(
                f"회사 계정으로 로그인하려면 {', '.join(OIDC)} 이(가) 모두 필요합니다. 없는 것: {missing}"
            )
        if self.oidc_issuer and not self.auth:
            raise SetupError("OIDC_ISSUER는 AUTH=on일 때만 쓸 수 있습니다.")

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
        issuer = urlsplit(self.oidc_issuer)
        if issuer.scheme == "http" and issuer.hostname not in LOOPBACK:
            raise SetupError(
                f"FLASK_ENV=production에서는 OIDC_ISSUER={self.oidc_issuer} 대신 https 주소를 써야 합니다."
            )

    def _refuse_open_production(self, *, open_on_purpose: bool, has_public_url: bool) -> None:
        if not self.production:
            return
        if not self.auth and not open_on_purpose:
            raise SetupError(
                "FLASK_ENV=production에서는 로그인이 필요합니다: AUTH=on 을 쓰세요. "
                "다른 방법으로 막아 둔 서버라면 AUTH_OFF_IN_PRODUCTION=yes 를 쓰세요."
            )
        if self.auth and not has_public_url:
            raise SetupError(
                "FLASK_ENV=production과 AUTH=on에는 PUBLIC_URL이 필요합니다. 사람들이 여는 주소를 쓰세요. "
                "예: PUBLIC_URL=https://calendar.example.com"
            )


def _refuse_misspelt(written: Iterable[str]) -> None:
    """Refuse a misspelt setting: a misspelt DYNAMODB_ENDPOINT_URL, for one, would mean AWS."""
    known = {field.name.upper() for field in fields(Settings)} | {
        "FLASK_ENV",
        "AUTH_OFF_IN_PRODUCTION",
        *CREDENTIALS,
    }
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


def _origin(name: str, value: str) -> str:
    """Return an origin as browsers send it: lower case, without the default port. Raises `SetupError`."""
    if not _is_address(value, "http", "https") or not re.fullmatch(ORIGIN, value):
        raise SetupError(f"{name}={value} 값을 쓸 수 없습니다. 예: https://calendar.example.com")
    parts = urlsplit(value.rstrip("/").lower())
    default_port = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{parts.netloc}".removesuffix(f":{default_port}")


def _issuer(value: str) -> str:
    parts = urlsplit(value) if _is_address(value, "http", "https") else None
    if value and (
        parts is None or parts.query or parts.fragment or parts.username or len(value) > ISSUER_MAX
    ):
        raise SetupError(
            f"OIDC_ISSUER={value[:ISSUER_MAX]} 값을 쓸 수 없습니다. "
            "예: https://login.example.com/realms/company"
        )
    if re.search(TEMPLATED_ISSUER, value):
        raise SetupError(
            f"OIDC_ISSUER={value} 은(는) 어느 회사의 계정이든 받는 주소입니다. 테넌트 ID가 든 주소를 쓰세요."
        )
    return value


def _proxies(value: str) -> int:
    if not re.fullmatch(r"[0-9]", value):
        raise SetupError(f"TRUSTED_PROXIES={value[:20]} 값을 쓸 수 없습니다. 프록시 수(0~9)를 쓰세요.")
    return int(value)


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
