"""The server with one mechanism switched off: `SABOTAGE` in the environment says which."""

import os

from histories.switches import SWITCHES

setattr(*SWITCHES[os.environ["SABOTAGE"]])

from app import app  # noqa: E402, F401 - what gunicorn and flask look for
