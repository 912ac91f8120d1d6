"""Repairs text that another program decoded wrongly before it wrote the file."""

import re

import ftfy
import ftfy.bad_codecs  # registers sloppy-windows-1252

MISREAD_TIMES = 3

_SUSPECT = re.compile("[\x80-\u052f\u2010-\u25ff]")
"""Characters that wrongly decoded bytes turn into. Text without them is spared ftfy, which is slow."""
_HIGH_PAIRS = re.compile("(?:[\xa1-\xfe]{2})+")
_FOREIGN = re.compile("[^\x00-\x7f]+")
_HANGUL = re.compile("[가-힣]+")
_REPLACED = "\N{REPLACEMENT CHARACTER}"


def repair(text: str) -> str:
    """Undo wrong decoding: UTF-8 taken for a Western code page, any number of times, or CP949 once.

    Text that is fine stays as it is, and so does text whose repair would lose characters.
    """
    if not _SUSPECT.search(text):
        return text
    if hangul := _from_utf8(text) or _from_cp949(text):
        return hangul
    mended = ftfy.fix_encoding(text)
    return text if mended.count(_REPLACED) > text.count(_REPLACED) else mended


def _from_utf8(text: str) -> str:
    """Undo UTF-8 read as a Western code page until Hangul appears; return `""` if none does.

    ftfy leaves a third of all Hangul syllables alone, because their garbled form looks plausible to it. Text
    whose bytes are valid UTF-8 and contain Hangul is garbled beyond doubt.
    """
    for _ in range(MISREAD_TIMES):
        for codec in ("latin-1", "sloppy-windows-1252"):
            try:
                text = text.encode(codec).decode()
            except UnicodeError:
                continue
            break
        else:
            return ""
        if _HANGUL.search(text):
            return text
    return ""


def _from_cp949(text: str) -> str:
    """Undo CP949 read as Latin-1, which ftfy does not know; `""` unless all of it turns into Hangul."""
    runs = _FOREIGN.findall(text)
    if sum(map(len, runs)) < 4 or not all(map(_HIGH_PAIRS.fullmatch, runs)):
        return ""  # up to three such letters may be a word of a Western language
    try:
        if not _HANGUL.fullmatch("".join(runs).encode("latin-1").decode("cp949")):
            return ""
        return text.encode("latin-1").decode("cp949")
    except UnicodeError:
        return ""
