"""Randomised histories of real servers, one of each kind, on one store and one Redis, with real clients.

While programs write and read through any of the servers, servers are killed and started again, Redis
freezes and stops, the store is out of reach, its answers get lost and its index lags.

`HISTORIES` in the environment sets the number of seeds; `make histories` runs hundreds.
"""

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from config import Settings
from domain import Event, new_id
from histories.cluster import Caller, Cluster
from histories.judging import History, judge
from models import DynamoDBDatabase

SEEDS = int(os.environ.get("HISTORIES", "24"))
SHARES = 2
AT_ONCE = 6
"""Histories that run on a cluster at the same time: each failure of the cluster affects all of them."""
USERS = 3
QUIET_S = 20.0
"""How long clients may take to receive all changes; servers poll for each other's changes every 2 s."""
STEPS = 50


class User:
    """A program that sends random requests for one department, each to a random server."""

    def __init__(self, history: History, cluster: Cluster, rng: random.Random) -> None:
        self._history = history
        self._rng = rng
        self._ask = Caller(cluster, rng)
        self._list = f"/api/events/{history.department}"
        self._last_read: tuple[int, str] | None = None
        """A revision and its sync token."""

    def act(self) -> None:
        for _ in range(STEPS):
            self._rng.choice(
                [self._create, self._create, self._edit, self._edit, self._delete, self._read, self._read]
                + [self._catch_up] * 2
            )()
        self._ask.close()

    def _fault(self, asked: str, answer: tuple[int, Any]) -> None:
        self._history.faults.append(f"{asked}: {answer}")

    def _create(self) -> None:
        """Repeat one creation until a server answers; its key must keep it from happening twice."""
        title = new_id()
        body = {"title": title, "event_date": f"2024-01-{self._rng.randint(10, 28)}"}
        self._history.keyed.add(title)
        answer = self._ask.until_answered("POST", self._list, body, **{"Idempotency-Key": title})
        if answer[0] not in (200, 201):
            self._fault("create", answer)
        else:
            self._history.acknowledge(Event(**answer[1]["event"]))

    def _edit(self) -> None:
        _, known = self._history.so_far()
        if not known:
            return
        event_id = self._rng.choice(known)
        fields = {self._rng.choice(["title", "description", "time"]): new_id()}
        insists = {}
        if self._rng.random() < 0.5:
            found = self._ask("GET", f"{self._list}/{event_id}")
            if found and found[0] == 200:
                insists = {"If-Match": f'"{found[1]["event"]["revision"]}"'}
        answer = self._ask("PUT", f"/api/events/{event_id}", fields, **insists)
        if answer and answer[0] == 200:
            event = Event(**answer[1]["event"])
            self._history.edits[event.revision] = fields
            if insists:
                self._history.seen[event.revision] = int(insists["If-Match"].strip('"'))
            self._history.acknowledge(event)
        elif answer and answer[0] not in ((404, 412) if insists else (404,)):
            self._fault("edit", answer)

    def _delete(self) -> None:
        _, known = self._history.so_far()
        if not known:
            return
        event_id = self._rng.choice(known)
        answer = self._ask("DELETE", f"/api/events/{event_id}")
        if answer and answer[0] == 200:
            self._history.deleted.add(event_id)
        elif answer and answer[0] != 404:
            self._fault("delete", answer)

    def _read(self) -> None:
        before, _ = self._history.so_far()
        answer = self._ask("GET", self._list)
        if answer and answer[0] == 200:
            found = answer[1]
            seen = {event["id"]: Event(**event) for event in found["events"]}
            self._history.reads.append((before, found["revision"], seen))
            self._last_read = found["revision"], found["sync_token"]
        elif answer:
            self._fault("read", answer)

    def _catch_up(self) -> None:
        if self._last_read is None:
            return self._read()
        before, _ = self._history.so_far()
        begin, token = self._last_read
        answer = self._ask("GET", f"{self._list}/changes?since={token}")
        if answer and answer[0] == 200:
            told = [(c["revision"], c["type"], c["event"]["id"]) for c in answer[1]["changes"]]
            self._history.deltas.append((before, begin, told))
            self._last_read = begin + len(told), answer[1]["sync_token"]
        elif answer:
            self._fault("catch up", answer)
        return None


def play(
    cluster: Cluster, db: DynamoDBDatabase, seeds: list[int], quiet_s: float = QUIET_S
) -> dict[int, list[str]]:
    """Run histories at the same time; return the faults of those that have some, by seed."""
    caller = Caller(cluster, random.Random(seeds[0]))
    histories: dict[int, History] = {}
    for seed in seeds:
        _, answer = caller.until_answered("POST", "/api/departments", {"name": f"이력 {new_id()}"})
        histories[seed] = History(answer["department"]["id"])
        cluster.watchers.watch(histories[seed].department)
    users = [
        User(history, cluster, random.Random(seed * 100 + number))
        for seed, history in histories.items()
        for number in range(USERS)
    ]
    with cluster.trouble(), ThreadPoolExecutor(len(users)) as pool:
        for done in [pool.submit(user.act) for user in users]:
            done.result()
    caller.close()
    deadline = time.monotonic() + quiet_s
    for history in histories.values():
        events = judge(history, db)
        head = db.read_head(history.department)
        assert head is not None
        _judge_clients(history, cluster, events, head.revision, deadline)
    return {seed: history.faults for seed, history in histories.items() if history.faults}


def _judge_clients(
    history: History, cluster: Cluster, events: dict[str, Event], revision: int, deadline: float
) -> None:
    """Wait until `deadline` for all clients to hold these events; add a fault for each that does not."""
    while True:
        clients = cluster.watchers.states(history.department)
        if all(client["state"] == "live" and client["revision"] == revision for client in clients):
            break
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    for client in clients:
        history.faults += client["faults"]
        if {i: Event(**event) for i, event in client["events"].items()} != events:
            stands = f"{client['state']} at {client['revision']} of {revision}"
            history.faults.append(f"a client is {stands} and differs from the log")


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("share", range(SHARES))
def test_no_history_of_real_servers_breaks_a_promise(tmp_path, engine, engine_settings, share):
    with Cluster(tmp_path, engine.url, seed=share) as cluster:
        _judge_histories(cluster, engine_settings, list(range(share, SEEDS, SHARES)))


@pytest.mark.timeout(1_200)
def test_no_history_of_servers_of_two_versions_breaks_a_promise(
    tmp_path, engine, engine_settings, older_root
):
    with Cluster(tmp_path, engine.url, seed=SHARES, roots={"gevent": older_root}) as cluster:
        _judge_histories(cluster, engine_settings, list(range(SEEDS, SEEDS + SEEDS // 4)))


def _judge_histories(cluster: Cluster, settings: Settings, seeds: list[int]) -> None:
    db = DynamoDBDatabase(settings)
    for begin in range(0, len(seeds), AT_ONCE):
        assert play(cluster, db, seeds[begin : begin + AT_ONCE]) == {}
    assert "Traceback" not in cluster.logs(), cluster.logs()
    assert "_kill" in cluster.happened


NOTICED_BETWEEN_PROCESSES = (
    "the log laid over the index",
    "asking the head before a read",
    "looking for holes before a push",
    "pushing what others committed",
    "the receipt of a creation",
)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mechanism", NOTICED_BETWEEN_PROCESSES)
def test_the_judgement_notices_when_a_mechanism_is_switched_off(tmp_path, engine, engine_settings, mechanism):
    db = DynamoDBDatabase(engine_settings)
    with Cluster(tmp_path, engine.url, seed=2, sabotage=mechanism) as cluster:
        rounds = (list(range(begin, begin + AT_ONCE)) for begin in range(0, 10 * AT_ONCE, AT_ONCE))
        assert any(play(cluster, db, seeds, quiet_s=5) for seeds in rounds)
