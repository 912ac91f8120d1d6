"""Socket.IO on every kind of server and both transports: messages, acknowledgements, errors, joining."""

import contextlib
import json
import socket
import struct
import time
from typing import Any

import pytest
import requests
import websocket

from running import wait_for

UNKNOWN = "805d0fbd-dd60-412e-a9e7-4097e872610f"
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def test_a_client_is_greeted(connect, transport):
    [greeting] = connect(transport).wait("connected")
    assert greeting["message"]


def test_the_greeting_names_what_a_client_may_ask_for(connect):
    [greeting] = connect().wait("connected")
    assert greeting["features"] == ["parts"]


def test_the_greeting_follows_the_answer_to_connect(server):
    url = f"{server.url}/socket.io/?EIO=4&transport=websocket"
    with raw_websocket(url) as wire:
        wire.recv()
        wire.send("40")
        assert wire.recv().startswith("40")
        assert wire.recv().startswith('42["connected"')


def test_joining_is_acknowledged_and_broadcast_to_the_client(api, connect, transport):
    department = api.department()["id"]
    api.event(department)
    client = connect(transport)
    answer = client.ask("join_department", {"department_id": department})
    expected = {"department_id": department, "revision": 1, "sync_token": api.token(department)}
    assert answer == {"success": True, **expected}
    assert client.wait("joined_department") == [expected]
    assert client.of("sync_response") == []


def test_joining_with_a_token_brings_exactly_what_was_missed(api, connect, transport):
    department = api.department()["id"]
    kept = api.event(department, "있던 것")
    token = api.token(department)
    missed = api.event(department, "놓친 것")
    api("DELETE", f"/api/events/{kept['id']}")
    client = connect(transport)
    client.join(department, sync_token=token)
    [sync] = client.wait("sync_response")
    assert sync["full"] is False
    assert [(c["type"], c["revision"]) for c in sync["changes"]] == [
        ("event_created", 2),
        ("event_deleted", 3),
    ]
    assert sync["changes"][0]["event"] == missed
    assert sync["sync_token"] == api.token(department)
    assert (sync["department_id"], sync["revision"]) == (department, 3)


@pytest.mark.parametrize("token", ["garbage", "foreign", ""])
def test_without_a_usable_token_a_sync_brings_everything(api, connect, token):
    department = api.department()["id"]
    event = api.event(department)
    client = connect()
    if token == "foreign":
        token = api.token(api.department()["id"])
    answer = client.ask("sync_request", {"department_id": department, "sync_token": token})
    [sync] = client.wait("sync_response")
    assert (sync["full"], sync["events"], sync["revision"]) == (True, [event], 1)
    assert "changes" not in sync
    expected = {name: sync[name] for name in ("department_id", "full", "revision", "sync_token")}
    assert answer == {"success": True, **expected}


def test_a_token_that_is_current_brings_no_changes(api, connect):
    department = api.department()["id"]
    client = connect()
    client.ask("sync_request", {"department_id": department, "sync_token": api.token(department)})
    [sync] = client.wait("sync_response")
    assert (sync["full"], sync["changes"], sync["revision"]) == (False, [], 0)


def test_leaving_ends_the_broadcasts(api, connect):
    department = api.department()["id"]
    client = connect()
    client.join(department)
    assert client.ask("leave_department", {"department_id": department})["success"]
    assert client.wait("left_department") == [{"department_id": department}]
    api.event(department)
    client.join(department)  # whatever the event would have sent has arrived before this answer
    assert client.of("event_created") == []


BAD_PAYLOADS = [
    ((), "validation_failed"),
    (("text",), "validation_failed"),
    ((None,), "validation_failed"),
    (([],), "validation_failed"),
    (({},), "validation_failed"),
    (({"department_id": 7},), "validation_failed"),
    (({"department_id": UNKNOWN, "sync_token": 7},), "validation_failed"),
    (({"department_id": UNKNOWN, "colour": "red"},), "validation_failed"),
    (({"department_id": "x"},), "invalid_id"),
    (({"department_id": "\ud800"},), "invalid_id"),
    (({"department_id": UNKNOWN, "\ud800": 1},), "validation_failed"),
    (({"department_id": UNKNOWN}, {"department_id": UNKNOWN}), "validation_failed"),
]


@pytest.mark.parametrize("message", ["join_department", "sync_request"])
@pytest.mark.parametrize(("payload", "code"), BAD_PAYLOADS)
def test_a_bad_message_is_answered_with_the_envelope(connect, message, payload, code):
    client = connect()
    answer = client.ask(message, *payload)
    assert (answer["success"], answer["error"]) == (False, code)
    assert set(answer) == {"success", "error", "message", "details"}
    assert client.of("error") == []


def test_a_bad_message_without_acknowledgement_is_answered_as_an_error(connect):
    client = connect()
    client.sio.emit("join_department", {"department_id": "x"})
    [envelope] = client.wait("error")
    assert envelope["error"] == "invalid_id"


def test_an_unknown_department_is_refused_and_not_joined(api, connect):
    client = connect()
    for message in ("join_department", "sync_request"):
        assert client.ask(message, {"department_id": UNKNOWN})["error"] == "department_not_found"
    assert client.ask("leave_department", {"department_id": UNKNOWN})["success"]


@pytest.mark.parametrize(
    "name", ["nonsense", "connected", "event_created", "error", "joined_department", "\ud800"]
)
def test_a_message_the_server_does_not_have_is_refused(connect, name):
    assert connect().ask(name, {"x": 1})["error"] == "unknown_message"


def test_messages_of_one_client_keep_their_order(api, connect):
    departments = [api.department()["id"] for _ in range(3)]
    client = connect()
    for department in departments * 5:
        client.sio.emit("join_department", {"department_id": department})
    joined = client.wait("joined_department", 15)
    assert [answer["department_id"] for answer in joined] == departments * 5


def test_a_foreign_origin_is_refused_and_our_own_is_not(server):
    def handshake(origin: str) -> int:
        url = f"{server.url}/socket.io/?EIO=4&transport=polling"
        return requests.get(url, headers={"Origin": origin}, timeout=10).status_code

    assert handshake("https://evil.example") == 400
    assert handshake(server.url) == 200
    url = f"{server.url}/socket.io/?EIO=4&transport=websocket"
    headers = {**UPGRADE, "Origin": "https://evil.example"}
    assert requests.get(url, headers=headers, timeout=10).status_code == 400


def test_websockets_are_not_compressed(server):
    answer = requests.get(
        f"{server.url}/socket.io/?EIO=4&transport=websocket",
        headers={**UPGRADE, "Sec-WebSocket-Extensions": "permessage-deflate"},
        timeout=10,
        stream=True,
    )
    assert answer.status_code == 101
    assert "Sec-WebSocket-Extensions" not in answer.headers
    answer.close()


MALFORMED = [
    b"",
    b"9",
    b"x",
    b"4",
    b"42",
    b"42{",
    b"42[",
    b'42["join_department"',
    b"42[]",
    b"42[7]",
    b"42{}",
    b'49["x"]',
    b"451-",
    b'451-["join_department",{"_placeholder":true,"num":7}]',
    b"42" + b"[" * 3_000,
    b"4999999999999999999",
    b"\xff\xfe\x00",
    b"40/nowhere,",
    b"bAAA",
    b'43999["x"]',
    b"40" + b"x" * 1_100_000,
    b'42["disconnect"]',
    b'420["connect",{}]',
]


@contextlib.contextmanager
def raw_websocket(url: str, **options: Any):
    wire = websocket.create_connection(url.replace("http", "ws"), timeout=5, **options)
    try:
        yield wire
    finally:
        wire.shutdown()


@pytest.mark.parametrize("malformed", MALFORMED, ids=lambda raw: repr(raw[:20]))
def test_malformed_input_ends_no_connection_but_its_own(server, api, connect, transport, malformed):
    department = api.department()["id"]
    witness = connect()
    witness.join(department)
    url = f"{server.url}/socket.io/?EIO=4&transport={transport}"
    if transport == "polling":
        sid = requests.get(url, timeout=10).text[1:].split('"sid":"')[1].split('"')[0]
        requests.post(f"{url}&sid={sid}", data=b"40", timeout=10)
        assert requests.post(f"{url}&sid={sid}", data=malformed, timeout=5).status_code in (200, 400)
    else:
        with raw_websocket(url) as wire:
            wire.recv()
            wire.send("40")
            wire.recv()
            with contextlib.suppress(ConnectionError):  # it may be cut off in the middle
                wire.send(malformed, websocket.ABNF.OPCODE_TEXT)
                wire.send(malformed, websocket.ABNF.OPCODE_BINARY)
    api.event(department)
    witness.wait("event_created")


def test_a_reserved_name_does_not_let_a_client_send_to_a_room(server, api, connect):
    department = api.department()["id"]
    witness = connect()
    witness.join(department)
    for to in ("null", f'"department:{department}"'):
        with raw_websocket(f"{server.url}/socket.io/?EIO=4&transport=websocket") as wire:
            wire.recv()
            wire.send("40")
            wire.send(f'42["*",{to}]')
            while wire.recv():  # until the server ends the connection
                pass
    witness.ask("sync_request", {"department_id": department})
    assert witness.of("error") == []


class Polling:
    """A long-polling client that does one thing at a time."""

    def __init__(self, server) -> None:
        self.url = f"{server.url}/socket.io/?EIO=4&transport=polling"
        sid = json.loads(requests.get(self.url, timeout=10).text[1:])["sid"]
        self.url += f"&sid={sid}"
        self.websocket_url = self.url.replace("http", "ws").replace("polling", "websocket")
        self.post("40")
        self.received: list[str] = []
        while not any(packet.startswith('42["connected"') for packet in self.received):
            self.get()

    def post(self, *packets: str) -> requests.Response:
        return requests.post(self.url, data="\x1e".join(packets), timeout=10)

    def get(self) -> None:
        self.received += requests.get(self.url, timeout=10).text.split("\x1e")


def joining(department: str) -> str:
    return f'42["join_department",{{"department_id":"{department}"}}]'


def joined(packets: list[str]) -> list[str]:
    """The departments in the `joined_department` packets, in their order."""
    found = (json.loads(packet[2:]) for packet in packets if packet.startswith("42"))
    return [payload["department_id"] for name, payload in found if name == "joined_department"]


def test_a_post_returns_before_the_answers_to_its_messages_are_fetched(server, api):
    departments = [api.department()["id"] for _ in range(12)]
    client = Polling(server)
    assert client.post(*map(joining, departments)).ok
    assert client.post(*map(joining, departments)).ok
    while len(joined(client.received)) < 24:
        client.get()
    assert joined(client.received) == departments * 2


def test_what_was_posted_before_an_upgrade_is_answered_after_it(server, api):
    departments = [api.department()["id"] for _ in range(12)]
    client = Polling(server)
    with raw_websocket(client.websocket_url) as wire:
        wire.send("2probe")
        assert wire.recv() == "3probe"
        assert client.post(*map(joining, departments)).ok
        wire.send("5")
        for department in departments:
            wire.send(joining(department))
        received: list[str] = []
        while len(joined(received)) < 24:
            received.append(wire.recv())
    assert joined(received) == departments * 2


def test_a_post_of_a_hundred_messages_is_answered_in_full(server, api):
    departments = [api.department()["id"] for _ in range(5)] * 20
    client = Polling(server)
    assert client.post(*map(joining, departments)).ok
    while len(joined(client.received)) < 100:
        client.get()
    assert joined(client.received) == departments


@pytest.mark.parametrize("frames", [[], ["2probe"]], ids=["silent", "probed"])
def test_an_upgrade_that_goes_no_further_ends_and_polling_goes_on(server, api, frames):
    department = api.department()["id"]
    client = Polling(server)
    with raw_websocket(client.websocket_url) as wire:
        wire.settimeout(20)
        for frame in frames:
            wire.send(frame)
            wire.recv()
        if not frames:
            client.post(joining(department))
            client.get()
            assert joined(client.received) == [department], "while it is unknown whether frames get through"
        with contextlib.suppress(websocket.WebSocketConnectionClosedException):
            assert wire.recv() == ""
    client.post(joining(department))
    client.get()
    assert joined(client.received)[-1] == department


def test_a_client_that_posts_more_than_it_reads_is_disconnected(server, api):
    department = api.department()["id"]
    for _ in range(100):
        api.event(department, description="가" * 10_000)
    before = server.resident_mb()
    client = Polling(server)
    request = f'42["sync_request",{{"department_id":"{department}"}}{" " * 3_500}]'
    answers = [client.post(*[request] * 16).status_code for _ in range(8)]
    assert (answers[0], answers[-1]) == (200, 400)
    assert server.resident_mb() - before < 150


def test_a_client_is_answered_no_faster_than_it_reads(server, api):
    """Each answer is 3 MB. A server that did not wait for the client would keep them all in memory."""
    department = api.department()["id"]
    for _ in range(100):
        api.event(department, description="가" * 10_000)
    before = server.resident_mb()
    url = f"{server.url}/socket.io/?EIO=4&transport=websocket".replace("http", "ws")
    with raw_websocket(url, sockopt=((socket.SOL_SOCKET, socket.SO_RCVBUF, 4096),)) as wire:
        wire.recv()
        wire.send("40")
        for _ in range(100):
            wire.send(f'42["sync_request",{{"department_id":"{department}"}}]')
        asked = time.monotonic()
        while time.monotonic() < asked + 3:
            assert server.resident_mb() - before < 150
            api("GET", "/healthz")


def test_a_frame_that_is_no_packet_ends_its_connection_at_once(server):
    url = f"{server.url}/socket.io/?EIO=4&transport=websocket"
    with raw_websocket(url) as wire:
        wire.recv()
        wire.send("x")
        opcode, _ = wire.recv_data(control_frame=True)
        assert opcode == websocket.ABNF.OPCODE_CLOSE


@pytest.mark.parametrize("name", ["connect", "disconnect"])
def test_a_message_with_a_reserved_name_ends_its_connection(server, name):
    url = f"{server.url}/socket.io/?EIO=4&transport=websocket"
    with raw_websocket(url) as wire:
        wire.recv()
        wire.send("40")
        wire.send(f'420["{name}"]')
        while wire.recv_data(control_frame=True)[0] != websocket.ABNF.OPCODE_CLOSE:
            pass


def test_a_message_in_endless_fragments_is_cut_off(server):
    """The limit of a message holds for its fragments together: unfinished ones are kept in memory, too."""
    url = f"{server.url}/socket.io/?EIO=4&transport=websocket"
    with raw_websocket(url) as wire:
        wire.recv()
        part = "4" + "x" * 2_000
        with contextlib.suppress(ConnectionError, websocket.WebSocketConnectionClosedException):
            wire.send_frame(websocket.ABNF.create_frame(part, websocket.ABNF.OPCODE_TEXT, fin=0))
            for _ in range(20):
                wire.send_frame(websocket.ABNF.create_frame(part, websocket.ABNF.OPCODE_CONT, fin=0))
            opcode, _ = wire.recv_data(control_frame=True)  # times out while the server waits for more
            assert opcode == websocket.ABNF.OPCODE_CLOSE


def test_clients_that_reset_their_connections_leave_no_traceback(server):
    url = f"{server.url}/socket.io/?EIO=4&transport=websocket"
    before = server.log.count("패킷이 아닌 것")
    for _ in range(200):
        with raw_websocket(url) as wire:
            wire.recv()
            wire.send("x")
            wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_for(lambda: server.log.count("패킷이 아닌 것") == before + 200)
    assert requests.get(f"{server.url}/healthz", timeout=5).ok
    assert "Traceback" not in server.log


def test_a_second_upgrade_of_one_connection_is_refused(server):
    base = f"{server.url}/socket.io/?EIO=4"
    sid = requests.get(f"{base}&transport=polling", timeout=10).text.split('"sid":"')[1].split('"')[0]
    url = f"{base}&transport=websocket&sid={sid}"
    with raw_websocket(url) as first:
        first.send("2probe")
        assert first.recv() == "3probe"
        first.send("5")
        first.send("40")
        while not first.recv().startswith("40"):  # then the upgrade has taken effect
            pass
        assert requests.get(url, headers=UPGRADE, timeout=5).status_code == 400


@pytest.mark.parametrize("packets", ["bAAAA", '451-["x",{"_placeholder":true,"num":0}]', "4" + "x" * 16_385])
def test_a_polling_client_that_sends_binary_data_or_a_long_message_is_ended(server, packets):
    client = Polling(server)
    assert client.post(packets).status_code == 200
    assert client.post("3").status_code == 400


def test_a_post_over_the_limit_is_refused_before_it_is_read(server):
    client = Polling(server)
    answer = client.post("4" + "x" * 65_536)
    assert (answer.status_code, answer.json()["error"]) == (400, "bad_request")
    assert "65536 bytes" in answer.json()["details"]["reason"]
    assert client.post("3").json()["error"] == "unknown_session"


def test_jsonp_is_refused(server):
    answer = requests.get(f"{server.url}/socket.io/?EIO=4&transport=polling&j=0", timeout=10)
    assert (answer.status_code, answer.json()["error"]) == (400, "bad_request")


LARGE = {"description": "가" * 10_000}
"""Fields of an event with 30 KB of JSON."""


def large_department(api) -> str:
    department = api.department()["id"]
    for number in range(30):
        api.event(department, str(number), **LARGE)
    return department


@pytest.mark.parametrize("message", ["sync_request", "join_department"])
def test_a_large_sync_comes_in_parts_for_a_client_that_asks(api, connect, transport, message):
    department = large_department(api)
    client = connect(transport)
    answer = client.ask(message, {"department_id": department, "sync_token": "old", "parts": True})
    wait_for(lambda: any("sync_token" in part for part in client.of("sync_response")))
    parts = client.of("sync_response")
    assert len(parts) > 2
    assert [part["part"] for part in parts] == list(range(1, len(parts) + 1))
    assert {part["parts"] for part in parts} == {len(parts)}
    assert all(part["full"] and part["department_id"] == department for part in parts)
    assert ["sync_token" in part for part in parts] == [False] * (len(parts) - 1) + [True]
    assert parts[-1]["sync_token"] == answer["sync_token"]
    assert [event for part in parts for event in part["events"]] == api.events(department)
    assert all(len(json.dumps(part, ensure_ascii=False).encode()) < 300_000 for part in parts)


def test_a_large_sync_comes_whole_for_a_client_that_does_not_ask(api, connect, transport):
    department = large_department(api)
    client = connect(transport)
    client.ask("sync_request", {"department_id": department})
    [whole] = client.wait("sync_response")
    assert whole["events"] == api.events(department)
    assert "part" not in whole


def test_a_small_sync_comes_whole_for_a_client_that_takes_parts(api, connect, transport):
    department = api.department()["id"]
    event = api.event(department)
    client = connect(transport)
    client.ask("sync_request", {"department_id": department, "parts": True})
    [whole] = client.wait("sync_response")
    assert (whole["events"], "part" in whole, "sync_token" in whole) == ([event], False, True)


def test_a_broadcast_may_come_between_parts_and_messages_wait_for_the_last(server, api):
    department, other = large_department(api), api.department()["id"]
    client = Polling(server)
    client.post(joining(department))
    client.post(f'42["sync_request",{{"department_id":"{department}","parts":true}}]', joining(other))
    client.get()
    api.event(department, "사이에")
    while other not in joined(client.received):
        client.get()
    names = [json.loads(packet[2:])[0] for packet in client.received if packet.startswith("42")]
    assert "sync_response" in names[: names.index("event_created")]
    assert "sync_response" not in names[len(names) - 1 - names[::-1].index("joined_department") :]


@pytest.mark.parametrize("parts", [False, True])
def test_a_client_that_missed_megabytes_of_changes_catches_up(api, connect, transport, parts):
    department = api.department()["id"]
    token = api.token(department)
    for number in range(60):
        api.event(department, str(number), **LARGE)
    client = connect(transport)
    client.join(department, sync_token=token, parts=parts)
    wait_for(lambda: any("sync_token" in answer for answer in client.of("sync_response")))
    answers = client.of("sync_response")
    assert all(answer["full"] for answer in answers)
    assert [event for answer in answers for event in answer["events"]] == api.events(department)


def test_polling_goes_on_after_an_upgrade_that_broke_off(server, api):
    department = api.department()["id"]
    client = Polling(server)
    with raw_websocket(client.websocket_url) as wire:
        probe = websocket.ABNF.create_frame("2probe", websocket.ABNF.OPCODE_TEXT)
        close = websocket.ABNF.create_frame(b"", websocket.ABNF.OPCODE_CLOSE)
        wire.sock.sendall(probe.format() + close.format())
        wire.recv_data(control_frame=True)
    client.post(joining(department))
    wait_for(lambda: client.get() or joined(client.received) == [department])
    assert len(client.received) < 20, "polls answered with nothing"
