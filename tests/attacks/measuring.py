"""Measures what one attack does to a server and to its quiet neighbour."""

import contextlib
import json
import math
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import requests

from attacks.catalogue import Attack
from attacks.neighbour import Report
from attacks.seeds import Seeds
from running import ROOT, Server, hermetic_env, resident_mb, running_server, wait_for

SAMPLE_S = 0.05
START_S = 60.0
GRACE_S = 90.0
"""How long an attacker may take beyond the end of its attack, and a neighbour to report."""
RECOVERY_S = 45.0
"""How long a worker may take to answer after an attack: gunicorn kills one that hangs for 30 s."""
MEMORY_S = 30.0
"""How long memory may take to be given back."""
GROWTH_MB = 120
"""By how much the memory of a worker may grow during an attack."""
AFTERMATH_MB = 50
"""Memory counts as given back when it has grown by less than this: Python keeps some of what a thousand
connections took for the next thousand.
"""
ALIVE_S = 5.0
"""How long the answer to a health check may take during an attack that is tested without looking at times."""


@dataclass(frozen=True)
class Outcome:
    """What one attack did, in ms and MB."""

    attack: str
    worker: str
    p50: float
    p99: float
    worst: float
    answered: int
    """How many of the neighbour's requests were answered while the attack went on."""
    failures: list[str]
    before: float
    peak: float
    after: float
    kept: int
    """How many of the neighbour's WebSockets are open and have missed nothing."""
    lost: int
    """Acknowledged creations that are not in the store."""
    survived: bool
    """Whether the worker is the same process, and answers."""
    log: str


class Memory:
    """Samples the memory of a process while a block runs."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.before = self.peak = resident_mb(pid)
        self._stopped = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "Memory":
        self._sampler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._sampler.join()

    def after(self, keeps_mb: float) -> float:
        """Return the memory once it is given back, or what it still is after `MEMORY_S`; NaN if dead."""
        deadline = time.monotonic() + MEMORY_S
        while (now := self._now()) > self.before + keeps_mb + AFTERMATH_MB and time.monotonic() < deadline:
            time.sleep(0.2)
        return now

    def _now(self) -> float:
        try:
            return resident_mb(self._pid)
        except (OSError, IndexError):  # the process is gone
            return math.nan

    def _sample(self) -> None:
        while not self._stopped.wait(SAMPLE_S):
            self.peak = max(self.peak, self._now())


def measure(
    folder: Path,
    settings: Mapping[str, str],
    seeds: Seeds,
    worker: str,
    name: str,
    attack: Attack,
    seconds: float,
) -> Outcome:
    """Run a server, its neighbour and one attack, each in processes of its own."""
    departments = {kind: seeds.department(kind) for kind in ("small", *attack.needs)}
    token = seeds.token() if attack.accounts else ""
    auth = {"AUTH": "on"} if attack.accounts else {}
    with running_server(folder, worker, {**settings, **auth}, files=attack.files) as server:
        if attack.warms:
            for kind in attack.needs:
                path = f"/api/events/{departments[kind]}"
                requests.get(server.url + path, timeout=START_S).raise_for_status()
        [_, pid] = server.pids()
        with neighbour(server.url, departments["small"], token) as process, Memory(pid) as memory:
            carry_out(name, server.url, departments, seconds)
            stop(process)
            survived = is_same_and_answers(server, pid)
            report = report_of(process)
        lost = set(report.acknowledged) - seeds.event_ids(departments["small"])
        latencies = sorted(report.latencies_ms)
        return Outcome(
            attack=name,
            worker=worker,
            p50=latencies[len(latencies) // 2],
            p99=latencies[math.ceil(len(latencies) * 0.99) - 1],
            worst=latencies[-1],
            answered=report.answered,
            failures=report.failures,
            before=memory.before,
            peak=memory.peak,
            after=memory.after(attack.keeps_mb),
            kept=report.websockets,
            lost=len(lost),
            survived=survived,
            log=server.log,
        )


@contextlib.contextmanager
def neighbour(url: str, department_id: str, token: str) -> Iterator["subprocess.Popen[str]"]:
    """Start a neighbour, with a device token if it needs one; wait until its WebSockets have joined."""
    process = subprocess.Popen(
        [sys.executable, "-m", "attacks.neighbour", url, department_id, token],
        env=_env(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def stop(process: "subprocess.Popen[str]") -> None:
    """End the requests of a neighbour. Its WebSockets stay open."""
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def report_of(process: "subprocess.Popen[str]") -> Report:
    said, _ = process.communicate("\n", timeout=GRACE_S)
    return Report(**json.loads(said))


def carry_out(name: str, url: str, departments: Mapping[str, str], seconds: float) -> None:
    """Let an attacker attack until it ends. Fails if it ends with an error of its own."""
    target = {"url": url, "seconds": seconds, "departments": departments}
    command = [sys.executable, "-m", "attacks.catalogue", name, json.dumps(target)]
    with subprocess.Popen(command, env=_env()) as attacker:
        try:
            attacker.wait(seconds + GRACE_S)
        finally:
            attacker.kill()
    assert attacker.returncode == 0, f"the attacker failed: {name}"


def is_same_and_answers(server: Server, pid: int) -> bool:
    """Tell whether the worker is the one that was started, and answers within some seconds."""
    try:
        wait_for(lambda: _answers(server.url), RECOVERY_S)
    except AssertionError:
        return False
    return pid in server.pids()


def _answers(url: str) -> bool:
    with contextlib.suppress(requests.RequestException):
        return requests.get(f"{url}/healthz", timeout=ALIVE_S).ok
    return False


def _env() -> dict[str, str]:
    return hermetic_env(PYTHONPATH=f"{ROOT / 'tests'}:{ROOT / 'backend'}")
