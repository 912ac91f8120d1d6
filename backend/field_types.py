"""The types of the fields of input: how text is cleaned, its limits, and how it is described."""

import re
import unicodedata
from datetime import date
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from time_zones import canonical_zone

NAME_MAX = 100
TITLE_MAX = 200
DESCRIPTION_MAX = 10_000
TIME_MAX = 50
URL_MAX = 2_048
TEXT_MAX = 4 * DESCRIPTION_MAX
"""Characters of a text before NFC, which makes one character of four at most. Longer texts are too long."""
COMBINING_RUN_MAX = 30
COMBINING_CHECK_FROM = 1_000
"""Longer texts may hold at most `COMBINING_RUN_MAX` combining marks in a row: the time in which NFC sorts a
run grows with the square of its length.
"""

UUID_PATTERN = r"^[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$"
_CONTROL = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f"
"""Control characters other than white space."""
_FORBIDDEN = re.compile(rf"[{_CONTROL}\ud800-\udfff]")
"""Control characters, and halves of surrogate pairs."""

# Patterns for the OpenAPI document, in the syntax that all dialects of regular expressions share. The server
# itself validates by the functions below.
_BLANK = r"\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""Control characters and white space."""
_SEPARATORS = (
    r"/?#@:\[\]\u2047-\u2049\u2100\u2101\u2105\u2106\u2a74"
    r"\ufe13\ufe16\ufe55\ufe56\ufe5f\ufe6b\uff03\uff0f\uff1a\uff1f\uff20"
)
"""Characters that end a part of an address, or that NFKC turns into one: `urlsplit` refuses these."""
_PART = f"[^{_BLANK}{_SEPARATORS}]"
TEXT_PATTERN = f"^[^{_CONTROL}]*$"
FILLED_PATTERN = f"^[^{_CONTROL}]*[^{_BLANK}][^{_CONTROL}]*$"
URL_PATTERN = (
    f"^(?:[Hh][Tt][Tt][Pp][Ss]?://(?:{_PART}+(?::{_PART}*)?@)?{_PART}+(?::{_PART}*)?(?:[/?#][^{_BLANK}]*)?)?$"
)
COLOR_PATTERN = "^(?:#[0-9a-fA-F]{6})?$"
_COLOR = re.compile(COLOR_PATTERN)


def clean_text(value: Any) -> Any:
    """Trim text and normalise it to NFC, before its length is checked. Refuse forbidden characters.

    Text that is too long anyway is returned as it is: to look at each of its characters would take a tenth of
    a second.
    """
    if not isinstance(value, str) or len(value := value.strip()) > TEXT_MAX:
        return value
    if _FORBIDDEN.search(value):
        raise PydanticCustomError("invalid_character", "쓸 수 없는 제어 문자가 있습니다.")
    if len(value) > COMBINING_CHECK_FROM and _has_long_run_of_marks(value):
        raise PydanticCustomError("invalid_character", "결합 문자가 너무 많이 이어져 있습니다.")
    return unicodedata.normalize("NFC", value)


def _has_long_run_of_marks(text: str) -> bool:
    """Tell whether text has more marks in a row than Unicode's Stream-Safe Text Format allows (UAX #15)."""
    marks = bytes(unicodedata.combining(char) > 0 for char in text)
    return bytes([True] * (COMBINING_RUN_MAX + 1)) in marks


def clean_line(value: Any) -> Any:
    """Clean text as `clean_text` does, and make one line of it."""
    cleaned = clean_text(value)
    return " ".join(cleaned.splitlines()) if isinstance(cleaned, str) else cleaned


def iso_date(value: str) -> str:
    """Return a date as it is. Raises `PydanticCustomError` for text that is no date."""
    try:
        if date.fromisoformat(value).isoformat() == value:
            return value
    except ValueError:
        pass
    raise PydanticCustomError("invalid_date", "YYYY-MM-DD 형식의 실제 날짜여야 합니다.")


def is_web_address(text: str) -> bool:
    """Tell whether an event can have this address."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"\s", text)
    except ValueError:
        return False


def _web_address(value: str) -> str:
    if not value or is_web_address(value):
        return value
    raise PydanticCustomError("invalid_url", "http:// 또는 https://로 시작하는 주소여야 합니다.")


def _time_zone(name: str) -> str:
    if known := canonical_zone(name):
        return known
    raise PydanticCustomError("invalid_timezone", "Asia/Seoul과 같은 IANA 시간대여야 합니다.")


def _color(value: str) -> str:
    if not value or _COLOR.fullmatch(value):
        return value.lower()
    raise PydanticCustomError("invalid_color", "#과 여섯 자리 16진수여야 합니다. 예: #1a73e8")


def described(pattern: str, example: str, description: str | None = None) -> Any:
    """Describe a text in the OpenAPI document. Without an example Swagger UI invents one from the pattern."""
    return Field(description=description, json_schema_extra={"pattern": pattern, "examples": [example]})


Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=NAME_MAX),
    BeforeValidator(clean_line),
    described(FILLED_PATTERN, "개발팀"),
]
Title = Annotated[
    str,
    StringConstraints(min_length=1, max_length=TITLE_MAX),
    BeforeValidator(clean_line),
    described(FILLED_PATTERN, "팀 회의"),
]
Description = Annotated[
    str,
    StringConstraints(max_length=DESCRIPTION_MAX),
    BeforeValidator(clean_text),
    described(TEXT_PATTERN, "회의실 3층"),
]
TimeText = Annotated[
    str,
    StringConstraints(max_length=TIME_MAX),
    BeforeValidator(clean_line),
    described(TEXT_PATTERN, "오후 2:00~3:30"),
]
Url = Annotated[
    str,
    StringConstraints(max_length=URL_MAX),
    BeforeValidator(clean_text),
    AfterValidator(_web_address),
    described(URL_PATTERN, "https://example.com/"),
]
IsoDate = Annotated[
    str,
    BeforeValidator(clean_text),
    AfterValidator(iso_date),
    Field(json_schema_extra={"format": "date", "examples": ["2024-01-20"]}),
]
TimeZone = Annotated[
    str,
    BeforeValidator(clean_line),
    AfterValidator(_time_zone),
    described(r"^[0-9A-Za-z_+/-]+$", "Asia/Seoul", "이벤트의 시각이 속한 IANA 시간대"),
]
Color = Annotated[
    str,
    BeforeValidator(clean_line),
    AfterValidator(_color),
    described(COLOR_PATTERN, "#1a73e8"),
]
ChosenId = Annotated[str, StringConstraints(pattern=UUID_PATTERN, to_lower=True)]
