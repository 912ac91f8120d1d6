"""Adopts departments that other tools wrote, and for an operator completes the purges that are due."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from errors import SetupError, StoreUnavailable
from models import DynamoDBDatabase
from services.purge import Purge

log = logging.getLogger(__name__)

PAUSE_S = 10.0
"""How long the adoption waits before it tries again to reach the store."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """How many deleted departments were purged, and how many departments were adopted."""

    purged: int
    adopted: int


class Repair:
    """The repair of one store."""

    def __init__(self, db: DynamoDBDatabase, purge: Purge) -> None:
        self._db = db
        self._purge = purge

    def run(self) -> Repaired:
        """Complete the purges that are due, and adopt departments that other tools wrote.

        Raises `StoreUnavailable`, `SetupError`.
        """
        return Repaired(self._purge.run_due(), self._db.adopt_departments())

    def adopt_when_reachable(self, sleep: Callable[[float], object]) -> None:
        """Adopt as soon as the store can be reached; for a background task. `sleep` takes seconds."""
        while True:
            try:
                adopted = self._db.adopt_departments()
            except StoreUnavailable as error:
                log.warning("부서 등록이 중단되었습니다. 곧 이어서 합니다: %s", error)
                sleep(PAUSE_S)
            except SetupError as error:
                log.warning("부서 등록이 중단되었습니다. 다음 시작 때 이어서 합니다: %s", error)
                return
            else:
                log.info("다른 도구가 쓴 부서 %d개를 새로 등록했습니다", adopted)
                return
