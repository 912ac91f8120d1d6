"""Reads calendars as other programs do: with ical.js in a Node process, and with Python's icalendar."""

import json
import shutil
import subprocess
from collections.abc import Iterable
from typing import Any, NamedTuple

from icalendar import Calendar, Component

from running import ROOT


class Shown(NamedTuple):
    """An occurrence as a program shows it: ISO dates, or with `THH:MM:SS` local times."""

    title: str
    original: str
    begin: str
    end: str
    seconds: int | None
    """When it begins, since 1970; None for a whole day."""


def shown_by_ical_js(calendars: Iterable[tuple[bytes, str, str]]) -> list[list[Shown]]:
    """Return what ical.js shows of each calendar between two inclusive ISO dates."""
    node = shutil.which("node")
    assert node, "Node 20 or newer is needed: https://nodejs.org"
    requests = [(content.decode(), first, last) for content, first, last in calendars]
    run = subprocess.run(
        [node, str(ROOT / "tests/files/read_calendars.mjs")],
        cwd=ROOT,
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    return [[Shown(*occurrence) for occurrence in calendar] for calendar in json.loads(run.stdout)]


def parsed(content: bytes) -> list[Component]:
    """Return the events of a file that Python's icalendar reads without a complaint."""
    calendar: Any = Calendar.from_ical(content)
    events = list(calendar.walk("VEVENT"))
    assert not [error for component in calendar.walk() for error in component.errors]
    return events
