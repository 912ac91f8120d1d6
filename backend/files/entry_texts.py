"""Texts of files: in the form that events take, and as messages quote them."""

import re

QUOTED_MAX = 40

_LINE_BREAKS = re.compile(r"\r\n|[\r\x0b\x0c\x1c-\x1e\x85]")
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
"""Control characters that are no white space, which events may not have."""


def event_text(text: str) -> str:
    """Return a text as an event can have it: with plain line breaks, without other control characters."""
    return _CONTROLS.sub("", _LINE_BREAKS.sub("\n", text)).strip()


def with_line(text: str, line: str) -> str:
    """Return a text that has this line: at its end, if it is nowhere in it."""
    return text if line in text else f"{text}\n\n{line}".strip()


def quoted(text: str) -> str:
    """Return a text as messages quote it: in one line, its beginning if it is long."""
    line = " ".join(text.split())
    return line if len(line) <= QUOTED_MAX else f"{line[:QUOTED_MAX]}…"
