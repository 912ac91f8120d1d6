"""Repairs text that another program decoded wrongly before it wrote the file."""

import re

import ftfy
import ftfy.bad_codecs  # registers sloppy-windows-1252

MISREAD_TIMES = 3

_SUSPECT = re.compile("[\x80-\u052f\u2010-\u25ff]")
"""Characters that wrong decoding produces. Text without them needs no repair, and ftfy is slow."""
_HIGH_PAIRS = re.compile("(?:[\xa1-\xfe]{2})+")
_FOREIGN = re.compile("[^\x00-\x7f]+")
_HANGUL = re.compile("[가-힣]+")
_REPLACED = "\N{REPLACEMENT CHARACTER}"


def repair_text(text: str) -> str:
    """Undo wrong decoding: UTF-8 taken for a Western code page, any number of times, or CP949 once.

    Returns correct text, and text whose repair would lose characters, unchanged.
    """
    if not _SUSPECT.search(text):
        return text
    if hangul := _from_utf8(text) or _from_cp949(text):
        return hangul
    repaired = ftfy.fix_encoding(text)
    return text if repaired.count(_REPLACED) > text.count(_REPLACED) else repaired


def _from_utf8(text: str) -> str:
    """Undo UTF-8 read as a Western code page until Hangul appears; return `""` if none does.

    ftfy alone leaves a third of all Hangul syllables garbled, because their garbled form looks plausible to
    it. Text whose bytes are valid UTF-8 with Hangul is certainly garbled.
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
    """Undo CP949 read as Latin-1, which ftfy cannot; return `""` unless all foreign letters become Hangul."""
    runs = _FOREIGN.findall(text)
    if sum(map(len, runs)) < 4 or not all(map(_HIGH_PAIRS.fullmatch, runs)):
        return ""  # up to three such letters may be a word of a Western language
    try:
        if not _HANGUL.fullmatch("".join(runs).encode("latin-1").decode("cp949")):
            return ""
        return text.encode("latin-1").decode("cp949")
    except UnicodeError:
        return ""
