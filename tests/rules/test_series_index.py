"""The index of series, long events and replacements: kept current by changes, silent about plain events."""

import pytest

from deadlines import deadline
from domain import Event
from errors import OutOfTime
from services.series_index import SeriesIndex


def event(id: str, event_date: str = "2024-01-20", **fields) -> Event:
    return Event(id=id, department_id="d", event_date=event_date, title=id, **fields)


SERIES = event("series", rrule="FREQ=DAILY")
LATER, EARLIER = (
    event(day, day, recurring_event_id="series", original_date=day) for day in ("2024-01-25", "2024-01-22")
)


def test_an_edit_of_plain_events_leaves_the_index_itself():
    index = SeriesIndex().changed((), [SERIES])
    plain = event("plain", start_time="09:00", end_time="10:00")
    assert index.changed([plain], [event("plain", "2024-02-01")]) is index


def test_replacements_are_found_by_their_series_in_order_whatever_came_first():
    for order in ([SERIES, LATER, EARLIER], [EARLIER, LATER, SERIES]):
        index = SeriesIndex()
        for added in order:
            index = index.changed((), [added])
        assert list(index.replacements("series")) == [EARLIER, LATER]
        assert index.series == {"series": SERIES}
    assert list(index.changed([LATER], ()).replacements("series")) == [EARLIER]
    assert list(index.changed([LATER, EARLIER], ()).replacements("series")) == []
    assert list(index.replacements("other")) == []


def test_the_index_takes_no_more_memory_than_it_says_after_all_is_gone():
    index = SeriesIndex().changed((), [SERIES, LATER])
    assert index.size > 0
    assert index.changed([SERIES, LATER], ()).size == 0


def test_a_series_that_becomes_plain_leaves_the_index():
    index = SeriesIndex().changed((), [SERIES]).changed([SERIES], [event("series")])
    assert index.series == {}
    assert index.size == 0


def test_a_replaced_occurrence_is_gone_as_long_as_its_replacement_is_there():
    once = event("series", rrule="FREQ=DAILY;COUNT=3")
    for order in ([once, EARLIER], [EARLIER, once]):
        index = SeriesIndex()
        for added in order:
            index = index.changed((), [added])
        assert list(index.in_range("2024-01-22", "2024-01-22").before) == []
        assert list(index.in_range("2024-01-21", "2024-01-22").before) == [once]
        index = index.changed([EARLIER], ())
        assert list(index.in_range("2024-01-22", "2024-01-22").before) == [once]


def test_dates_that_are_none_and_rules_that_cannot_be_read_leave_an_event_on_its_own_date():
    odd = [event("a", "2024-1-1", rrule="FREQ=DAILY"), event("b", end_date="later"), event("c", rrule="oft")]
    index = SeriesIndex().changed((), odd)
    assert list(index.in_range("2024-01-21", "2024-01-22").before) == []
    assert index.in_range("2024-01-20", "2024-01-20").absent == []
    assert index.changed(odd, ()).size == 0


def test_no_dates_are_worked_out_after_the_deadline():
    index = SeriesIndex().changed((), [SERIES])
    with deadline(-1), pytest.raises(OutOfTime):
        index.in_range("2024-01-22", "2024-01-22")
    assert list(index.in_range("2024-01-22", "2024-01-22").before) == [SERIES]
