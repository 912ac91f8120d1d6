"""Files in the manner of the programs that people use, with invented content."""

from pathlib import Path

import pytest

from calendar_files import SEOUL
from files.ical_in import read_calendar

SAMPLES = Path(__file__).parent / "samples"
OUTLOOK_UID = (
    "040000008200E00074C5B7101A82E00800000000A0B1C2D3E4F5D601000000000000000"
    "010000000AABBCCDDEEFF00112233445566778899"
)
EMPTY = {
    "description": "",
    "time": "",
    "url": "",
    "end_date": "",
    "start_time": "",
    "end_time": "",
    "location": "",
    "category": "",
    "rrule": "",
    "exdates": (),
}


def good(uid, title, event_date, original_date="", **fields):
    return (uid, original_date, {**EMPTY, "title": title, "event_date": event_date, **fields}, "")


EXPECTED = {
    "google": [
        good(
            "0weekly0standup0@google.com",
            "주간 회의",
            "2026-03-02",
            start_time="10:00",
            end_time="11:00",
            time="오전 10:00~11:00",
            rrule="FREQ=WEEKLY;BYDAY=MO;UNTIL=20260629",
            exdates=("2026-05-04",),
            location="대회의실, 3층",
            description='<b>안건</b>은 <a href="https://example.com/agenda">여기</a>에\n적어 주세요.',
        ),
        good(
            "0weekly0standup0@google.com",
            "주간 회의 (화요일로 옮김)",
            "2026-03-17",
            "2026-03-16",
            start_time="14:00",
            end_time="15:00",
            time="오후 2:00~3:00",
        ),
        good("0workshop0@google.com", "워크숍", "2026-05-15", end_date="2026-05-16"),
        good(
            "0call0@google.com",
            "고객사 통화",
            "2026-03-03",
            start_time="14:00",
            end_time="15:30",
            time="오후 2:00~3:30",
        ),
        ("0gone0@google.com", "", "취소된 회의", "취소된 일정입니다."),
    ],
    "outlook": [
        good(
            OUTLOOK_UID,
            "월간 보고",
            "2026-03-10",
            start_time="14:00",
            end_time="18:00",
            time="오후 2:00~6:00",
            rrule="FREQ=MONTHLY;BYDAY=2TU;COUNT=6",
            location="본사",
            category="빨강 범주",
            description="<html><body><p>보고 자료</p></body></html>",
        ),
        good(
            "outlook-2",
            "미국 지사 화상 회의",
            "2026-03-12",
            start_time="09:00",
            end_time="10:00",
            time="오전 9:00~10:00",
        ),
        good("outlook-3", "출장", "2026-03-12", end_date="2026-03-13"),
        (
            "outlook-4",
            "",
            "모르는 시간대",
            "시간대 'Customized Time Zone'이(가) 어느 시간대인지 알 수 없습니다.",
        ),
    ],
    "apple": [
        good(
            "3F0E8A57-0000-4000-8000-000000000001",
            "회식",
            "2026-03-20",
            start_time="19:00",
            end_time="01:30",
            time="오후 7:00~오전 1:30",
            location="회식 장소\n서울",
            url="https://example.com/dinner",
        ),
        good("3F0E8A57-0000-4000-8000-000000000003", "창립 기념일", "2026-04-01", rrule="FREQ=YEARLY"),
        good(
            "3F0E8A57-0000-4000-8000-000000000004",
            "메일에서 만든 일정",
            "2026-04-06",
            start_time="09:00",
            end_time="10:00",
            time="오전 9:00~10:00",
            rrule="FREQ=DAILY;COUNT=3",
            description="message:%3Cabc@example.com%3E",
        ),
        ("3F0E8A57-0000-4000-8000-000000000004", "2026-04-07", "메일에서 만든 일정", ""),
        ("", "", "할 일 1개", "할 일(VTODO)은(는) 가져오지 않습니다."),
    ],
    "naver": [
        good(
            "naver-0001",
            "점심 약속",
            "2026-03-05",
            start_time="12:00",
            end_time="13:00",
            time="오후 12:00~1:00",
            location="구내 식당",
            url="https://calendar.example.com/view?id=1",
        ),
        (
            "naver-0002",
            "",
            "음력 생일",
            "RSCALE 항목은 쓸 수 없습니다. 반복 규칙은 그레고리력(양력)만 따릅니다.",
        ),
    ],
    "timetree": [
        good("timetree-1", "가족 여행과 아주 긴 제목으로 된 일정", "2026-05-01", end_date="2026-05-03"),
        good(
            "timetree-2",
            "아침 운동",
            "2026-03-02",
            start_time="07:00",
            end_time="08:00",
            time="오전 7:00~8:00",
            rrule="FREQ=WEEKLY;BYDAY=MO,WE",
            exdates=("2026-03-04",),
        ),
        good(
            "855f27591493ca35b4a60d1b756ab3f4a87b460619e83f6be68b4cfe214108f8",
            "UID가 없는 일정",
            "2026-03-10",
            start_time="08:00",
            end_time="08:30",
            time="오전 8:00~8:30",
        ),
    ],
}


@pytest.mark.parametrize("program", EXPECTED)
def test_the_files_of_other_programs_are_read(program):
    entries = read_calendar((SAMPLES / f"{program}.ics").read_bytes(), SEOUL, None)
    for entry, (uid, original_date, said, reason) in zip(entries, EXPECTED[program], strict=True):
        assert (entry.uid, entry.original_date, entry.reason) == (uid, original_date, reason)
        assert (entry.fields if isinstance(said, dict) else entry.fields["title"]) == said


def test_every_sample_is_expected():
    assert {file.stem for file in SAMPLES.glob("*.ics")} == set(EXPECTED)


def test_only_the_removed_occurrence_is_cancelled():
    entries = read_calendar((SAMPLES / "apple.ics").read_bytes(), SEOUL, None)
    assert [entry.original_date for entry in entries if entry.cancelled] == ["2026-04-07"]
