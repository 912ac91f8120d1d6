"""What belongs together in the fields of an event: a table of edits, and rules that hold for all of them."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import Event
from errors import ValidationFailed
from event_schemas import EventChange, EventNew
from services.event_fields import settle
from text_times import read_times, write_times

NEW: dict[str, Any] = {"event_date": "2024-03-04", "title": "회의"}
SAME_DAY = {"end_date": "2024-03-04"}
WEEKLY = "FREQ=WEEKLY"


def event(**fields: Any) -> Event:
    """Return an event as the server stores it."""
    shaped = EventNew.model_validate(NEW | fields).model_dump()
    return Event(id="e", department_id="d", **settle(None, shaped))


def changed(before: Event, **fields: Any) -> dict[str, Any]:
    """Return the fields that a request changes."""
    settled = settle(before, EventChange.model_validate(fields).sent_fields())
    return {name: value for name, value in settled.items() if value != getattr(before, name)}


def whole(entity: Event, **fields: Any) -> dict[str, Any]:
    """Return what a client sends that sends an event back whole with some fields changed."""
    sent = {name: value for name, value in entity.public().items() if name in EventChange.model_fields}
    return sent | fields


def refused(before: Event | None, **fields: Any) -> tuple[str, str]:
    with pytest.raises(ValidationFailed) as refusal:
        settle(before, NEW | fields if before is None else fields)
    (detail,) = refusal.value.details
    assert any("가" <= char <= "힣" for char in detail["message"])
    return detail["field"], detail["rule"]


@pytest.mark.parametrize(
    ("sent", "times"),
    [
        ({}, ("", "", "")),
        ({"time": "오후 2:00"}, ("오후 2:00", "14:00", "")),
        ({"time": "14:00~15:30"}, ("14:00~15:30", "14:00", "15:30")),
        ({"time": "점심 먹고"}, ("점심 먹고", "", "")),
        ({"start_time": "14:00"}, ("오후 2:00", "14:00", "")),
        ({"start_time": "14:00", "end_time": "15:30"}, ("오후 2:00~3:30", "14:00", "15:30")),
        ({"start_time": "23:00", "end_time": "01:00"}, ("오후 11:00~오전 1:00", "23:00", "01:00")),
        ({"time": "점심 먹고", "start_time": "13:00"}, ("점심 먹고", "13:00", "")),
        ({"time": "오후 2:00", "start_time": "", "end_time": ""}, ("오후 2:00", "14:00", "")),
    ],
)
def test_a_new_event_has_its_time_in_both_forms(sent, times):
    new = event(**sent)
    assert (new.time, new.start_time, new.end_time) == times


@pytest.mark.parametrize(
    ("before", "sent", "expected"),
    [
        # `time` alone
        ({"time": "오후 2:00"}, {"time": "오후 2:00"}, {}),
        ({"time": "오후 2:00"}, {"time": "14시"}, {"time": "14시"}),
        ({"time": "오후 2:00"}, {"time": "15:00~16:00"},
         {"time": "15:00~16:00", "start_time": "15:00", "end_time": "16:00"}),
        ({"time": "14:00~15:30"}, {"time": "오후"}, {"time": "오후", "start_time": "", "end_time": ""}),
        ({"time": "14:00~15:30"}, {"time": ""}, {"time": "", "start_time": "", "end_time": ""}),
        ({"time": "점심", "start_time": "12:00"}, {"time": "점심"}, {}),
        ({"time": "점심", "start_time": "12:00"}, {"time": "저녁"}, {"time": "저녁", "start_time": ""}),
        # the clock times alone
        ({"time": "14:00~15:30"}, {"start_time": "14:00"}, {}),
        ({"time": "14:00~15:30"}, {"start_time": "13:00"}, {"start_time": "13:00", "time": "오후 1:00~3:30"}),
        ({"time": "14:00~15:30"}, {"end_time": ""}, {"end_time": "", "time": "오후 2:00"}),
        ({"time": "14:00~15:30"}, {"start_time": ""}, {"start_time": "", "end_time": "", "time": ""}),
        ({"time": "미정", "start_time": "14:00"}, {"start_time": ""}, {"start_time": ""}),
        ({"time": "14시", "start_time": "09:00"}, {"start_time": "14:00"}, {"start_time": "14:00"}),
        # both
        ({"time": "14:00"}, {"time": "점심", "start_time": "12:00"}, {"time": "점심", "start_time": "12:00"}),
        ({"time": "14:00"}, {"time": "", "start_time": "12:00"}, {"time": "", "start_time": "12:00"}),
        # an end in the night after a day of its own
        ({"end_date": "2024-03-04"}, {"time": "23:00~01:00"},
         {"time": "23:00~01:00", "start_time": "23:00", "end_time": "01:00", "end_date": ""}),
        # dates
        ({"end_date": "2024-03-06"}, {"event_date": "2024-02-28"},
         {"event_date": "2024-02-28", "end_date": "2024-03-01"}),
        ({"end_date": "2024-03-06"}, {"event_date": "2024-03-05", "end_date": "2024-03-05"},
         {"event_date": "2024-03-05", "end_date": "2024-03-05"}),
        ({"end_date": "2024-03-06"}, {"event_date": "2024-03-05", "end_date": ""},
         {"event_date": "2024-03-05", "end_date": ""}),
        ({"rrule": WEEKLY, "exdates": ["2024-03-11"]}, {"event_date": "2024-03-06"},
         {"event_date": "2024-03-06", "exdates": ("2024-03-13",)}),
        ({"rrule": WEEKLY, "exdates": ["2024-03-11"]}, {"event_date": "2024-03-06", "exdates": []},
         {"event_date": "2024-03-06", "exdates": ()}),
        # the rule
        ({"rrule": WEEKLY, "exdates": ["2024-03-11"]}, {"rrule": ""}, {"rrule": "", "exdates": ()}),
        ({"rrule": WEEKLY, "exdates": ["2024-03-11"]}, {"rrule": "RRULE:freq=weekly"}, {}),
        ({"rrule": WEEKLY, "exdates": ["2024-03-11"]}, {"rrule": "FREQ=DAILY"}, {"rrule": "FREQ=DAILY"}),
        # what has nothing to do with it
        ({"time": "14:00~15:30", "end_date": "2024-03-06"}, {"title": "새"}, {"title": "새"}),
    ],
)  # fmt: skip
def test_a_change_takes_with_it_what_belongs_to_it(before, sent, expected):
    stored = event(**before)
    assert changed(stored, **sent) == expected
    assert changed(stored, **whole(stored, **sent)) == expected, "the same when the event is sent back whole"


@pytest.mark.parametrize(
    ("sent", "field", "rule"),
    [
        ({"end_time": "15:00"}, "end_time", "needs_start_time"),
        ({"end_date": "2024-03-03"}, "end_date", "range_reversed"),
        (
            {"end_date": "2024-03-04", "start_time": "15:00", "end_time": "14:00"},
            "end_time",
            "range_reversed",
        ),
        (
            {"end_date": "2024-03-04", "start_time": "15:00", "end_time": "15:00"},
            "end_time",
            "range_reversed",
        ),
        ({"exdates": ("2024-03-11",)}, "exdates", "needs_rrule"),
        ({"rrule": "FREQ=SECONDLY"}, "rrule", "invalid_rrule"),
    ],
)
def test_what_does_not_fit_together_is_refused_in_new_events_and_in_edits(sent, field, rule):
    assert refused(None, **sent) == (field, rule)
    assert refused(event(), **sent) == (field, rule)


def test_an_edit_that_leaves_half_of_what_belongs_together_is_refused():
    meeting = event(start_time="14:00", end_time="15:30", end_date="2024-03-04")
    assert refused(meeting, start_time="", end_time="16:00") == ("end_time", "needs_start_time")
    assert refused(meeting, start_time="15:30") == ("end_time", "range_reversed")
    assert refused(meeting, event_date="2024-03-05", end_date="2024-03-03") == ("end_date", "range_reversed")
    last = replace(event(end_date="2024-03-06"), event_date="9999-12-29", end_date="9999-12-31")
    assert refused(last, event_date="9999-12-30") == ("event_date", "invalid_date")


def test_what_replaces_an_occurrence_has_no_rule_of_its_own():
    replacing = replace(event(), recurring_event_id="s", original_date="2024-03-04")
    assert refused(replacing, rrule=WEEKLY) == ("rrule", "is_occurrence")
    assert changed(replacing, rrule="", event_date="2024-03-05") == {"event_date": "2024-03-05"}


def test_what_another_server_left_behind_does_not_hinder_an_edit_of_something_else():
    night = replace(event(time="23:00~01:00"), end_date="2024-03-04")
    assert changed(night, title="새") == {"title": "새", "end_date": ""}
    odd = replace(event(), end_time="10:00", exdates=("2024-03-11",), end_date="2024-03-01")
    assert changed(odd, title="새") == {"title": "새"}


def test_the_last_date_of_a_rule_is_one_of_the_department():
    until = "FREQ=DAILY;UNTIL=20240310T160000Z"  # the 11th in Seoul
    fields = NEW | {"rrule": until}
    assert settle(None, fields, lambda: ZoneInfo("Asia/Seoul"))["rrule"] == "FREQ=DAILY;UNTIL=20240311"
    assert settle(None, fields, lambda: ZoneInfo("Europe/Berlin"))["rrule"] == "FREQ=DAILY;UNTIL=20240310"


def test_the_zone_is_asked_for_only_with_a_new_rule():
    def zone() -> ZoneInfo:
        raise AssertionError("a request to the store")

    series = event(rrule=WEEKLY)
    settle(None, NEW, zone)
    settle(series, whole(series, title="새", event_date="2024-03-05"), zone)
    settle(series, {"rrule": ""}, zone)


CLOCKS = st.sampled_from(["", "00:00", "09:00", "14:00", "15:30", "23:59"])
TEXTS = st.sampled_from(["", "오후 2:00", "14:00~15:30", "23:00~01:00", "점심"]) | st.text("시분:0129~ ")
DATES = st.sampled_from(["2024-02-28", "2024-03-04", "2024-03-05", "2024-03-31"])
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "event_date": DATES,
    "title": st.sampled_from(["회의", "점심"]),
    "time": st.sampled_from(["", "오후 2:00", "14:00~15:30", "23:00~01:00", "점심", "2pm", "9시"])
    | st.text("시분:0129~ "),
    "end_date": st.just("") | DATES,
    "start_time": CLOCKS,
    "end_time": CLOCKS,
    "location": st.sampled_from(["", "3층"]),
    "rrule": st.sampled_from(["", WEEKLY, "FREQ=DAILY;COUNT=3", "rrule:freq=daily"]),
    "exdates": st.lists(DATES, max_size=3).map(lambda days: tuple(sorted(set(days)))),
}
REQUIRED = {name: FIELDS[name] for name in NEW}
NEWS = st.fixed_dictionaries(REQUIRED, optional={n: s for n, s in FIELDS.items() if n not in NEW})
CHANGES = st.fixed_dictionaries({}, optional=FIELDS)


def created(fields: dict[str, Any]) -> Event | None:
    try:
        return Event(id="e", department_id="d", **settle(None, fields))
    except ValidationFailed:
        return None


EVENTS = NEWS.map(created).filter(bool)


@given(EVENTS, CHANGES)
def test_settling_twice_changes_nothing(before, fields):
    try:
        settled = settle(before, fields)
    except ValidationFailed:
        return
    assert settle(before, settled) == settled
    after = replace(before, **settled)
    assert replace(after, **settle(after, settled)) == after


@given(EVENTS, CHANGES)
def test_what_is_sent_back_whole_changes_as_what_is_sent_alone(before, fields):
    sent = {name: getattr(before, name) for name in FIELDS} | fields
    try:
        settled = settle(before, fields)
    except ValidationFailed:
        with pytest.raises(ValidationFailed):
            settle(before, sent)
        return
    assert replace(before, **settle(before, sent)) == replace(before, **settled)


@given(EVENTS)
def test_a_round_trip_never_changes_what_a_person_wrote(before):
    sent = {name: getattr(before, name) for name in FIELDS}
    assert replace(before, **settle(before, sent)) == before
    titled = replace(before, **settle(before, sent | {"title": "새"}))
    assert titled == replace(before, title="새")


@given(EVENTS, CHANGES)
def test_an_event_is_always_one_that_can_be(before, fields):
    try:
        after = replace(before, **settle(before, fields))
    except ValidationFailed:
        return
    assert after.start_time or not after.end_time
    assert not after.end_date or after.end_date >= after.event_date
    assert not after.exdates or after.rrule
    if after.end_date == after.event_date and after.end_time:
        assert after.end_time > after.start_time


@given(EVENTS, st.integers(-40, 400))
def test_an_event_that_is_moved_keeps_its_length_and_its_holes(before, days):
    moved = date.fromisoformat(before.event_date) + timedelta(days)
    after = replace(before, **settle(before, {"event_date": moved.isoformat()}))
    lengths = [after_day - day for day, after_day in zip(_days(before), _days(after), strict=True)]
    assert set(lengths) == {timedelta(days)}


def _days(entity: Event) -> list[date]:
    texts = [entity.event_date, *filter(None, [entity.end_date]), *entity.exdates]
    return list(map(date.fromisoformat, texts))


@given(EVENTS, TEXTS)
def test_a_client_of_the_fixed_fields_that_changes_the_time_leaves_times_that_say_the_same(before, text):
    after = replace(before, **settle(before, {"time": text}))
    if text != before.time:
        assert (after.start_time, after.end_time) == read_times(text)


@given(EVENTS, CLOCKS.filter(bool), CLOCKS)
def test_a_client_of_the_new_fields_that_changes_the_times_leaves_a_text_that_says_the_same(
    before, start, end
):
    try:
        after = replace(before, **settle(before, {"start_time": start, "end_time": end}))
    except ValidationFailed:
        return
    if (start, end) != (before.start_time, before.end_time):
        assert read_times(after.time) == (start, end)
        assert after.time in (before.time, write_times(start, end))
