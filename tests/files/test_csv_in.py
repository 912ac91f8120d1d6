"""CSV files of people, of Excel and of Outlook, and hostile ones."""

import re
from typing import Any

import pytest

from files.csv_in import list_unread_columns, read_table
from files.entries import Entry, FileRefused, TooManyEntries

EXCEL = '날짜,시간,제목,내용,장소\r\n2026-03-02,오후 2:00,주간 회의 똠방각하,"안건\n1) 보고",3층\r\n'


def one(text: str, encoding: str = "utf-8") -> Entry:
    [entry] = read_table(text.encode(encoding), None)
    return entry


def fields(text: str) -> dict[str, Any]:
    entry = one(text)
    assert entry.reason == ""
    return dict(entry.fields)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp949"])
def test_what_excel_saves_is_read_in_every_encoding_and_with_every_separator(encoding, separator):
    assert dict(one(EXCEL.replace(",", separator), encoding).fields) == {
        "event_date": "2026-03-02",
        "time": "오후 2:00",
        "title": "주간 회의 똠방각하",
        "description": "안건\n1) 보고",
        "location": "3층",
    }


@pytest.mark.parametrize("line", ["sep=;\r\n", "SEP=;\n", "\ufeffsep=;\r\n"])
def test_the_line_with_which_a_file_names_its_separator_is_obeyed(line):
    text = line + "날짜;제목;내용\r\n2026-03-02;회의;a,b,c\r\n"
    assert fields(text)["description"] == "a,b,c"
    with pytest.raises(FileRefused, match="3번째 줄"):
        read_table((line + '날짜;제목\n2026-03-02;"회의\n').encode(), None)


@pytest.mark.parametrize(
    "header",
    [
        "일자,제목",
        "시작일,일정",
        "제목 , 날 짜",
        "Title,DATE",
        "event_date,summary",
        "Start Date,Subject",
        '"제목", "날짜"',
        "번호,제목,날짜,담당",
    ],
)
def test_columns_are_known_by_many_names_in_any_order(header):
    values = {"제목": "회의", "일정": "회의", "title": "회의", "summary": "회의", "subject": "회의"}
    row = [values.get(name.strip(' "').lower(), "2026-03-02") for name in header.split(",")]
    assert fields(f"{header}\n{','.join(row)}\n") == {"event_date": "2026-03-02", "title": "회의"}


def test_a_header_is_found_below_a_heading_and_empty_rows_are_passed_over():
    text = "\n3월 주간 일정,,\n,,\n제목,날짜,\n\n회의,2026-03-02,\n ,,\n회식,2026-03-32,\n"
    entries = read_table(text.encode(), None)
    assert [entry.fields["title"] for entry in entries] == ["회의", "회식"]
    assert (
        entries[1].reason
        == "8행: '날짜' 칸의 '2026-03-32'을(를) 읽을 수 없습니다. 2026-03-02처럼 적어 주세요."
    )


def test_quotes_may_follow_a_space():
    assert fields('날짜, 제목, 내용\n2026-03-02, "회의", "가, 나"\n')["description"] == "가, 나"


def test_columns_of_which_nothing_is_read_are_named():
    text = "날짜,제목,담당자,내용,비고\n2026-03-02,회의,홍길동,가,나\n"
    assert list_unread_columns(text.encode()) == ["담당자", "비고"]
    assert fields(text)["description"] == "가"


@pytest.mark.parametrize(
    ("text", "missing", "found"),
    [
        ("이름,제목\nx,y\n", "날짜", "이름, 제목"),
        ("날짜,담당\n2026-03-02,y\n", "제목", "날짜, 담당"),
        ("<html>", "날짜, 제목", "<html>"),
        ("," * 100_000 + "x", "날짜, 제목", "없음"),
    ],
)
def test_a_file_without_date_or_title_is_refused_by_what_was_found(text, missing, found):
    with pytest.raises(FileRefused, match=f"없는 열: {missing}. 찾은 열: {found}$"):
        read_table(text.encode(), None)


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\r\n \r\n", b'"', b"sep=;\n"])
def test_an_empty_file_is_refused(content):
    with pytest.raises(FileRefused, match="빈 파일"):
        read_table(content, None)


def test_undecodable_files_are_refused_with_the_reason():
    with pytest.raises(FileRefused, match="2행 1열이 UTF-8도 CP949도"):
        read_table(b"a,b\n\xff\xff", None)
    with pytest.raises(FileRefused, match="UTF-16 파일이"):
        read_table("날짜".encode("utf-16") + b"a", None)


OUTLOOK = (
    '"Subject","Start Date","Start Time","End Date","End Time","All day event","Description","Location"\r\n'
)
OUTLOOK_KOREAN = "제목,시작 날짜,시작 시간,끝 날짜,끝 시간,하루 종일,설명,장소\r\n"


@pytest.mark.parametrize(
    ("header", "row"),
    [
        (OUTLOOK, "회의,3/2/2026,2:00:00 PM,3/2/2026,3:30:00 PM,False,,3층\r\n"),
        (OUTLOOK_KOREAN, "회의,2026-03-02,오후 2:00:00,2026-03-02,오후 3:30:00,거짓,,3층\r\n"),
    ],
)
def test_what_outlook_exports_is_read(header, row):
    assert fields(header + row) == {
        "event_date": "2026-03-02",
        "end_date": "2026-03-02",
        "title": "회의",
        "start_time": "14:00",
        "end_time": "15:30",
        "description": "",
        "location": "3층",
    }


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("3/3/2026,12:00:00 AM", "2026-03-02"),
        ("3/5/2026,12:00:00 AM", "2026-03-04"),
        ("3/4/2026,", "2026-03-04"),
        ("3/2/2026,12:00:00 AM", "2026-03-02"),
    ],
)
def test_an_all_day_event_of_outlook_ends_at_midnight_of_the_day_after(end, expected):
    found = fields(f"{OUTLOOK}휴가,3/2/2026,12:00:00 AM,{end},True,,\r\n")
    assert found["end_date"] == expected
    assert not {"time", "start_time", "end_time"} & set(found)


def test_dates_with_the_year_last_are_read_as_the_others_of_the_file():
    day_first = f"{OUTLOOK}가,3/2/2026,,,,,,\r\n나,25/2/2026,,,,,,\r\n"
    assert [e.fields["event_date"] for e in read_table(day_first.encode(), None)] == [
        "2026-02-03",
        "2026-02-25",
    ]
    assert "3/2/2026" in one("날짜,제목\n3/2/2026,회의\n").reason


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ("2026-03-02 00:00,", {}),
        ("2026-03-02 14:00:00,", {"time": "14:00:00"}),
        ("2026. 3. 2.(월) 14:00~15:30,", {"time": "14:00~15:30"}),
        ("2026-03-02 14:00,오후 2:00", {"time": "오후 2:00"}),
        ("2026-03-02,2시쯤", {"time": "2시쯤"}),
    ],
)
def test_a_time_behind_the_date_counts_unless_it_is_midnight(cells, expected):
    assert (
        fields(f"제목,날짜,시간\n회의,{cells}\n") == {"title": "회의", "event_date": "2026-03-02"} | expected
    )


def test_a_time_behind_the_date_fills_the_empty_times_of_a_known_event():
    found = fields("날짜,제목,시작 시각,종료 시각,UID\n2026-03-02 14:00~15:30,회의,,,a\n")
    assert found == {"event_date": "2026-03-02", "title": "회의", "time": "14:00~15:30"}


def test_an_end_without_a_start_takes_the_start_from_the_text_of_the_time():
    found = fields("제목,날짜,시간,종료 시각\n회의,2026-03-02,오후 2:00,15:30\n")
    assert (found["start_time"], found["end_time"]) == ("14:00", "15:30")
    found = fields("제목,날짜,시간,종료일\n회의,2026-03-02,오후 2:00,2026-03-03 15:30\n")
    assert (found["start_time"], found["end_date"], found["end_time"]) == ("14:00", "2026-03-03", "15:30")


def test_only_rows_with_a_uid_say_that_a_time_is_empty():
    header = "날짜,시간,제목,시작 시각,종료 시각,UID\n"
    assert fields(f"{header}2026-03-02,오후 2:00,회의,,,\n").keys() == {"event_date", "time", "title"}
    assert fields(f"{header}2026-03-02,,회의,14:00,,\n").keys() == {"event_date", "start_time", "title"}
    assert fields(f"{header}2026-03-02,오후 2:00,회의,,,a\n")["start_time"] == ""


@pytest.mark.parametrize(
    ("header", "row", "reason"),
    [
        ("날짜,제목", ",회의", "'날짜' 칸이 비어"),
        ("Date,Title", "2026-03-02, ", "'Title' 칸이 비어"),
        ("날짜,제목", "2026-03-02,회의,더", "열 이름이 없는 3번째 칸에 '더'"),
        ("날짜,,제목", "2026-03-02,더,회의", "열 이름이 없는 2번째 칸에 '더'"),
        ("날짜,제목", "2026-03-02 ~ 2026-03-04,회의", "'날짜' 칸의 '2026-03-02 ~ 2026-03-04'"),
        ("날짜,제목,종료일", "2026-03-02,회의,모름", "'종료일' 칸의 '모름'"),
        ("날짜,제목,시작 시각", "2026-03-02,회의,미정", "'시작 시각' 칸의 '미정'.* 14:00처럼"),
        ("날짜,제목,종료 시간", "2026-03-02,회의,24:00", "'종료 시간' 칸의 '24:00'"),
        ("날짜,제목,제외일", "2026-03-02,회의,2026-03-03; 3월", "'제외일' 칸의 '3월'"),
        ("날짜,제목,원래 날짜", "2026-03-02,회의,2026-03-03 14:00", "'원래 날짜' 칸"),
        ("날짜,제목,시간", "2026-03-02 14:00,회의,오후 3:00", "'14:00'이.* 시간 칸"),
        ("날짜,제목,종료일,종료 시각", "2026-03-02,회의,2026-03-02 15:00,16:00", "'15:00'이.* 종료 시각 칸"),
        ("날짜,제목", f"{'9' * 50_000},회의", "'9{40}…'을"),
    ],
)
def test_a_row_that_cannot_be_imported_says_why(header, row, reason):
    text = f"{header}\n{row}\n{header.replace('날짜', '2026-03-05').replace('제목', '다음')}\n"
    assert re.match(f"2행: .*{reason}", read_table(text.encode(), None)[0].reason)


def test_excluded_dates_are_read_as_people_separate_them():
    found = fields('날짜,제목,제외일\n2026-03-02,회의,"2026. 3. 9., 26.3.16;2026-03-23\n2026-03-30 00:00"\n')
    assert found["exdates"] == ("2026-03-09", "2026-03-16", "2026-03-23", "2026-03-30")


@pytest.mark.parametrize(
    "rows",
    [
        '2026-03-03,"회의\n' + "2026-03-04,다음\n" * 50_000,
        '2026-03-03,"회의\n2026-03-04,"다음"\n',
        f'2026-03-03,"{"x" * 10_000_000}"\n',
        "2026-03-03," + "x," * 3_000_000 + "\n",
        '2026-03-03,"' + '\n","' * 300_000 + '"\n',
    ],
    ids=["open to the end", "closed by another", "a huge cell", "a huge row", "a huge row of many lines"],
)
def test_a_row_that_swallows_others_or_is_huge_is_refused_with_its_line(rows):
    with pytest.raises(FileRefused, match=r"^3번째 줄에서 시작하는 행"):
        read_table(f"날짜,제목\n2026-03-02,처음\n{rows}".encode(), None)


def test_zero_bytes_stay_in_the_text_for_the_rules_to_refuse():
    assert fields("날짜,제목,내용\n2026-03-02,회\0의,\n")["title"] == "회\0의"
    assert "2026-03-02\0" in one("날짜,제목\n2026-03-02\0,회의\n").reason


def test_empty_rows_without_end_are_refused():
    with pytest.raises(FileRefused, match="빈 행이"):
        read_table("날짜,제목\n".encode() + b"\n" * 1_100_000, None)
    with pytest.raises(FileRefused, match="빈 파일"):
        read_table(b"\n" * 1_100_000 + "날짜,제목\n".encode(), None)


def test_lines_may_end_as_on_old_computers():
    assert len(read_table("날짜,제목\r2026-03-02,가\r2026-03-03,나".encode(), None)) == 2


def test_too_many_rows_are_refused_before_the_rest_is_read():
    rows = "날짜,제목\n" + "2026-03-02,회의\n" * 2_000
    assert len(read_table(rows.encode(), 2_000)) == 2_000
    with pytest.raises(TooManyEntries, match="2,000"):
        read_table(f'{rows}2026-03-02,하나 더\n2026-03-02,"회의\n'.encode(), 2_000)


def test_escaped_formulas_are_read_as_they_were():
    found = fields("날짜,제목,내용\n2026-03-02,'=회의,'인용'\n")
    assert (found["title"], found["description"]) == ("=회의", "'인용'")
