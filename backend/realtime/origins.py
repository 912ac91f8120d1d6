"""Which pages may open a Socket.IO connection."""

from collections.abc import Callable, Collection
from typing import Any

AllowedOrigins = None | str | Callable[[str, dict[str, Any]], bool]


def allowed_origins(listed: Collection[str], public_url: str | None) -> AllowedOrigins:
    """Translate CORS_ORIGINS for python-engineio.

    `public_url` is None on a server without accounts. That one lets each proxy tell where a page comes from:
    it has no sessions that a page could use, and proxies that came before TRUSTED_PROXIES keep working. The
    answer None does that for the same origin only. An empty list would allow all, so it is never returned.
    """
    if "*" in listed:
        return "*"
    if public_url is not None:
        return _same_origin_or({*listed, public_url})
    if not listed:
        return None

    def check(origin: str, environ: dict[str, Any]) -> bool:
        if origin in listed:
            return True
        scheme = environ.get("HTTP_X_FORWARDED_PROTO", environ["wsgi.url_scheme"]).split(",")[0].strip()
        host = environ.get("HTTP_X_FORWARDED_HOST", environ.get("HTTP_HOST", "")).split(",")[0].strip()
        return origin == f"{scheme}://{host}"

    return check


def _same_origin_or(origins: Collection[str]) -> Callable[[str, dict[str, Any]], bool]:
    def check(origin: str, environ: dict[str, Any]) -> bool:
        here = f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST', '').lower()}"
        return origin == here or origin in origins

    return check
