"""The WebSocket bounds what a client sends and what it costs, over a real pair of sockets."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Protocol, Side

from realtime.websocket import (
    FRAGMENTS,
    FRAMES_AT_ONCE,
    FRAMES_PER_S,
    MESSAGE_BYTES,
    PONGS,
    SENT_TURN_BYTES,
    SLICE_BYTES,
    WebSocket,
    answer_handshake,
)
from turns import SHORTEST_S

HANDSHAKE = {
    "REQUEST_METHOD": "GET",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "PATH_INFO": "/socket.io/",
    "HTTP_CONNECTION": "keep-alive, Upgrade",
    "HTTP_UPGRADE": "websocket",
    "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==",
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
}


class Peer:
    """The client's end of a connection, which can break every rule."""

    def __init__(self, tcp: socket.socket) -> None:
        self.tcp = tcp
        self._protocol = Protocol(Side.CLIENT, max_size=None)
        self._frames: list[Any] = []

    def send(self, *frames: Frame) -> None:
        self.tcp.sendall(b"".join(frame.serialize(mask=True) for frame in frames))

    def receive(self) -> Frame | None:
        """Return the next frame; None at the end of the connection."""
        while not self._frames:
            data = self.tcp.recv(65_536)
            if not data:
                return None
            self._protocol.receive_data(data)
            self._frames += self._protocol.events_received()
        return self._frames.pop(0)

    def receive_message(self) -> bytes:
        """Return the next message, of however many fragments."""
        parts: list[bytes] = []
        while frame := self.receive():
            parts.append(bytes(frame.data))
            if frame.fin:
                break
        return b"".join(parts)


def text(data: str, *, fin: bool = True) -> Frame:
    return Frame(Opcode.TEXT, data.encode(), fin=fin)


def fragment(data: str, *, fin: bool = False) -> Frame:
    return Frame(Opcode.CONT, data.encode(), fin=fin)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(10)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def pauses() -> list[float]:
    """How long the connection let others run, read by read."""
    return []


@pytest.fixture
def websocket(ends, pauses) -> WebSocket:
    return WebSocket(ends[0], pauses.append, idle_s=5)


@pytest.fixture
def peer(ends) -> Peer:
    return Peer(ends[1])


def test_a_handshake_is_answered_with_the_hash_of_its_key():
    answer = answer_handshake(HANDSHAKE)
    assert answer.status_code == 101
    assert answer.headers["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert "Sec-WebSocket-Extensions" not in answer.headers


@pytest.mark.parametrize(
    "change",
    [
        {"REQUEST_METHOD": "POST"},
        {"SERVER_PROTOCOL": "HTTP/1.0"},
        {"HTTP_CONNECTION": "close"},
        {"HTTP_SEC_WEBSOCKET_KEY": ""},
        {"HTTP_SEC_WEBSOCKET_KEY": "short"},
        {"HTTP_SEC_WEBSOCKET_KEY": "열쇠"},
        {"HTTP_SEC_WEBSOCKET_VERSION": "8"},
    ],
)
def test_a_malformed_handshake_is_refused(change):
    assert answer_handshake(HANDSHAKE | change).status_code >= 400


def test_messages_go_both_ways(websocket, peer):
    peer.send(text("하나"), text("둘"))
    assert (websocket.wait(), websocket.wait()) == ("하나", "둘")
    websocket.send("셋")
    assert peer.receive_message().decode() == "셋"


def test_a_message_of_parts_arrives_as_one(websocket, peer):
    websocket.send(iter([b"[1", b",2", b"]"]))
    assert peer.receive_message() == b"[1,2]"


def test_others_run_while_a_long_message_is_sent_though_the_kernel_takes_it_at_once(websocket, peer, pauses):
    quarter = b"x" * (SENT_TURN_BYTES // 4)
    with ThreadPoolExecutor() as pool:
        received = pool.submit(peer.receive_message)
        websocket.send(iter([quarter] * 9))
    assert len(pauses) == 2
    assert len(received.result()) == 9 * len(quarter)


def test_a_message_may_come_in_fragments_with_a_ping_between_them(websocket, peer):
    half = "가".encode()
    peer.send(
        Frame(Opcode.TEXT, half[:1], fin=False),
        Frame(Opcode.PING, b"?"),
        Frame(Opcode.CONT, half[1:]),
    )
    assert websocket.wait() == "가"
    pong = peer.receive()
    assert (pong.opcode, bytes(pong.data)) == (Opcode.PONG, b"?")


def test_a_message_may_be_as_long_as_the_limit(websocket, peer):
    peer.send(text("x" * MESSAGE_BYTES))
    assert len(websocket.wait()) == MESSAGE_BYTES


TOO_MUCH = {
    "long": ([text("x" * (MESSAGE_BYTES + 1))], CloseCode.MESSAGE_TOO_BIG),
    "long in fragments": (
        [text("x" * 10_000, fin=False), fragment("x" * 10_000)],
        CloseCode.MESSAGE_TOO_BIG,
    ),
    "empty fragments": ([text("", fin=False), *[fragment("")] * FRAGMENTS], CloseCode.MESSAGE_TOO_BIG),
    "binary": ([Frame(Opcode.BINARY, b"x")], CloseCode.UNSUPPORTED_DATA),
    "no text": ([Frame(Opcode.TEXT, b"\xff")], CloseCode.INVALID_DATA),
    "nothing to continue": ([fragment("x")], CloseCode.PROTOCOL_ERROR),
}


@pytest.mark.parametrize(("frames", "code"), TOO_MUCH.values(), ids=TOO_MUCH)
def test_what_breaks_a_rule_ends_the_connection_with_the_reason(websocket, peer, frames, code, caplog):
    peer.send(*frames)
    assert websocket.wait() is None
    assert len(caplog.records) == 1, "the operator sees one line"
    closing = peer.receive()
    assert closing.opcode is Opcode.CLOSE
    assert struct.unpack("!H", bytes(closing.data)[:2]) == (code,)


def test_an_unmasked_frame_ends_the_connection(websocket, peer):
    peer.tcp.sendall(text("x").serialize(mask=False))
    assert websocket.wait() is None


def test_messages_before_the_client_closes_are_received(websocket, peer, caplog):
    peer.send(text("leaving"), Frame(Opcode.CLOSE, b""))
    assert (websocket.wait(), websocket.wait()) == ("leaving", None)
    assert caplog.records == []
    with pytest.raises(ConnectionAbortedError):
        websocket.send("too late")


def test_a_client_without_pause_is_read_in_small_slices_and_others_run_after_each(websocket, peer, pauses):
    peer.send(*[Frame(Opcode.PONG, b"")] * 4_000, text("end"))
    assert websocket.wait() == "end"
    assert len(pauses) >= 4_000 * len(Frame(Opcode.PONG, b"").serialize(mask=True)) // SLICE_BYTES


def test_a_client_is_read_no_faster_than_its_frames_are_allowed(websocket, peer, pauses):
    frames = FRAMES_AT_ONCE + 10 * FRAMES_PER_S
    peer.send(*[Frame(Opcode.PONG, b"")] * frames, text("end"))
    assert websocket.wait() == "end"
    # The pauses are only noted here, so each of them counts what the ones before it should have taken, too.
    assert max(pauses) > 8


def test_a_client_that_pauses_by_itself_is_not_held_back(websocket, peer, pauses):
    for number in range(FRAMES_AT_ONCE // 2):
        peer.send(text(str(number)))
        assert websocket.wait() == str(number)
    assert set(pauses) == {SHORTEST_S}


def test_a_client_that_does_not_read_its_pongs_holds_up_nobody_but_itself(ends, peer):
    ended = threading.Event()
    websocket = WebSocket(ends[0], lambda _seconds: None, idle_s=1)

    def read() -> None:
        while websocket.wait():
            pass
        ended.set()

    pings = b"".join(Frame(Opcode.PING, b"x" * 125).serialize(mask=True) for _ in range(50_000))
    reader = threading.Thread(target=read)
    reader.start()
    with pytest.raises(BrokenPipeError):  # the server hangs up
        peer.tcp.sendall(pings)
    assert ended.wait(10)
    reader.join()


def test_pongs_that_wait_behind_an_unread_answer_are_bounded(ends, peer):
    websocket = WebSocket(ends[0], lambda _seconds: None, idle_s=30)

    def send() -> None:
        with contextlib.suppress(OSError):  # the connection ends meanwhile
            websocket.send(iter([b"x" * 10_000_000]))

    def ping() -> None:
        for _ in range(10 * PONGS):
            peer.send(Frame(Opcode.PING, b"?"))
            time.sleep(0.001)

    threads = [threading.Thread(target=send), threading.Thread(target=websocket.wait)]
    for thread in threads:
        thread.start()
    with pytest.raises(BrokenPipeError):  # the server hangs up
        ping()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_sending_to_a_client_that_does_not_read_fails_after_a_while(ends):
    websocket = WebSocket(ends[0], lambda _seconds: None, idle_s=0.2)
    with pytest.raises(TimeoutError):
        websocket.send(b"x" * 65_536 for _ in range(1_000))


def test_a_slow_reader_may_take_longer_than_the_limit_of_one_step(ends, peer):
    websocket = WebSocket(ends[0], lambda _seconds: None, idle_s=0.5)
    received: list[int] = []

    def read_slowly() -> None:
        pause = threading.Event()
        while sum(received) < 4_000_000 and (data := peer.tcp.recv(400_000)):
            received.append(len(data))
            pause.wait(0.1)

    reader = threading.Thread(target=read_slowly)
    reader.start()
    websocket.send(b"x" * 100_000 for _ in range(40))
    reader.join()
    assert sum(received) >= 4_000_000


def test_closing_says_goodbye_and_ends_the_connection(websocket, peer):
    websocket.close()
    closing = peer.receive()
    assert closing.opcode is Opcode.CLOSE
    assert struct.unpack("!H", bytes(closing.data)) == (CloseCode.SERVICE_RESTART,)
    assert peer.tcp.recv(1) == b""


def test_two_threads_that_send_do_not_mix_their_frames(websocket, peer):
    def send(letter: str) -> None:
        for _ in range(50):
            websocket.send(letter * 30_000)

    def ping() -> None:
        for _ in range(50):
            peer.send(Frame(Opcode.PING, b"?"))

    def read() -> None:
        while websocket.wait():
            pass

    threads = [threading.Thread(target=send, args=("a",)), threading.Thread(target=ping)]
    reader = threading.Thread(target=read)
    for thread in [*threads, reader]:
        thread.start()
    frames = [peer.receive() for _ in range(100)]
    peer.send(Frame(Opcode.CLOSE, b""))
    for thread in [*threads, reader]:
        thread.join()
    texts = [bytes(frame.data) for frame in frames if frame.opcode is Opcode.TEXT]
    assert texts == [b"a" * 30_000] * 50
