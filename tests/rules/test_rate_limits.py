"""Counts of how often something happens, and the networks that they are counted for."""

import pytest

from config import Settings
from errors import SetupError, TooManyRequests
from factory import create_app
from models import DynamoDBDatabase
from networks import network_of
from rate_limits import RateLimits
from rest.limits import BY_ACCOUNT, BY_ADDRESS


def test_a_rule_holds_for_each_key_and_says_when_to_come_again():
    limits = RateLimits()
    for _ in range(3):
        limits.count("3 per hour", "sign-in", "10.0.0.1")
    with pytest.raises(TooManyRequests) as refused:
        limits.count("3 per hour", "sign-in", "10.0.0.1")
    assert 1 <= (refused.value.retry_after or 0) <= 3600
    limits.count("3 per hour", "sign-in", "10.0.0.2")
    limits.count("3 per hour", "setup", "10.0.0.1")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("", ""),
        ("no address", "no address"),
    ],
)
def test_all_addresses_that_one_client_may_take_are_one_network(address, network):
    assert network_of(address) == network


def test_an_unusable_address_of_redis_is_refused_at_the_start():
    with pytest.raises(SetupError, match="REDIS_URL"):
        RateLimits("redis://localhost:port/0")


def test_every_limit_is_that_of_a_route():
    settings = Settings(
        auth=True,
        oidc_issuer="https://login.example.com",
        oidc_client_id="calendar",
        oidc_client_secret="secret",
    )
    routes = create_app(settings, DynamoDBDatabase(settings, object())).view_functions
    assert {*BY_ADDRESS, *BY_ACCOUNT} <= set(routes)
