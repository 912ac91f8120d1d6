"""How names that people write are compared."""

import unicodedata


def fold_text(text: str) -> str:
    """Normalise text for comparison: NFC, case folded, white space collapsed."""
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold()).split())
