"""A client that attacks one server at a time while a history goes on."""

import json
import random
import subprocess
import sys

from running import ROOT, hermetic_env

ATTACKS = (
    "Engine.IO pongs without pause",
    "120 full syncs unread, WebSocket",
    "handshakes without CONNECT, WebSocket",
    "1,100 idle connections",
)
GRACE_S = 60.0


class HostileClient:
    """Carries out attacks in a process of its own, one after the other."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._process: subprocess.Popen[bytes] | None = None

    def attack(self, url: str, department: str, seconds: float) -> None:
        """Begin an attack, which ends by itself. Fails if the one before ended with an error."""
        self.wait()
        target = {
            "url": url,
            "seconds": seconds,
            "departments": {"small": department, "large": department},
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "attacks.catalogue", self._rng.choice(ATTACKS), json.dumps(target)],
            env=hermetic_env(PYTHONPATH=f"{ROOT / 'tests'}:{ROOT / 'backend'}"),
        )

    def wait(self) -> None:
        if self._process is None:
            return
        try:
            assert self._process.wait(GRACE_S) == 0, f"the attack failed: {self._process.args!r}"
        finally:
            self._process.kill()
            self._process = None
