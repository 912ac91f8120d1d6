"""Rules without input or output: tokens, timestamps."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from domain import LATER_DEFAULTS, Position, Receipt, timestamp
from event_schemas import EventNew
from schemas import DepartmentNew


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


def test_a_request_without_later_fields_has_the_hash_that_servers_before_1_5_gave_it():
    body = {"event_date": "2024-01-20", "title": "회의"}
    for sent in (body, body | {"location": " ", "exdates": [], "start_time": ""}):
        request = Receipt.of("s", "k", EventNew.model_validate(sent).model_dump())
        assert request.request_hash == "3c4e36e9c0f6e24881160c7eee016682d4a55236fb4f3ad30b972812c39c459b"
    for sent in ({"name": "개발팀"}, {"name": "개발팀", "timezone": "Asia/Seoul"}):
        request = Receipt.of("s", "k", DepartmentNew.model_validate(sent).model_dump())
        assert request.request_hash == "272fdb495bdac2bd2f1a2a925731041bbf4d45c59490987fb2fdaba4b1f1c5c4"


def test_a_later_field_that_is_used_makes_another_request():
    plain = EventNew.model_validate({"event_date": "2024-01-20", "title": "회의"}).model_dump()
    used = [{"location": "3층"}, {"start_time": "09:00"}, {"exdates": ("2024-01-27",)}]
    hashes = {Receipt.of("s", "k", plain | fields).request_hash for fields in [{}, *used]}
    assert len(hashes) == 4


def test_every_field_that_may_be_sent_is_one_of_the_first_or_has_a_default_that_is_not_hashed():
    later = EventNew.model_fields.keys() - {"id", "event_date", "title", "description", "time", "url"}
    later |= DepartmentNew.model_fields.keys() - {"name", "description"}
    assert later == LATER_DEFAULTS.keys()
