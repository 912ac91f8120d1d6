"""Types the commands of the guides into a shell as printed, on a store that holds data of other users."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from aws_client import aws_client
from domain import REGISTRY, ChangeType, Event, Write, new_id
from in_process import Calendar
from models import DynamoDBDatabase
from people import ACCOUNTS
from running import ROOT
from store.records import FAILURES
from store.rows import head_key

README, README_KO = ROOT / "README.md", ROOT / "README.ko.md"
SETUP, SETUP_KO = ROOT / "DYNAMODB_SETUP.md", ROOT / "DYNAMODB_SETUP.ko.md"
GUIDES = (README, README_KO, SETUP, SETUP_KO)

SHARED_LOGS = (REGISTRY, ACCOUNTS)
Key: TypeAlias = tuple[str, str]
Content: TypeAlias = dict[Key, dict[str, Any]]
"""Every item of every table, by table and key."""

TRIAL_NAME = re.compile(r'"name\\?": \\?"([^"\\]+)\\?"')
SAME_DATE = "date() { echo 1; }\n"
"""A `date` that gives the departments of all trials the same names; with the real one names differ."""
STRICT = ["bash", "-c"]
INTERACTIVE = ["bash", "--norc", "--noprofile", "-i"]


def names_in(document: str) -> list[str]:
    """Return the names of departments that a document's commands create under `SAME_DATE`."""
    return sorted({re.sub(r"\$\(date[^)]*\)", "1", name) for name in TRIAL_NAME.findall(document)})


def fill(db: DynamoDBDatabase, names: Sequence[str], events_each: int = 80) -> None:
    """Put departments of other users into a store, with events and logs."""
    departments = Calendar(db).departments
    for name in names:
        department_id = departments.create_department(name, "남의 부서").entity.id
        events = [
            Event(
                id=new_id(),
                department_id=department_id,
                event_date=f"2024-01-{1 + n % 28:02}",
                title=f"남의 일정 {n}",
            )
            for n in range(events_each)
        ]
        head = db.read_head(department_id)
        assert head
        db.commit(department_id, head, [Write(type=ChangeType.EVENT_CREATED, entity=e) for e in events[:9]])
        db.put_events(
            events[9:]
        )  # without a log, as older servers did: moto takes seconds for large transactions


def everything(url: str) -> Content:
    """Read every item of the store at an address."""
    dynamodb = aws_client("dynamodb", url)
    found: Content = {}
    for table in dynamodb.list_tables()["TableNames"]:
        schema = dynamodb.describe_table(TableName=table)["Table"]["KeySchema"]
        for page in dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
            for item in page["Items"]:
                found[table, json.dumps([item[key["AttributeName"]] for key in schema])] = item
    return found


def harmed(before: Content, after: Content) -> list[Key]:
    """Return the keys of items that were removed or changed, except for new revisions of shared logs.

    Those are the logs of the registry and of the accounts.
    """
    heads = [head_key(partition) for partition in SHARED_LOGS]

    def same(key: Key) -> bool:
        old, new = before[key], after.get(key, {})
        if {name: old[name] for name in heads[0] if name in old} in heads:
            return {**old, "head": new.get("head")} == new
        return old == new

    return [key for key in before if not same(key)]


def added(before: Content, after: Content) -> Content:
    """Return the new items, except changes in shared logs, which keep what was deleted again, too.

    Failed sign-ins are counted for a while; that is no trace of a trial either.
    """
    partitions = [{"S": partition} for partition in SHARED_LOGS]
    return {
        key: item
        for key, item in after.items()
        if key not in before
        and item.get("department_id") not in partitions
        and item.get("kind") != {"S": FAILURES}
    }


def type_in(
    script: str, shell: Sequence[str], cwd: Path, env: Mapping[str, str], timeout: float = 100
) -> tuple[int, str]:
    """Run a script in a shell; return its exit status and output. Ends the processes it leaves running."""
    typed = shell is INTERACTIVE
    with subprocess.Popen(
        [*shell] if typed else [*shell, script],
        cwd=cwd,
        env={**env, "PS1": "", "PS2": "", "HISTFILE": ""},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",  # what is typed is shown cut at the width of a terminal, in the middle of a letter
        start_new_session=True,
    ) as running:
        try:
            output, _ = running.communicate(script if typed else None, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"still running: {error.stdout}") from error
        finally:
            _end_session(running.pid)
    return running.returncode, output


def answer_prompts(script: str, cwd: Path, env: Mapping[str, str], answers: Sequence[tuple[str, str]]) -> str:
    """Run a script on a terminal and answer each prompt when it is there; return what the terminal showed."""
    screen, terminal = pty.openpty()
    with subprocess.Popen(
        ["bash", "-ec", script],
        cwd=cwd,
        env=dict(env),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,  # else a hidden prompt is shown on the terminal of the test run
    ) as running:
        os.close(terminal)
        shown, left = b"", list(answers)
        try:
            with contextlib.suppress(OSError):  # the terminal closes with the script
                while part := os.read(screen, 1_000):
                    shown += part
                    if left and left[0][0].encode() in shown.rpartition(b"\n")[2]:
                        os.write(screen, f"{left.pop(0)[1]}\n".encode())
            running.wait(20)
        finally:
            os.close(screen)
            _end_session(running.pid)
    assert running.returncode == 0, shown.decode()
    return shown.decode()


def _end_session(leader: int) -> None:
    """Kill all processes of a shell's session, since its jobs have process groups of their own."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if int(stat.read_text().rpartition(")")[2].split()[3]) == leader:
                os.kill(int(stat.parent.name), signal.SIGKILL)
