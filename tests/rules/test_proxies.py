"""How far clients' addresses and schemes are believed, by the number of trusted proxies."""

from typing import Any

import pytest

from rest.proxies import trusting

TOLD = {
    "HTTP_X_FORWARDED_FOR": "192.0.2.1, 192.0.2.2, 192.0.2.3",
    "HTTP_X_FORWARDED_PROTO": "http, https",
    "HTTP_X_FORWARDED_HOST": "evil.example",
}
"""What the last of three proxies passes on; the first entry is what the client itself said."""


def seen(proxies: int, **told: str) -> dict[str, Any]:
    """Return the environ that an app gets behind so many proxies."""
    found: dict[str, Any] = {}

    def app(environ: dict[str, Any], _start_response: Any) -> list[bytes]:
        found.update(environ)
        return []

    environ = {"REMOTE_ADDR": "10.0.0.1", "HTTP_HOST": "b.kr", "wsgi.url_scheme": "http", **told}
    trusting(app, proxies)(environ, lambda *_: None)
    return found


@pytest.mark.parametrize(
    ("proxies", "address"), [(0, "10.0.0.1"), (1, "192.0.2.3"), (2, "192.0.2.2"), (3, "192.0.2.1")]
)
def test_the_address_is_that_which_the_first_of_the_trusted_proxies_saw(proxies, address):
    assert seen(proxies, **TOLD)["REMOTE_ADDR"] == address


@pytest.mark.parametrize("proxies", [0, 2])
def test_a_scheme_is_believed_only_of_a_trusted_proxy_and_a_host_of_none(proxies):
    environ = seen(proxies, **TOLD)
    assert environ["wsgi.url_scheme"] == ("https" if proxies else "http")
    assert environ["HTTP_HOST"] == "b.kr"


def test_fewer_entries_than_trusted_proxies_are_not_believed():
    assert seen(2, HTTP_X_FORWARDED_FOR="192.0.2.1")["REMOTE_ADDR"] == "10.0.0.1"
