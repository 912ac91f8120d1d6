"""gunicorn's master process reads its settings before a worker patches the standard library."""

import resource
import runpy
import subprocess
import sys

import pytest

from running import BACKEND

LOADED = "import runpy, sys; runpy.run_path('gunicorn.conf.py'); print(*sys.modules, sep='\\n')"


def test_the_settings_of_gunicorn_load_neither_the_app_nor_what_a_worker_patches():
    done = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=BACKEND, capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(done.stdout.split())
    assert not loaded & {"app", "factory", "flask", "socketio", "boto3", "eventlet", "gevent"}


@pytest.mark.parametrize(
    ("files", "connections"),
    [(resource.RLIM_INFINITY, 10_000), (65_536, 10_000), (1_024, 824), (256, 128)],
)
def test_connections_leave_file_descriptors_for_the_store(files, connections):
    settings = runpy.run_path(str(BACKEND / "gunicorn.conf.py"))
    assert settings["connections_within"](files) == connections
