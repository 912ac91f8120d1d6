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
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "backend")]

from api_client import Api  # noqa: E402
from config import Settings  # noqa: E402
from domain import ChangeType, Event, Write, new_id, timestamp, utc_now  # noqa: E402
from models import DynamoDBDatabase  # noqa: E402
from running import embedded, free_port, resident_mb, running_server, wait_for  # noqa: E402
from services.core import build_core  # noqa: E402
from store import local_engine  # noqa: E402 - found by the line above
from store.dynamo_client import DynamoClient  # noqa: E402

EVENT = {
    "event_date": "2024-01-20",
    "title": "팀 회의",
    "description": "주간 보고와 일정",
    "time": "오후 2:00",
}
LISTED = 200
MISSED = 5
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


class Counting(DynamoClient):
    """Counts requests and the capacity units that the store says they took."""

    requests, units = 0, 0.0

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        answer = super().call(operation, ReturnConsumedCapacity="TOTAL", **parameters)
        taken = answer["ConsumedCapacity"]
        self.requests += 1
        self.units += sum(c["CapacityUnits"] for c in (taken if isinstance(taken, list) else [taken]))
        return answer


def count_capacity(settings: Settings, department: str) -> None:
    """Print what one operation of each kind asks of DynamoDB, ours on a warm department of 200 events."""
    client = Counting(settings)
    db = DynamoDBDatabase(settings, client)
    core = build_core(db, snapshot_bytes=100_000_000)
    events, sync = core.events, core.sync
    token = sync.get_position(department).sync_token

    def commit(count: int) -> None:
        now = timestamp(utc_now())
        draft = Event(id="", department_id=department, created_at=now, last_modified=now, **EVENT)
        drafts = [replace(draft, id=new_id()) for _ in range(count)]
        if head := db.read_head(department):
            db.commit(department, head, [Write(type=ChangeType.EVENT_CREATED, entity=d) for d in drafts])

    edited = events.create_event(department, EVENT).entity.id
    for number in range(10):
        events.update_event(edited, {"title": f"{EVENT['title']} {number}"})
    operations: tuple[tuple[str, int, Callable[[], object]], ...] = (
        ("create, alone", 1, lambda: events.create_event(department, EVENT)),
        ("edit, alone", 1, lambda: events.update_event(edited, {"title": EVENT["title"]})),
        ("history of 12 changes", 1, lambda: events.page_history(department, edited, 50)),
        ("delete, alone", 1, lambda: events.delete_event(edited)),
        ("restore, alone", 1, lambda: events.restore_event(department, edited)),
        ("create, in a group of 32 (its own head read)", 32, lambda: commit(32)),
        ("create, in a group of 98 (its own head read)", 98, lambda: commit(98)),
        ("list, after another server's writes", 1, lambda: sync.full(department)),
        ("list, warm", 1, lambda: sync.full(department)),
        ("delta of a client that missed all this", 1, lambda: sync.changes_since(department, token, 1_000)),
        ("list as the peer does it: query the index", 1, lambda: list(db.indexed_events(department))),
    )
    print(f"\n{'DynamoDB per operation':<48}{'requests':>10}{'units':>10}")
    for name, count, operation in operations:
        client.requests, client.units = 0, 0.0
        operation()
        print(f"{name:<48}{client.requests / count:>10.2f}{client.units / count:>10.2f}")


@contextlib.contextmanager
def running_peer(engine: str) -> Iterator[tuple[str, int]]:
    port = free_port()
    process = subprocess.Popen(
        ["node", "benchmarks/peer/server.mjs", str(port), engine, "events", "changes"], cwd=ROOT
    )

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
        settings = embedded(data)
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
                "create, requests/s; the peer keeps no log",
                *compare(
                    rounds,
                    lambda: load(server.url + path, seconds, EVENT),
                    lambda: load(f"{peer}{path}-peer", seconds, EVENT),
                ),
                aim=">= 3 x",
            )
            row(
                "create, requests/s; the peer keeps a log",
                *compare(
                    rounds,
                    lambda: load(server.url + path, seconds, EVENT),
                    lambda: load(f"{peer}/api/logged/{written}-logged", seconds, EVENT),
                ),
                aim=">= 3 x",
            )
            token = api.token(read)
            for _ in range(MISSED):
                api.event(read, **EVENT)
            for name, given in (
                (f"{clients} clients return, {MISSED} changes behind, ms", token),
                (f"{clients} clients come and get all events, ms", ""),
            ):
                row(
                    name,
                    *compare(
                        rounds,
                        partial(storm, server.url, read, clients, given),
                        partial(storm, peer, f"{read}-peer", clients),
                    ),
                    aim=">= 5 x as fast" if given else "",
                    less=True,
                )
            row("idle memory, MB resident (dev packages too)", idle, peer_idle, "ours < 90 MB", less=True)
            count_capacity(Settings(dynamodb_endpoint_url="embedded", embedded_data_dir=data), read)


if __name__ == "__main__":
    main()
