"""The benchmark runs and prints every row. No test checks a speed."""

import subprocess
import sys

from running import ROOT, hermetic_env


def test_a_quick_run_prints_every_row():
    done = subprocess.run(
        [sys.executable, "benchmarks/bench.py", "--quick"],
        cwd=ROOT,
        env=hermetic_env(),
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = (
        "list of 200 events, requests/s",
        "create, requests/s; the peer keeps no log",
        "create, requests/s; the peer keeps a log",
        "20 clients return, 5 changes behind, ms",
        "20 clients come and get all events, ms",
        "idle memory, MB resident",
        "list, warm",
    )
    for name in rows:
        assert sum(line.startswith(name) for line in done.stdout.splitlines()) == 1, done.stdout
