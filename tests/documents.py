"""Somebody's data in a store, shells to type documents into, and what became of the data."""

import contextlib
import json
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from domain import REGISTRY, ChangeType, Event, Write, new_id
from models import DynamoDBDatabase
from services.change_log import ChangeLog
from services.departments import DepartmentService
from store.items import head_key

Key: TypeAlias = tuple[str, str]
Content: TypeAlias = dict[Key, dict[str, Any]]
"""Every item of every table, by table and key."""

TRIAL_NAME = re.compile(r'"name\\?": \\?"([^"\\]+)\\?"')
SAME_DATE = "date() { echo 1; }\n"
"""Lets two trials have the same name, which the clock otherwise sees to."""
STRICT = ["bash", "-c"]
INTERACTIVE = ["bash", "--norc", "--noprofile", "-i"]


def names_in(document: str) -> list[str]:
    """Return the department names that a document uses, at the moment of `SAME_DATE`."""
    return sorted({re.sub(r"\$\(date[^)]*\)", "1", name) for name in TRIAL_NAME.findall(document)})


def fill(db: DynamoDBDatabase, names: Sequence[str], events_each: int = 80) -> None:
    """Put somebody's departments into a store, with events and their log."""
    departments = DepartmentService(db, ChangeLog(db), lambda work, *arguments: work(*arguments))
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
        db.put_events(events[9:])  # as older servers wrote them: moto takes seconds for large transactions


def everything(db: DynamoDBDatabase) -> Content:
    found: Content = {}
    for table in db._client.call("list_tables")["TableNames"]:
        schema = db._client.call("describe_table", TableName=table)["Table"]["KeySchema"]
        for item in db._client.iterate("scan", TableName=table, ConsistentRead=True):
            found[table, json.dumps([item[key["AttributeName"]] for key in schema])] = item
    return found


def harmed(before: Content, after: Content) -> list[Key]:
    """Return what is gone or other than it was; the count of the list of departments may go on."""

    def same(key: Key) -> bool:
        old, new = before[key], after.get(key, {})
        if {name: old[name] for name in head_key(REGISTRY) if name in old} == head_key(REGISTRY):
            return {**old, "head": new.get("head")} == new
        return old == new

    return [key for key in before if not same(key)]


def added(before: Content, after: Content) -> Content:
    """Return what is new, but for the log of the list of departments, which keeps creations and deletions."""
    return {
        key: item
        for key, item in after.items()
        if key not in before and item.get("department_id") != {"S": REGISTRY}
    }


def type_in(
    script: str, shell: Sequence[str], cwd: Path, env: Mapping[str, str], timeout: float = 100
) -> tuple[int, str]:
    """Type a text into a shell, and return its status and all that it said; end what it leaves running."""
    typed = shell is INTERACTIVE
    with subprocess.Popen(
        [*shell] if typed else [*shell, script],
        cwd=cwd,
        env={**env, "PS1": "", "PS2": "", "HISTFILE": ""},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as running:
        try:
            output, _ = running.communicate(script if typed else None, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"still running: {error.stdout}") from error
        finally:
            _end_session(running.pid)
    return running.returncode, output


def _end_session(leader: int) -> None:
    """End a shell and its jobs, which have process groups of their own."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if int(stat.read_text().rpartition(")")[2].split()[3]) == leader:
                os.kill(int(stat.parent.name), signal.SIGKILL)
