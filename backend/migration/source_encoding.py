"""Finds the encoding of an old file, and reads the file as UTF-8; names what is wrong with it."""

import codecs
from collections.abc import Iterator
from pathlib import Path

import text_encoding
from errors import SetupError
from text_encoding import BLOCK, Undecodable


class FileUnusable(SetupError):
    """A source file cannot be read; the text names the file, the line and column, and the remedy."""


def find_encoding(path: Path) -> str:
    """Return Python's name of the encoding of a file.

    Raises `FileUnusable` when some bytes are invalid in every encoding that is tried, and `OSError`.
    """
    try:
        return text_encoding.find_encoding(lambda: _blocks(path))
    except Undecodable as error:
        raise FileUnusable(_message(path, error)) from error


def read_as_utf8(path: Path, encoding: str) -> Iterator[bytes]:
    """Yield the content of a file in blocks of UTF-8."""
    decoder = codecs.getincrementaldecoder(encoding)()
    for block in _blocks(path):
        yield block if encoding == "utf-8" else decoder.decode(block).encode()


def _message(path: Path, error: Undecodable) -> str:
    if error.encoding:
        return (
            f"{error.encoding.upper()} 파일 '{path}'이(가) {error.offset:,}번째 바이트에서 깨져 있습니다.\n"
            "  → 원본에서 다시 복사하거나 UTF-8로 다시 저장하세요."
        )
    return (
        f"파일 '{path}'의 글자를 읽을 수 없습니다: "
        f"{error.line}행 {error.column}열이 UTF-8도 CP949도 아닙니다.\n"
        "  → 그 자리의 깨진 글자를 고치거나 파일을 UTF-8로 다시 저장하세요."
    )


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block
