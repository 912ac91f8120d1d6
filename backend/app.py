"""Entry for `flask run` and gunicorn: builds the app by `factory.py` and starts it."""

import sys

import click

from config import Settings
from errors import SetupError
from factory import create_app
from lifecycle import start

GUNICORN_BOOT_ERROR = 3
"""Exit status of a worker at which gunicorn stops instead of starting the worker again."""

try:
    settings = Settings.from_env()
    app = create_app(settings)
    command = click.get_current_context(silent=True)
    # Not for `flask tables ...`: the tables may not exist yet.
    if command is None or command.info_name == "run":
        start(app, settings)
except SetupError as error:
    print(error, file=sys.stderr)  # noqa: T201 - for the operator's terminal
    sys.exit(GUNICORN_BOOT_ERROR)
