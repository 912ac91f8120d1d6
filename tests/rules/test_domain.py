"""Rules without input or output: order of times, tokens, timestamps."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from domain import Position, timestamp
from text_order import time_order


@pytest.mark.parametrize(
    ("text", "minute"),
    [
        ("", -1),
        ("오전 12:00", 0),
        ("12 AM", 0),
        ("오전 9:05", 545),
        ("9:05", 545),
        ("오후 12:30", 750),
        ("오후 2:00", 840),
        ("오후2시", 840),
        ("오후 2시 반", 870),
        ("14시 30분", 870),
        ("2:30 PM", 870),
        ("2 p.m.", 840),
        ("14:00 ~ 15:00", 840),
        ("24:00", 1440),
        ("미정", 1440),
        ("3층 회의실", 1440),
        ("25:00", 1440),
        ("10:75", 1440),
    ],
)
def test_free_text_times_are_put_in_order_of_the_clock(text, minute):
    assert time_order(text)[0] == minute


def test_timestamps_are_utc_with_milliseconds():
    seoul = timezone(timedelta(hours=9))
    assert timestamp(datetime(2024, 1, 15, 19, 30, 0, 999, tzinfo=seoul)) == "2024-01-15T10:30:00.000Z"
    assert timestamp(datetime(2024, 1, 15, 10, 30, 0, 1_500, tzinfo=UTC)) == "2024-01-15T10:30:00.001Z"


def test_a_token_is_read_back_and_does_not_show_its_revision():
    token = Position("0a1b2c3d", 42).sync_token
    assert Position.from_sync_token(token) == Position("0a1b2c3d", 42)
    assert "42" not in token


@pytest.mark.parametrize(
    "text", ["", "x", "é", "MDAw", "===", "a" * 5_000, "MGExYjJjM2Qu", "MGExYjJjM2QuLTE"]
)
def test_a_malformed_token_is_none(text):
    assert Position.from_sync_token(text) is None
