"""Cells of CSV files that a spreadsheet would take for a formula: written as text, and read back."""

import re

_SIGN = r"=+\-@＝＋－＠"
_FORMULA = re.compile(rf"[\s'\"\ufeff\u200b]*+[{_SIGN}]|[\s'\"\ufeff\u200b]*[\t\r]")
"""How cells begin that spreadsheets may run, white space and quotes left out as some programs do.

https://owasp.org/www-community/attacks/CSV_Injection. Apostrophes belong to it, so that text which looks
escaped is escaped itself and read back as it was.
"""


def escape_cell(text: str) -> str:
    """Return the text with an apostrophe before it if it may be taken for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def unescape_cell(cell: str) -> str:
    """Return the text of which `escape_cell` made the cell."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell, 1) else cell
