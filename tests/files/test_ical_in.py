"""iCalendar files as a whole, and the texts of their events."""

import pytest

from calendar_files import SEOUL, calendar, event, read_event, read_events
from files.entries import FileRefused, TooManyEntries
from files.ical_in import read_calendar

KOREAN = "주간 회의 — 대회의실"
NAMED_KOREAN = event("UID:1", "DTSTART:20260302T090000", "SUMMARY:주간 회의")


def read(content, most=None):
    return read_calendar(content, SEOUL, most)


def titles(content):
    return [entry.fields["title"] for entry in read(content)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp949"])
@pytest.mark.parametrize("line_break", ["\r\n", "\n", "\r", "\r\r\n"])
def test_a_file_is_read_in_any_encoding_with_any_line_breaks(encoding, line_break):
    text = calendar(*NAMED_KOREAN).decode().replace("\r\n", line_break)
    assert titles(text.encode(encoding)) == ["주간 회의"]


@pytest.mark.parametrize("space", ["\r\n ", "\n\t", "\r "])
def test_a_line_may_be_folded_within_a_character(space):
    content = calendar(*event("DTSTART:20260302", f"SUMMARY:{KOREAN}"))
    title = KOREAN.encode()
    folded = space.encode().join(title[begin : begin + 4] for begin in range(0, len(title), 4))
    assert titles(content.replace(title, folded)) == [KOREAN]


def test_names_are_read_in_upper_and_lower_case():
    (entry,) = read(calendar(*event("uid:1", "dtstart;value=date:20260302", "summary:a")).lower())
    assert (entry.uid, entry.fields["title"], entry.fields["event_date"]) == ("1", "a", "2026-03-02")


def test_a_broken_character_skips_its_entry_only():
    content = calendar(*NAMED_KOREAN, *event("UID:2", "DTSTART:20260302", "SUMMARY:주간X회의"))
    good, broken = read(content.replace(b"X", b"\xeb\x80"))
    assert (good.fields["title"], good.reason) == ("주간 회의", "")
    assert (broken.uid, broken.reason) == ("2", "글자가 깨져 있습니다. UTF-8로 다시 저장하세요.")
    assert broken.fields["title"].encode().decode().startswith("주간")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\0\0",
        "제목,날짜\n회의,2026-03-02".encode(),
        b"<!DOCTYPE html><html>BEGIN:VCALENDAR</html>",
        b"\xff\xd8\xff\xe0\x00\x10JFIF",
        b"BEGIN:VCARD\nEND:VCARD",
    ],
)
def test_what_is_no_calendar_is_refused(content):
    with pytest.raises(FileRefused, match="iCalendar"):
        read(content)


def test_other_files_that_cannot_be_read_are_refused_with_the_reason():
    with pytest.raises(FileRefused, match="UTF-8"):
        read(b"\xff\xfeB")
    with pytest.raises(FileRefused, match="vCalendar"):
        read(b"BEGIN:VCALENDAR\nVERSION:1.0\nBEGIN:VEVENT\nEND:VEVENT\nEND:VCALENDAR")


def test_an_empty_calendar_has_no_entries():
    assert read(calendar()) == []


def test_more_events_than_wanted_are_refused_with_the_limit():
    three = calendar(*event("UID:1") * 3)
    assert len(read(three, most=3)) == 3
    with pytest.raises(TooManyEntries, match="2개"):
        read(three, most=2)
    with pytest.raises(TooManyEntries, match="2,000개"):
        read(b"BEGIN:VEVENT\n" * 100_000, most=2_000)
    assert len(read(b"BEGIN:VEVENT\n" * 100_001)) == 100_001


def test_tasks_and_journals_are_one_entry_that_is_skipped():
    tasks = ["BEGIN:VTODO", "SUMMARY:할 일", "END:VTODO"] * 3
    busy = ["BEGIN:VFREEBUSY", "UID:2", "END:VFREEBUSY"]
    first, second = read(calendar(*NAMED_KOREAN, *tasks, *busy))
    assert not first.reason
    assert (second.fields, second.reason) == ({"title": "할 일 3개"}, "할 일(VTODO)은(는) 가져오지 않습니다.")


def test_an_event_that_is_cut_off_is_skipped():
    ended = calendar(*NAMED_KOREAN)
    cut = ended[: ended.rindex(b"END:VEVENT")]
    for content in (cut, cut + b"END:VCALENDAR\r\n"):
        (entry,) = read(content)
        assert entry.reason == "파일이 끊겨 있습니다: 이 일정의 END:VEVENT가 없습니다."
    broken, good = read(cut + b"BEGIN:VEVENT\r\nDTSTART:20260302\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n")
    assert (broken.reason != "", good.reason) == (True, "")


def test_what_an_event_holds_in_components_of_its_own_does_not_count():
    part = ["BEGIN:X-PART", "LOCATION:부분", "END:X-PART"]
    alarm = ["BEGIN:VALARM", *part, "SUMMARY:알림", "DESCRIPTION:알림", "END:VALARM"]
    entry = read_event(*alarm, "SUMMARY:회의")
    assert (entry.uid, entry.fields["title"], entry.fields["description"]) == ("1", "회의", "")


# Texts


@pytest.mark.parametrize(
    ("lines", "field", "value"),
    [
        (["SUMMARY:점심\\, 회의\\; 끝\\\\n"], "title", "점심, 회의; 끝\\n"),
        (["SUMMARY;LANGUAGE=ko:회의"], "title", "회의"),
        (["SUMMARY:<b>회의</b> &amp;"], "title", "<b>회의</b> &amp;"),
        (["SUMMARY:회\x07의\x7f"], "title", "회의"),
        (["SUMMARY: \\n "], "title", "(제목 없음)"),
        (["SUMMARY:"], "title", "(제목 없음)"),
        ([], "title", "(제목 없음)"),
        (["DESCRIPTION:첫째\\n둘째\\N셋째"], "description", "첫째\n둘째\n셋째"),
        (["DESCRIPTION:첫째", "둘째", "", "Zoom: a", "LOCATION:3층"], "description", "첫째\n둘째\nZoom: a"),
        (['DESCRIPTION;ALTREP="data:text/html,%3Cb%3E":굵게'], "description", "굵게"),
        (["X-ALT-DESC;FMTTYPE=text/html:<p>가</p>"], "description", "<p>가</p>"),
        (["X-ALT-DESC;FMTTYPE=text/html:<p>가</p>", "DESCRIPTION:가"], "description", "가"),
        (["LOCATION:서울\\, 3층"], "location", "서울, 3층"),
        (["CATEGORIES:회의\\, 주간,기타", "CATEGORIES:셋째"], "category", "회의, 주간"),
        (["CATEGORIES:,", "CATEGORIES:둘째"], "category", "둘째"),
        (["CATEGORIES:"], "category", ""),
        (["URL;VALUE=URI:https://example.com/a?b=1,2;c"], "url", "https://example.com/a?b=1,2;c"),
        (["URL:https://example.com/"], "description", ""),
        (["URL:message://abc", "DESCRIPTION:가"], "url", ""),
        (["URL:message://abc", "DESCRIPTION:가"], "description", "가\n\nmessage://abc"),
        (["URL:javascript:alert(1)"], "description", "javascript:alert(1)"),
        (["URL:http://[x", "DESCRIPTION:http://[x 참고"], "description", "http://[x 참고"),
    ],
)  # fmt: skip
def test_a_text_is_what_people_wrote(lines, field, value):
    entry = read_event(*lines)
    assert (entry.fields[field], entry.reason) == (value, "")


@pytest.mark.parametrize(
    ("lines", "part"),
    [
        (["DESCRIPTION:" + "가" * 100_001], "DESCRIPTION 줄이 너무 길거나"),
        (["DESCRIPTION:첫째", *["가" * 1_000] * 100], "DESCRIPTION 줄이 너무 깁니다"),
        (['SUMMARY;X="a:회의'], "SUMMARY 줄이 너무 길거나 올바르지 않습니다."),
        (["DTSTART;=:20260302"], "DTSTART 줄이 너무 길거나 올바르지 않습니다."),
        (["DTSTART;TZID=" + "a" * 600 + ":20260302T090000"], "DTSTART 줄이 너무 길거나"),
        (["CATEGORIES:가"] * 1_001, "속성이 너무 많습니다. 1,000개까지"),
    ],
)
def test_a_line_that_cannot_be_read_skips_the_event(lines, part):
    assert part in read_event(*lines).reason


# UIDs


def test_an_event_without_a_uid_gets_one_from_what_it_says():
    lines = ["DTSTART:20260302T090000", "SUMMARY:회의"]
    uids = {
        read_events(event(*lines, f"DTSTAMP:2026030{day}T000000Z", f"SEQUENCE:{day}"))[0].uid
        for day in (1, 2)
    }
    assert len(uids) == 1
    assert read_events(event(*lines, "LOCATION:3층"))[0].uid not in {"", *uids}


def test_a_long_uid_is_shortened_to_one_of_its_own():
    kept, first, again, second = (
        read_events(event(f"UID:{uid}", "DTSTART:20260302"))[0].uid
        for uid in ("가" * 255, "가" * 256, "가" * 256, "가" * 257)
    )
    assert kept == "가" * 255
    assert (len(first), first) == (64, again)
    assert first != second


def versions(*versions):
    """Return the locations of what is read of versions of one event, or the reason of the skipped ones."""
    entries = read_events(*(event("UID:1", "DTSTART:20260302", *lines) for lines in versions))
    return [entry.reason or entry.fields["location"] for entry in entries]


DUPLICATE = "같은 UID의 같거나 더 새로운 항목이 파일에 또 있습니다."


def test_of_several_versions_of_an_event_the_newest_counts():
    first, second = ["LOCATION:1", "SEQUENCE:9"], ["LOCATION:2", "SEQUENCE:10"]
    assert versions(first, second) == [DUPLICATE, "2"]
    assert versions(second, first) == ["2", DUPLICATE]
    third = ["LOCATION:3", "SEQUENCE:10", "LAST-MODIFIED:20260101T000000Z"]
    assert versions(third, first, second) == ["3", DUPLICATE, DUPLICATE]
    assert versions(first, first) == ["1", DUPLICATE]


def test_a_version_that_cannot_be_read_does_not_count():
    broken = ["LOCATION:2", "SEQUENCE:10", "DTEND:20260101"]
    assert versions(["LOCATION:1"], broken) == ["1", "끝나는 때가 시작하는 때보다 빠릅니다."]


def test_a_newer_cancellation_counts():
    assert versions(["LOCATION:1"], ["STATUS:CANCELLED", "SEQUENCE:1"]) == [DUPLICATE, "취소된 일정입니다."]


def test_a_series_and_its_replacements_share_a_uid():
    lines = ["LOCATION:1", "RRULE:FREQ=DAILY"]
    others = (["LOCATION:2", "RECURRENCE-ID:20260303"], ["LOCATION:3", "RECURRENCE-ID:20260304"])
    assert versions(lines, *others) == ["1", "2", "3"]


# Files of mail


def test_an_invitation_is_an_event():
    assert not read_event("ATTENDEE:mailto:a@example.com", header=["METHOD:REQUEST"]).reason


def test_a_cancellation_removes_occurrences_but_no_whole_event():
    header = ["METHOD:CANCEL"]
    assert read_event(header=header).reason == "취소된 일정입니다."
    occurrence = read_event("RECURRENCE-ID:20260309T090000", header=header)
    assert (occurrence.cancelled, occurrence.reason) == (True, "")


@pytest.mark.parametrize("method", ["REPLY", "COUNTER"])
def test_an_answer_to_an_invitation_is_no_event(method):
    assert "답장" in read_event(header=[f"METHOD:{method}"]).reason
