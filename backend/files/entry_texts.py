"""Texts of files in the form that events take: no control characters, addresses of web pages only."""

import re
from urllib.parse import urlsplit

_LINE_BREAKS = re.compile(r"\r\n|[\r\x0b\x0c\x1c-\x1e\x85]")
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
"""Control characters that are no white space, which events may not have."""


def clean_text(text: str) -> str:
    """Return a text with plain line breaks, without other control characters."""
    return _CONTROLS.sub("", _LINE_BREAKS.sub("\n", text)).strip()


def is_web_address(text: str) -> bool:
    """Tell whether an event can have this address."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"\s", text)
    except ValueError:
        return False


def with_line(text: str, line: str) -> str:
    """Return a text that has this line: at its end, if it is nowhere in it."""
    return text if line in text else f"{text}\n\n{line}".strip()
