"""Finds the encoding of a text that people saved: UTF-8, UTF-16 or CP949. Knows no files, no messages."""

import codecs
import re
from collections.abc import Callable, Iterable, Iterator

from turns import give_turn

BLOCK = 64 * 1024

Blocks = Callable[[], Iterable[bytes]]
"""Begins the content anew, in blocks of which the first has at least a few characters."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ZEROS_OF_UTF16 = 0.05
"""The least share of zero bytes in UTF-16: digits, spaces and separators have one each."""
_HANGUL = re.compile("[가-힣]")
_REPLACED = "\N{REPLACEMENT CHARACTER}"


class Undecodable(ValueError):
    """Bytes are invalid in the encoding that a text shows, or in all that are tried.

    `encoding` is empty for all that are tried; `offset` counts bytes from 0, `line` and `column` characters
    of UTF-8 from 1.
    """

    def __init__(self, encoding: str, offset: int, line: int, column: int) -> None:
        super().__init__(f"byte {offset} is invalid in {encoding or 'every encoding'}")
        self.encoding = encoding
        self.offset = offset
        self.line = line
        self.column = column


def find_encoding(blocks: Blocks) -> str:
    """Return Python's name of the encoding of a text. Raises `Undecodable`."""
    start = next(iter(blocks()), b"")
    if shown := _shown_encoding(start):
        return _require(blocks, shown)
    bad = _first_undecodable(blocks, "utf-8")
    if bad is None:
        return "utf-8"
    if _first_undecodable(blocks, "cp949") is None and not _looks_like_utf8(blocks):
        return "cp949"
    raise Undecodable("", bad, *_line_and_column(blocks, bad))


def decode_text(content: bytes) -> str:
    """Return the text of a file's content without its byte order mark. Raises `Undecodable`."""

    def blocks() -> Iterator[bytes]:
        for start in range(0, len(content), BLOCK):
            yield content[start : start + BLOCK]
            give_turn()

    decoder = codecs.getincrementaldecoder(find_encoding(blocks))()
    return "".join(decoder.decode(block) for block in blocks())


def advance(line: int, column: int, passed: bytes) -> tuple[int, int]:
    """Return the line and column, counted from 1, after more bytes of UTF-8."""
    newlines = passed.count(b"\n")
    last = passed[passed.rfind(b"\n") + 1 :]
    characters = sum(byte & 0xC0 != 0x80 for byte in last)
    return line + newlines, characters + (1 if newlines else column)


def _shown_encoding(start: bytes) -> str:
    """Return the encoding that a byte order mark or zero bytes show; empty if nothing shows one."""
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding
    zeros = start.count(0)
    if not zeros or zeros < len(start) * _ZEROS_OF_UTF16:
        return ""
    # The more, since `가` (U+AC00) has its zero byte on the other side of the pair.
    return "utf-16-be" if start[::2].count(0) * 2 > zeros else "utf-16-le"


def _require(blocks: Blocks, encoding: str) -> str:
    bad = _first_undecodable(blocks, encoding)
    if bad is not None:
        raise Undecodable(encoding, bad, *_line_and_column(blocks, bad))
    return encoding


def _first_undecodable(blocks: Blocks, encoding: str) -> int | None:
    """Return the offset of the first byte that is invalid in the encoding, or None."""
    decoder = codecs.getincrementaldecoder(encoding)()
    offset = held = 0
    try:
        for block in blocks():
            held = len(decoder.getstate()[0])
            decoder.decode(block)
            offset += len(block)
        held = len(decoder.getstate()[0])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return offset - held + error.start
    return None


def _looks_like_utf8(blocks: Blocks) -> bool:
    """Tell damaged UTF-8 from CP949: CP949 decoded as UTF-8 gives no Hangul at all."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    whole = broken = 0
    for block in blocks():
        text = decoder.decode(block)
        whole += len(_HANGUL.findall(text))
        broken += text.count(_REPLACED)
    return whole >= broken


def _line_and_column(blocks: Blocks, offset: int) -> tuple[int, int]:
    line, column = 1, 1
    for block in blocks():
        line, column = advance(line, column, block[:offset])
        offset -= len(block)
        if offset <= 0:
            break
    return line, column
