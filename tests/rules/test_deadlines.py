"""Deadlines: the earliest counts, and what a request starts in the background has none."""

import math
import sys

import pytest

from deadlines import deadline, remaining_s, timeout_s
from running import run

INHERITED = """
import math, sys, threading
{patch}
import engineio
from deadlines import deadline, remaining_s

found = []
note = lambda: found.append(remaining_s())
with deadline(10):
    threads = [
        threading.Thread(target=note),
        engineio.Server(async_mode="{model}").start_background_task(note),
    ]
    threads[0].start()
    while len(found) < 2:
        engineio.Server(async_mode="{model}").sleep(0.01)
    assert 0 < remaining_s() <= 10
print(*found)
"""
PATCHES = {
    "threading": "",
    "gevent": "from gevent import monkey; monkey.patch_all()",
    "eventlet": "import eventlet; eventlet.monkey_patch()",
}


def test_an_earlier_deadline_around_a_later_one_counts():
    with deadline(5):
        with deadline(100):
            assert 0 < remaining_s() <= 5
        with deadline(1):
            assert remaining_s() <= 1
        assert remaining_s() > 1
    assert remaining_s() == math.inf


def test_a_wait_has_no_timeout_without_a_deadline_and_none_to_spare_after_one():
    assert timeout_s() is None
    with deadline(-1):
        assert timeout_s() == 0


@pytest.mark.parametrize("model", PATCHES)
def test_what_a_request_starts_in_the_background_has_no_deadline(model):
    done = run([sys.executable, "-W", "ignore", "-c", INHERITED.format(model=model, patch=PATCHES[model])])
    assert done.stdout.split() == ["inf", "inf"], done.stderr
