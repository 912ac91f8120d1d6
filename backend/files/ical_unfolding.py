"""The bytes of an iCalendar file as text: encoding, byte order mark, line breaks, folded lines."""

import codecs

from files.entries import FileRefused
from text_encoding import Undecodable, decode_text

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def unfolded_text(content: bytes) -> str:
    r"""Return the content lines of a file, each ended by `\n`.

    Bytes that belong to no character become lone surrogates (`surrogateescape`), for their entry to be
    skipped. Raises `FileRefused`.
    """
    if content.startswith(_UTF_16):
        content = _decoded(content).encode()
    content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    while b"\n\n" in content:
        content = content.replace(b"\n\n", b"\n")
    # Before decoding: programs that count bytes fold within a character.
    content = content.replace(b"\n ", b"").replace(b"\n\t", b"")
    try:
        return decode_text(content)
    except Undecodable:
        return content.decode(errors="surrogateescape")


def _decoded(content: bytes) -> str:
    try:
        return decode_text(content)
    except Undecodable as error:
        raise FileRefused("파일의 글자가 깨져 있습니다. UTF-8로 다시 저장하세요.") from error
