"""Reads the desktop program's JSON files as streams of rows, however they are nested.

`source_encoding.py` decodes the bytes; `source_rows.py` reads the fields of a row.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ijson

from migration.source_encoding import FileUnusable, find_encoding, read_as_utf8
from text_encoding import advance

Token = tuple[str, Any]

_WORD = re.compile(rb"[\w.+-]*\Z")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*\Z')


@dataclass(frozen=True, slots=True)
class Row:
    """One value of a file that should be a department or an event.

    `location` is its path in the file, such as `events[3]` or `개발팀.2024-01-20[0]`, counted from 0; `keys`
    are the object keys around it, which may name its date or department.
    """

    location: str
    keys: tuple[str, ...]
    content: Any


@dataclass(frozen=True, slots=True)
class Stray:
    """A value that is not a row, such as the `version` of `{"version": 1, "events": [...]}`."""

    location: str
    content: Any


class SourceFile:
    """One JSON file. The constructor finds its encoding; `rows` can be called any number of times.

    Both raise `FileUnusable` if the file is missing, unreadable, in an unknown encoding, or not JSON.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.encoding = find_encoding(path)
        except FileNotFoundError as error:
            raise FileUnusable(
                f"파일 '{path}'이(가) 없습니다.\n"
                "  → 파일이 있는 폴더에서 실행하거나 --departments, --events로 경로를 지정하세요."
            ) from error
        except OSError as error:
            raise FileUnusable(
                f"파일 '{path}'을(를) 읽을 수 없습니다: {error.strerror}\n  → 경로와 읽기 권한을 확인하세요."
            ) from error

    def rows(self, wrapper: str, other: str) -> Iterator[Row | Stray]:
        """Yield the rows and strays in the order of the file, in whichever shape it nests them.

        `wrapper` is a top-level key that only names the content, as `events` in `{"events": [...]}`; a row's
        keys leave it out. Rows under the top-level key `other` belong to the other file's kind: skipped.
        """
        try:
            yield from _Walk(self._tokens(), wrapper, other).rows()
        except RecursionError as error:
            raise FileUnusable(
                f"파일 '{self.path}'에 너무 깊이 겹친 값이 있습니다.\n  → 그 값을 고친 뒤 다시 실행하세요."
            ) from error

    # Tokens

    def _tokens(self) -> Iterator[Token]:
        found: Any = ijson.sendable_list()
        parser = ijson.basic_parse_coro(found, use_float=True)
        try:
            for chunk in read_as_utf8(self.path, self.encoding):
                parser.send(chunk)
                yield from found
                del found[:]
            parser.close()
        except ijson.JSONError as error:
            raise self._no_json() from error
        yield from found

    def _no_json(self) -> FileUnusable:
        line, column, at_end = self._locate_error()
        where = "파일이 중간에 끝납니다" if at_end else "JSON 문법이 틀립니다"
        return FileUnusable(
            f"파일 '{self.path}'의 {line}행 {column}열에서 {where}.\n"
            "  → 그 자리를 고친 뒤 다시 실행하세요. 아직 아무것도 옮기지 않았습니다."
        )

    def _locate_error(self) -> tuple[int, int, bool]:
        """Return line and column of the first error, and whether that is the end of the file.

        ijson reports neither, so the file is parsed once more, chunk by chunk.
        """
        parser = ijson.basic_parse_coro(ijson.sendable_list())
        probe = ijson.basic_parse_coro(ijson.sendable_list())
        line, column = 1, 1
        for chunk in read_as_utf8(self.path, self.encoding):
            try:
                parser.send(chunk)
            except ijson.JSONError:
                return (*advance(line, column, chunk[: _offending(probe, chunk)]), False)
            probe.send(chunk)
            line, column = advance(line, column, chunk)
        return line, column, True


def _offending(parser: Any, chunk: bytes) -> int:
    """Return the offset in the chunk of the token at which the parser fails."""
    offset = 0
    for offset in range(len(chunk)):
        try:
            parser.send(chunk[offset : offset + 1])
        except ijson.JSONError:
            break
    before = chunk[:offset]
    # The parser fails at a token's last byte; report the first, as the json module does.
    started = (_STRING if chunk[offset : offset + 1] == b'"' else _WORD).search(before[-200:])
    return offset - (len(started[0]) if started else 0)


class _Walk:
    """Walks through the containers of a file down to its rows.

    A row is a member of a list, or a keyed object whose first member is neither a list nor an object.
    """

    def __init__(self, tokens: Iterator[Token], wrapper: str, other: str) -> None:
        self._tokens = tokens
        self._wrapper = wrapper
        self._other = other

    def rows(self) -> Iterator[Row | Stray]:
        for event, value in self._tokens:
            if event == "start_array":
                yield from self._list(())
            elif event == "start_map":
                yield from self._object(())
            else:
                yield Stray("", value)

    def _list(self, keys: tuple[str, ...]) -> Iterator[Row | Stray]:
        path, context = ".".join(keys), self._context(keys)
        skipped = keys[:1] == (self._other,)
        for index, (event, value) in enumerate(self._tokens):
            if event == "end_array":
                return
            content = _build(self._tokens, event, value)
            if not skipped:
                yield Row(f"{path}[{index}]", context, content)

    def _object(self, keys: tuple[str, ...]) -> Iterator[Row | Stray]:
        first = True
        for event, key in self._tokens:
            if event == "end_map":
                return
            kind, value = next(self._tokens)
            inner = (*keys, key)
            if kind == "start_array":
                yield from self._list(inner)
            elif kind == "start_map":
                yield from self._object(inner)
            elif first and keys:
                content = _fill(self._tokens, {key: value})
                if keys[0] != self._other:
                    yield Row(".".join(keys), self._context(keys), content)
                return
            else:
                yield Stray(".".join(inner), value)
            first = False

    def _context(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        return keys[1:] if keys[:1] == (self._wrapper,) else keys


def _build(tokens: Iterator[Token], event: str, value: Any) -> Any:
    """Return the value that begins with a token, the rest of it taken from the stream."""
    if event == "start_map":
        return _fill(tokens, {})
    if event != "start_array":
        return value
    return [_build(tokens, inner, item) for inner, item in iter(lambda: next(tokens), ("end_array", None))]


def _fill(tokens: Iterator[Token], content: dict[str, Any]) -> dict[str, Any]:
    """Add the members up to the closing brace. A repeated key is renamed, so that no value is lost."""
    for event, key in tokens:
        if event == "end_map":
            break
        kind, value = next(tokens)
        if kind in ("start_map", "start_array"):
            value = _build(tokens, kind, value)
        while key in content:
            key += " (다시)"
        content[key] = value
    return content
