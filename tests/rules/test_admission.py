"""How many connections a network, an account and strangers may have, and how the others are refused."""

import json

import pytest

from errors import TooManyRequests
from realtime.admission import Admission
from realtime.client_groups import ClientGroups
from realtime.engineio_guard import GuardedServer


def request_of(address: str, account: str = "") -> dict[str, str]:
    return {"REMOTE_ADDR": address, "HTTP_X_ACCOUNT": account}


def admission(**limits) -> Admission:
    return Admission(lambda environ: environ["HTTP_X_ACCOUNT"], **limits)


def test_a_network_has_so_many_connections_and_may_have_others_when_they_end():
    bounded = admission(network_max=2)
    for sid in ("first", "second"):
        bounded.admit(request_of("10.0.0.1"))
        assert bounded.opened(sid, request_of("10.0.0.1"))
    with pytest.raises(TooManyRequests):
        bounded.admit(request_of("10.0.0.1"))
    bounded.admit(request_of("10.0.0.2"))
    bounded.closed("first")
    bounded.admit(request_of("10.0.0.1"))


def test_a_network_begins_so_many_connections_in_a_time():
    bounded = admission(handshakes="2 per hour")
    for _ in range(2):
        bounded.admit(request_of("2001:db8::1"))
    with pytest.raises(TooManyRequests):
        bounded.admit(request_of("2001:db8::2"))
    bounded.admit(request_of("2001:db8:0:1::2"))


def test_an_account_has_so_many_connections_by_cookie_and_by_token_together():
    bounded = admission(account_max=2)
    assert not bounded.opened("browser", request_of("10.0.0.1", "kim"))
    bounded.connected("browser", "kim")
    bounded.connected("browser", "kim")
    assert bounded.opened("program", request_of("10.0.0.2"))
    bounded.connected("program", "kim")
    assert bounded.opened("another program", request_of("10.0.0.3"))
    with pytest.raises(TooManyRequests):
        bounded.connected("another program", "kim")
    with pytest.raises(TooManyRequests):
        bounded.admit(request_of("10.0.0.4", "kim"))
    bounded.admit(request_of("10.0.0.4", "lee"))
    bounded.closed("program")
    bounded.connected("another program", "kim")


def test_a_connection_counts_for_the_account_that_connects_last():
    bounded = admission(account_max=1)
    bounded.opened("one", request_of("10.0.0.1", "kim"))
    bounded.connected("one", "lee")
    bounded.admit(request_of("10.0.0.1", "kim"))
    with pytest.raises(TooManyRequests):
        bounded.admit(request_of("10.0.0.1", "lee"))


def test_who_is_refused_is_told_so_before_anything_is_kept():
    server = GuardedServer(async_mode="threading")
    server.admission = admission(network_max=0)
    answered = {}
    environ = {
        "REQUEST_METHOD": "GET",
        "QUERY_STRING": "EIO=4&transport=polling",
        "PATH_INFO": "/socket.io/",
        **request_of("10.0.0.1"),
    }
    body = server.handle_request(environ, lambda status, headers: answered.update(headers, status=status))
    assert answered["status"] == "429 Too Many Requests"
    assert int(answered["Retry-After"]) > 0
    assert json.loads(b"".join(body))["error"] == "too_many_requests"
    assert not server.eio.sockets


def test_the_first_of_the_largest_group_is_found():
    groups = ClientGroups()
    for number in range(6):
        groups.add(f"a{number}", "a")
        groups.add(f"b{number}", "b")
    groups.add("a6", "a")
    groups.discard("a0")
    groups.discard("b1")
    groups.discard("nobody")
    assert (len(groups), groups.size("a"), groups.size("b")) == (11, 6, 5)
    assert groups.first_of_largest() == "a1"
    for number in range(1, 7):
        groups.discard(f"a{number}")
    assert groups.first_of_largest() == "b0"
