"""Two servers change one series at the same time: whatever comes in between, nothing is left without it."""

import contextlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from domain import Event
from errors import CalendarError, EventNotFound, OccurrenceNotFound
from in_process import Calendar
from interruption import interrupt

DAY = "2026-01-12"
"""The occurrence about which everybody cares."""
REFUSALS = (EventNotFound, OccurrenceNotFound)
"""What somebody is told who came second."""
Act = Callable[[Calendar, Event, Event], object]
"""Does something with a series and one of its replacements, of another date than `DAY`."""

ACTS: Mapping[str, Act] = {
    "replace": lambda c, s, _: c.events.update_occurrence(s.id, DAY, {"title": "새"}),
    "remove": lambda c, s, _: c.events.delete_occurrence(s.id, DAY),
    "change the rest": lambda c, s, _: c.events.update_occurrence(s.id, DAY, {"title": "뒤"}, following=True),
    "remove the rest": lambda c, s, _: c.events.delete_occurrence(s.id, DAY, following=True),
    "edit a replacement": lambda c, _, r: c.events.update_event(r.id, {"description": "고침"}),
    "delete a replacement": lambda c, _, r: c.events.delete_event(r.id),
    "move": lambda c, s, _: c.events.update_event(s.id, {"event_date": "2026-01-06"}),
    "change the rule": lambda c, s, _: c.events.update_event(s.id, {"rrule": "FREQ=WEEKLY;INTERVAL=2"}),
    "stop repeating": lambda c, s, _: c.events.update_event(s.id, {"rrule": ""}),
    "delete": lambda c, s, _: c.events.delete_event(s.id),
}
INTERFERING = ("replace", "change the rest", "delete")
"""What the other server does in between: enough to meet every condition."""


def new_series(calendar: Calendar, department: str) -> tuple[Event, Event]:
    series = calendar.add(department, "주간 회의", "2026-01-05", rrule="FREQ=WEEKLY")
    replacement = calendar.events.update_occurrence(series.id, "2026-01-26", {"title": "따로"})
    return calendar.events.get_event(department, series.id), replacement


def require_order(calendar: Calendar, department: str) -> None:
    """Judge that each replacement has a series that repeats, and each occurrence one replacement at most."""
    events = calendar.snapshot(department).events
    replaced = [(e.recurring_event_id, e.original_date) for e in events.values() if e.recurring_event_id]
    assert len(set(replaced)) == len(replaced)
    assert all(series_id in events and events[series_id].rrule for series_id, _ in replaced)
    assert dict(events) == {event.id: calendar.db.find_event(event.id) for event in events.values()}


@pytest.mark.parametrize("act", ACTS)
def test_no_replacement_is_left_without_its_series_whatever_happens_in_between(
    calendar, client, elsewhere, department, act
):
    """The other server acts right before each of the requests of the first one in turn."""
    for other in INTERFERING:
        number, has_acted = 0, True
        while has_acted:
            number += 1
            series, replacement = new_series(calendar, department)
            requests = interrupt(client, number, lambda: ACTS[other](elsewhere, series, replacement))  # noqa: B023
            with contextlib.suppress(*REFUSALS):
                ACTS[act](calendar, series, replacement)
            del client.call
            has_acted = len(requests) >= number
            require_order(elsewhere, department)
        assert number > 2, "the other server came before and after the first read"


def test_threads_of_two_servers_leave_no_replacement_without_its_series(calendar, elsewhere, department):
    def attempt(number: int) -> CalendarError | None:
        series, replacement = chosen[number // len(ACTS) % len(chosen)]
        try:
            list(ACTS.values())[number % len(ACTS)](
                [calendar, elsewhere][number % 3 % 2], series, replacement
            )
        except CalendarError as error:
            return error
        return None

    chosen = [new_series(calendar, department) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        errors = list(filter(None, pool.map(attempt, range(len(ACTS) * len(chosen) * 2))))
    assert {type(error) for error in errors} <= set(REFUSALS)
    require_order(calendar, department)


def test_editors_of_one_occurrence_make_one_replacement(calendar, elsewhere, department):
    series, _ = new_series(calendar, department)

    def rename(number: int) -> Event:
        server = [calendar, elsewhere][number % 2]
        return server.events.update_occurrence(series.id, DAY, {"title": f"{number}"})

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(rename, range(16)))
    assert len({event.id for event in made}) == 1
    assert len({event.revision for event in made}) == 16
    require_order(calendar, department)


def test_a_department_too_large_for_memory_has_the_same_rules(calendar, db, department):
    for number in range(40):
        calendar.add(department, f"회의 {number}", description="가" * 200)
    large = Calendar(db, snapshot_bytes=20_000)
    assert large.reading(department).snapshot is None
    series, replacement = new_series(large, department)
    again = large.events.update_occurrence(series.id, "2026-01-26", {"title": "다시"})
    assert again.id == replacement.id
    rest = large.events.update_occurrence(series.id, "2026-01-19", {"title": "뒤"}, following=True)
    assert large.events.get_event(department, again.id).recurring_event_id == rest.id
    large.events.delete_event(rest.id)
    with pytest.raises(EventNotFound):
        large.events.get_event(department, again.id)
    require_order(calendar, department)
