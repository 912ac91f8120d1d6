"""Writes a JSON file with one list, in the form that the migration reads."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson


def write_json_list(path: Path, rows: Iterable[Any]) -> int:
    """Write a list with one row on each line, whole or not at all, and return the number of rows.

    One row on each line lets `diff` compare two files. Raises `OSError`.
    """
    draft = path.with_name(path.name + ".new")
    count = 0
    with draft.open("wb") as file:
        for row in rows:
            file.write((b",\n" if count else b"[\n") + orjson.dumps(row))
            count += 1
        file.write(b"\n]\n" if count else b"[]\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return count
