"""Content lines: escaping, folding, and what may not stand in a file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from icalendar.parser import Contentline, Contentlines

from files.ical_text import content_lines, raw_line, text_line


def read_back(content: bytes) -> list[str]:
    return [line.parts()[2] for line in Contentlines.from_ical(content) if line]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("쉼표, 세미콜론; 역슬래시\\", r"쉼표\, 세미콜론\; 역슬래시\\"),
        ("한 줄\n두 줄\r\n세 줄\r네 줄", r"한 줄\n두 줄\n세 줄\n네 줄"),
        (r"C:\New\notes", r"C:\\New\\notes"),
        ("콜론: \"따옴표\" ^n 'x'", "콜론: \"따옴표\" ^n 'x'"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("탭\t은 남고 \x00\x07\x0b\x0c\x1c\x85\x7f 나머지는 없어진다", "탭\t은 남고  나머지는 없어진다"),
    ],
)
def test_text_is_escaped(text, value):
    assert text_line("SUMMARY", text) == f"SUMMARY:{value}"


def test_an_address_is_not_escaped_and_ends_no_line():
    assert raw_line("URL", "https://example.com/?a=1,2;b=\\") == "URL:https://example.com/?a=1,2;b=\\"
    assert raw_line("URL", "https://example.com/\r\nATTENDEE:x\x0b") == "URL:https://example.com/ATTENDEE:x"


@pytest.mark.parametrize(
    ("line", "folded"),
    [
        ("SUMMARY:" + "a" * 67, [75]),
        ("SUMMARY:" + "a" * 68, [75, 2]),
        ("SUMMARY:" + "가" * 22, [74]),
        ("SUMMARY:" + "가" * 23, [74, 4]),
        ("SUMMARY:" + "가" * 48, [74, 73, 7]),
        ("SUMMARY:" + "😀" * 40, [72, 73, 25]),
    ],
)
def test_a_line_is_folded_before_75_octets_and_between_characters(line, folded):
    lines = content_lines([line]).split(b"\r\n")
    assert [len(part) for part in lines] == [*folded, 0]
    assert "".join([lines[0].decode(), *(part.decode()[1:] for part in lines[1:])]) == line


@given(st.lists(st.text(st.characters(codec=None), max_size=120), max_size=5))
def test_any_text_is_read_back_as_it_was_without_control_characters(texts):
    content = content_lines([text_line("DESCRIPTION", text) for text in texts])
    lines = content.split(b"\r\n")
    assert all(len(line) <= 75 for line in lines)
    assert not any(set(line.decode()) & {"\r", "\n"} for line in lines)
    kept = [text.replace("\r\n", "\n").replace("\r", "\n") for text in texts]
    assert read_back(content) == ["".join(filter(may_stand_in_text, text)) for text in kept]


def may_stand_in_text(char: str) -> bool:
    return char in "\t\n" or not (ord(char) < 32 or 127 <= ord(char) < 160 or "\ud800" <= char <= "\udfff")


def test_the_library_unfolds_what_is_folded_here():
    line = "DESCRIPTION:" + "회의 안건을 정리해서 공유합니다. " * 20
    assert Contentline.from_ical(content_lines([line]).decode().removesuffix("\r\n")) == line
