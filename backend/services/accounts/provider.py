"""Sign-in by an OpenID Connect provider: code flow with PKCE and nonce; who somebody is says the ID token.

Authlib talks to the provider, PyJWT verifies its tokens (RFC 8725): pinned algorithms, exact issuer and
audience, keys from the provider's JWKS, which may change at any time.
"""

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import jwt
import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from pydantic import TypeAdapter, ValidationError

from account_schemas import Email
from deadlines import acquire_in_time
from errors import ProviderRefused, ProviderUnavailable, SetupError
from field_types import NAME_MAX, Name
from services.accounts.bounded_http import BoundedAdapter

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
LEEWAY_S = 120
"""By how much the provider's clock may differ from ours."""
METADATA_S = 3600
KEYS_S = 300
"""How long the provider's keys are kept; one that is not among them is looked for at once."""
UNKNOWN_KEY_S = 30
"""How long after that no other unknown key is looked for, so that forged tokens cause no flood of reads."""
PAUSE_S = 2.0
"""How long after a failed read of metadata or keys the provider is left alone."""
TOKEN_MAX = 64 * 1024
SUBJECT_MAX = 255
SECRET_BYTES = 32
SCOPE = "openid email profile"
REQUIRED = ["exp", "iat", "iss", "aud", "sub", "nonce"]
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")

_EMAIL: TypeAdapter[str] = TypeAdapter(Email)
_NAME: TypeAdapter[str] = TypeAdapter(Name)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in that has begun: what its browser keeps until the provider sends it back."""

    state: str
    nonce: str
    verifier: str
    invitation: str = ""
    """The secret of the invitation that is to be accepted, if any."""

    @classmethod
    def new(cls, invitation: str = "") -> "Attempt":
        state, nonce, verifier = (secrets.token_urlsafe(SECRET_BYTES) for _ in range(3))
        return cls(state, nonce, verifier, invitation)

    @classmethod
    def parse(cls, text: str) -> "Attempt | None":
        parts = text.split(".", 3)
        return cls(*parts) if len(parts) == 4 and all(parts[:3]) else None

    def __str__(self) -> str:
        return f"{self.state}.{self.nonce}.{self.verifier}.{self.invitation}"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is to a provider."""

    issuer: str
    subject: str
    email: str
    """Empty if the provider tells none that can be one."""
    email_verified: bool
    name: str


class Keys(jwt.PyJWKClient):
    """The provider's keys. PyJWT's own way to read them has no bound for size."""

    def __init__(self, uri: str, read: Callable[[str], dict[str, Any]]) -> None:
        super().__init__(uri, lifespan=KEYS_S, cooldown_duration=UNKNOWN_KEY_S)
        self._read = read

    def fetch_data(self) -> dict[str, Any]:
        return self._read(self.uri)


class Provider:
    """One OpenID provider, as the settings name it."""

    def __init__(self, issuer: str, client_id: str, client_secret: str, public_url: str) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._callback = f"{public_url}/auth/oidc/callback"
        self._http = BoundedAdapter()
        self._lock = threading.Lock()
        """Held during a read of metadata or keys: whoever needs them, too, waits for it."""
        self._found: tuple[dict[str, Any], Keys] | None = None
        self._read_at = 0.0
        self._pause_until = 0.0

    def address(self, attempt: Attempt) -> str:
        """Return the provider's address to which a browser is sent.

        Raises `ProviderUnavailable`, and `SetupError` if it is not the provider that the settings name.
        """
        metadata, _ = self._documents()
        url, _ = self._client(metadata).create_authorization_url(
            metadata["authorization_endpoint"],
            state=attempt.state,
            nonce=attempt.nonce,
            code_verifier=attempt.verifier,
        )
        return str(url)

    def identify(self, attempt: Attempt, answer: Mapping[str, str]) -> Identity:
        """Return who came back with the provider's answer, the query of the callback.

        Raises `ProviderRefused`, `ProviderUnavailable`, `SetupError`.
        """
        metadata, _ = self._documents()
        code = self._code(metadata, answer)
        try:
            tokens = self._client(metadata).fetch_token(
                metadata["token_endpoint"],
                grant_type="authorization_code",
                code=code,
                code_verifier=attempt.verifier,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise ProviderUnavailable() from error
        except (AuthlibBaseError, ValueError, RecursionError) as error:
            raise ProviderRefused() from error
        return self.verify(str(tokens.get("id_token", "")), attempt.nonce)

    def verify(self, token: str, nonce: str) -> Identity:
        """Return who an ID token names (OpenID Connect Core 3.1.3.7).

        Raises `ProviderRefused` for one that is not good, `ProviderUnavailable`, `SetupError`.
        """
        _, keys = self._documents()
        try:
            claims = self._claims(keys, token, nonce)
        except jwt.PyJWTError as error:
            raise ProviderRefused() from error
        return Identity(
            issuer=self._issuer,
            subject=claims["sub"],
            email=_valid(_EMAIL, claims.get("email")),
            email_verified=_is_verified(claims),
            name=_name(claims),
        )

    def _claims(self, keys: Keys, token: str, nonce: str) -> dict[str, Any]:
        if len(token) > TOKEN_MAX:
            raise jwt.InvalidTokenError("too large")
        with self._alone():
            key = keys.get_signing_key_from_jwt(token)
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=list(ALGORITHMS),
            audience=self._client_id,
            issuer=self._issuer,
            leeway=LEEWAY_S,
            options={"require": REQUIRED, "enforce_minimum_key_length": True},
        )
        if not secrets.compare_digest(str(claims["nonce"]).encode(), nonce.encode()):
            raise jwt.InvalidTokenError("another nonce")
        if claims["aud"] not in (self._client_id, [self._client_id]):
            raise jwt.InvalidAudienceError("other audiences, too")
        if claims.get("azp", self._client_id) != self._client_id:
            raise jwt.InvalidAudienceError("issued to another client")
        if not claims["sub"] or len(claims["sub"]) > SUBJECT_MAX or not claims["sub"].isascii():
            raise jwt.InvalidTokenError("sub is not 1 to 255 ASCII characters")
        return claims

    def _code(self, metadata: Mapping[str, Any], answer: Mapping[str, str]) -> str:
        """Return the code in the provider's answer. Raises `ProviderRefused`."""
        issuer = answer.get("iss")  # RFC 9207
        promised = metadata.get("authorization_response_iss_parameter_supported") is True
        if issuer != self._issuer and (promised or issuer is not None):
            raise ProviderRefused() from ValueError("an answer of another issuer")
        if "error" in answer or not answer.get("code"):
            raise ProviderRefused() from ValueError(f"the provider says: {answer.get('error', 'no code')}")
        return answer["code"]

    def _client(self, metadata: Mapping[str, Any]) -> OAuth2Session:
        methods = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        session = OAuth2Session(
            self._client_id,
            self._client_secret,
            scope=SCOPE,
            redirect_uri=self._callback,
            code_challenge_method="S256",
            token_endpoint_auth_method=(
                "client_secret_basic" if "client_secret_basic" in methods else "client_secret_post"
            ),
        )
        self._bound(session)
        return session

    def _bound(self, session: requests.Session) -> None:
        for scheme in ("http://", "https://"):
            session.mount(scheme, self._http)

    def _documents(self) -> tuple[dict[str, Any], Keys]:
        """Return the provider's metadata and keys. Raises `ProviderUnavailable`, `SetupError`."""
        with self._alone():
            if self._found is None or time.monotonic() - self._read_at > METADATA_S:
                metadata = self._read_metadata()
                self._found = metadata, Keys(metadata["jwks_uri"], self._read)
                self._read_at = time.monotonic()
            return self._found

    def _read_metadata(self) -> dict[str, Any]:
        found = self._read(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self._issuer:
            raise SetupError(
                f"OIDC_ISSUER={self._issuer} 공급자가 자신을 {found.get('issuer')}(이)라고 합니다. "
                "마지막 글자까지 같아야 하고, 회사의 공급자 하나만 가리켜야 합니다. "
                "Entra ID라면 common 대신 테넌트 ID를 씁니다."
            )
        allowed = {"https", urlsplit(self._issuer).scheme}
        if not all(urlsplit(str(found.get(name, ""))).scheme in allowed for name in ENDPOINTS):
            raise SetupError(f"OIDC_ISSUER={self._issuer} 공급자의 주소가 https가 아니거나 빠져 있습니다.")
        return found

    def _read(self, url: str) -> dict[str, Any]:
        """Return a JSON object. Raises `ProviderUnavailable`, at once if the last read has just failed."""
        if time.monotonic() < self._pause_until:
            raise ProviderUnavailable()
        try:
            session = requests.Session()
            self._bound(session)
            answer = session.get(url, allow_redirects=False)
            if answer.status_code != requests.codes.ok:
                raise ValueError(f"{url} answered {answer.status_code}")
            found = answer.json()
            if not isinstance(found, dict):
                raise ValueError(f"{url} answered no object")
        except (requests.RequestException, ValueError, RecursionError) as error:
            self._pause_until = time.monotonic() + PAUSE_S
            raise ProviderUnavailable() from error
        return found

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        if not acquire_in_time(self._lock):
            raise ProviderUnavailable()
        try:
            yield
        finally:
            self._lock.release()


def _is_verified(claims: Mapping[str, Any]) -> bool:
    """Tell whether the provider vouches for the e-mail address.

    Entra ID never says `email_verified`, but on demand whether the company owns the address's domain:
    https://learn.microsoft.com/entra/identity-platform/optional-claims-reference
    """
    if "email_verified" in claims:
        return claims["email_verified"] is True
    return claims.get("xms_edov") in (True, "1", "true")


def _name(claims: Mapping[str, Any]) -> str:
    """Return the first name that can be one, cut to the allowed length; empty if there is none."""
    told = (claims.get(claim) for claim in ("name", "preferred_username"))
    names = (_valid(_NAME, name[:NAME_MAX]) for name in told if isinstance(name, str))
    return next(filter(None, names), "")


def _valid(rules: TypeAdapter[str], value: object) -> str:
    """Return a text if it keeps the rules for what people type here; else an empty one."""
    try:
        return rules.validate_python(value)
    except ValidationError:
        return ""
