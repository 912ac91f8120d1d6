"""Edits of the accounts: read, prepare a write, and again when somebody else has been faster."""

from collections.abc import Callable
from dataclasses import replace

from acting import Actor
from deadlines import REQUEST_S, deadline
from people import ACCOUNTS, AccountsWrite
from services.group_commit import GroupCommit, WriteRefused, pause_unless_late


def edit(group_commit: GroupCommit, actor: Actor, prepare: Callable[[], AccountsWrite | None]) -> None:
    """Commit in somebody's name the write that `prepare` makes of the present state; None: nothing to do.

    `prepare()` is called again when a record was changed meanwhile. Raises what it raises, and
    `StoreUnavailable`, also when others were faster each time until the deadline.
    """
    with deadline(REQUEST_S):
        while (write := prepare()) is not None:
            try:
                group_commit.commit(ACCOUNTS, replace(write, by=actor.id, by_name=actor.name))
            except WriteRefused as error:
                pause_unless_late(error)
            else:
                return
