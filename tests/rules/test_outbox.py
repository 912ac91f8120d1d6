"""What waits for one client is counted until it was sent, and large answers are sent without a copy."""

import queue
import threading

import orjson
import pytest
from engineio.packet import CLOSE, MESSAGE, PING
from engineio.packet import Packet as EnginePacket

from realtime.engineio_guard import Packet
from realtime.large_answers import LargeEvents, LargePacket, polled_payload
from realtime.outbox import BATCH_BYTES, OVERHEAD_BYTES, READ_BYTES, SMALL_BYTES, Outbox


@pytest.fixture
def outbox() -> Outbox:
    return Outbox(queue.Queue(), queue.Empty)


def message(size: int = 0) -> EnginePacket:
    return EnginePacket(MESSAGE, "x" * size)


def large(pieces: list[bytes]) -> LargePacket:
    payload = {"full": True, "events": LargeEvents(pieces), "revision": 7}
    return LargePacket(MESSAGE, Packet(data=["sync_response", payload]).encode())


def take_batch(outbox: Outbox) -> list[EnginePacket]:
    """Take packets as the sender of python-engineio does: one, then all that are there."""
    taken = [outbox.get(timeout=1)]
    try:
        while True:
            taken.append(outbox.get(block=False))
    except queue.Empty:
        return taken


def test_packets_wait_until_the_sender_comes_back_for_more(outbox):
    outbox.put(message(1_000))
    assert outbox.small_bytes == 1_000 + OVERHEAD_BYTES
    take_batch(outbox)
    assert outbox.small_bytes == 1_000 + OVERHEAD_BYTES
    outbox.put(message())
    take_batch(outbox)
    assert outbox.small_bytes == OVERHEAD_BYTES


def test_text_counts_by_its_bytes_on_the_wire(outbox):
    outbox.put(EnginePacket(MESSAGE, "가" * 1_000))
    assert outbox.small_bytes == 3_000 + OVERHEAD_BYTES


def test_the_sender_takes_a_bounded_batch(outbox):
    for _ in range(10):
        outbox.put(message(BATCH_BYTES // 2))
    assert [len(take_batch(outbox)) for _ in range(5)] == [2, 2, 2, 2, 2]


def test_a_client_has_read_when_little_waits_for_it(outbox):
    outbox.put(message(READ_BYTES - OVERHEAD_BYTES))
    assert outbox.is_read
    outbox.put(message())
    assert not outbox.is_read


def test_there_is_no_room_when_more_than_a_megabyte_waits(outbox):
    outbox.put(message(SMALL_BYTES - OVERHEAD_BYTES))
    assert outbox.has_room_for(message())
    outbox.put(message())
    assert not outbox.has_room_for(message())


def test_a_client_that_has_read_everything_gets_a_packet_of_any_size(outbox):
    assert outbox.has_room_for(message(30 * SMALL_BYTES))


def test_waiting_for_the_sender_ends_when_it_comes_back_and_when_the_connection_ends(outbox):
    for end in (lambda: take_batch(outbox), lambda: outbox.put(None)):
        outbox.put(message())
        take_batch(outbox)
        outbox.wait_until_sent(0)
        outbox.put(message())
        waiting = threading.Thread(target=outbox.wait_until_sent, args=(60,))
        waiting.start()
        end()
        waiting.join(10)
        assert not waiting.is_alive()


def test_one_large_answer_may_wait_beside_it_and_no_second_one(outbox):
    outbox.put(large([b"1" * SMALL_BYTES] * 20))
    assert (outbox.is_read, outbox.has_room_for(message())) == (False, True)
    take_batch(outbox)
    assert not outbox.is_read, "taken is not sent"
    assert not outbox.has_room_for(large([b"1"]))
    assert outbox.has_room_for(message())


def test_nothing_is_taken_together_with_a_large_answer_before_it(outbox):
    outbox.put(large([b"1"]))
    outbox.put(message())
    assert [len(take_batch(outbox)), len(take_batch(outbox))] == [1, 1]


def test_a_close_packet_is_left_out_and_none_ends_the_sender(outbox):
    """After a CLOSE packet clients of python-socketio would never connect again."""
    outbox.put(EnginePacket(CLOSE))
    outbox.put(EnginePacket(PING))
    outbox.put(None)
    assert [packet and packet.packet_type for packet in take_batch(outbox)] == [PING, None]


def test_clearing_drops_everything_and_ends_the_sender(outbox):
    outbox.put(message(5_000))
    outbox.put(large([b"1"]))
    outbox.clear()
    assert (outbox.small_bytes, outbox.large_answers) == (0, 0)
    assert outbox.get(timeout=1) is None


@pytest.mark.parametrize(
    "pieces", [[], [b'{"a":1}'], [b'{"a":"\\u0000"},{"b":2}', b"", b"3", '"가"'.encode()]]
)
def test_a_large_answer_is_the_packet_that_a_small_one_would_be(pieces):
    values = orjson.loads(b"[" + b",".join(filter(None, pieces)) + b"]")
    small = Packet(data=["sync_response", {"full": True, "events": values, "revision": 7}]).encode()
    sent = b"".join(large(pieces).encode())
    assert sent[:2] == b"42"
    assert orjson.loads(sent[2:]) == orjson.loads(small[1:])


def test_a_polling_client_gets_large_and_small_packets_in_order():
    body = b"".join(polled_payload([message(2), large([b"1"]), EnginePacket(PING)]))
    first, second, third = body.split(b"\x1e")
    assert (first, third) == (b"4xx", b"2")
    assert orjson.loads(second[2:])[1]["events"] == [1]
