"""Measures the server beside a Node peer of the same job, on one embedded engine, in one run.

Rounds alternate between the two, so that the noise of a shared machine meets both; medians and their ratio
are printed. Bounded: under two minutes.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "backend")]

import local_engine  # noqa: E402 - found by the line above
from doors_client import Api  # noqa: E402
from running import free_port, running_server, wait_for  # noqa: E402

EVENT = {
    "event_date": "2024-01-20",
    "title": "팀 회의",
    "description": "주간 보고와 일정",
    "time": "오후 2:00",
}
LISTED = 200
CONNECTIONS = 32


def load(url: str, seconds: float, body: object = None) -> float:
    """Send requests over 32 connections for a while; return how many were answered well per second."""
    command = [
        "node",
        "node_modules/autocannon/autocannon.js",
        "-j",
        "-c",
        str(CONNECTIONS),
        "-d",
        str(seconds),
    ]
    if body is not None:
        command += ["-m", "POST", "-H", "Content-Type=application/json", "-b", json.dumps(body)]
    done = subprocess.run([*command, url], cwd=ROOT, capture_output=True, check=True, timeout=60)
    found = json.loads(done.stdout)
    if found["non2xx"] or found["errors"]:
        raise RuntimeError(f"{url}: {found['non2xx']} refused, {found['errors']} failed")
    return float(found["2xx"]) / float(found["duration"])


def storm(url: str, department: str, clients: int, token: str = "") -> float:
    command = ["node", "benchmarks/storm.mjs", url, department, str(clients), token]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60)
    return float(done.stdout)


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


@contextlib.contextmanager
def running_peer(engine: str) -> Iterator[tuple[str, int]]:
    port = free_port()
    process = subprocess.Popen(["node", "benchmarks/peer/server.mjs", str(port), engine, "events"], cwd=ROOT)

    def answers() -> bool:
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(f"http://127.0.0.1:{port}/", timeout=5).status_code == 404
        return False

    try:
        wait_for(answers)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait()


def compare(rounds: int, ours: Callable[[], float], peers: Callable[[], float]) -> tuple[float, float]:
    pairs = [(ours(), peers()) for _ in range(rounds)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def row(name: str, ours: float, peer: float, aim: str, *, less: bool = False) -> None:
    ratio = peer / ours if less else ours / peer
    print(f"{name:<44}{ours:>10.1f}{peer:>10.1f}{ratio:>8.2f} x   {aim}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, to see that all of it works")
    quick = parser.parse_args().quick
    seconds, rounds, clients = (1, 1, 20) if quick else (3, 3, 300)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = folder / "data"
        settings = {"DYNAMODB_ENDPOINT_URL": "embedded", "EMBEDDED_DATA_DIR": str(data)}
        engine = local_engine.acquire(data)
        with running_server(folder, "eventlet", settings) as server, running_peer(engine.url) as (peer, pid):
            worker = server.pids()[-1]
            idle, peer_idle = resident_mb(worker), resident_mb(pid)
            api = Api(server.url)
            written, read = api.department()["id"], api.department()["id"]
            for side, department in ((server.url, read), (peer, f"{read}-peer")):
                for _ in range(LISTED):
                    requests.post(f"{side}/api/events/{department}", json=EVENT, timeout=9).raise_for_status()
            print(f"{os.cpu_count()} cores, medians of {rounds} rounds, {CONNECTIONS} connections\n")
            print(f"{'':<44}{'ours':>10}{'peer':>10}{'ratio':>10}   aim")
            path = f"/api/events/{read}"
            row(
                f"list of {LISTED} events, requests/s",
                *compare(
                    rounds,
                    lambda: load(server.url + path, seconds),
                    lambda: load(f"{peer}{path}-peer", seconds),
                ),
                aim=">= 10 x",
            )
            path = f"/api/events/{written}"
            row(
                "create, requests/s",
                *compare(
                    rounds,
                    lambda: load(server.url + path, seconds, EVENT),
                    lambda: load(f"{peer}{path}-peer", seconds, EVENT),
                ),
                aim=">= 3 x",
            )
            token = api.token(read)
            row(
                f"{clients} clients connect and sync, ms",
                *compare(
                    rounds,
                    lambda: storm(server.url, read, clients, token),
                    lambda: storm(peer, f"{read}-peer", clients),
                ),
                aim=">= 5 x as fast",
                less=True,
            )
            row("idle memory, MB resident", idle, peer_idle, "ours < 90 MB", less=True)


if __name__ == "__main__":
    main()
