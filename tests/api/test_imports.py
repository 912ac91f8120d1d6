"""Files of events that are imported over REST: verdicts, repeats, series, and files that are refused."""

from typing import Any

import pytest
import requests

ICAL, CSV = "text/calendar", "text/csv"


def calendar(*entries: str) -> bytes:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//KO", *entries, "END:VCALENDAR", ""]
    return "\r\n".join(lines).encode()


def entry(uid: str, *lines: str, start: str = "20260302T140000", title: str = "회의") -> str:
    return "\r\n".join(
        ["BEGIN:VEVENT", f"UID:{uid}", f"DTSTART:{start}", f"SUMMARY:{title}", *lines, "END:VEVENT"]
    )


WEEKLY = entry("weekly@a", "DTEND:20260302T150000", "RRULE:FREQ=WEEKLY;COUNT=8", title="주간 회의")


@pytest.fixture
def send(server):
    """Return a function that sends a file; it returns the verdicts by title, and the whole answer."""

    def send(
        department: str, content: bytes, media: str = ICAL, *, status: int = 200, dry_run: bool = False
    ) -> Any:
        answer = requests.post(
            f"{server.url}/api/events/{department}/import",
            params={"dry_run": "true"} if dry_run else {},
            data=content,
            headers={"Content-Type": media},
            timeout=30,
        )
        assert answer.status_code == status, answer.text
        return answer.json()

    return send


def verdicts(answer: Any) -> list[str]:
    return [one["verdict"] for one in answer["entries"]]


def test_a_file_is_imported_once_however_often_it_is_sent(api, send):
    department = api.department()["id"]
    file = calendar(WEEKLY, entry("a"), entry("b", title="발표"))
    dry = send(department, file, dry_run=True)
    assert (verdicts(dry), api.events(department)) == (["created"] * 3, [])
    first = send(department, file)
    assert first["entries"] == dry["entries"]
    assert first["counts"] == {"created": 3, "updated": 0, "equal": 0, "skipped": 0}
    assert first["entries"][0] == {
        "uid": "weekly@a", "title": "주간 회의", "event_date": "2026-03-02",
        "verdict": "created", "reason": "",
    }  # fmt: skip
    before = api("GET", f"/api/events/{department}")
    assert sorted((e["title"], e["time"]) for e in before["events"]) == [
        ("발표", "오후 2:00"), ("주간 회의", "오후 2:00~3:00"), ("회의", "오후 2:00"),
    ]  # fmt: skip
    assert send(department, file)["counts"]["equal"] == 3
    assert api("GET", f"/api/events/{department}") == before


def test_a_changed_entry_updates_its_event_and_no_other(api, send):
    department = api.department()["id"]
    send(department, calendar(entry("a"), entry("b")))
    token = api.token(department)
    answer = send(department, calendar(entry("a", title="새 제목"), entry("b")))
    assert verdicts(answer) == ["updated", "equal"]
    (change,) = api.changes(department, token)
    assert (change["type"], change["event"]["title"]) == ("event_updated", "새 제목")


def test_a_series_comes_with_its_moved_and_its_cancelled_occurrence(api, send):
    department = api.department()["id"]
    moved = entry("weekly@a", "RECURRENCE-ID:20260309T140000", start="20260310T100000", title="옮긴 회의")
    gone = entry("weekly@a", "RECURRENCE-ID:20260316T140000", "STATUS:CANCELLED", start="20260316T140000")
    file = calendar(WEEKLY, moved, gone)
    assert send(department, file)["counts"]["skipped"] == 0
    listed = api.events(department, "?from=2026-03-01&to=2026-03-31&expand=true")
    assert [(e["event_date"], e["title"]) for e in listed] == [
        ("2026-03-02", "주간 회의"),
        ("2026-03-10", "옮긴 회의"),
        ("2026-03-23", "주간 회의"),
        ("2026-03-30", "주간 회의"),
    ]
    assert set(verdicts(send(department, file))) == {"equal"}


def test_a_series_may_lie_anywhere_in_a_long_file(api, send):
    department = api.department()["id"]
    gone = entry("weekly@a", "RECURRENCE-ID:20260316T140000", "STATUS:CANCELLED", start="20260316T140000")
    file = calendar(*(entry(f"u{number}") for number in range(39)), WEEKLY, gone)
    dry = send(department, file, dry_run=True)
    first = send(department, file)
    assert first["counts"] == {"created": 40, "updated": 0, "equal": 1, "skipped": 0}
    assert dry == first
    before = api("GET", f"/api/events/{department}")
    assert send(department, file)["counts"]["equal"] == 41
    assert api("GET", f"/api/events/{department}") == before


def test_an_occurrence_that_is_removed_from_the_rule_and_replaced_is_replaced(api, send):
    department, when = api.department()["id"], "20260309T140000"
    series = WEEKLY.replace("RRULE", f"EXDATE:{when}\r\nRRULE")
    file = calendar(series, entry("weekly@a", f"RECURRENCE-ID:{when}", start="20260310T100000", title="옮김"))
    for verdict in ("created", "equal"):
        assert verdicts(send(department, file)) == [verdict, verdict]
        listed = api.events(department, "?from=2026-03-01&to=2026-03-16&expand=true")
        assert [e["event_date"] for e in listed] == ["2026-03-02", "2026-03-10", "2026-03-16"]


def test_an_occurrence_that_was_moved_and_is_cancelled_now_goes(api, send):
    department = api.department()["id"]
    when = "RECURRENCE-ID:20260309T140000"
    send(department, calendar(WEEKLY, entry("weekly@a", when, start="20260310T100000", title="옮긴 회의")))
    gone = calendar(WEEKLY, entry("weekly@a", when, "STATUS:CANCELLED", start="20260310T100000"))
    assert verdicts(send(department, gone)) == ["updated", "updated"]
    (series,) = api.events(department)
    assert series["exdates"] == ["2026-03-09"]
    assert set(verdicts(send(department, gone))) == {"equal"}


MOVED = entry("weekly@a", "RECURRENCE-ID:20260309T140000", start="20260310T100000", title="옮긴 회의")


@pytest.mark.parametrize("rule", ["", "RRULE:FREQ=WEEKLY;INTERVAL=2"])
def test_what_a_changed_series_does_not_repeat_any_more_is_an_event_of_its_own(api, send, rule):
    department = api.department()["id"]
    send(department, calendar(WEEKLY, MOVED))
    answer = send(department, calendar(entry("weekly@a", *filter(None, [rule]), title="주간 회의")))
    assert verdicts(answer) == ["updated"]
    [moved] = [event for event in api.events(department) if event["title"] == "옮긴 회의"]
    assert (moved["recurring_event_id"], moved["original_date"]) == ("", "")


@pytest.mark.parametrize("is_split", [True, False])
def test_a_replacement_that_has_left_its_series_comes_back_with_the_file(api, send, is_split):
    department = api.department()["id"]
    file = calendar(WEEKLY, MOVED)
    send(department, file)
    series = next(event for event in api.events(department) if event["rrule"])
    path = f"/api/events/{series['id']}"
    if is_split:
        api("PUT", f"{path}?occurrence=2026-03-09&following=true", {"location": "3층"})
    else:
        api("PUT", path, {"rrule": ""})
    assert verdicts(send(department, file)) == ["updated", "updated"]
    [moved] = [event for event in api.events(department) if event["title"] == "옮긴 회의"]
    assert (moved["recurring_event_id"], moved["original_date"]) == (series["id"], "2026-03-09")
    assert set(verdicts(send(department, file))) == {"equal"}


def test_an_import_releases_more_than_fits_in_a_commit(api, send):
    department, days = api.department()["id"], range(3, 29)
    series = [f"series-{number}@a" for number in range(5)]
    replaced = [
        entry(uid, f"RECURRENCE-ID:202603{day:02}T140000", start=f"202603{day:02}T150000")
        for uid in series for day in days
    ]  # fmt: skip
    send(department, calendar(*(entry(uid, "RRULE:FREQ=DAILY") for uid in series), *replaced))
    assert verdicts(send(department, calendar(*map(entry, series)))) == ["updated"] * 5
    events = api.events(department)
    assert len(events) == 5 * (1 + len(days))
    assert not any(event["recurring_event_id"] for event in events)


def test_what_a_department_exports_it_knows_again(api, send, server):
    department = api.department()["id"]
    series = api.event(
        department, "주간 회의", event_date="2026-03-02", time="오후 2:00", rrule="FREQ=WEEKLY"
    )
    api("PUT", f"/api/events/{series['id']}?occurrence=2026-03-09", {"title": "옮긴 회의"})
    api.event(department, "종일", end_date="2024-01-22", time="미정")
    file = requests.get(f"{server.url}/api/events/{department}.ics", timeout=10).content
    assert set(verdicts(send(department, file))) == {"equal"}


@pytest.mark.parametrize("kind", ["ics", "csv"])
def test_an_export_in_an_empty_department_gives_the_same_list_and_the_same_file(api, send, server, kind):
    one, other = api.department()["id"], api.department()["id"]
    series = api.event(
        one, "=주간 회의", event_date="2026-03-02", time="14:00~15:30", rrule="FREQ=WEEKLY;COUNT=9"
    )
    api(
        "PUT",
        f"/api/events/{series['id']}?occurrence=2026-03-09",
        {"event_date": "2026-03-11", "time": "점심 뒤"},
    )
    api("DELETE", f"/api/events/{series['id']}?occurrence=2026-03-16")
    api.event(one, "출장", end_date="2024-01-22", location="부산", category="출장", url="https://a.kr/?q=1")
    api.event(one, "밤", start_time="23:00", end_time="01:00", description="여러\n줄, 쉼표; 그리고 \\")

    def file_of(department: str) -> bytes:
        return requests.get(f"{server.url}/api/events/{department}.{kind}", timeout=10).content

    def shown(department: str) -> list[dict[str, Any]]:
        own = ("id", "department_id", "revision", "created_at", "last_modified", "recurring_event_id")
        query = "?from=2024-01-01&to=2024-12-31", "?from=2026-01-01&to=2026-12-31"
        found = [event for q in query for event in api.events(department, f"{q}&expand=true")]
        return [{name: event[name] for name in event if name not in own} for event in found]

    answer = send(other, file_of(one), ICAL if kind == "ics" else CSV)
    assert answer["counts"]["skipped"] == 0, answer
    assert shown(other) == shown(one)
    names = (
        b"UID:",
        b"SUMMARY:",
        b"RRULE",
        b"DTSTART",
        b"DTEND",
        b"EXDATE",
        b"RECURRENCE-ID",
        b"X-TIME-TEXT",
    )

    def told(content: bytes) -> list[bytes]:
        return [line for line in content.splitlines() if line.startswith(names)]

    assert sorted(told(file_of(other))) == sorted(told(file_of(one)))
    assert set(verdicts(send(other, file_of(one), ICAL if kind == "ics" else CSV))) == {"equal"}


def test_a_table_of_excel_is_imported(api, send):
    department = api.department()["id"]
    table = (
        "날짜,시간,제목,내용,장소\r\n2026. 3. 2.,오후 2:00,주간 회의,안건,3층\r\n2026-03-40,,나쁜 날,,\r\n"
    )
    answer = send(department, table.encode("cp949"), CSV)
    assert verdicts(answer) == ["created", "skipped"]
    assert answer["entries"][1]["reason"]
    (event,) = api.events(department)
    wanted = {"event_date": "2026-03-02", "time": "오후 2:00", "start_time": "14:00", "location": "3층"}
    assert event.items() >= wanted.items()
    assert verdicts(send(department, table.encode("utf-16"), CSV))[0] == "equal"


def test_a_rule_in_a_table_ends_on_a_date_of_the_department(api, send):
    department = api.department()["id"]
    rule = "FREQ=WEEKLY;UNTIL=20260329T230000Z"  # 30 March, 8:00 in Seoul
    made = api.event(department, event_date="2026-03-02", time="오전 8:00", rrule=rule)
    table = f"날짜,시간,제목,반복,UID\r\n2026-03-02,오전 8:00,회의,{rule},a\r\n"
    for verdict in ("created", "equal"):
        assert verdicts(send(department, table.encode(), CSV)) == [verdict]
    rules = [event["rrule"] for event in api.events(department)]
    assert rules == [made["rrule"]] * 2 == ["FREQ=WEEKLY;UNTIL=20260330"] * 2


def test_a_table_leaves_what_it_has_no_column_for(api, send):
    department = api.department()["id"]
    event = api.event(department, location="3층", description="안건", end_date="2024-01-22")
    table = f"날짜,제목,UID\r\n2024-01-20,새 제목,{event['id']}@department-calendar\r\n"
    assert verdicts(send(department, table.encode(), CSV)) == ["updated"]
    (after,) = api.events(department)
    assert after == event | {name: after[name] for name in ("title", "revision", "last_modified")}
    assert after["title"] == "새 제목"


def test_too_many_entries_are_refused_with_the_limit(api, send):
    department = api.department()["id"]
    answer = send(department, calendar(*(entry(str(number)) for number in range(2_001))), status=413)
    assert (answer["error"], "2,000" in answer["message"]) == ("too_many_entries", True)
    assert api.events(department) == []


@pytest.mark.parametrize("content", [b"", b"not a calendar", b"\xff\xfe\x00", b"\x00" * 9, b'{"a": 1}'])
@pytest.mark.parametrize("media", [ICAL, CSV])
def test_what_is_no_such_file_is_refused(api, send, content, media):
    answer = send(api.department()["id"], content, media, status=400)
    assert answer["error"] == "file_refused"


def test_other_media_and_larger_files_are_refused(api, send):
    department = api.department()["id"]
    assert send(department, b"{}", "application/json", status=415)["error"] == "unsupported_media_type"
    assert send(department, b"x" * (10 * 1024 * 1024 + 1), status=413)["error"] == "payload_too_large"


def test_a_bad_entry_spoils_no_other(api, send):
    department = api.department()["id"]
    bad = [
        entry("no-start").replace("DTSTART:20260302T140000\r\n", ""),
        entry("backwards", "DTEND:20260301T150000"),
        entry("hourly", "RRULE:FREQ=HOURLY"),
        entry("zone").replace("DTSTART:", "DTSTART;TZID=Mars/Olympus:"),
        entry("long", title="가" * 201),
    ]
    answer = send(department, calendar(*bad, entry("good", title="<script>alert(1)</script>")))
    assert verdicts(answer) == ["skipped"] * len(bad) + ["created"]
    assert all(any("가" <= char <= "힣" for char in one["reason"]) for one in answer["entries"][:-1])
    assert [event["title"] for event in api.events(department)] == ["<script>alert(1)</script>"]


def test_an_import_needs_a_department_that_is_there(api, send):
    answer = send("00000000-0000-4000-8000-000000000000", calendar(entry("a")), status=404)
    assert answer["error"] == "department_not_found"


def test_the_rule_of_a_table_ends_where_the_department_is(api, send):
    department = api.department()["id"]
    rule = "FREQ=DAILY;UNTIL=20260304T000000Z"  # 9:00 in Seoul, when the last one begins
    table = f"날짜,시작 시각,제목,반복\n2026-03-02,09:00,회의,{rule}\n"
    assert verdicts(send(department, table.encode(), CSV)) == ["created"]
    (event,) = api.events(department)
    assert event["rrule"] == "FREQ=DAILY;UNTIL=20260304"
    assert event["rrule"] == api.event(department, start_time="09:00", rrule=rule)["rrule"]


def test_a_row_whose_uid_is_too_long_is_skipped_alone(api, send):
    department = api.department()["id"]
    rows = [f"2026-03-02,{number},{'u' * 20_000}{number}" for number in range(30)]
    table = "\n".join(["날짜,제목,UID", *rows, "2026-03-02,회의,a"])
    assert verdicts(send(department, table.encode(), CSV)) == ["skipped"] * 30 + ["created"]
