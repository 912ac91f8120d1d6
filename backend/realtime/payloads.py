"""What the server sends besides entities: where a client stands, and what brings it there."""

from typing import Any

import orjson

from domain import Position
from services.sync import Sync


def joined(department_id: str, position: Position) -> dict[str, Any]:
    """Say which state of a department a client holds from now on."""
    return {
        "department_id": department_id,
        "revision": position.revision,
        "sync_token": position.sync_token,
    }


def sync_response(sync: Sync) -> dict[str, Any]:
    """Build the `sync_response`: the changes since a client's token, or everything."""
    content: dict[str, Any] = {"changes": [change.public() for change in sync.changes]}
    if sync.events is not None:
        content = {"events": orjson.Fragment(sync.events)}
    return {
        "department_id": sync.department_id,
        "full": sync.full,
        **content,
        "revision": sync.position.revision,
        "sync_token": sync.position.sync_token,
    }
