"""Encodings of files that people saved."""

import codecs

import pytest

from text_encoding import BLOCK, Undecodable, decode_text

TEXT = "날짜,제목\r\n2026-03-02,팀 회의 똠방각하\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp949"])
@pytest.mark.parametrize("text", [TEXT, "a", "Date,Subject\r\n", TEXT * 5_000, "가 나,가\n" * BLOCK, ""])
def test_text_is_the_same_in_every_encoding(encoding, text):
    assert decode_text(text.encode(encoding)) == text


def test_big_endian_utf16_is_known_by_its_mark():
    assert decode_text(codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be")) == TEXT


@pytest.mark.parametrize("text", ["가,\0나\n" * 100 + "x" * 2_000, "\0" + TEXT])
def test_a_few_zero_bytes_do_not_make_a_text_utf16(text):
    assert decode_text(text.encode()) == text


@pytest.mark.parametrize(
    ("content", "encoding", "line", "column"),
    [
        ("제목\n개발".encode()[:-1], "", 2, 2),
        (b"a\n\xff\xff", "", 2, 1),
        ('"title":\n "개발'.encode()[:-2] + b'"', "", 2, 4),  # CP949 can read it, as other Hangul
        (codecs.BOM_UTF16_LE + b"a", "utf-16", None, None),
        (codecs.BOM_UTF8 + b"a\n\xff", "utf-8-sig", None, None),
    ],
)
def test_bytes_of_no_encoding_are_located(content, encoding, line, column):
    with pytest.raises(Undecodable) as refused:
        decode_text(content)
    assert refused.value.encoding == encoding
    if line:
        assert (refused.value.line, refused.value.column) == (line, column)
