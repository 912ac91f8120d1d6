"""Payloads of broadcasts and answers that are no entities: positions, and the `sync_response`."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import orjson

from domain import Position
from realtime.large_answers import LargeEvents
from services.sync import Sync

SHARED_BYTES = 32 * 1024
"""Smaller JSON of events is copied into the answer of each client."""
PART_BYTES = 256 * 1024
"""A full `sync_response` with more JSON of events than this comes in parts, if its client asked for that."""


def department_position(department_id: str, position: Position) -> dict[str, Any]:
    """Build `{department_id, revision, sync_token}`: the position that a client has reached."""
    return {
        "department_id": department_id,
        "revision": position.revision,
        "sync_token": position.sync_token,
    }


def sync_response(sync: Sync) -> dict[str, Any]:
    """Build a `sync_response`: the changes after a client's token, or all events."""
    content: dict[str, Any]
    if sync.events is None:
        content = {"changes": [change.public() for change in sync.changes]}
    elif len(sync.events) > 1 or len(whole := b"".join(sync.events)) > SHARED_BYTES:
        content = {"events": LargeEvents(sync.events)}
    else:
        content = {"events": _json_array(whole)}
    return {
        "department_id": sync.department_id,
        "full": sync.full,
        **content,
        "revision": sync.position.revision,
        "sync_token": sync.position.sync_token,
    }


def sync_response_parts(sync: Sync) -> Iterator[dict[str, Any]]:
    """Build the `sync_response`s of a client that takes parts; a single one without `part` if it is small.

    The last part has the `sync_token`: only then does the client hold everything.
    """
    pieces = iter(sync.events or ())
    first: list[bytes] = []
    while sum(map(len, first)) <= PART_BYTES:
        if (piece := next(pieces, None)) is None:
            yield sync_response(sync)
            return
        first.append(piece)
    assert sync.events is not None  # noqa: S101 - it had pieces
    parts = len(sync.events)
    for part, piece in enumerate(chain(first, pieces), 1):
        yield {
            "department_id": sync.department_id,
            "full": True,
            "part": part,
            "parts": parts,
            "events": _json_array(piece),
            "revision": sync.position.revision,
            **({"sync_token": sync.position.sync_token} if part == parts else {}),
        }


def _json_array(values: bytes) -> orjson.Fragment:
    return orjson.Fragment(b"[%b]" % values)
