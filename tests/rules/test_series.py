"""What becomes of a series and its replacements: single occurrences, splits, ends."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from domain import ChangeType, Event, Write
from errors import OccurrenceNotFound, TooManyExdates, TooManyReplacements, ValidationFailed
from services.series import Series

MONDAYS = Event(
    id="series",
    department_id="department",
    event_date="2026-01-05",
    title="주간 회의",
    time="오후 2:00",
    start_time="14:00",
    rrule="FREQ=WEEKLY",
    created_at="2026-01-01T00:00:00.000Z",
    last_modified="2026-01-01T00:00:00.000Z",
    revision=7,
    _imported_uid="uid@elsewhere",
)


def replacement(day: str, **fields: Any) -> Event:
    made = replace(
        MONDAYS,
        id=f"r{day}",
        event_date=day,
        rrule="",
        recurring_event_id="series",
        original_date=day,
        title="따로",
        revision=9,
    )
    return replace(made, **fields)


def told(writes: Sequence[Write]) -> list[tuple[str, str]]:
    """Return of each write what it does and the id of the event, or `new`."""
    known = {"series"} | {w.entity.id for w in writes if w.before}
    return [
        (write.type.removeprefix("event_"), write.entity.id if write.entity.id in known else "new")
        for write in writes
    ]


def after(write: Write) -> Event:
    assert isinstance(write.entity, Event)
    return write.entity


def test_an_occurrence_is_changed_by_a_replacement_that_takes_the_fields_of_the_series():
    series = replace(MONDAYS, end_date="2026-01-06", end_time="10:00", exdates=("2026-01-12",))
    writes = Series(series, []).occurrence_changed("2026-01-19", {"title": "다른 회의"})
    assert told(writes) == [("created", "new"), ("updated", "series")]
    made = after(writes[0])
    assert made == replace(
        series,
        id=made.id,
        event_date="2026-01-19",
        end_date="2026-01-20",
        title="다른 회의",
        rrule="",
        exdates=(),
        recurring_event_id="series",
        original_date="2026-01-19",
        created_at=made.created_at,
        last_modified=made.last_modified,
    )
    assert made.created_at > series.created_at
    touched = after(writes[1])
    assert touched == replace(series, last_modified=touched.last_modified)
    assert touched.last_modified > series.last_modified
    assert writes[1].before == series


def test_an_occurrence_that_is_replaced_is_changed_where_it_is():
    moved = replacement("2026-01-12", event_date="2026-01-13")
    writes = Series(MONDAYS, [moved]).occurrence_changed("2026-01-12", {"time": "오후 3:00"})
    assert told(writes) == [("updated", moved.id), ("updated", "series")]
    assert after(writes[0]) == replace(
        moved, time="오후 3:00", start_time="15:00", last_modified=after(writes[0]).last_modified
    )


@pytest.mark.parametrize("day", ["2026-01-06", "2025-12-29", "2026-01-12", "9999-12-31"])
def test_a_date_that_is_no_occurrence_is_not_found(day):
    series = Series(replace(MONDAYS, exdates=("2026-01-12",)), [])
    for change in (series.occurrence_changed, series.rest_changed):
        with pytest.raises(OccurrenceNotFound):
            change(day, {"title": "x"})
    for change in (series.occurrence_deleted, series.rest_deleted):
        with pytest.raises(OccurrenceNotFound):
            change(day)


def test_an_event_that_does_not_repeat_has_no_occurrences():
    with pytest.raises(OccurrenceNotFound):
        Series(replace(MONDAYS, rrule=""), [])


def test_a_rule_that_this_server_cannot_read_has_no_occurrences():
    with pytest.raises(OccurrenceNotFound):
        Series(replace(MONDAYS, rrule="FREQ=LUNAR"), []).occurrence_deleted("2026-01-05")


def test_the_first_date_is_an_occurrence_even_if_the_rule_does_not_match_it():
    series = Series(replace(MONDAYS, rrule="FREQ=WEEKLY;BYDAY=FR"), [])
    assert after(series.occurrence_changed("2026-01-05", {})[0]).original_date == "2026-01-05"


def test_what_a_client_was_given_of_an_occurrence_can_be_sent_back_whole():
    series = replace(MONDAYS, exdates=("2026-01-12",), end_date="2026-01-06")
    echo = {
        "event_date": "2026-01-19",
        "end_date": "2026-01-20",
        "rrule": series.rrule,
        "exdates": series.exdates,
        "title": "새",
    }
    made = after(Series(series, []).occurrence_changed("2026-01-19", echo)[0])
    assert (made.event_date, made.end_date, made.rrule, made.exdates) == ("2026-01-19", "2026-01-20", "", ())
    of_replacement = {"rrule": "", "exdates": (), "title": "또"}
    changed = Series(MONDAYS, [replacement("2026-01-12")]).occurrence_changed("2026-01-12", of_replacement)
    assert after(changed[0]).title == "또"


@pytest.mark.parametrize("fields", [{"rrule": "FREQ=DAILY"}, {"exdates": ("2026-01-19",)}])
def test_a_single_occurrence_takes_no_rule_and_no_removed_dates(fields):
    with pytest.raises(ValidationFailed) as caught:
        Series(MONDAYS, []).occurrence_changed("2026-01-12", fields)
    assert [(one["field"], one["rule"]) for one in caught.value.details] == [(*fields, "is_occurrence")]


def test_a_removed_occurrence_is_noted_in_the_series_and_takes_its_replacement_along():
    series = replace(MONDAYS, exdates=("2026-01-26",))
    kept, gone = replacement("2026-01-12"), replacement("2026-01-19")
    writes = Series(series, [kept, gone]).occurrence_deleted("2026-01-19")
    assert told(writes) == [("deleted", gone.id), ("updated", "series")]
    assert after(writes[1]).exdates == ("2026-01-19", "2026-01-26")
    assert told(Series(series, []).occurrence_deleted("2026-01-05")) == [("updated", "series")]


def test_the_series_goes_with_its_last_occurrence():
    series = replace(MONDAYS, rrule="FREQ=WEEKLY;COUNT=3", exdates=("2026-01-05", "2026-01-19"))
    assert told(Series(series, []).occurrence_deleted("2026-01-12")) == [("deleted", "series")]
    replaced = replacement("2026-01-12")
    writes = Series(series, [replaced]).occurrence_deleted("2026-01-12")
    assert told(writes) == [("deleted", replaced.id), ("deleted", "series")]
    other = replacement("2026-02-02")
    assert told(Series(series, [other]).occurrence_deleted("2026-01-12")) == [("updated", "series")]
    endless = replace(series, rrule="FREQ=WEEKLY")
    assert told(Series(endless, []).occurrence_deleted("2026-01-12")) == [("updated", "series")]


def test_no_more_occurrences_are_removed_than_a_series_can_note():
    days = Series(replace(MONDAYS, rrule="FREQ=DAILY"), [])
    full = tuple(f"2025-{n // 28 + 1:02}-{n % 28 + 1:02}" for n in range(336)) + tuple(
        f"2027-{n // 28 + 1:02}-{n % 28 + 1:02}" for n in range(64)
    )
    assert len(full) == 400
    assert told(days.occurrence_deleted("2026-01-06")) == [("updated", "series")]
    with pytest.raises(TooManyExdates):
        Series(replace(days.event, exdates=full), []).occurrence_deleted("2026-01-06")


def test_a_series_is_split_where_it_is_to_change():
    series = replace(MONDAYS, exdates=("2026-01-12", "2026-02-09"))
    early, late = replacement("2026-01-05"), replacement("2026-02-02")
    writes = Series(series, [early, late]).rest_changed(
        "2026-01-26", {"title": "새 회의", "time": "오후 4:00"}
    )
    assert told(writes) == [("created", "new"), ("updated", late.id), ("updated", "series")]
    new, moved, past = map(after, writes)
    assert new == replace(
        series,
        id=new.id,
        event_date="2026-01-26",
        title="새 회의",
        time="오후 4:00",
        start_time="16:00",
        exdates=("2026-02-09",),
        created_at=new.created_at,
        last_modified=new.last_modified,
        _imported_uid="",
    )
    assert moved == replace(
        late, recurring_event_id=new.id, _imported_uid="", last_modified=moved.last_modified
    )
    assert (past.rrule, past.exdates) == ("FREQ=WEEKLY;UNTIL=20260125", ("2026-01-12",))


def test_the_new_series_gets_the_rest_of_a_count_and_keeps_a_last_date():
    counted = Series(replace(MONDAYS, rrule="FREQ=WEEKLY;COUNT=10"), [])
    new, past = map(after, counted.rest_changed("2026-01-26", {"title": "새"}))
    assert (new.rrule, past.rrule) == ("FREQ=WEEKLY;COUNT=7", "FREQ=WEEKLY;UNTIL=20260125")
    unmatched = Series(replace(MONDAYS, rrule="FREQ=WEEKLY;BYDAY=FR;COUNT=3"), [])
    new, past = map(after, unmatched.rest_changed("2026-01-16", {"title": "새"}))
    assert (new.rrule, past.rrule) == ("FREQ=WEEKLY;BYDAY=FR;COUNT=2", "FREQ=WEEKLY;BYDAY=FR;UNTIL=20260115")
    limited = Series(replace(MONDAYS, rrule="FREQ=WEEKLY;UNTIL=20260301"), [])
    new, past = map(after, limited.rest_changed("2026-01-26", {"title": "새"}))
    assert (new.rrule, past.rrule) == ("FREQ=WEEKLY;UNTIL=20260301", "FREQ=WEEKLY;UNTIL=20260125")


def test_the_new_series_can_begin_on_another_date_and_have_another_rule():
    series = Series(replace(MONDAYS, end_date="2026-01-06", exdates=("2026-02-02",)), [])
    new = after(series.rest_changed("2026-01-26", {"event_date": "2026-01-27"})[0])
    assert (new.event_date, new.end_date, new.exdates) == ("2026-01-27", "2026-01-28", ("2026-02-03",))
    new = after(series.rest_changed("2026-01-26", {"rrule": "FREQ=DAILY;COUNT=3"})[0])
    assert (new.event_date, new.rrule) == ("2026-01-26", "FREQ=DAILY;COUNT=3")


def test_an_echo_of_an_occurrence_does_not_change_the_rule_or_dates_of_the_rest():
    series = replace(MONDAYS, rrule="FREQ=WEEKLY;COUNT=10", end_date="2026-01-06", exdates=("2026-01-12",))
    echo = {
        "event_date": "2026-01-26",
        "end_date": "2026-01-27",
        "rrule": series.rrule,
        "exdates": series.exdates,
        "title": "새",
    }
    new = after(Series(series, []).rest_changed("2026-01-26", echo)[0])
    assert (new.rrule, new.exdates) == ("FREQ=WEEKLY;COUNT=7", ())
    assert (new.event_date, new.end_date) == ("2026-01-26", "2026-01-27")


def test_the_replacement_from_which_on_all_are_changed_is_changed_too():
    shown = replacement("2026-01-26", event_date="2026-01-28", location="3층")
    echo = {"event_date": "2026-01-28", "rrule": "", "exdates": (), "title": "새"}
    new, moved, _ = map(after, Series(MONDAYS, [shown]).rest_changed("2026-01-26", echo))
    assert (new.event_date, new.title, new.location, new.rrule) == ("2026-01-26", "새", "", "FREQ=WEEKLY")
    assert (moved.event_date, moved.title, moved.location) == ("2026-01-28", "새", "3층")
    assert (moved.recurring_event_id, moved.original_date) == (new.id, "2026-01-26")


def test_from_the_first_occurrence_on_the_series_itself_is_changed():
    first, other = replacement("2026-01-05"), replacement("2026-01-12")
    writes = Series(MONDAYS, [other]).rest_changed("2026-01-05", {"title": "새"})
    assert told(writes) == [("updated", "series")]
    assert after(writes[0]).title == "새"
    writes = Series(MONDAYS, [first, other]).rest_changed("2026-01-05", {"title": "새"})
    assert told(writes) == [("updated", "series"), ("updated", first.id)]


def test_the_old_series_goes_when_nothing_is_left_of_it():
    series = replace(MONDAYS, exdates=("2026-01-05", "2026-01-12"))
    writes = Series(series, []).rest_changed("2026-01-19", {"title": "새"})
    assert told(writes) == [("created", "new"), ("deleted", "series")]
    early = replacement("2026-01-12")
    writes = Series(series, [early]).rest_changed("2026-01-19", {"title": "새"})
    assert told(writes) == [("created", "new"), ("updated", "series")]


def test_the_rest_can_stop_repeating_and_its_replacements_stay_as_events():
    late = replacement("2026-02-02")
    new, freed, past = map(after, Series(MONDAYS, [late]).rest_changed("2026-01-26", {"rrule": ""}))
    assert (new.rrule, new.event_date) == ("", "2026-01-26")
    assert (freed.recurring_event_id, freed.original_date, freed.uid) == (
        "",
        "",
        f"{late.id}@department-calendar",
    )
    assert past.rrule == "FREQ=WEEKLY;UNTIL=20260125"


def test_a_series_that_stops_repeating_leaves_its_replacements_as_events():
    late = replacement("2026-02-02")
    writes = Series(MONDAYS, [late]).changed({"rrule": ""})
    assert told(writes) == [("updated", "series"), ("updated", late.id)]
    assert after(writes[1]) == replace(
        late,
        recurring_event_id="",
        original_date="",
        _imported_uid="",
        last_modified=after(writes[1]).last_modified,
    )


def dates(writes: Sequence[Write]) -> list[tuple[str, str]]:
    """Return of each replacement that is written where it is, and what it replaces."""
    return [(e.event_date, e.original_date) for w in writes if (e := after(w)).id.startswith("r")]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"event_date": "2026-01-06"}, [("2026-01-19", "2026-01-20"), ("2026-02-04", "2026-02-03")]),
        ({"event_date": "2026-01-12"}, []),
        ({"event_date": "2026-01-06", "rrule": "FREQ=DAILY"}, []),
        ({"rrule": "FREQ=WEEKLY;INTERVAL=2"}, []),
        ({"rrule": "FREQ=WEEKLY;INTERVAL=3"}, [("2026-01-19", ""), ("2026-02-04", "")]),
        ({"rrule": "FREQ=WEEKLY;COUNT=3"}, [("2026-02-04", "")]),
        ({"event_date": "2026-01-06", "rrule": "FREQ=WEEKLY;COUNT=3"},
         [("2026-01-19", "2026-01-20"), ("2026-02-04", "")]),
    ],
)  # fmt: skip
def test_replacements_stay_where_they_are_when_their_series_changes_and_replace_what_it_gives(
    fields, expected
):
    replacements = [replacement("2026-01-19"), replacement("2026-02-02", event_date="2026-02-04")]
    writes = Series(MONDAYS, replacements).changed(fields)
    assert dates(writes) == expected
    for write in writes[1:]:
        assert bool(after(write).recurring_event_id) == bool(after(write).original_date)


def test_no_two_replacements_come_to_one_occurrence():
    series = replace(MONDAYS, rrule="FREQ=WEEKLY;BYDAY=MO,WE")
    replacements = [replacement("2026-01-12"), replacement("2026-01-14")]
    moved = {"event_date": "2026-01-07", "rrule": "FREQ=WEEKLY;BYDAY=WE"}
    assert dates(Series(series, replacements).changed(moved)) == [("2026-01-12", "")]


def test_a_rest_that_is_moved_takes_what_replaces_its_first_date_along():
    shown, later = replacement("2026-01-12"), replacement("2026-01-19")
    writes = Series(MONDAYS, [shown, later]).rest_changed("2026-01-12", {"event_date": "2026-01-13"})
    assert after(writes[0]).event_date == "2026-01-13"
    assert dates(writes) == [("2026-01-13", "2026-01-13"), ("2026-01-19", "2026-01-20")]


def test_the_replacements_of_a_rule_that_this_server_cannot_read_stay():
    unreadable = replace(MONDAYS, rrule="FREQ=LUNAR")
    writes = Series(unreadable, [replacement("2026-01-12")]).changed({"event_date": "2026-01-06"})
    assert dates(writes) == []


def test_the_rest_of_a_series_is_removed_with_its_replacements():
    series = replace(MONDAYS, exdates=("2026-01-12", "2026-02-09"))
    early, late = replacement("2026-01-05"), replacement("2026-02-02")
    writes = Series(series, [early, late]).rest_deleted("2026-01-26")
    assert told(writes) == [("deleted", late.id), ("updated", "series")]
    assert (after(writes[1]).rrule, after(writes[1]).exdates) == (
        "FREQ=WEEKLY;UNTIL=20260125",
        ("2026-01-12",),
    )


def test_without_its_first_occurrences_nothing_is_left_of_a_series():
    late = replacement("2026-02-02")
    for series, day in (
        (MONDAYS, "2026-01-05"),
        (replace(MONDAYS, exdates=("2026-01-05",)), "2026-01-12"),
    ):
        writes = Series(series, [late]).rest_deleted(day)
        assert told(writes) == [("deleted", late.id), ("deleted", "series")]


def test_only_so_many_replacements_move_to_another_series():
    days = replace(MONDAYS, rrule="FREQ=DAILY")
    many = [replacement(f"2026-02-{day:02}") for day in range(1, 29)]
    many += [replacement(f"2026-03-{day:02}") for day in range(1, 14)]
    for change in (
        lambda: Series(days, many).rest_changed("2026-01-26", {"title": "새"}),
        lambda: Series(days, many).rest_deleted("2026-01-26"),
        lambda: Series(days, many).changed({"rrule": ""}),
    ):
        with pytest.raises(TooManyReplacements):
            change()
    assert len(Series(days, many[1:]).rest_changed("2026-01-26", {"title": "새"})) == 42
    assert len(Series(days, many).rest_deleted("2026-01-05")) == 42
    begun = replace(days, exdates=("2026-01-05",))
    assert len(Series(begun, many).rest_deleted("2026-01-06")) == 42, "nothing is left of it"
    assert [w.type for w in Series(days, many).deleted()] == [ChangeType.EVENT_DELETED] * 42
