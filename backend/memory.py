"""How the process uses memory: when it collects garbage, and that it gives back what is free."""

import ctypes
import gc
from collections.abc import Callable

GC_THRESHOLD = (5_000, 20, 20)
"""With Python's default, 700, a collection runs every few requests: the slowest of a hundred creations takes
a quarter longer.
"""
GIVE_BACK_S = 10.0


def calm_garbage_collection() -> None:
    """Collect less often, and no longer look at what was there before the first request.

    A full collection would look at all modules each time: 0.1 s in which nobody is served.
    """
    gc.set_threshold(*GC_THRESHOLD)
    gc.collect()
    gc.freeze()


def give_back_forever(sleep: Callable[[float], object], pause_s: float = GIVE_BACK_S) -> None:
    """Return free memory to the system again and again; for a background task. `sleep` takes seconds.

    glibc keeps what a hundred slow clients took until something is freed at the end of its heap. It takes
    a millisecond. Other C libraries give back memory by themselves.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while trim is not None:
        sleep(pause_s)
        trim(0)
