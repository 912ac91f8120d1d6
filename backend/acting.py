"""Who the request comes from that this thread or greenlet serves; what it writes is written in this name."""

import contextvars
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """An account, by its id and its name at the time; both empty when nobody is known."""

    id: str = ""
    name: str = ""


NOBODY = Actor()

_actor: contextvars.ContextVar[Actor] = contextvars.ContextVar("actor", default=NOBODY)


@contextmanager
def acting_as(actor: Actor) -> Iterator[None]:
    """Let the code inside write in somebody's name."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


def current_actor() -> Actor:
    return _actor.get()
