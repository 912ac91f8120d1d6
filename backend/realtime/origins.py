"""Which pages may open a Socket.IO connection."""

from collections.abc import Callable, Collection
from typing import Any

AllowedOrigins = None | str | Callable[[str, dict[str, Any]], bool]


def allowed_origins(listed: Collection[str]) -> AllowedOrigins:
    """Translate CORS_ORIGINS for python-engineio.

    None allows the same origin only. An empty list would allow all, so it is never returned.
    """
    if not listed:
        return None
    if "*" in listed:
        return "*"

    def check(origin: str, environ: dict[str, Any]) -> bool:
        if origin in listed:
            return True
        scheme = environ.get("HTTP_X_FORWARDED_PROTO", environ["wsgi.url_scheme"]).split(",")[0].strip()
        host = environ.get("HTTP_X_FORWARDED_HOST", environ.get("HTTP_HOST", "")).split(",")[0].strip()
        return origin == f"{scheme}://{host}"

    return check
