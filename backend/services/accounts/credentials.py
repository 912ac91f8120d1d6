"""Secrets that the server hands out, of which it keeps only a hash: for cookies, device tokens and links.

Each is `id.secret`: the id finds the record, the secret has 192 random bits. A fast hash is enough for those.
"""

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from typing import Self

from domain import new_id

SECRET_BYTES = 24
TOKEN_PREFIX = "dct_"  # noqa: S105 - marks device tokens, so that scanners of repositories find them
TEXT_MAX = 200
"""Most characters of a credential that is looked at."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A new secret: the text for its owner, and what the store keeps."""

    id: str
    secret: str

    @classmethod
    def new(cls) -> Self:
        return cls(new_id(), secrets.token_urlsafe(SECRET_BYTES))

    @property
    def hash(self) -> str:
        return hash_of(self.secret)

    def __str__(self) -> str:
        return f"{self.id}.{self.secret}"


def parse(text: str) -> Credential | None:
    """Read a credential that somebody shows; None if it cannot be one."""
    id, dot, secret = text.partition(".")
    if not dot or not id or not secret or len(text) > TEXT_MAX or not text.isascii():
        return None
    return Credential(id, secret)


def fits(shown: Credential, kept_hash: str) -> bool:
    """Tell in constant time whether a shown secret is the one that was handed out."""
    return hmac.compare_digest(shown.hash, kept_hash)


def is_expired(expires_at: int) -> bool:
    """Tell whether a time in seconds since 1970 is past; 0 never is."""
    return bool(expires_at) and expires_at <= time.time()


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
