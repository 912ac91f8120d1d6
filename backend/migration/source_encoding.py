"""Finds the encoding of an old file (UTF-8, UTF-16 or CP949), decodes it, and locates undecodable bytes."""

import codecs
import re
from collections.abc import Iterator
from pathlib import Path

from errors import SetupError

CHUNK = 64 * 1024

_HANGUL = re.compile("[가-힣]")
_REPLACED = "\N{REPLACEMENT CHARACTER}"


class FileUnusable(SetupError):
    """A source file cannot be read; the text names the file, the line and column, and the remedy."""


def find_encoding(path: Path) -> str:
    """Return Python's name of the encoding of a file.

    Raises `FileUnusable` when some bytes are invalid in every encoding that is tried, and `OSError`.
    """
    with path.open("rb") as file:
        start = file.read(4)
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if start.startswith(mark):
            return _require(path, encoding)
    if b"\0" in start[:2]:  # JSON begins with an ASCII character, which has a zero byte in UTF-16
        return _require(path, "utf-16-be" if start[0] == 0 else "utf-16-le")
    bad = _first_undecodable(path, "utf-8")
    if bad is None:
        return "utf-8"
    if _first_undecodable(path, "cp949") is None and not _looks_like_utf8(path):
        return "cp949"
    line, column = _line_and_column(path, bad)
    raise FileUnusable(
        f"파일 '{path}'의 글자를 읽을 수 없습니다: {line}행 {column}열이 UTF-8도 CP949도 아닙니다.\n"
        "  → 그 자리의 깨진 글자를 고치거나 파일을 UTF-8로 다시 저장하세요."
    )


def read_as_utf8(path: Path, encoding: str) -> Iterator[bytes]:
    """Yield the content of a file in blocks of UTF-8."""
    decoder = codecs.getincrementaldecoder(encoding)()
    for block in _blocks(path):
        yield block if encoding == "utf-8" else decoder.decode(block).encode()


def advance(line: int, column: int, passed: bytes) -> tuple[int, int]:
    """Return the line and column, counted from 1, after more bytes of UTF-8."""
    newlines = passed.count(b"\n")
    last = passed[passed.rfind(b"\n") + 1 :]
    characters = sum(byte & 0xC0 != 0x80 for byte in last)
    return line + newlines, characters + (1 if newlines else column)


def _require(path: Path, encoding: str) -> str:
    bad = _first_undecodable(path, encoding)
    if bad is not None:
        raise FileUnusable(
            f"{encoding.upper()} 파일 '{path}'이(가) {bad:,}번째 바이트에서 깨져 있습니다.\n"
            "  → 원본에서 다시 복사하거나 UTF-8로 다시 저장하세요."
        )
    return encoding


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(CHUNK):
            yield block


def _first_undecodable(path: Path, encoding: str) -> int | None:
    """Return the offset of the first byte that is invalid in the encoding, or None."""
    decoder = codecs.getincrementaldecoder(encoding)()
    offset = 0
    try:
        for block in _blocks(path):
            held = len(decoder.getstate()[0])
            decoder.decode(block)
            offset += len(block)
        held = len(decoder.getstate()[0])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return offset - held + error.start
    return None


def _looks_like_utf8(path: Path) -> bool:
    """Tell damaged UTF-8 from CP949: CP949 decoded as UTF-8 gives no Hangul at all."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    whole = broken = 0
    for block in _blocks(path):
        text = decoder.decode(block)
        whole += len(_HANGUL.findall(text))
        broken += text.count(_REPLACED)
    return whole >= broken


def _line_and_column(path: Path, offset: int) -> tuple[int, int]:
    line, column = 1, 1
    for block in _blocks(path):
        line, column = advance(line, column, block[:offset])
        offset -= len(block)
        if offset <= 0:
            break
    return line, column
