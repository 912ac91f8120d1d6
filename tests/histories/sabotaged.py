"""The server with one mechanism switched off: `SABOTAGE` in the environment says which."""

import os

from histories.switches import SWITCHED_OFF

owner, name, broken = SWITCHED_OFF[os.environ["SABOTAGE"]]
setattr(owner, name, broken)

from app import app  # noqa: E402, F401 - what gunicorn and flask look for
