"""The rows of the old files that are not migrated, and the JSON files that show them to the operator."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from errors import SetupError
from migration.json_list import write_json_list


class RowRefused(Exception):
    """A row cannot be migrated; the text says why, in Korean."""


class LeftOut(Enum):
    """Why a row is not in the tables: it was refused, or a newer row of the same id replaced it."""

    REFUSED = "refused"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class RowLeftOut:
    """A row that was not migrated: file name, path within the file, Korean reason, and the row itself."""

    file: str
    location: str
    reason: str
    content: Any


def write_left_out(path: Path, rows: Iterable[RowLeftOut]) -> None:
    """Write the rows as a JSON list of `file`, `place`, `reason` and `content`; without rows remove the file.

    Raises `SetupError` if the folder cannot be written.
    """
    try:
        if not write_json_list(path, map(_public, rows)):
            path.unlink()
    except OSError as error:
        raise SetupError(
            f"'{path}'에 쓸 수 없습니다: {error.strerror}\n"
            "  → 쓸 수 있는 폴더에서 실행하세요. 다시 실행해도 안전합니다."
        ) from error


def _public(row: RowLeftOut) -> dict[str, Any]:
    # The key stays `place`, because operators and their scripts know it.
    return {"file": row.file, "place": row.location, "reason": row.reason, "content": row.content}
