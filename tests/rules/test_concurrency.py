"""Long computations leave the thread that serves everybody."""

import subprocess
import sys

import pytest

from running import BACKEND

PROGRAM = """
import {library}
{patch}
import os, threading
from concurrency import async_mode, in_real_thread
ids = threading.get_native_id(), in_real_thread(threading.get_native_id)
print(async_mode(), *(id == os.getpid() for id in ids))
"""


@pytest.mark.parametrize(
    ("library", "patch"),
    [("eventlet", "eventlet.monkey_patch()"), ("gevent.monkey", "gevent.monkey.patch_all()")],
)
def test_a_long_computation_is_not_in_the_thread_of_the_loop(library, patch):
    """On Linux the first thread has the number of the process."""
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM.format(library=library, patch=patch)]
    done = subprocess.run(command, cwd=BACKEND, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == [library.split(".")[0], "True", "False"]
