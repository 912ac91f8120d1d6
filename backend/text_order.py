"""Rules for texts that people write: how names are compared, how times of day are ordered."""

import re
import unicodedata


def fold_text(text: str) -> str:
    """Normalise text for comparison: NFC, case folded, white space collapsed."""
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold()).split())


_CLOCK = re.compile(
    r"(?P<before>오전|오후|am|pm|a\.m\.|p\.m\.)?\s*"
    r"(?P<hour>[0-9]{1,2})"
    r"\s*(?P<unit>:\s*(?P<minute>[0-9]{2})|시\s*(?:(?P<minute_ko>[0-9]{1,2})\s*분|(?P<half>반))?)?"
    r"\s*(?P<after>am|pm|a\.m\.|p\.m\.)?",
    re.IGNORECASE,
)


def time_order(text: str) -> tuple[int, str]:
    """Return the sort key of a free-text time: empty (all day) first, then clock times, then other text.

    Reads texts that begin like `오후 2:00`, `오후 2시 30분`, `14:00` or `2 PM`. The key is the minute of the
    day (-1 for empty, 1440 for text that begins with no clock time) and the text itself.
    """
    if not text:
        return (-1, "")
    match = _CLOCK.match(text)
    if not match:
        return (1440, text)
    half_day = (match["before"] or match["after"] or "").lower().replace(".", "")
    if not half_day and not match["unit"]:
        return (1440, text)  # a bare number, as in "3층"
    hour = int(match["hour"])
    minute = int(match["minute"] or match["minute_ko"] or (30 if match["half"] else 0))
    if half_day in ("오후", "pm") and hour < 12:
        hour += 12
    elif half_day in ("오전", "am") and hour == 12:
        hour = 0
    if hour > 24 or minute > 59:
        return (1440, text)
    return (hour * 60 + minute, text)
