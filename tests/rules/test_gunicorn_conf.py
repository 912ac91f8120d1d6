"""gunicorn's master process reads its settings before a worker patches the standard library."""

import subprocess
import sys

from running import BACKEND

LOADED = "import runpy, sys; runpy.run_path('gunicorn.conf.py'); print(*sys.modules, sep='\\n')"


def test_the_settings_of_gunicorn_load_neither_the_app_nor_what_a_worker_patches():
    done = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=BACKEND, capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(done.stdout.split())
    assert not loaded & {"app", "factory", "flask", "socketio", "boto3", "eventlet", "gevent"}
