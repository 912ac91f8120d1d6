"""`/healthz` (the process runs) and `/readyz` (it should get requests), for load balancers and the like."""

from collections.abc import Callable
from typing import Any

from apiflask import APIBlueprint

from errors import StoreUnavailable
from rest.answer_shapes import StatusAnswer
from rest.openapi import documented


def blueprint(require_ready: Callable[[], None]) -> APIBlueprint:
    """`require_ready()` raises `StoreUnavailable` when the server should get no requests."""
    bp = APIBlueprint("health", __name__, tag={"name": "health", "description": "상태"})

    @bp.get("/healthz")
    @documented("프로세스가 살아 있음", StatusAnswer)
    def get_health() -> dict[str, Any]:
        return {"success": True, "status": "alive"}

    @bp.get("/readyz")
    @documented("저장소에 닿음", StatusAnswer, StoreUnavailable)
    def get_readiness() -> dict[str, Any]:
        require_ready()
        return {"success": True, "status": "ready"}

    return bp
