"""The headers that protect whoever reads an answer, whichever part of the server gives it."""

HEADERS = (
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
)
"""Of every answer that does not set its own: pages have a policy that lets them work, lists may be kept."""
STRICT_TRANSPORT = ("Strict-Transport-Security", f"max-age={365 * 24 * 3600}")
"""Of every answer over HTTPS: for a year browsers come back by HTTPS only."""
