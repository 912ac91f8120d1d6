"""Randomised histories of real servers, one of each kind, on one store and one Redis, with real clients.

While programs write and read through any of the servers, servers are killed and started again, Redis
freezes and stops, the store is out of reach, its answers get lost and its index lags. In half of the
histories a hostile client attacks the production servers, too.

`HISTORIES` in the environment sets the number of seeds; `make histories` runs hundreds, and switches off all
mechanisms where `make test` switches off one.
"""

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from api_client import event_of
from config import Settings
from domain import Event, new_id
from histories.cluster import Caller, Cluster
from histories.judging import History, judge
from histories.older_rows import write_older_rows
from histories.series import Wish, new_series, wish
from models import DynamoDBDatabase

SEEDS = int(os.environ.get("HISTORIES", "24"))
SHARES = 2
AT_ONCE = 6
"""Histories that run on a cluster at the same time: each failure of the cluster affects all of them."""
USERS = 3
QUIET_S = 20.0
"""How long clients may take to receive all changes; servers poll for each other's changes every 2 s."""
STEPS = 50
LARGE = "가" * 10_000
"""The description of most of the events in some histories: a list of them is sent in parts."""
BURSTS = (2, 8, 30)
"""How many events a user creates at once."""
GONE = "department_not_found"


class User:
    """A program that sends random requests for one department, each to a random server."""

    def __init__(self, history: History, cluster: Cluster, rng: random.Random, *, is_large: bool) -> None:
        self._history = history
        self._is_large = is_large
        self._cluster = cluster
        self._rng = rng
        self._ask = Caller(cluster, rng)
        self._list = f"/api/events/{history.department}"
        self._last_read: tuple[int, str] | None = None
        """A revision and its sync token."""

    def act(self) -> None:
        often = [self._create, self._edit, self._read, self._catch_up] * 2
        if self._cluster.knows_series:
            often += [self._create_series, self._change_occurrence, self._change_occurrence]
            often += [self._remove_occurrence]
        for _ in range(STEPS):
            if self._rng.random() < 0.02:
                self._burst(self._rng.choice(BURSTS))
            if self._rng.random() < 0.02 and self._cluster.restores:
                self._absence()
            if self._is_large and self._rng.random() < 0.2:
                self._cluster.watchers.reopen(self._history.department)
            self._rng.choice([*often, self._delete, self._restore])()
        self._ask.close()

    def _judge(self, asked: str, answer: tuple[int, Any], moment: tuple[bool, int]) -> None:
        """Note an answer as a fault, unless the department may have been deleted since a moment."""
        gone = answer[0] == 404 and answer[1]["error"] == GONE
        if not (gone and self._history.was_absent_since(moment)):
            self._history.faults.append(f"{asked}: {answer}")

    def _create(self, ask: Caller | None = None) -> None:
        body = {"title": new_id(), "event_date": f"2024-01-{self._rng.randint(10, 28)}"}
        if self._is_large and self._rng.random() < 0.7:
            body["description"] = LARGE
        self._create_until_answered(body, ask or self._ask)

    def _create_series(self) -> None:
        created = self._create_until_answered(new_series(self._rng), self._ask)
        if created:
            self._history.series.known.append(created.id)

    def _create_until_answered(self, body: dict[str, Any], ask: Caller) -> Event | None:
        """Repeat one creation until a server answers; its key must keep it from happening twice.

        While the department is deleted, nobody knows whether an earlier attempt has succeeded: go on.
        """
        title = body["title"]
        self._history.keyed.add(title)
        while True:
            moment = self._history.moment()
            answer = ask.until_answered("POST", self._list, body, **{"Idempotency-Key": title})
            if answer[0] in (200, 201):
                created = event_of(answer[1]["event"])
                self._history.acknowledge(created)
                return created
            faults = len(self._history.faults)
            self._judge("create", answer, moment)
            if len(self._history.faults) > faults:
                return None

    def _burst(self, size: int) -> None:
        callers = [Caller(self._cluster, self._rng) for _ in range(size)]
        with ThreadPoolExecutor(size) as pool:
            list(pool.map(self._create, callers))
        for caller in callers:
            caller.close()

    def _absence(self) -> None:
        """Delete the department and restore it after a while; without an answer it may be deleted later."""
        if not self._history.begin_absence():
            return
        path = f"/api/departments/{self._history.department}"
        deleted = self._ask("DELETE", path)
        time.sleep(self._rng.choice([0, 0.1, 0.5]))
        answer = self._ask.until_answered("POST", f"{path}/restore", None)
        if answer[0] not in (200, 409):
            self._history.faults.append(f"restore the department: {answer}")
        if deleted:
            self._history.end_absence()

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
            event = event_of(answer[1]["event"])
            self._history.edits[event.revision] = fields
            if insists:
                self._history.seen[event.revision] = int(insists["If-Match"].strip('"'))
            self._history.acknowledge(event)
        elif answer and answer[0] not in ((404, 412) if insists else (404,)):
            self._history.faults.append(f"edit: {answer}")

    def _delete(self) -> None:
        _, known = self._history.so_far()
        if not known:
            return
        event_id = self._rng.choice(known)
        answer = self._ask("DELETE", f"/api/events/{event_id}")
        if answer and answer[0] == 200:
            self._history.deleted.append(event_id)
        elif answer and answer[0] != 404:
            self._history.faults.append(f"delete: {answer}")

    def _restore(self) -> None:
        _, known = self._history.so_far()
        if not known:
            return
        event_id = self._rng.choice(known)
        self._history.restored.add(event_id)
        answer = self._ask("POST", f"{self._list}/{event_id}/restore")
        if answer and answer[0] == 200:
            self._history.acknowledge(event_of(answer[1]["event"]))
        elif answer and answer[0] not in (404, 409):
            self._history.faults.append(f"restore: {answer}")

    def _wish(self) -> tuple[Wish, str] | None:
        """Choose an occurrence, and return its path, too; None if there are no series."""
        if not self._history.series.known:
            return None
        wanted = wish(self._rng, self._history.series.known)
        following = "&following=true" if wanted.following else ""
        return wanted, f"/api/events/{wanted.series}?occurrence={wanted.day}{following}"

    def _change_occurrence(self) -> None:
        if chosen := self._wish():
            wanted, path = chosen
            answer = self._ask("PUT", path, wanted.fields)
            if answer and answer[0] == 200:
                event = event_of(answer[1]["event"])
                self._history.series.changed[event.revision] = wanted
                self._history.acknowledge(event)
                if wanted.following:
                    self._history.series.known.append(event.id)
            elif answer and answer[0] != 404:
                self._history.faults.append(f"change an occurrence: {answer}")

    def _remove_occurrence(self) -> None:
        if chosen := self._wish():
            wanted, path = chosen
            answer = self._ask("DELETE", path)
            if answer and answer[0] == 200:
                self._history.series.removed.append(wanted)
            elif answer and answer[0] != 404:
                self._history.faults.append(f"remove an occurrence: {answer}")

    def _read(self) -> None:
        before, _ = self._history.so_far()
        moment = self._history.moment()
        answer = self._ask("GET", self._list)
        if answer and answer[0] == 200:
            found = answer[1]
            seen = {event["id"]: event_of(event) for event in found["events"]}
            self._history.reads.append((before, found["revision"], seen))
            self._last_read = found["revision"], found["sync_token"]
        elif answer:
            self._judge("read", answer, moment)

    def _catch_up(self) -> None:
        if self._last_read is None:
            return self._read()
        before, _ = self._history.so_far()
        moment = self._history.moment()
        begin, token = self._last_read
        limit = self._rng.choice([1, 3, 1_000])
        answer = self._ask("GET", f"{self._list}/changes?since={token}&limit={limit}")
        if answer and answer[0] == 200:
            told = [(c["revision"], c["type"], c["event"]["id"]) for c in answer[1]["changes"]]
            self._history.deltas.append((0 if answer[1]["has_more"] else before, begin, told))
            self._last_read = begin + len(told), answer[1]["sync_token"]
        elif answer and answer[0] == 410 and self._history.absences:
            self._last_read = None  # a restored department has another epoch
        elif answer:
            self._judge("catch up", answer, moment)
        return None


def play(
    cluster: Cluster, settings: Settings, seeds: list[int], quiet_s: float = QUIET_S
) -> dict[int, list[str]]:
    """Run histories at the same time; return the faults of those that have some, by seed."""
    db = DynamoDBDatabase(settings)
    caller = Caller(cluster, random.Random(seeds[0]))
    histories: dict[int, History] = {}
    for seed in seeds:
        _, answer = caller.until_answered("POST", "/api/departments", {"name": f"이력 {new_id()}"})
        histories[seed] = History(answer["department"]["id"])
        if seed % 2:
            write_older_rows(settings, histories[seed], with_previous=seed % 4 == 1)
        cluster.watchers.watch(histories[seed].department)
    users = [
        User(history, cluster, random.Random(seed * 100 + number), is_large=seed % 3 == 0)
        for seed, history in histories.items()
        for number in range(USERS)
    ]
    attacked = histories[seeds[0]].department
    with cluster.trouble(attacked), ThreadPoolExecutor(len(users)) as pool:
        for done in [pool.submit(user.act) for user in users]:
            done.result()
    for history in histories.values():  # a deletion without an answer may have come later
        path = f"/api/departments/{history.department}/restore"
        answer = caller.until_answered("POST", path, None) if cluster.restores else (200, None)
        if answer[0] not in (200, 409):
            history.faults.append(f"restore the department: {answer}")
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
        if {i: event_of(event) for i, event in client["events"].items()} != events:
            stands = f"{client['state']} at {client['revision']} of {revision}"
            history.faults.append(f"a client is {stands} and differs from the log")


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("share", range(SHARES))
def test_no_history_of_real_servers_breaks_a_promise(tmp_path, engine, engine_settings, share):
    attacked = share == 1
    with Cluster(tmp_path, engine.url, seed=share, attacked=attacked) as cluster:
        _judge_histories(cluster, engine_settings, list(range(share, SEEDS, SHARES)))
        assert ("_attack" in cluster.happened) == attacked
        assert cluster.watchers.parted_answers()


@pytest.mark.timeout(1_200)
def test_no_history_of_servers_of_two_versions_breaks_a_promise(
    tmp_path, engine, engine_settings, older_root
):
    with Cluster(tmp_path, engine.url, seed=SHARES, roots={"gevent": older_root}) as cluster:
        _judge_histories(cluster, engine_settings, list(range(SEEDS, SEEDS + SEEDS // 4)))


def _judge_histories(cluster: Cluster, settings: Settings, seeds: list[int]) -> None:
    for begin in range(0, len(seeds), AT_ONCE):
        assert play(cluster, settings, seeds[begin : begin + AT_ONCE]) == {}
    assert "Traceback" not in cluster.logs(), cluster.logs()
    assert "_kill" in cluster.happened


NOTICED_BETWEEN_PROCESSES = (
    "looking for holes before a push",  # the quickest to be noticed
    "the log laid over the index",
    "asking the head before a read",
    "pushing what others committed",
    "the receipt of a creation",
)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mechanism", NOTICED_BETWEEN_PROCESSES[: None if "HISTORIES" in os.environ else 1])
def test_the_judgement_notices_when_a_mechanism_is_switched_off(tmp_path, engine, engine_settings, mechanism):
    with Cluster(tmp_path, engine.url, seed=2, sabotage=mechanism) as cluster:
        rounds = (list(range(begin, begin + AT_ONCE)) for begin in range(0, 10 * AT_ONCE, AT_ONCE))
        assert any(play(cluster, engine_settings, seeds, quiet_s=5) for seeds in rounds)
