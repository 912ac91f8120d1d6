"""Attacks with calendar files and repetition: what is slow to read, to decide on, to write or to expand."""

import json
from collections.abc import Iterable

from attacks.requests_of_rest import ask_again, creation, listing
from attacks.wire import Target, answer_to, request

ENTRIES = 1_900
"""Nearly as many as one request may bring."""


def trials_of_large_files(target: Target) -> None:
    """Try a file of 9 MB, again and again."""
    ask_again(target, 2, _import(target, _entries(f"DESCRIPTION:{'가' * 1_500}"), "?dry_run=true"))


def imports_that_change_everything(target: Target) -> None:
    ask_again(target, 1, *(_import(target, _entries(f"LOCATION:{floor}층")) for floor in (3, 4)))


def files_of_one_line(target: Target) -> None:
    """Send files that are one property, folded after each letter, or one header of a table."""
    folded = "\r\n ".join("a" * 3_000_000)
    ask_again(
        target, 2, _import(target, [f"DESCRIPTION:{folded}"]), _import(target, ["," * 9_000_000], of="csv")
    )


def rules_that_never_occur(target: Target) -> None:
    rule = "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"
    ask_again(target, 2, _import(target, _entries(rule), "?dry_run=true"))


def files_after_edits(target: Target) -> None:
    """Fetch a large department as a file after each edit of one of its events."""
    edit = creation(target, "large", {"event_date": "2024-01-20", "title": "edit"})
    file = request("GET", f"/api/events/{target.departments['large']}.ics")
    ask_again(target, 1, edit, file)


def expansions_after_edits(target: Target) -> None:
    """Expand 400 days of 49 daily series after each edit, just below the limit of occurrences."""
    with target.connect() as tcp:
        for number in range(49):
            event = {"event_date": "2024-01-01", "title": f"{number}", "rrule": "FREQ=DAILY"}
            tcp.sendall(creation(target, "medium", event))
            if not json.loads(answer_to(tcp))["success"]:
                raise ConnectionError("no series")
    edit = creation(target, "medium", {"event_date": "2024-01-20", "title": "edit"})
    ask_again(target, 1, edit, listing(target, "medium", "?expand=true&from=2024-01-01&to=2025-01-31"))


def _entries(line: str) -> Iterable[str]:
    for number in range(ENTRIES):
        yield "BEGIN:VEVENT"
        yield f"UID:entry-{number}"
        yield "DTSTART;TZID=Asia/Seoul:20240120T140000"
        yield f"SUMMARY:팀 회의 {number}"
        yield line
        yield "END:VEVENT"


def _import(target: Target, lines: Iterable[str], query: str = "", *, of: str = "calendar") -> bytes:
    text = "\r\n".join(lines)
    if of == "calendar":
        text = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{text}\r\nEND:VCALENDAR\r\n"
    path = f"/api/events/{target.departments['medium']}/import{query}"
    return request("POST", path, ("Content-Type", f"text/{of}"), body=text.encode())
